"""What is known of the targets from asking them: circuits, open requests, time to first content. Each worker's own."""

from __future__ import annotations

import logging
import random
import time
from collections import OrderedDict
from dataclasses import dataclass

import gevent

from . import metrics
from .call import Target
from .circuit import Circuit, Clock, State
from .failover import RetryBudget

log = logging.getLogger("aura.fleet")

# A pinned target of a provider with ``extra-models: "*"`` is any name at all: of those that the configuration does not
# list, the least recently asked are forgotten.
MAX_TARGETS = 2048
_LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2, State.THROTTLED: 3}
_WEIGHT = 0.2  # of the newest time in the moving average


@dataclass(slots=True)
class Known:
    """What is known of one target.

    Args:
        labels: its provider and model as metrics show them: a model that no configuration lists is ``other``.
        in_flight: requests that are open at it now.
        first_content_s: moving average of the seconds to first content; None if it was never asked.
    """

    circuit: Circuit
    labels: tuple[str, str]
    in_flight: int = 0
    first_content_s: float | None = None


class Fleet:
    """All targets.

    Args:
        listed: the targets of the configuration; metrics name no others.
    """

    def __init__(self, listed: set[Target], clock: Clock = time.monotonic) -> None:
        self.budget = RetryBudget(clock)
        self._listed, self._clock = listed, clock
        self._known: dict[Target, Known] = {}
        self._unwell: set[Target] = set()  # whose circuit is not closed
        self._others: OrderedDict[Target, None] = OrderedDict()  # those known that are not listed, the latest last
        for target in listed:  # who was never asked is well, too, for whoever asks whether anyone is
            metrics.circuit_state.labels(target.provider, target.model).set(0)

    def of(self, target: Target) -> Known:
        """What is known of a target."""
        known = self._known.get(target)
        if known is None:
            labels = target.provider, target.model if target in self._listed else "other"
            known = self._known[target] = Known(self._new_circuit(target, labels), labels)
            if target not in self._listed:
                self._others[target] = None
                if len(self._others) > MAX_TARGETS:
                    forgotten = self._others.popitem(last=False)[0]
                    self._unwell.discard(forgotten)
                    del self._known[forgotten]
        elif self._others and target in self._others:
            self._others.move_to_end(target)
        return known

    def _new_circuit(self, target: Target, labels: tuple[str, str]) -> Circuit:
        def changed(before: State, after: State) -> None:
            if after is State.CLOSED:
                self._unwell.discard(target)
            else:
                self._unwell.add(target)
            gauge.set(_LEVELS[after])
            level = logging.WARNING if after in (State.OPEN, State.THROTTLED) else logging.INFO
            log.log(level, "circuit.changed", extra={"target": target.name, "from": before.value, "to": after.value})
            self._watch(circuit)

        gauge = metrics.circuit_state.labels(*labels)
        gauge.set(0)
        circuit = Circuit(self._clock, random.random, changed)
        return circuit

    def _watch(self, circuit: Circuit) -> None:
        """Show what time alone changes when it does, whether or not the target is asked."""
        seconds = circuit.changes_in()
        if seconds is not None:
            gevent.spawn_later(seconds, self._look, circuit)

    def _look(self, circuit: Circuit) -> None:
        circuit.show()
        self._watch(circuit)

    def circuit(self, target: Target) -> Circuit:
        """The target's circuit."""
        return self.of(target).circuit

    @property
    def all_well(self) -> bool:
        """Whether every target would be asked now."""
        return not self._unwell

    def available(self, target: Target) -> bool:
        """Whether the target would be asked now."""
        known = self._known.get(target)
        return known is None or known.circuit.wait() <= 0

    def first_content_s(self, target: Target) -> float | None:
        """Moving average of the seconds to first content; None if it was never asked."""
        known = self._known.get(target)
        return known.first_content_s if known else None

    def in_flight(self, target: Target) -> int:
        """Requests open at the target from this worker."""
        known = self._known.get(target)
        return known.in_flight if known else 0

    def first_content(self, target: Target, seconds: float) -> None:
        """Content came after so many seconds."""
        known = self.of(target)
        before = known.first_content_s
        known.first_content_s = seconds if before is None else before + _WEIGHT * (seconds - before)

    def states(self) -> dict[Target, State]:
        """The state of every target that was asked."""
        return {target: known.circuit.state() for target, known in self._known.items()}
