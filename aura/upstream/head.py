"""Heads of requests, and where they go: nothing in them can end a line that it should not."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import select_proxy

from .. import __version__

Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}
# A URL is sent as it is: what is not printable ASCII has no place in it.
_URL = re.compile(r"[!-~]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AGENT = f"user-agent: aura-gateway/{__version__}\r\n"
# Headers that belong to the connection, and are said here alone.
_OWN = frozenset(
    (
        "host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade", "te",
        "proxy-authorization",
    )
)  # fmt: skip


class Proxy(NamedTuple):
    """A proxy, and the header line that it wants."""

    host: str
    port: int
    authorization: str


class Route(NamedTuple):
    """Where a URL leads, and how a request to it begins."""

    origin: Origin
    start: str
    proxy: Proxy | None = None

    @property
    def tunnel(self) -> bytes:
        """What asks the proxy for a connection to the origin."""
        assert self.proxy is not None
        authority = _authority(self.origin[1], self.origin[2])
        return f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{self.proxy.authorization}\r\n".encode()


def route(method: str, url: str, proxies: Mapping[str, str]) -> Route:
    """Read a URL, once for all requests to it.

    Raises:
        ValueError: it cannot be asked as it is.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not _NAME.fullmatch(method) or not _URL.fullmatch(url) or parts.scheme not in _PORTS or not host:
        raise ValueError("not a method and a URL that can be asked")
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise ValueError("a URL with credentials is not asked")
    port = parts.port or _PORTS[parts.scheme]
    authority = _authority(host, port, _PORTS[parts.scheme])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    chosen = select_proxy(url, proxies)
    proxy = _proxy(urlsplit(chosen)) if chosen else None
    more = ""
    if proxy is not None and parts.scheme == "http":
        path = f"http://{authority}{path}"
        more = proxy.authorization
    start = f"{method} {path} HTTP/1.1\r\nhost: {authority}\r\naccept-encoding: identity\r\n{more}"
    return Route((parts.scheme, host, port), start, proxy)


def _authority(host: str, port: int, usual: int = 0) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == usual else f"{name}:{port}"


def _proxy(parts: SplitResult) -> Proxy:
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("a proxy's URL begins with http://")
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"proxy-authorization: Basic {b64encode(pair.encode()).decode()}\r\n"
    return Proxy(parts.hostname, parts.port or _PORTS["http"], authorization)


class _Form(NamedTuple):
    """How headers are written that have the same names in the same order.

    Args:
        pieces: what stands between the values that are sent, every second one a place for such.
        kept: the places of the values that are sent; None: all are.
    """

    pieces: list[str]
    kept: tuple[int, ...] | None


# By the names. A cache of bounded size: a provider is asked in one or two forms.
_forms: dict[tuple[str, ...], _Form] = {}
_MAX_FORMS = 512


def _form(names: tuple[str, ...]) -> _Form:
    lower = [name.lower() for name in names]
    kept = tuple(place for place, name in enumerate(lower) if name not in _OWN)
    if not all(_NAME.fullmatch(names[place]) for place in kept):
        raise ValueError("a header's name is malformed")
    pieces = ["" if "user-agent" in lower else _AGENT]
    for place in kept:
        pieces[-1] += f"{names[place]}: "
        pieces += "", "\r\n"
    form = _Form(pieces, None if len(kept) == len(names) else kept)
    if len(_forms) < _MAX_FORMS:
        _forms[names] = form
    return form


def head(start: str, headers: Mapping[str, Any], length: int) -> bytes:
    """Write a request's head.

    Raises:
        ValueError: a header would end its line, or its name is none.
    """
    names, values = tuple(headers), tuple(headers.values())
    pieces, kept = _forms.get(names) or _form(names)
    if kept is not None:
        values = tuple(values[place] for place in kept)
    said = "".join(values)
    if "\r" in said or "\n" in said or "\0" in said:
        raise ValueError("a header holds a line end")
    pieces = pieces.copy()
    pieces[1::2] = values
    return f"{start}{''.join(pieces)}content-length: {length}\r\n\r\n".encode("latin-1")
