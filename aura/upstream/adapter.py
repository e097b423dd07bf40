"""A transport adapter for requests: one POST, one answer, every wait under a deadline.

It does what ``requests.adapters.HTTPAdapter`` does with a tenth of its work, and bounds what that leaves open: heads,
bodies, interim answers, the time as a whole. Redirects are not its business, and nothing of the environment is read.
"""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Mapping
from os import SEEK_END
from time import monotonic
from typing import Any

from requests import PreparedRequest
from requests.adapters import BaseAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ..errors import Failure, Overloaded, Reason
from .connection import Connection
from .head import Origin, Route, head, route
from .pool import Pool
from .resolver import Resolver
from .response import MAX_BODY, Response
from .wire import Wire

log = logging.getLogger("aura.upstream")

_MAX_ROUTES = 1024
# What this host has run out of: descriptors, memory, ports of its own.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_A_DAY = 86400.0
_OK = 200


class Adapter(BaseAdapter):
    """Sends prepared requests.

    Args:
        connect_timeout: seconds for the name, the connection and the TLS handshake together.
        pool_size: idle connections kept for each origin.
        max_body: bytes of a body that is read whole.
        ca_bundle: path of certificates that are trusted beside those that requests trusts; None: of no others.
        proxies: proxies by what they serve, in requests' own form: ``{"https": url, "http://host": url}``; "": none.
    """

    def __init__(
        self,
        connect_timeout: float = 2.0,
        pool_size: int = 1024,
        max_body: int = MAX_BODY,
        ca_bundle: str | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._connect_timeout = connect_timeout
        self._max_body = max_body
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._pool = Pool(pool_size)
        self._resolver = Resolver()
        self._proxies = dict(proxies or {})
        self._routes: dict[tuple[str | None, str | None], Route] = {}
        self._sessions: dict[Origin, ssl.SSLSession | None] = {}

    def send(  # noqa: PLR0913  (requests' own, and two)
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: ARG002  (bodies are always read by the caller)
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
        *,
        deadline: float | None = None,
        fresh: bool = False,
    ) -> Response:
        """Send a request and wait for the head of its answer.

        Args:
            timeout: seconds, in requests' own forms; for callers without a ``deadline``.
            deadline: monotonic seconds by which the head must have come.
            fresh: use no connection that was used before.

        Raises:
            Failure: there is no answer.
            Overloaded: this host can open no connection.
            ValueError: the request cannot be sent as it is.

        A body that is a file is sent from its beginning, a piece at a time.
        """
        if verify is not True or cert or proxies:
            raise ValueError("certificates and proxies are decided where the adapter is made")
        if deadline is None:
            deadline = _deadline(timeout)
        way = self._routes.get((request.method, request.url)) or self._route(request)
        body, upload = request.body or b"", None
        if isinstance(body, str):
            body = body.encode()
        if isinstance(body, bytes):
            data = head(way.start, request.headers, len(body)) + body
        else:
            upload = body
            data = head(way.start, request.headers, body.seek(0, SEEK_END))
            body.seek(0)
        connection = None if fresh else self._pool.take(way.origin)
        if connection is None:
            connection = self._connect(way, deadline)
        try:
            connection.exchange(data, deadline, upload)
            if not connection.used and way.origin[0] == "https":
                self._sessions[way.origin] = connection.wire.session
            return Response(request, connection, self._pool.put, deadline, self._max_body)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _route(self, request: PreparedRequest) -> Route:
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        found = route(request.method or "", request.url or "", self._proxies)
        self._routes[request.method, request.url] = found
        return found

    # ---- connecting

    def _connect(self, way: Route, deadline: float) -> Connection:
        """Connect to the first address that answers."""
        host, port = (way.proxy.host, way.proxy.port) if way.proxy else way.origin[1:]
        now = monotonic()
        limit = min(deadline, now + self._connect_timeout)
        last = OSError("the name has no address")
        try:
            addresses = self._resolver.addresses(host, port, limit)
            for number, (family, address) in enumerate(addresses):
                # The time left is shared by the addresses that are left: one that swallows everything is not the end.
                share = (limit - monotonic()) / (len(addresses) - number)
                try:
                    return Connection(self._open(way, family, address, monotonic() + share), way.origin)
                except OSError as error:
                    last = error
            self._resolver.doubt(host, port)
            raise last
        except OSError as error:
            if error.errno in _SHORTAGES:  # ours: no provider is to blame
                log.warning("descriptors.exhausted")
                raise Overloaded("The gateway can open no more connections now.", retry_after=1) from None
            if monotonic() >= deadline:
                raise Failure(Reason.TIMEOUT) from None
            raise Failure(Reason.UNREACHABLE, _reason(error)) from None

    def _open(self, way: Route, family: int, address: Any, deadline: float) -> Wire:
        scheme, host, _ = way.origin
        wire = Wire(family)
        try:
            wire.connect(address, deadline)
            if scheme == "https":
                if way.proxy is not None:
                    _tunnel(wire, way, deadline)
                wire.start_tls(self._tls(), host, deadline, self._sessions.get(way.origin))
        except BaseException:
            wire.close()
            raise
        return wire

    def _tls(self) -> ssl.SSLContext:
        # Loading the certificates takes 17 ms: once, and only if anything is asked by TLS.
        if self._context is None:
            # Not ssl's default context: that writes the keys of sessions where the environment says.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
            if self._ca_bundle is not None:
                context.load_verify_locations(self._ca_bundle)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            self._context = context
        return self._context


def _tunnel(wire: Wire, way: Route, deadline: float) -> None:
    """Have the proxy connect to the origin. What goes wrong is an ``OSError``, as in connecting without one."""
    asked = Connection(wire, way.origin)
    try:
        asked.exchange(way.tunnel, deadline)
    except Failure as failure:
        raise OSError(f"the proxy did not answer: {failure}") from None
    if asked.status != _OK:
        raise OSError(f"the proxy refused: {asked.status}")


def _deadline(timeout: Any) -> float:
    seconds = timeout[-1] if isinstance(timeout, tuple) else timeout
    return monotonic() + (_A_DAY if seconds is None else float(seconds))


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS: the handshake failed"
    return error.strerror or str(error)
