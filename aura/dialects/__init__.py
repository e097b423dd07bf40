"""Wire grammars: pure functions between a grammar and the canonical form, which is an OpenAI chat body.

A dialect is a grammar, not an address: the same module serves a provider that speaks it and clients that do.
``_out`` leads away from the canonical form, ``_in`` leads towards it. A dialect is a module with these names:

``name``            the dialect's name.
``DECODER``         the class that cuts its streams into events (:class:`aura.sse.Decoder` or ``LineDecoder``).
``request_out``     canonical body, model -> :class:`aura.call.Translation`. The body given is never changed.
``response_in``     the provider's whole answer -> a canonical ``chat.completion``.
``reader``          a :class:`Reader` for one streamed answer.
``error_in``        status, headers, body of a failed answer -> :class:`aura.errors.Failure`.
``ratelimit_headers``  a provider's rate limit headers, in OpenAI's names (``x-ratelimit-remaining-requests``).

Content that a grammar cannot carry raises :class:`aura.errors.BadRequest` with the ``param``; a tuning knob that it
cannot carry is dropped and named in ``Translation.dropped``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..call import Chunk, Json, Model, Translation
from ..errors import Failure
from ..sse import Decoder, Event, LineDecoder


class Reader(Protocol):
    """Reads one streamed answer, event by event."""

    complete: bool
    """Whether the grammar's terminal event was seen: an end before it is a truncated answer."""

    def feed(self, event: Event) -> list[Chunk]:
        """Read one event.

        Raises:
            Failure: the event is an error, told in-band.
            ValueError: the event is not JSON, or not of the grammar; it is skipped and counted.
        """


class Dialect(Protocol):
    """What a dialect module offers; see the text above."""

    name: str
    DECODER: type[Decoder] | type[LineDecoder]

    def request_out(self, body: Json, model: Model) -> Translation:
        """Translate the client's body for a model; both stay untouched."""

    def response_in(self, body: Json, translation: Translation) -> Json:
        """Translate a whole answer.

        Raises:
            Failure: the answer is an error under status 200, or lacks what the grammar demands.
        """

    def reader(self, translation: Translation) -> Reader:
        """Begin to read a streamed answer."""

    def error_in(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """Read an answer whose status is not 200; header names are lower-case."""

    def ratelimit_headers(self, headers: Mapping[str, str], now: float) -> dict[str, str]:
        """Say what an answer tells of rate limits in OpenAI's names; ``now`` in Unix seconds."""
