"""When a second call goes out beside a late one, and how many may. Pure.

A target is late by its own measure: later than nineteen of twenty of its last answers were, say. How many second calls
go out is bounded by what the calls have earned, so that an outage, in which all are late, is not made worse.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from .call import Hedge, Target

RECENT = 200  # times that are known of a target
LEAST = 20  # of fewer no percentile is told
MAX_TARGETS = 2048
MAX_SAVED = 10.0  # second calls that may go out at once after a time without any
_ALMOST = 1e-9  # twenty times 0.05 are a little less than 1


class Hedging:
    """Decides of second calls; one for all calls of a worker."""

    def __init__(self, rule: Hedge) -> None:
        self._rule = rule
        self._earned = 0.0
        self._known: OrderedDict[tuple[Target, bool], deque[float]] = OrderedDict()

    def call(self) -> None:
        """Count a call: it earns its share of a second one."""
        self._earned = min(max(MAX_SAVED, self._rule.at_most), self._earned + self._rule.at_most)

    def take(self) -> bool:
        """Take leave for a second call."""
        if self._earned < 1 - _ALMOST:
            return False
        self._earned -= 1
        return True

    def delay(self, target: Target, stream: bool) -> float | None:
        """Seconds after which an answer of the target is late; None while too little is known of it.

        Args:
            stream: what is awaited is the first content, not the whole answer.
        """
        if self._rule.seconds is not None:
            return self._rule.seconds
        times = self._known.get((target, stream))
        if times is None or len(times) < LEAST:
            return None
        return sorted(times)[min(len(times) - 1, int(self._rule.percentile * len(times)))]

    def note(self, target: Target, stream: bool, seconds: float) -> None:
        """An answer of the target took so long, or was given up after so long."""
        times = self._known.get((target, stream))
        if times is None:
            times = self._known[target, stream] = deque(maxlen=RECENT)
            if len(self._known) > MAX_TARGETS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end((target, stream))
        times.append(seconds)
