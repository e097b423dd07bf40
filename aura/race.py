"""Two attempts side by side: the second begins when the first is late, and who answers first ends the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import gevent

from . import metrics
from .call import Call, Usage
from .carrying import caught
from .estimate import estimate_tokens
from .exchange import Opened, Whole
from .failover import Attempts, Step
from .hedge import Hedging
from .ledger import Ledger

Result = TypeVar("Result")
Found = tuple[Result, Step, float]


class Beaten(gevent.GreenletExit):  # type: ignore[misc]
    """Another attempt has answered first. Not an Exception, so that no handler takes it for a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.usage: Any = None
        """What the provider told of tokens until then, a :class:`aura.call.Usage`."""


class Runner(Generic[Result]):
    """One attempt in a green thread of its own."""

    def __init__(self, step: Step, attempt: Callable[[Step], Found[Result] | None]) -> None:
        self.step, self.began = step, 0.0
        self._attempt = attempt
        self.thread = gevent.spawn(self._run)

    def _run(self) -> Found[Result] | Exception | None:
        self.began = time.monotonic()
        return caught(lambda: self._attempt(self.step))

    def found(self) -> Found[Result] | None:
        """What the attempt, which has ended, has found; None if it failed.

        Raises:
            Exception: what it raised.
        """
        value = self.thread.value
        if isinstance(value, Exception):
            raise value
        return value if isinstance(value, tuple) else None


class Race(Generic[Result]):
    """The attempts of a call, each with a second one beside it where it is late.

    Args:
        stream: the answers are streams, of which the first content is awaited.
        attempt: makes an attempt and keeps its books, also when it is ended by an exception; None if it failed.
        drop: lets go of an answer that came too late.
    """

    def __init__(
        self,
        hedging: Hedging,
        attempts: Attempts,
        stream: bool,
        attempt: Callable[[Step], Found[Result] | None],
        drop: Callable[[Found[Result]], None],
    ) -> None:
        self._hedging, self._attempts, self._stream = hedging, attempts, stream
        self._attempt, self._drop = attempt, drop

    def run(self, step: Step) -> Found[Result] | None:
        """Make an attempt, and another beside it when it is late.

        Returns:
            What the first to answer has found; None if all have failed.
        """
        delay = self._hedging.delay(step.planned.target, self._stream)
        if delay is not None and self._attempts.beside(step) is not None:
            return self._raced(step, delay)
        found = self._attempt(step)
        if found is not None:
            self._hedging.note(step.planned.target, self._stream, time.monotonic() - found[2])
        return found

    def _raced(self, step: Step, delay: float) -> Found[Result] | None:
        runners, winner = [Runner(step, self._attempt)], None
        try:
            runners[0].thread.join(timeout=delay)
            if not runners[0].thread.dead and self._attempts.beside(step) is not None and self._hedging.take():
                second = self._attempts.hedge(step)
                if second is not None:
                    runners.append(Runner(second, self._attempt))
            winner = self._first_to_answer(runners)
            return winner.found() if winner else None
        finally:
            self._end(runners, winner)

    def _first_to_answer(self, runners: list[Runner[Result]]) -> Runner[Result] | None:
        left = list(runners)
        while left and not self._attempts.over:
            ended = next((runner for runner in left if runner.thread.dead), None)
            if ended is None:
                gevent.wait([runner.thread for runner in left], count=1)
            elif ended.found() is not None:
                return ended
            else:
                left.remove(ended)
        return None

    def _end(self, runners: list[Runner[Result]], winner: Runner[Result] | None) -> None:
        """End whoever still runs, and note how long those took that say something of their target."""
        now = time.monotonic()
        for runner in runners:
            late = not runner.thread.dead
            if late:
                runner.thread.kill(gevent.GreenletExit() if winner is None else Beaten())
            if not runner.began:
                self._attempts.unmade(runner.step)
            elif runner is not winner and isinstance(runner.thread.value, tuple):
                self._drop(runner.thread.value)
            if runner is winner or (late and winner is not None):
                self._hedging.note(runner.step.planned.target, self._stream, now - runner.began)
        if winner is not None:
            self._attempts.won()
        if len(runners) > 1:
            metrics.hedges.labels("won" if winner is runners[1] else "lost").inc()


def let_go(ledger: Ledger, call: Call, found: Found[Any]) -> None:
    """Let go of an answer that came when another had just come; its provider bills it all the same."""
    result, step, started = found
    usage = result.usage if isinstance(result, Whole) else result.told_usage()
    if isinstance(result, Opened):
        result.incoming.close()
    ledger.beaten(call, step, started, usage or Usage(estimate_tokens(call.body)))
