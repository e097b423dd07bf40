"""Who answers: a dialect, an address, a key and quirks. The core knows only what stands here.

A provider is a function ``provider(settings) -> Provider``, found by the entry point group ``aura.providers`` under the
name that a configuration's ``type`` gives. It reads settings and opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.metadata import entry_points
from typing import IO
from urllib.parse import quote, urlencode

import orjson

from ..call import Chunk, HttpRequest, Json, Model, Translation
from ..dialects import Dialect, Front
from ..dialects.embeddings import Embedder
from ..errors import Failure, Reason
from ..settings import ProviderSettings, Secret

GROUP = "aura.providers"
_LIMITS = ("requests", "tokens")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_SHOWN = 8  # characters of a key by which it may be known
Adapt = Callable[[Json, Model], tuple[Json, list[str]]]


class UnknownProviderType(LookupError):
    """No installed package offers a provider of this type."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """How the access token of a provider is asked for: a form that is posted. Two that are equal share a token."""

    url: str
    form: tuple[tuple[str, str | Secret], ...]

    def request(self) -> HttpRequest:
        """Build the request, the secrets revealed."""
        form = urlencode([(name, str_of(value)) for name, value in self.form])
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        return HttpRequest(self.url, headers, form.encode())


@dataclass(frozen=True, slots=True)
class Native:
    """A client's body in its own grammar, forwarded to who speaks it.

    Args:
        headers: the client's that go with it.
        max_tokens: the longest answer that is paid for; None: it sets no limit.
    """

    front: Front
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """An address that answers in a dialect.

    Args:
        name: the configuration's name for it; label of metrics, first half of ``provider/model``.
        dialect: the grammar it speaks.
        url: where chats go; ``{model}`` stands for the model's name, percent-encoded.
        headers: sent with every request; secrets print as ``***``.
        adapt: the provider's quirks: canonical body and model in, a changed copy and the names of what it dropped out.
        answer: serves in-process instead of over HTTP (the demo); gets the canonical body, yields canonical chunks.
        cold_start: seconds allowed on top of the first-content limit where a model may first have to be loaded.
        streams: whether a model can stream; where it cannot, it is asked for a whole answer, which is told as a stream.
        usage_in_streams: whether ``stream_options`` is understood; without it a stream tells no usage.
        address: where its other doors are: ``{door}`` stands for a path such as ``embeddings``, ``{model}`` as in
            ``url``. Empty where it has none.
        embedder: the grammar of its embeddings; None where it makes none.
        embed_url: where those are asked for, if not at its address.
        serves: of which models it answers, for one of another's ``also``; None: of all.
        also: the other grammars that the same server speaks, by name, each as a provider of its own.
        token: how the token is asked for that goes in ``Authorization``, for a provider that takes no key.
        id_headers: the headers in which it is told the request's id.
    """

    name: str
    dialect: Dialect
    url: str
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    adapt: Adapt | None = None
    answer: Callable[[Json, Model], Iterator[Chunk]] | None = None
    cold_start: float = 0.0
    streams: Callable[[Model], bool] | None = None
    usage_in_streams: bool = True
    token: TokenRequest | None = None
    serves: Callable[[Model], bool] | None = None
    also: Mapping[str, Provider] = field(default_factory=dict)
    address: str = ""
    embedder: Embedder | None = None
    embed_url: str = ""
    id_headers: tuple[str, ...] = ("x-request-id",)
    _sent: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sent = {name: str_of(value) for name, value in self.headers.items()}
        object.__setattr__(self, "_sent", sent)  # as every request wants them

    def door(self, path: str, model: str, content: bytes | IO[bytes], media_type: str) -> HttpRequest:
        """Build a request to one of the provider's other doors.

        Args:
            content: what is sent; a file is sent from its beginning.
        """
        url = self.embed_url if path == "embeddings" and self.embed_url else self.address.replace("{door}", path)
        headers = self._sent | {"content-type": media_type}
        url = url.replace("{model}", _quoted(model))
        if isinstance(content, bytes):
            return HttpRequest(url, headers, content)
        return HttpRequest(url, headers, b"", upload=content)

    def speaking(self, grammar: str, model: Model) -> Provider | None:
        """The provider as it is asked in a grammar, None if it does not speak it, or not of this model."""
        if self.dialect.name == grammar:
            return self
        also = self.also.get(grammar)
        return also if also is not None and (also.serves is None or also.serves(model)) else None

    def forward(self, native: Native, model: Model) -> tuple[HttpRequest, Translation]:
        """Build the outbound request from a body in the provider's own grammar."""
        translation = native.front.request_forward(native.body, model, native.max_tokens)
        translation.headers = {**native.headers, **translation.headers}
        return self._http(translation, model), translation

    def request(self, body: Json, model: Model) -> tuple[HttpRequest, Translation]:
        """Build the outbound request for one attempt, from the client's untouched body.

        Raises:
            BadRequest: the body holds content that this provider's grammar cannot carry.
        """
        dropped: list[str] = []
        if self.adapt:
            body, dropped = self.adapt(body, model)
        translation = self.dialect.request_out(body, model)
        if dropped:
            translation.dropped = [*dropped, *translation.dropped]
        if not self.usage_in_streams:
            translation.body.pop("stream_options", None)
        return self._http(translation, model), translation

    def _http(self, translation: Translation, model: Model) -> HttpRequest:
        headers = self._sent.copy()
        for name, value in translation.headers.items():
            headers[name] = f"{headers[name]},{value}" if name == "anthropic-beta" and name in headers else value
        url = self.url.replace("{model}", _quoted(model.name)) if "{model}" in self.url else self.url
        return HttpRequest(url, headers, orjson.dumps(translation.body))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
        """Classify an answer whose status is not 200.

        Args:
            headers: lower-case names.
            now: Unix seconds, for a Retry-After that is a date.
        """
        for secret in self._secrets():
            body = body.replace(secret.encode(), b"***")
        failure = self.clean(self.dialect.error_in(status, headers, body))
        failure.retry_after = retry_after(headers, now)
        if failure.reason is Reason.RATE_LIMITED:
            failure.limits = self.dialect.ratelimit_headers(headers, now)
            if failure.retry_after is None:
                failure.retry_after = reset_after(failure.limits)
        return failure

    def clean(self, failure: Failure) -> Failure:
        """Take our own keys out of a provider's words: whole, and the ends that vendors like to show."""
        for secret in self._secrets():
            for part in (secret, secret[:_SHOWN], secret[-_SHOWN:]):
                failure.replace(part, "***")
        return failure

    def _secrets(self) -> list[str]:
        texts = [value.reveal().removeprefix("Bearer ") for value in self.headers.values() if isinstance(value, Secret)]
        return [text for text in texts if len(text) >= _SHOWN]


def bearer(settings: ProviderSettings) -> dict[str, str | Secret]:
    """``Authorization`` with the entry's key; nothing where it has none, or is ``none``."""
    key = key_of(settings)
    return {"authorization": Secret(f"Bearer {key}")} if key else {}


def key_of(settings: ProviderSettings) -> str:
    """The entry's key, empty where the server wants none."""
    key = settings.api_key.reveal().strip()
    return "" if key.lower() == "none" else key


def headers_of(settings: ProviderSettings, own: Mapping[str, str | Secret]) -> dict[str, str | Secret]:
    """The headers of every request: what the operator wrote stands above what the provider would send."""
    written = {name.lower(): value for name, value in settings.headers.items()}
    return {"content-type": "application/json", **own, **written}


def streams(model: Model) -> bool:
    """Whether a model can stream: the catalogue's word."""
    return model.can("streaming") or not model.known


def str_of(value: str | Secret) -> str:
    """The text of a header, secrets revealed."""
    return value.reveal() if isinstance(value, Secret) else value


def _quoted(model: str) -> str:
    return quote(model, safe="")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read how long a provider asks to wait, in any of its forms.

    Args:
        headers: lower-case names; ``retry-after-ms``, else ``retry-after`` as seconds or as an HTTP date.
        now: Unix seconds.

    Returns:
        Seconds, never negative; None where nothing (or nonsense) was said.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def reset_after(headers: Mapping[str, str]) -> float | None:
    """When the limit that is used up resets, for a 429 without Retry-After: ``60``, ``120ms`` or ``1m30.5s``."""
    waits = [_duration(headers.get(f"x-ratelimit-reset-{what}", "")) for what in _LIMITS if _used_up(headers, what)]
    return max((wait for wait in waits if wait is not None), default=None)


def _used_up(headers: Mapping[str, str], what: str) -> bool:
    return headers.get(f"x-ratelimit-remaining-{what}", "0").strip().startswith(("0", "-"))


def _duration(text: str) -> float | None:
    parts = _PARTS.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else 0.0 if value < 0 else None


def build(settings: ProviderSettings) -> Provider:
    """Make the provider that a configuration entry describes.

    Raises:
        UnknownProviderType: no entry point has the entry's ``type``.
    """
    for point in entry_points(group=GROUP):
        if point.name == settings.type:
            made = point.load()(settings)
            assert isinstance(made, Provider)
            return made
    raise UnknownProviderType(settings.type)
