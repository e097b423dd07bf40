"""Who answers: a dialect, an address, a key and quirks. The core knows only what stands here.

A provider is a function ``provider(settings) -> Provider``, found by the entry point group ``aura.providers`` under the
name that a configuration's ``type`` gives. It reads settings and opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.metadata import entry_points
from urllib.parse import quote

import orjson

from ..call import Chunk, HttpRequest, Json, Model, Translation
from ..dialects import Dialect
from ..errors import Failure
from ..settings import ProviderSettings, Secret

GROUP = "aura.providers"
Adapt = Callable[[Json, Model], tuple[Json, list[str]]]


class UnknownProviderType(LookupError):
    """No installed package offers a provider of this type."""


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
    """

    name: str
    dialect: Dialect
    url: str
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    adapt: Adapt | None = None
    answer: Callable[[Json, Model], Iterator[Chunk]] | None = None
    cold_start: float = 0.0
    streams: Callable[[Model], bool] | None = None

    def request(self, body: Json, model: Model) -> tuple[HttpRequest, Translation]:
        """Build the outbound request for one attempt, from the client's untouched body.

        Raises:
            BadRequest: the body holds content that this provider's grammar cannot carry.
        """
        dropped: list[str] = []
        if self.adapt:
            body, dropped = self.adapt(body, model)
        translation = self.dialect.request_out(body, model)
        translation.dropped = [*dropped, *translation.dropped]
        headers = {name: str_of(value) for name, value in self.headers.items()}
        for name, value in translation.headers.items():
            headers[name] = f"{headers[name]},{value}" if name == "anthropic-beta" and name in headers else value
        url = self.url.replace("{model}", _quoted(model.name)) if "{model}" in self.url else self.url
        return HttpRequest(url, headers, orjson.dumps(translation.body)), translation

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, now: float) -> Failure:
        """Classify an answer whose status is not 200.

        Args:
            headers: lower-case names.
            now: Unix seconds, for a Retry-After that is a date.
        """
        failure = self.dialect.error_in(status, headers, body)
        failure.retry_after = retry_after(headers, now)
        return failure


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
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)


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
