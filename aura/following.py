"""An answer that another process is giving, as this one passes it on, and goes on with it if that process is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator

import gevent
import orjson

from . import metrics
from .cache import Followed, Kind, Lost
from .call import Answer, Call, Chunk, Json, Target, Translation, Usage
from .dialects import Dialect, anthropic, completions, ollama, openai, responses
from .dialects.ollama import generate
from .errors import Failure
from .relay import Found, Relay

# How the grammars that clients speak are read.
_GRAMMARS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (openai, anthropic, completions, responses, ollama, generate)
}
_UNKNOWN = 5.0  # seconds for which it may be unknown whether the other process is at work
_LATE = 1.0  # seconds behind the call's deadline, at which the other process says that time is up
_MAX_SAID = 1024 * 1024  # bytes of an answer that can be gone on with

Relayed = Callable[[], tuple[Relay, Callable[[], Found]]]


def followed(
    found: Followed, call: Call, headers: Callable[[Call, bool], dict[str, str]], deadline: float, relayed: Relayed
) -> Answer:
    """Answer a call with what another process says: at no cost.

    Args:
        headers: makes the answer's headers, with its cost or without.
        deadline: when the call must have ended, in monotonic seconds.
        relayed: a relay of this process, and what finds who answers; used where the other process is lost.

    Raises:
        Lost: the other process did not come to the end of an answer that is given as a whole.
    """
    call.cache = "hit"
    _note(call, found.head)
    metrics.cache_coalesced.inc()
    following = Following(found, call, deadline, relayed if call.stream else None)
    if call.stream:
        return Answer(200, headers(call, False) | {"age": "0"}, stream=following, media_type=found.head["media_type"])
    body = b"".join(following)
    return Answer(200, headers(call, True) | {"age": "0"}, body, media_type=found.head["media_type"])


class Following:
    """The pieces of an answer that another process gives.

    Args:
        call: whose answer it is; it is told of the end.
    """

    def __init__(self, found: Followed, call: Call, deadline: float, relayed: Relayed | None) -> None:
        self._found, self._call, self._deadline, self._relayed = found, call, deadline, relayed
        self._said: list[bytes] = []
        self._size = 0
        self._ended = False
        self._pieces = self._passed_on()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Follow no longer."""
        self._pieces.close()

    def _passed_on(self) -> Generator[bytes, None, None]:
        if self._call.stream:
            metrics.streams_open.inc()
        try:
            yield from self._heard()
        except Lost:
            if self._relayed is None or self._size > _MAX_SAID:
                raise
        finally:
            self._found.source.close()
            if self._call.stream:
                metrics.streams_open.dec()
        if not self._ended:
            yield from self._gone_on()

    def _heard(self) -> Iterator[bytes]:
        """What the other process says, to its end.

        Raises:
            Lost: it does not come to an end.
        """
        records, known_at = self._found.records, time.monotonic()
        while True:
            for kind, data in records:
                if kind is Kind.DATA:
                    self._keep(data)
                    yield data
                elif kind is Kind.END:
                    self._end(orjson.loads(data))
                    return
                else:
                    raise Lost
            now, held = time.monotonic(), self._found.source.held()
            known_at = now if held else known_at
            records = self._found.reading.records()
            if records:
                continue
            if held is False or now - known_at > _UNKNOWN or now > self._deadline + _LATE:
                raise Lost
            gevent.sleep(self._found.source.interval)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= _MAX_SAID:
            self._said.append(data)
        else:
            self._said.clear()

    def _end(self, facts: Json) -> None:
        self._ended, call = True, self._call
        _note(call, facts)
        usage = facts["usage"]
        call.usage = None if usage is None else Usage(**usage)
        call.outcome = "cached" if facts["outcome"] == "ok" else facts["outcome"]
        call.saved_usd = facts["usd"]
        metrics.cache_saved_usd.inc(call.saved_usd)

    def _gone_on(self) -> Iterator[bytes]:
        """Go on as with any stream that broke."""
        assert self._relayed is not None
        said, complete = read(b"".join(self._said), self._call)
        relay, find = self._relayed()
        try:
            yield from relay.take_over(said, complete, find)
        finally:
            relay.close()


def read(said: bytes, call: Call) -> tuple[list[Chunk], bool]:
    """Read what a client was sent; returns the chunks, and whether they are a whole answer.

    Raises:
        Lost: it cannot be read, or ends in an error.
    """
    dialect = _GRAMMARS[call.grammar]
    decoder, reader = dialect.DECODER(), dialect.reader(Translation(body={}))
    try:
        return [chunk for event in decoder.feed(said) for chunk in reader.feed(event)], reader.complete
    except (ValueError, KeyError, TypeError, AttributeError, Failure) as error:
        raise Lost from error


def _note(call: Call, facts: Json) -> None:
    target = facts["target"]
    call.target, call.dropped = None if target is None else Target(*target), facts["dropped"]
