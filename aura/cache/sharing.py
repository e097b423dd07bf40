"""One piece of work for all processes that share a store: one of them does it, the others follow what it brings.

Whoever takes the lease of the work leads. Nothing is said of it while nobody follows: a green thread of the process
looks twenty times a second at the leases that it has, whether they are followed, and says then what has come so far.
Followers look as often. One that finds the lease gone before the answer has begun takes it, and leads; so a leader that
dies or fails is followed by one other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gevent
import orjson

from ..call import Json
from ..errors import AuraError
from .leases import FRESH, Audience, Source
from .ring import LARGEST, Kind, Lost, Reading, Record, Region, Ring

_LOOK_AGAIN = 0.02  # seconds between two tries to take a lease
_IDLE = 20  # looks of the green thread without a lease until it ends
_LINGER = 3.0  # seconds for which what was said can still be read after its end
_PATIENCE = 15.0  # seconds for which the last of what is said waits until it can be
_HEAD_COMES = 20.0  # seconds after which the head of a stream is no longer awaited: it comes within 15
MOST_FAILURES = 2  # of leaders, until those who wait are told


class Speaker(Protocol):
    """Work that is led here, as it is told to those who follow."""

    readers: int
    """Those of this process."""

    def told(self) -> Json | None:
        """What the answer's head says; None before it has begun."""

    def since(self, number: int) -> tuple[bytes, int] | None:
        """What came behind the first ``number`` pieces, and their number now; None if that is not kept any more."""

    def heard(self, number: int) -> None:
        """Those who follow have read so many pieces."""

    def end(self) -> tuple[Json, AuraError | None]:
        """What is to be told of its end, and the error that came in an answer's place."""

    def stop(self) -> None:
        """Nobody wants it any more."""


class Work(Protocol):
    """What a store offers for work that is done once for all who share it."""

    @property
    def audiences(self) -> tuple[Audience, ...]:
        """Who may follow what is done under a lease; empty where nobody can."""

    def claim(self, key: str) -> bool:
        """Take the lease of a key, unless another process has it."""

    def release(self, key: str) -> None:
        """Give the lease of a key back."""

    def follow(self, key: str) -> Source | None:
        """What the process that has the lease of a key says of its work; None where no other has it."""


class _Said:
    """What was said to one audience."""

    def __init__(self, region: Region) -> None:
        self.ring = Ring(region)
        self.begun = self.over = False
        self.number = 0

    def say(self, speaker: Speaker, last: bool = False) -> None:
        """Say what has come since the last time; what cannot be said now is said the next time, if there is one."""
        ring = self.ring
        head = None if self.begun else speaker.told()
        if head is not None:
            self.begun = True
            ring.append(Kind.HEAD, orjson.dumps(head))
        if not self.begun or self.over or not (ring.flush() or last):
            return
        before, number = ring.written, self.number
        news = speaker.since(number)
        if news is None or len(news[0]) > LARGEST:
            self.over = True
            ring.append(Kind.GONE, b"")
        elif news[0]:
            self.number = news[1]
            ring.append(Kind.DATA, news[0])
        if ring.read() >= before:
            speaker.heard(number)

    def end(self, speaker: Speaker) -> None:
        """Say the last, and how it ended."""
        facts, error = speaker.end()
        if error is not None:
            self.ring.append(Kind.FAILED, orjson.dumps(facts_of(error)))
            return
        self.say(speaker, last=True)
        if self.begun and not self.over:
            self.ring.append(Kind.END, orjson.dumps(facts))


@dataclass(slots=True)
class Followed:
    """An answer that another process is giving.

    Args:
        head: what its head says.
        records: what has been read behind the head.
    """

    source: Source
    reading: Reading
    head: Json
    records: list[Record]


class Sharing:
    """One piece of work of this process, led or followed.

    Args:
        name: a hash in hexadecimal digits, equal for work that is the same.
        stored: looks for the answer where answers are stored.
        streams: the answer begins before it is whole.
    """

    __slots__ = ("_followed_at", "_keeper", "_name", "_said", "_store", "_stored", "_streams", "leads", "speaker")

    def __init__(self, store: Work, keeper: Keeper, name: str, stored: Callable[[], Any | None], streams: bool) -> None:
        self._store, self._keeper, self._name = store, keeper, name
        self._stored, self._streams = stored, streams
        self._said: dict[Audience, _Said] = {}
        self._followed_at = -FRESH
        self.leads = False
        self.speaker: Speaker | None = None
        """Where to find what is to be said."""

    @property
    def name(self) -> str:
        """The name of the work."""
        return self._name

    def take(self, deadline: float) -> Followed | Any | None:
        """Take the lease of the work, or follow who has it.

        Returns:
            What another process is saying, or has stored; None: the caller is to do the work.

        Raises:
            AuraError: two others have tried, and this is how they failed.
        """
        failures, tried = 0, False
        while time.monotonic() < deadline:
            if self._store.claim(self._name):
                found = self._stored() if tried else None
                if found is not None:
                    self._store.release(self._name)
                    return found
                self.leads = True
                self._keeper.hold(self)
                return None
            tried = True
            source = self._store.follow(self._name)
            heard = None if source is None else self._head(source, deadline)
            if isinstance(heard, AuraError):
                failures += 1
                if failures >= MOST_FAILURES:
                    raise heard
            elif isinstance(heard, Followed):
                return heard
            elif heard is False:
                return None
            gevent.sleep(_LOOK_AGAIN)
        return None

    def _head(self, source: Source, deadline: float) -> Followed | AuraError | bool | None:
        """Wait for the head; None: the holder has no lease any more; False: it is not to be followed."""
        reading, found = Reading(source), None
        until = min(deadline, time.monotonic() + _HEAD_COMES) if self._streams else deadline
        try:
            while time.monotonic() < until:
                held = source.held()
                for number, (kind, data) in enumerate(records := reading.records()):
                    if kind is Kind.HEAD:
                        found = Followed(source, reading, orjson.loads(data), records[number + 1 :])
                        return found
                    if kind is Kind.FAILED:
                        return error_of(orjson.loads(data))
                if not held:
                    return None
                gevent.sleep(source.interval)
        except (Lost, ValueError):
            pass
        finally:
            if found is None:
                source.close()
        return False

    def tell(self, audience: Audience) -> None:
        """Somebody follows: say what has come."""
        self._followed_at = time.monotonic()
        if self.speaker is None:
            return
        said = self._said.get(audience)
        if said is None:
            said = self._said[audience] = _Said(audience.region(self._name))
        said.say(self.speaker)

    def followed(self) -> bool:
        """Whether other processes wait for this work."""
        if not self.leads:
            return False
        for audience in self._store.audiences:
            if audience.near and audience.tend([self._name]):
                return True
        return time.monotonic() - self._followed_at < FRESH

    def end(self, well: bool) -> None:
        """The work has ended, by itself (``well``) or because it was given up; idempotent."""
        speaker, self.speaker = self.speaker, None
        if not self.leads:
            return
        self.leads = False
        try:
            if well and speaker is not None:
                self._tell_end(speaker)
        finally:
            self._keeper.let_go(self, [said.ring for said in self._said.values()])
            self._store.release(self._name)

    def _tell_end(self, speaker: Speaker) -> None:
        for audience in self._store.audiences:
            if audience not in self._said and audience.near and audience.tend([self._name]):
                self._said[audience] = _Said(audience.region(self._name))
        for said in self._said.values():
            said.end(speaker)


class Keeper:
    """Looks after the leases of this process."""

    def __init__(self, store: Work) -> None:
        self._store = store
        self._held: dict[str, Sharing] = {}
        self._ended: dict[str, tuple[float, list[Ring]]] = {}
        self._asked: dict[Audience, float] = {}
        self._thread: gevent.Greenlet[Any, Any] | None = None

    def hold(self, sharing: Sharing) -> None:
        """Look after a lease; what was said under it before lies where this work's is to lie."""
        self._close(sharing.name)
        self._held[sharing.name] = sharing
        if self._thread is None or self._thread.dead:
            self._thread = gevent.spawn(self._run)

    def let_go(self, sharing: Sharing, rings: list[Ring]) -> None:
        """Look after a lease no longer; what was said goes a little later."""
        if self._held.get(sharing.name) is sharing:
            del self._held[sharing.name]
        if rings:
            self._ended[sharing.name] = time.monotonic() + _LINGER, rings

    def _close(self, name: str) -> None:
        for ring in self._ended.pop(name, (0.0, []))[1]:
            ring.close()

    def _run(self) -> None:
        idle, interval = 0, min(audience.interval for audience in self._store.audiences)
        while idle < _IDLE or self._ended:
            gevent.sleep(interval)
            idle = 0 if self._held else idle + 1
            self._look()
            for name, (until, rings) in list(self._ended.items()):
                waits = [ring for ring in rings if not ring.flush()]
                if time.monotonic() > until + (_PATIENCE if waits else 0):
                    self._close(name)

    def _look(self) -> None:
        now = time.monotonic()
        for audience in self._store.audiences:
            if now - self._asked.get(audience, -audience.interval) < 0.9 * audience.interval:
                continue
            self._asked[audience] = now
            for key in audience.tend(list(self._held)):
                if (sharing := self._held.get(key)) is not None:
                    sharing.tell(audience)
        for sharing in list(self._held.values()):
            speaker = sharing.speaker
            if speaker is not None and not speaker.readers and not sharing.followed():
                speaker.stop()


def facts_of(error: AuraError) -> Json:
    """An error as it is told to other processes."""
    return {
        "message": error.message,
        "param": error.param,
        "code": error.code,
        "status": error.status,
        "type": error.type,
        "retry_after": error.retry_after,
        "should_retry": error.should_retry,
        "details": error.details,
        "headers": error.headers,
    }


def error_of(facts: Json) -> AuraError:
    """The error that another process has told."""
    details, headers = facts.pop("details"), facts.pop("headers")
    error = AuraError(facts.pop("message"), **facts)
    error.details, error.headers = details, headers
    return error
