"""Whether a target may be asked: open after failures, throttled by its provider, probed until it is well again. Pure.

Seconds are monotonic seconds of the injected clock, everywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .errors import Circuit as Effect

Clock = Callable[[], float]
Chance = Callable[[], float]

FAILURES_IN_A_ROW = 5
WINDOW, WINDOW_LEAST = 20, 10
COOL_DOWNS = (1.0, 2.0, 4.0, 5.0)
LEASE = 10.0
LONG_OPEN = 60.0
MAX_THROTTLE = 120.0


class State(StrEnum):
    """What a circuit shows; the order of the members is the value of ``aura_circuit_state``."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to ask a target once; ``probe`` numbers the lease of a half-open circuit, 0 otherwise."""

    probe: int = 0


_ORDINARY = Permit()


class Circuit:
    """Whether one target may be asked.

    Args:
        clock: monotonic seconds.
        chance: a number in 0..1, for the jitter of cool-downs.
        changed: told the old and the new state at each change.
    """

    __slots__ = (
        "_chance",
        "_changed",
        "_clock",
        "_cooled",
        "_first_probe",
        "_in_a_row",
        "_lease_until",
        "_open",
        "_probe",
        "_results",
        "_shown",
        "_throttled",
        "_throttled_until",
        "_until",
    )

    def __init__(self, clock: Clock, chance: Chance, changed: Callable[[State, State], None]) -> None:
        self._clock, self._chance, self._changed = clock, chance, changed
        self._results: deque[bool] = deque(maxlen=WINDOW)
        self._in_a_row = 0
        self._open = False
        self._until = 0.0
        self._cooled = 0
        self._probe = 0
        self._first_probe = 0  # since it opened
        self._lease_until = 0.0
        self._throttled = 0
        self._throttled_until = 0.0
        self._shown = State.CLOSED

    def state(self) -> State:
        """The state now."""
        now = self._clock()
        if self._open:
            return State.OPEN if now < self._until else State.HALF_OPEN
        return State.THROTTLED if now < self._throttled_until else State.CLOSED

    def available(self) -> bool:
        """Whether a request would be admitted now; takes nothing."""
        return not (self._open or self._throttled_until) or self.wait() <= 0

    def wait(self) -> float:
        """Seconds until a request may be admitted, 0 if it would be now."""
        if not self._open and not self._throttled_until:
            return 0.0
        now = self._clock()
        until = self._throttled_until
        if self._open:
            until = max(until, self._until, self._lease_until)
        return max(0.0, until - now)

    def throttle_wait(self) -> float | None:
        """Seconds until the provider's own limit ends; None where the circuit is open: waiting promises nothing."""
        return None if self._open else max(0.0, self._throttled_until - self._clock())

    def changes_in(self) -> float | None:
        """Seconds until the state changes by itself; None if it does not."""
        until = self._until if self._open else self._throttled_until
        left = until - self._clock()
        return left if left > 0 else None

    def admit(self) -> Permit | None:
        """Take leave to ask; None while open, throttled, or while another call holds the probe."""
        if not self.available():
            return None
        if not self._open:
            return _ORDINARY
        self._probe += 1
        self._lease_until = self._clock() + LEASE
        self.show()
        return Permit(self._probe)

    def settle(self, permit: Permit, effect: Effect | None, retry_after: float | None = None) -> None:
        """Note how an attempt ended.

        Args:
            permit: what :meth:`admit` gave.
            effect: what the failure means for the circuit; None for a good end.
            retry_after: seconds the provider asked to wait.
        """
        if effect is None and not (self._open or self._throttled_until or permit.probe):
            self._in_a_row = 0  # a closed circuit that stays so, as nearly all are
            self._results.append(False)
            return
        if self._open and not self._counts(permit, effect):
            if effect in (Effect.THROTTLED, Effect.OPEN):
                self._cool(effect, retry_after)
            return
        if effect is None:
            self._good()
        elif effect is Effect.FAILURE:
            self._bad()
        elif effect is not Effect.NEUTRAL:
            self._cool(effect, retry_after)
        if permit.probe:
            self._lease_until = 0.0
        self.show()

    def _counts(self, permit: Permit, effect: Effect | None) -> bool:
        """Whether an attempt says something of an open circuit: not if it began before, late probes by a good end only.

        A stream may outlive its lease many times over, and so may all the probes that follow it.
        """
        if effect is None:
            return permit.probe >= self._first_probe > 0
        return 0 < permit.probe == self._probe

    def _good(self) -> None:
        self._in_a_row = self._throttled = 0
        if self._open:
            self._open, self._cooled = False, 0
            self._results.clear()
        self._results.append(False)

    def _bad(self) -> None:
        self._in_a_row += 1
        self._results.append(True)
        broken = len(self._results) >= WINDOW_LEAST and sum(self._results) * 2 >= len(self._results)
        if self._open or self._in_a_row >= FAILURES_IN_A_ROW or broken:
            step = COOL_DOWNS[min(self._cooled, len(COOL_DOWNS) - 1)]
            self._cooled += 1
            self._open_for(step * (0.8 + 0.4 * self._chance()))

    def _cool(self, effect: Effect, retry_after: float | None) -> None:
        if effect is Effect.OPEN:
            self._open_for(LONG_OPEN)
            return
        if retry_after is None:
            retry_after = COOL_DOWNS[min(self._throttled, len(COOL_DOWNS) - 1)] * (0.8 + 0.4 * self._chance())
            self._throttled += 1
        until = self._clock() + min(MAX_THROTTLE, retry_after)
        self._throttled_until = max(self._throttled_until, until)

    def _open_for(self, seconds: float) -> None:
        if not self._open:
            self._first_probe = self._probe + 1
        self._open = True
        self._until = max(self._until, self._clock() + seconds)

    def show(self) -> None:
        """Tell of a change that came with time alone."""
        state = self.state()
        if state is not self._shown:
            before, self._shown = self._shown, state
            self._changed(before, state)
