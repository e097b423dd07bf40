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

A grammar that clients speak too has a front, a module with these names (:class:`Front`):

``name``            the grammar's name: the dialect's, if it is one.
``MEDIA_TYPE``      of its streams.
``request_in``      the client's body -> the canonical one, and the names of the knobs that get lost.
``response_out``    a canonical ``chat.completion`` -> the client's grammar.
``writer``          a :class:`Writer` for one streamed answer.
``error_out``       an error, as a body.
``request_forward`` the client's body for a target that speaks the same grammar.

Content that a grammar cannot carry raises :class:`aura.errors.BadRequest` with the ``param``; a tuning knob that it
cannot carry is dropped and named in ``Translation.dropped``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..call import Call, Chunk, Json, Model, Translation
from ..errors import AuraError, Failure
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


class Writer(Protocol):
    """Writes one streamed answer in a client's grammar.

    ``alive`` keeps a silent connection open; empty where the grammar has nothing for that.
    """

    alive: bytes

    def write(self, chunks: list[Chunk], verbatim: bool) -> bytes:
        """Write some chunks.

        Args:
            verbatim: the provider speaks this grammar, so the chunks' own data is passed on. A stream that goes on
                with another's broken answer is not verbatim: the writer goes on in its own words.
        """

    def comment(self, text: str) -> bytes:
        """Write what clients do not read; nothing where the grammar has no comments."""

    def end(self) -> bytes:
        """Write what ends a whole answer."""

    def error(self, error: AuraError) -> bytes:
        """Write the one error that ends a stream which cannot go on."""


class Front(Protocol):
    """What a module offers whose grammar clients speak; see the text above."""

    name: str
    MEDIA_TYPE: str

    def request_in(self, body: Json) -> tuple[Json, list[str]]:
        """Translate a client's body, which stays untouched; the names are of knobs that the canonical form lacks.

        Raises:
            BadRequest: it holds content that the canonical form cannot carry.
        """

    def response_out(self, completion: Json, call: Call) -> Json:
        """Translate a whole answer."""

    def writer(self, call: Call) -> Writer:
        """Begin to write a streamed answer."""

    def error_out(self, error: AuraError, request_id: str) -> Json:
        """Word an error."""

    def request_forward(self, body: Json, model: Model, max_tokens: int | None) -> Translation:
        """The client's body for a model of a target that speaks its grammar; nothing else of it changes.

        Args:
            max_tokens: the longest answer that is paid for; None: it sets no limit.
        """
