"""Identical calls that are in flight at once share one upstream call: the first asks, and all are its readers.

The work runs in a green thread of its own, so it goes on for the others when the client of the first leaves, and ends
when the last one does. Other processes may follow it (:mod:`aura.cache.sharing`); it then goes on for them, too.
A stream is kept from its beginning, so that a late reader gets what was said and then what
comes; beyond ``MAX_KEPT`` its beginning is let go, and no one joins any more. The fastest reader sets the pace: one
who falls behind what is kept is told so, and is never waited for.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import asdict, replace
from itertools import islice

import gevent
from gevent.event import Event

from . import metrics
from .cache import Sharing
from .call import Answer, Call, Json
from .carrying import carried
from .errors import AuraError, Failure, Reason, ShuttingDown, UpstreamError
from .fronts import FRONTS
from .ledger import CLIENT_LEFT, Ledger
from .relay import Relay

MAX_KEPT = 1024 * 1024  # bytes of a stream that are kept
AHEAD = MAX_KEPT // 16  # bytes that are taken from the provider before the fastest reader has had them
_LETTING_GO = 0.1  # seconds that the last reader waits for the work's end, to write it down

Begin = Callable[[Call], Answer]


class Unlisted(Ledger):
    """The same books as another ledger's, but that no call ends in them: each reader's own call does."""

    def __init__(self, ledger: Ledger) -> None:
        self.__dict__.update(ledger.__dict__)

    def finish(self, call: Call, status: int) -> None:
        """The work has ended."""
        call.done, call.status = True, call.status or status


class Flight:
    """One upstream call and what it has brought so far.

    Args:
        work: the call that is made, a copy of its first reader's.
        begin: makes it.
        over: told when no one should join any more.
        sharing: the work as other processes share in it; None where none can.
    """

    def __init__(
        self, work: Call, begin: Begin, over: Callable[[Flight], None], sharing: Sharing | None = None
    ) -> None:
        self.work, self._over, self._sharing = work, over, sharing
        if sharing is not None:
            sharing.speaker = self
        self.readers = 0
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.ended = False
        self._begun = Event()
        self._news, self._room = Event(), Event()
        self._pieces: deque[bytes] = deque()
        self._first = self._fastest = 0  # numbers of pieces
        self._kept = self._unread = 0  # bytes
        self._thread = gevent.spawn(self._run, begin)

    def _run(self, begin: Begin) -> None:
        well = False
        try:
            self._make(begin)
            well = True
        finally:
            if self._sharing is not None:
                self._sharing.end(well)
            self._begun.set()

    def _make(self, begin: Begin) -> None:
        try:
            self.answer = begin(self.work)
        except Exception as error:  # carried over to the readers
            self.error, self.ended = carried(error), True
            self._over(self)
            return
        self._begun.set()
        try:
            if self.answer.stream is not None:
                self._read(self.answer.stream)
        except Exception as error:  # a relay tells its failures in its pieces: this is a bug of ours
            self.error = error
        finally:
            self.ended = True
            self._over(self)
            self._tell()

    def _read(self, stream: Iterator[bytes]) -> None:
        """Take the pieces of the stream, and close it."""
        try:
            for piece in stream:
                if not piece:  # a grammar without comments; no piece is how readers know the end
                    continue
                self._pieces.append(piece)
                self._kept += len(piece)
                self._unread += len(piece)
                while self._kept > MAX_KEPT and len(self._pieces) > 1:
                    self._kept -= len(self._pieces.popleft())
                    self._first += 1
                    self._over(self)
                self._tell()
                while self._unread > AHEAD:
                    self._room.clear()
                    self._room.wait()
        finally:
            close: Callable[[], None] | None = getattr(stream, "close", None)
            if close is not None:
                close()

    def _tell(self) -> None:
        news, self._news = self._news, Event()
        news.set()

    def head(self, seconds: float | None = None) -> Answer:
        """Wait for the beginning of the answer.

        Raises:
            Exception: what came instead.
            Failure: nothing came in so many seconds.
        """
        if not self._begun.wait(seconds):
            raise Failure(Reason.TIMEOUT)
        if self.answer is None:
            raise copy.copy(self.error) if self.error is not None else _interrupted()
        return self.answer

    def after(self, number: int) -> tuple[bytes, int]:
        """Wait for what comes behind the first ``number`` pieces.

        Returns:
            Their bytes, and the number of pieces then; no bytes at the end.

        Raises:
            AuraError: they are not kept any more, or the work has failed.
        """
        while number >= self._first + len(self._pieces):
            if self.ended:
                if self.error is not None:
                    raise _interrupted()
                return b"", number
            self._news.wait()
        if number < self._first:
            raise _interrupted()
        end = self._first + len(self._pieces)
        found = [self._pieces[at - self._first] for at in range(number, end)]
        if end > self._fastest:
            self._fastest, self._unread = end, 0
            self._room.set()
        return found[0] if len(found) == 1 else b"".join(found), end

    def leave(self) -> None:
        """A reader leaves; with the last one the work ends, and what it took is known."""
        self.readers -= 1
        if self.readers or self.ended or self._thread.dead:
            return
        if self._sharing is not None and self._sharing.followed():
            return
        self._over(self)
        self._thread.kill(timeout=_LETTING_GO)

    def stop(self) -> None:
        """Nobody wants the work any more, here or elsewhere."""
        self._over(self)
        self._thread.kill(block=False)

    def told(self) -> Json | None:
        """What other processes are told of the answer's head; None before it has begun."""
        if self.answer is None:
            return None
        target = self.work.target
        named = None if target is None else [target.provider, target.model]
        return {"target": named, "dropped": self.work.dropped, "media_type": self.answer.media_type}

    def since(self, number: int) -> tuple[bytes, int] | None:
        """What came behind the first ``number`` pieces, and their number now; None if that is not kept any more."""
        if self.answer is not None and self.answer.stream is None:
            return (b"", 1) if number else (self.answer.body, 1)
        if number < self._first:
            return None
        return b"".join(islice(self._pieces, number - self._first, None)), self._first + len(self._pieces)

    def heard(self, number: int) -> None:
        """Readers in other processes have read so many pieces."""
        if number > self._fastest:
            self._fastest = number
            self._unread = sum(map(len, islice(self._pieces, max(0, number - self._first), None)))
            self._room.set()

    def end(self) -> tuple[Json, AuraError | None]:
        """What other processes are told of the end, and the error that came in an answer's place."""
        usage, target = self.work.usage, self.work.target
        facts = {
            "outcome": self.work.outcome,
            "usage": None if usage is None else asdict(usage),
            "usd": self.work.cost_usd,
            "target": None if target is None else [target.provider, target.model],
            "dropped": self.work.dropped,
        }
        error = self.error if self.answer is None else None
        return facts, error if error is None or isinstance(error, AuraError) else AuraError("The gateway failed.")


class Reader(Relay):
    """A stream as one of its readers gets it; to the server it is what a relay is.

    Args:
        call: the reader's own.
        first: it is the call that the work is made for.
    """

    def __init__(self, flight: Flight, call: Call, ledger: Ledger, first: bool) -> None:
        self._flight, self._own, self._books, self._is_first = flight, call, ledger, first
        self._number = 0
        self._over = self._left = False
        self.closed = None
        if not first:
            metrics.streams_open.inc()  # the relay itself counts as the first

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._over:
            raise StopIteration
        try:
            data, self._number = self._flight.after(self._number)
        except ShuttingDown:
            return self._told(ShuttingDown.told())
        except AuraError as error:
            return self._told(error)
        if not data:
            self._ends(self._flight.work.outcome)
            raise StopIteration
        return data

    def _told(self, error: AuraError) -> bytes:
        """The one error event that ends a stream; its 200 is out."""
        self._ends(error.code or "interrupted")
        return FRONTS[self._own.grammar].writer(self._own).error(error)

    def _ends(self, outcome: str) -> None:
        self._over = True
        note(self._own, self._flight.work, self._is_first)
        if not self._is_first and outcome in ("ok", "cached"):
            outcome = "cached"
            metrics.cache_saved_usd.inc(self._flight.work.cost_usd or self._flight.work.saved_usd)
        self._own.outcome = outcome
        self._books.finish(self._own, 200)

    def close(self) -> None:
        """Note the end, whatever it was; idempotent. Without a noted end the client has left."""
        if self._left:
            return
        self._left = True
        if self.closed is not None:
            self.closed()
        if not self._is_first:
            metrics.streams_open.dec()
        self._flight.leave()
        if not self._own.done:
            note(self._own, self._flight.work, self._is_first)
        self._books.finish(self._own, CLIENT_LEFT)


class Flights:
    """What is in flight in this worker.

    Args:
        headers: makes the headers of an answer, with its cost or without.
    """

    def __init__(self, ledger: Ledger, headers: Callable[[Call, bool], dict[str, str]]) -> None:
        self._ledger, self._headers = ledger, headers
        self._open: dict[Hashable, Flight] = {}

    def answer(
        self, call: Call, name: Hashable, begin: Begin, seconds: float, sharing: Sharing | None = None
    ) -> Answer:
        """Answer a call by its flight, which it begins if there is none. If that fails, one reader tries once more.

        Args:
            name: equal for calls that may share an answer.
            begin: makes the call; it is given a copy, whose end is not noted in the books.
            seconds: how long the call may take.
            sharing: the work as other processes share in it; used by the first.

        Raises:
            AuraError: what the client is told instead.
        """
        again, began = False, time.monotonic()
        while True:
            flight, first = self._join(call, name, begin, sharing)
            try:
                answer = flight.head(None if first else seconds)
                note(call, flight.work, first)
                if not first:
                    call.upstream_s = time.monotonic() - began
                    answer = self._shared(call, flight, answer)
            except BaseException as error:
                flight.leave()
                note(call, flight.work, first)
                if isinstance(error, Failure):
                    raise error.to_client() from None
                if first or again or not isinstance(error, AuraError):
                    raise
                again = True
                continue
            if answer.stream is None:
                flight.leave()
                return answer
            return replace(answer, stream=Reader(flight, call, self._ledger, first))

    def _join(self, call: Call, name: Hashable, begin: Begin, sharing: Sharing | None) -> tuple[Flight, bool]:
        flight = self._open.get(name)
        first = flight is None
        if flight is None:
            flight = self._open[name] = Flight(replace(call), begin, lambda over: self._close(name, over), sharing)
        flight.readers += 1
        return flight, first

    def _close(self, name: Hashable, flight: Flight) -> None:
        if self._open.get(name) is flight:
            del self._open[name]

    def _shared(self, call: Call, flight: Flight, answer: Answer) -> Answer:
        """The answer as another than the first gets it: at no cost."""
        call.cache, call.target = "hit", flight.work.target
        metrics.cache_coalesced.inc()
        if answer.stream is None:
            call.outcome = "cached"
            metrics.cache_saved_usd.inc(flight.work.cost_usd or flight.work.saved_usd)
        headers = self._headers(call, answer.stream is None) | {"age": "0"}
        return replace(answer, headers=headers)


def note(call: Call, work: Call, first: bool) -> None:
    """Take over from the work what its reader's own call shows of it."""
    call.target, call.usage, call.dropped, call.mask = work.target, work.usage, work.dropped, work.mask
    if first:
        call.cache, call.upstream_id = work.cache, work.upstream_id
        call.asked, call.attempts = work.asked, work.attempts
        call.cost_usd, call.upstream_s = work.cost_usd, work.upstream_s
        call.first_content_s, call.outcome = work.first_content_s, work.outcome


def _interrupted() -> AuraError:
    return UpstreamError("The answer broke off; what was sent is not the whole.", code="stream_interrupted")
