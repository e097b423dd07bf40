"""One attempt at one target: the request goes out, a whole answer or a stream of chunks comes in."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from .call import Call, Chunk, HttpRequest, Json, Planned, Translation, Usage
from .chunks import chunks_of
from .correlation import send
from .dialects import Reader
from .dialects.assembly import Assembler
from .dialects.openai import usage_in
from .errors import BadRequest, Failure, Reason
from .failover import Step
from .fronts import FRONTS
from .providers import Native, Provider
from .sse import Decoder, Event, EventTooLarge, LineDecoder
from .tokens import Sender
from .upstream import Response

log = logging.getLogger("aura.exchange")

_OK = 200
# What reading JSON of another shape than is expected raises.
SHAPELESS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
_EVENTS = (b"data:", b"event:")
CANONICAL = "openai"
MAX_HELD = 1000  # chunks without content; more of them are no prelude any more


@dataclass(slots=True)
class Whole:
    """A whole answer.

    Args:
        body: canonical.
        data: the same as bytes; the provider's own where nothing had to change.
        grammar: that the bytes are in: the client's own where its body was forwarded.
    """

    body: Json
    data: bytes
    usage: Usage | None
    translation: Translation
    grammar: str = CANONICAL


class Incoming(Protocol):
    """A streamed answer as it comes in.

    ``dialect`` names the grammar that the bytes of its chunks (``Chunk.data``) are in, empty where they have none.
    """

    dialect: str

    @property
    def translation(self) -> Translation:
        """What was asked, and what reading the answer needs to know."""

    @property
    def complete(self) -> bool:
        """Whether the terminal event was seen."""

    def pull(self, deadline: float) -> list[Chunk] | None:
        """Wait for the next chunks; None at the end.

        Raises:
            Failure: an error in-band, a broken connection, or ``TIMEOUT`` at the deadline (then pull again).
        """

    def close(self) -> None:
        """Let go of the connection; idempotent."""


def ask(
    sender: Sender,
    call: Call,
    step: Step,
    provider: Provider,
    body: Json,
    deadline: float,
    native: Native | None = None,
) -> Whole:
    """Ask for a whole answer.

    Args:
        provider: the step's, in the grammar that it is asked in.
        body: the client's, canonical; it is not changed.
        deadline: monotonic seconds by which the whole answer must be there.
        native: the client's own body, where the provider speaks its grammar; it goes in the body's place.

    Raises:
        Failure: whatever went wrong at the provider.
        BadRequest: the provider's grammar cannot carry the body.
    """
    if provider.answer is not None:
        return _assembled(provider, step.planned, body)
    request, translation = _request(provider, step.planned, body, native)
    response = send(sender, call, provider, request, deadline, step.fresh)
    try:
        data = response.read(deadline)
    finally:
        response.close()
    if response.status != _OK:
        raise provider.failure(response.status, response.headers, data, time.time())
    return _whole(provider, data, translation, native)


def _request(
    provider: Provider, planned: Planned, body: Json, native: Native | None
) -> tuple[HttpRequest, Translation]:
    made = provider.request(body, planned.model) if native is None else provider.forward(native, planned.model)
    made[1].created = int(time.time())
    return made


def _whole(provider: Provider, data: bytes, translation: Translation, native: Native | None) -> Whole:
    try:
        parsed = orjson.loads(data)
    except ValueError:
        raise Failure(Reason.BAD_RESPONSE, "the answer is not JSON") from None
    if not isinstance(parsed, dict):
        raise Failure(Reason.BAD_RESPONSE, "the answer is not an object")
    model = parsed.get("model")
    try:
        body = provider.dialect.response_in(parsed, translation)
    except Failure as failure:
        raise provider.clean(failure) from None
    except SHAPELESS:
        raise _shapeless() from None
    usage = usage_in(body["usage"]) if body.get("usage") else None
    if native is not None and native.front.name == provider.dialect.name:
        return Whole(body, data, usage, translation, native.front.name)
    # What stayed as it was goes on byte for byte.
    if body is not parsed or body.get("model") != model:
        data = dumped(body)
    return Whole(body, data, usage, translation)


def dumped(body: Json) -> bytes:
    """An answer as JSON.

    Raises:
        Failure: it holds what cannot be written.
    """
    try:
        return orjson.dumps(body)
    except TypeError:
        raise _shapeless() from None


def worded(whole: Whole, call: Call) -> Whole:
    """A whole answer in the client's grammar.

    Raises:
        Failure: it has not the shape that its provider's grammar promises, so another may answer.
    """
    if whole.grammar == call.grammar:
        return whole
    try:
        body = FRONTS[call.grammar].response_out(whole.body, call)
    except (*SHAPELESS, BadRequest):
        failure = _shapeless()
        failure.usage = whole.usage
        raise failure from None
    return replace(whole, data=dumped(body), grammar=call.grammar)


def _shapeless() -> Failure:
    return Failure(Reason.BAD_RESPONSE, "the answer has not the shape of its grammar")


def _assembled(provider: Provider, planned: Planned, body: Json) -> Whole:
    assert provider.answer is not None
    assembler = Assembler()
    for chunk in _stamped(provider.answer(body, planned.model)):
        if chunk.body is not None:
            assembler.add(chunk.body)
    completion = assembler.completion()
    usage = completion.get("usage")
    translation = Translation(body={}, model=planned.model.name)
    return Whole(completion, orjson.dumps(completion), usage_in(usage) if usage else None, translation)


def _stamped(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Say when, which a provider in the process leaves to us: it has no clock."""
    created = int(time.time())
    for chunk in chunks:
        if chunk.body is not None:
            chunk.body["created"] = created
        yield chunk


def stream(
    sender: Sender,
    call: Call,
    step: Step,
    provider: Provider,
    body: Json,
    deadline: float,
    native: Native | None = None,
) -> Incoming:
    """Ask for a stream; returns when the head has come. Arguments and errors as of :func:`ask`."""
    planned = step.planned
    if provider.answer is not None:
        return Ready(_stamped(provider.answer(body, planned.model)), Translation(body={}, model=planned.model.name))
    if provider.streams is not None and not provider.streams(planned.model):
        without = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
        return _told(ask(sender, call, step, provider, without, deadline))
    request, translation = _request(provider, planned, body, native)
    response = send(sender, call, provider, request, deadline, step.fresh)
    try:
        if response.status != _OK:
            raise provider.failure(response.status, response.headers, response.read(deadline), time.time())
        if response.headers.get("content-type", "").startswith("application/json"):
            begun = response.read_some(deadline)
            if not begun.startswith(_EVENTS):  # some servers call their events JSON
                return _told(_whole(provider, begun + response.read(deadline), translation, native))
            return Live(response, provider, translation, begun)
    except BaseException:
        response.close()
        raise
    return Live(response, provider, translation)


def _told(whole: Whole) -> Ready:
    """A whole answer, said as a stream: some models and servers do not stream."""
    try:
        return Ready(iter(list(chunks_of(whole.body, whole.usage))), whole.translation)
    except SHAPELESS:
        raise _shapeless() from None


class Opened:
    """A stream at one target, its chunks held back until the first with content."""

    __slots__ = ("held", "incoming", "reasoning", "started", "step")

    def __init__(self, incoming: Incoming, step: Step, started: float, reasoning: bool) -> None:
        self.incoming, self.step, self.started, self.reasoning = incoming, step, started, reasoning
        self.held: list[Chunk] = []

    def told_usage(self) -> Usage | None:
        """What the held chunks tell of tokens; a provider may bill a prompt that it did not come to answer."""
        return next((chunk.usage for chunk in reversed(self.held) if chunk.usage is not None), None)

    def hold_until_content(self, deadline: float) -> None:
        """Pull events until one carries content, or until a whole answer without content has ended.

        Raises:
            Failure: the stream failed before any content, so another target may be asked unseen.
        """
        while True:
            chunks = self.incoming.pull(deadline)
            self.held += chunks or ()
            if self.incoming.complete or any(chunk.content for chunk in chunks or ()) or len(self.held) > MAX_HELD:
                return
            if chunks is None:
                raise Failure(Reason.INTERRUPTED, "the stream ended before its first content")
            if time.monotonic() >= deadline:
                raise Failure(Reason.TIMEOUT)  # what comes all the time is never waited for


class Ready:
    """A stream whose chunks are made here: nothing is waited for."""

    dialect = ""

    def __init__(self, chunks: Iterator[Chunk], translation: Translation) -> None:
        self.translation = translation
        self.complete = False
        self._chunks = chunks

    def pull(self, deadline: float) -> list[Chunk] | None:  # noqa: ARG002  (the shape of Incoming)
        """Make the next chunk."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self.complete = True
            return None
        return [chunk]

    def close(self) -> None:
        """Nothing is held."""


class Live:
    """A stream that comes over a connection."""

    __slots__ = (
        "_begun",
        "_clean",
        "_decoder",
        "_ended",
        "_events",
        "_failure",
        "_reader",
        "_response",
        "complete",
        "dialect",
        "skipped",
        "translation",
    )

    def __init__(self, response: Response, provider: Provider, translation: Translation, begun: bytes = b"") -> None:
        self._begun = begun
        dialect = provider.dialect
        self.dialect, self.translation = dialect.name, translation
        self.skipped = 0
        self._clean = provider.clean
        self._response = response
        self._decoder: Decoder | LineDecoder = dialect.DECODER()
        self._reader: Reader = dialect.reader(translation)
        self._failure: Failure | None = None
        self._ended = False
        self._events = 0
        self.complete = False

    def pull(self, deadline: float) -> list[Chunk] | None:
        """Wait for the next bytes and read them; see :class:`Incoming`."""
        if self._failure is not None:
            raise self._failure
        if self._ended:
            self._check_not_empty()
            return None
        if self._begun:
            data, self._begun = self._begun, b""
        else:
            data = self._response.read_some(deadline)
        try:
            events = self._decoder.feed(data) if data else self._decoder.finish()
        except EventTooLarge as error:
            raise Failure(Reason.BAD_RESPONSE, str(error)) from None
        chunks = self._read(events)
        if data:
            return chunks
        self._ended = True
        if chunks or self._failure is not None:
            return chunks
        self._check_not_empty()
        return None

    def _read(self, events: list[Event]) -> list[Chunk]:
        """What came before an error in the same read is delivered first; the error is raised at the next pull."""
        chunks: list[Chunk] = []
        reader = self._reader
        self._events += len(events)
        for event in events:
            try:
                chunks += reader.feed(event)
            except SHAPELESS:  # JSON, but of no shape that the grammar knows
                self.skipped += 1
            except Failure as failure:
                self._failure = self._clean(failure)
                break
        self.complete = reader.complete
        return chunks

    def _check_not_empty(self) -> None:
        if self.skipped == self._events:
            raise Failure(Reason.BAD_RESPONSE, "the stream holds no event of its grammar")

    def close(self) -> None:
        """Close the connection, or keep it for the next request if the answer was read to its end."""
        if self.skipped:
            log.warning("events.skipped", extra={"model": self.translation.model, "count": self.skipped})
            self.skipped = 0
        self._response.close(over=self.complete)
