"""A stream on its way to the client: held until the first content, then passed on, its end noted once.

The attempts run in a green thread of their own until the first content, because the client's 200 cannot wait longer
than ``PATIENCE``: after that the head goes out and comments keep the connection alive while attempts go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import gevent

from . import limits, metrics
from .call import Answer, Call, Chunk, Json, Usage
from .carrying import caught
from .chunks import says_something, tells_usage, up_to_last, with_heads
from .dialects import Writer
from .dialects.assembly import Assembler
from .dialects.pieces import Piece
from .errors import AuraError, Failure, Reason, ShuttingDown, UpstreamError
from .estimate import estimate_tokens, text_tokens
from .exchange import Incoming, Opened
from .failover import Step
from .fronts import FRONTS
from .ledger import CLIENT_LEFT, Ledger
from .splice import added

log = logging.getLogger("aura.gateway")

PATIENCE = 15.0  # before a 200 without content goes out
KEEP_ALIVE = 10.0  # between comments
AFTER_FINISH = 2.0  # for the usage event, [DONE] or the body's end
AFTER_USAGE = 0.05  # for [DONE], which lets the connection be kept; many servers leave it out
MAX_STORED = 1024 * 1024  # bytes of a stream that may still be cached
NEVER = float("inf")
_EARLY, _LEAST_GAP = 0.05, 1.0

Found = tuple[Opened, Step, float]
# How a broken stream goes on: given the step that broke and how (None where another process was lost that passed the
# stream on) and the answer so far, asks the next target.
Rescuer = Callable[[tuple[Step, Failure] | None, Json, Usage], Found]


class Relay:
    """One streamed answer: the iterable that the server sends, piece by piece.

    Args:
        headers: makes the answer's headers, once it is known who answers.
        answered: told the target's step and the whole answer at a good end.
        rescuer: asks another target to go on with an answer that broke off; None where that is not wanted.
        deadline: when the call must have ended, in monotonic seconds.
    """

    def __init__(
        self,
        call: Call,
        ledger: Ledger,
        headers: Callable[[Call], dict[str, str]],
        answered: Callable[[Step, Json], None],
        rescuer: Rescuer | None,
        deadline: float,
    ) -> None:
        self._call, self._ledger, self._headers, self._answered = call, ledger, headers, answered
        self._rescuer, self._deadline = rescuer, deadline
        self._front = FRONTS[call.grammar]
        self._writer: Writer = self._front.writer(call)
        self._opener: gevent.Greenlet[Any, Any] | None = None
        self._opened: Opened | None = None
        self._assembler, self._size = Assembler(), 0
        self._chunks: list[Chunk] = []  # the last that were passed on
        self._spoken_at = self._alive_at = self._ends_at = 0.0
        self._usage: Usage | None = None
        self._before = Usage()  # of the attempts that broke
        self._pieces: Iterator[bytes] = iter(())
        self._verbatim = self._closed = False
        self.closed: Callable[[], None] | None = None
        """Called once when the stream is over, however it ended."""

    def open(self, find: Callable[[], Found]) -> Answer:
        """Wait for the first content, at most ``PATIENCE`` seconds, and begin the answer.

        Args:
            find: runs the attempts; raises what the client is told if none succeeds.
        """
        self._opener = gevent.spawn(caught, find)
        try:
            self._opener.join(timeout=PATIENCE)
            if not self._opener.dead:
                self._pieces = self._late()
            else:
                self._take(self._opener.value)
                self._pieces = self._relayed()
                self._ledger.overhead(self._call)
        except BaseException:
            self._abandon()
            raise
        metrics.streams_open.inc()
        return Answer(200, self._headers(self._call), stream=self, media_type=self._front.MEDIA_TYPE)

    def _abandon(self) -> None:
        """Give up before the answer has begun; an opener that has just succeeded must not leave its connection open."""
        assert self._opener is not None
        if self._opened is not None:
            return
        if self._opener.dead:
            self._let_go(self._opener)
        else:
            self._opener.rawlink(self._let_go)  # it may succeed before it learns that it need not
            self._opener.kill(block=False)
        self._opener = None

    def _let_go(self, opener: gevent.Greenlet[Any, Any]) -> None:
        if isinstance(opener.value, tuple):
            opened, step, started = opener.value
            opened.incoming.close()
            self._ledger.left(self._call, step, started)

    def _take(self, found: Found | Exception) -> None:
        if isinstance(found, Exception):
            try:
                raise found
            finally:
                del found  # what it passes through must not hold it
        self._opened = found[0]
        self._opened.held = with_heads(self._opened.held)
        self._verbatim = self._opened.incoming.dialect == self._front.name
        self._call.dropped = self._opened.incoming.translation.dropped

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Note the end, whatever it was; idempotent. Without a noted end the client has left."""
        if self._closed:
            return
        self._closed = True
        if self.closed is not None:
            self.closed()
        metrics.streams_open.dec()
        self._abandon()
        if self._opened is not None:
            self._opened.incoming.close()
            if not self._call.done:
                self._ledger.left(self._call, self._opened.step, self._opened.started, self._usage)
        self._ledger.finish(self._call, CLIENT_LEFT)

    def _late(self) -> Iterator[bytes]:
        """The 200 is out, content is not: comments until the attempts end."""
        yield self._writer.alive
        found = yield from self._waited()
        if isinstance(found, Exception):
            yield self._error(found if isinstance(found, AuraError) else self._failed(found))
            return
        self._take(found)
        self._ledger.overhead(self._call)
        yield from self._relayed()

    def _waited(self) -> Generator[bytes, None, Found | Exception]:
        """Comments until the opener has ended; returns what it found."""
        assert self._opener is not None
        while not self._opener.dead:
            try:
                self._opener.join(timeout=KEEP_ALIVE)
            except ShuttingDown:
                self._opener.kill(block=False)
                return ShuttingDown.told()
            if not self._opener.dead:
                yield self._writer.alive
        found: Found | Exception = self._opener.value
        return found

    def _relayed(self) -> Iterator[bytes]:
        """Pass the chunks on; end as the grammar does after a whole answer, with one error event otherwise."""
        while True:
            opened = self._opened
            assert opened is not None
            error: AuraError | None
            try:
                data = self._begun(opened)
                while data is not None:
                    if data:
                        yield data
                    data = self._next(opened)
                yield self._end(opened)
                return
            except Failure as failure:
                opened.incoming.close()
                error = yield from self._rescued(opened, failure)
            except _OutOfTime:
                error = self._given_up(opened, _interrupted())
            except ShuttingDown:
                error = self._given_up(opened, ShuttingDown.told())
            except Exception as bug:  # the last handler of a stream: its end is told, whatever it was
                error = self._given_up(opened, self._failed(bug))
            if error is not None:
                yield self._error(error)
                return

    def take_over(self, said: list[Chunk], complete: bool, find: Callable[[], Found]) -> Iterator[bytes]:
        """Go on with an answer that another process began to pass on; that process is lost.

        Args:
            said: what the client has, read in its grammar.
            complete: that is the whole answer, though perhaps not its last event.
            find: runs the attempts, where nothing was said.
        """
        metrics.streams_open.inc()
        if not said:
            self._opener = gevent.spawn(caught, find)
            yield from self._late()
            return
        self._writer.write(said, verbatim=True)
        for chunk in said:
            self._usage = chunk.usage or self._usage
            if chunk.body is not None:
                self._remember(chunk.body)
        if complete:
            self._ledger.finish(self._call, 200)
            if not said[-1].last:
                yield self._writer.end()
            return
        error: AuraError | None = _interrupted()
        partial, rescuer = self._partial(), self._rescuer
        if rescuer is not None and partial is not None:
            before = self._before = self._told_usage(partial)
            error = yield from self._continued(lambda: rescuer(None, partial, before))
        if error is not None:
            yield self._error(error)
            return
        yield from self._relayed()

    def _given_up(self, opened: Opened, error: AuraError) -> AuraError:
        """Let go of an attempt through no fault of its provider's; returns what the client is told."""
        opened.incoming.close()
        self._ledger.left(self._call, opened.step, opened.started, self._told_usage(self._partial()))
        return error

    def _failed(self, bug: Exception) -> AuraError:
        log.error("request.failed", extra={"id": self._call.id}, exc_info=bug)
        return AuraError("The gateway failed; the request id finds the cause in its log.")

    def _rescued(self, opened: Opened, failure: Failure) -> Generator[bytes, None, AuraError | None]:
        """Have the answer continued; returns what the client is told if it cannot be."""
        partial = self._partial()
        usage: Usage = failure.usage or self._told_usage(partial)
        self._ledger.failed(self._call, opened.step, opened.started, failure, usage)
        if not failure.rule.next:
            return failure.to_client()
        if self._rescuer is None or partial is None:
            return _interrupted()
        rescuer, self._opened, self._usage = self._rescuer, None, None
        before = self._before = added(self._before, usage)
        return (yield from self._continued(lambda: rescuer((opened.step, failure), partial, before)))

    def _continued(self, find: Callable[[], Found]) -> Generator[bytes, None, AuraError | None]:
        """Wait for who goes on; returns what the client is told if nobody does."""
        self._opener = gevent.spawn(caught, find)
        found = yield from self._waited()
        metrics.rescues.labels("rescued" if isinstance(found, tuple) else "failed").inc()
        if isinstance(found, tuple):
            self._take(found)
            yield self._writer.comment(f"continued by {found[1].planned.target.name}")
            return None
        if not isinstance(found, AuraError):
            return self._failed(found)
        return found if found.code == "server_shutting_down" else _interrupted()

    def _partial(self) -> Json | None:
        """The answer so far, if it is one text; None where it cannot be continued."""
        return None if self._size > MAX_STORED else self._assembler.one_text()

    def _told_usage(self, partial: Json | None) -> Usage:
        """What a broken attempt is billed for: what its provider told before, else what is estimated."""
        told = self._usage or Usage()
        text = str((partial["choices"][0]["message"].get("content") if partial else None) or "")
        output = round(text_tokens(text)) - self._before.output
        return replace(told, input=told.input or estimate_tokens(self._call.body), output=max(told.output, output))

    def _begun(self, opened: Opened) -> bytes | None:
        """What was held of a stream; None where that is all of it."""
        self._spoken_at = self._alive_at = now = time.monotonic()
        self._ends_at = now + AFTER_FINISH if opened.incoming.complete else NEVER
        self._chunks, last = up_to_last(opened.held)
        return None if last else self._framed(self._chunks)

    def _next(self, opened: Opened) -> bytes | None:
        """Wait for what the client is sent next, which may be nothing; None at the end of a whole answer."""
        incoming, said, now = opened.incoming, self._chunks, time.monotonic()
        if says_something(said):
            self._spoken_at = self._alive_at = now
        if incoming.complete:
            self._ends_at = min(self._ends_at, now + (AFTER_USAGE if tells_usage(said) else AFTER_FINISH))
        until = self._until(opened)
        pulled = self._pull(incoming, until)
        now = time.monotonic()
        if pulled is None:
            self._chunks = []
            return None
        if now >= until and not incoming.complete:  # what comes all the time is never waited for
            self._check(pulled, now)
        alive = b""
        if now >= self._alive_at + KEEP_ALIVE and not says_something(pulled):
            self._alive_at, alive = now, self._writer.alive
        self._chunks, last = up_to_last(pulled)
        return None if last or now >= self._ends_at else alive + self._framed(self._chunks)

    def _pull(self, incoming: Incoming, until: float) -> list[Chunk] | None:
        """The next chunks; none after a silence that is no failure yet; None at the end of a whole answer."""
        wake = min(until, self._alive_at + KEEP_ALIVE)
        try:
            chunks = incoming.pull(wake)
        except Failure as failure:
            if incoming.complete:
                return None  # all was said: what breaks after it is no loss
            now = time.monotonic()
            # Timers may be a little early; a provider's own word of a timeout comes at any time.
            if failure.reason is not Reason.TIMEOUT or now < wake - _EARLY:
                raise
            if now >= self._deadline - _EARLY:
                raise _OutOfTime from None
            if wake == until:
                raise
            return []
        if chunks is None and not incoming.complete:
            raise Failure(Reason.INTERRUPTED, "the stream ended without its terminal event")
        return chunks

    def _check(self, chunks: list[Chunk], now: float) -> None:
        """Let a stream that is late go on only if there is time left, and it says something at last."""
        if now >= self._deadline:
            raise _OutOfTime
        if not says_something(chunks):
            raise Failure(Reason.TIMEOUT)

    def _until(self, opened: Opened) -> float:
        """How long a stream may be silent; the last half of the call's time is left for who goes on with it."""
        long = opened.reasoning or self._assembler.in_tool_call
        gap = limits.LONG_IDLE_GAP if long else limits.IDLE_GAP
        left = self._deadline - self._spoken_at
        if left < 2 * gap and self._rescuer is not None:
            gap = min(gap, max(_LEAST_GAP, left / 2))
        return min(self._ends_at, self._spoken_at + gap, self._deadline)

    def _framed(self, chunks: list[Chunk]) -> bytes:
        """The bytes of some chunks, in the client's grammar."""
        if not chunks:
            return b""
        keeping = self._size <= MAX_STORED
        for chunk in chunks:
            if chunk.__class__ is Piece:  # its body need not be made
                if keeping:
                    self._assembler.say(chunk.text)
                continue
            if chunk.usage is not None:
                self._usage = chunk.usage
            if keeping and chunk.body is not None:
                self._remember(chunk.body)
        data = self._writer.write(chunks, self._verbatim)
        self._size += len(data)
        return data

    def _remember(self, body: Json) -> None:
        """Put the answer together, to be stored or continued; what does not fit is passed on all the same."""
        try:
            self._assembler.add(body)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._size = MAX_STORED + 1

    def _end(self, opened: Opened) -> bytes:
        """A good end: the last chunks, then what ends an answer."""
        data = self._framed(self._chunks) + self._writer.end()
        self._ledger.answered(self._call, opened.step, opened.started, self._usage)
        if self._size <= MAX_STORED:
            self._answered(opened.step, self._assembler.completion())
        self._ledger.finish(self._call, 200)
        return data

    def _error(self, error: AuraError) -> bytes:
        """The one error event that ends a stream which cannot go on; the 200 is out, so the log alone tells."""
        self._call.outcome = error.code or "interrupted"
        self._ledger.finish(self._call, 200)
        return self._writer.error(error)


class _OutOfTime(Exception):
    """The call's own time is up while its answer is still coming."""


def _interrupted() -> AuraError:
    return UpstreamError("The provider's answer broke off; what was sent is not the whole.", code="stream_interrupted")
