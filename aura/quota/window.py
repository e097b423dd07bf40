"""The arithmetic of limits by the minute: a sliding window of two counters, as the ``limits`` library has it.

The window begins with the first call after a pause. When its minute is over, its count weighs less from moment to
moment, and nothing a minute later.
"""

from __future__ import annotations

import math
from typing import NamedTuple

MINUTE = 60.0
_MORE = 0.001  # seconds, to be below and not at a bound


class State(NamedTuple):
    """What was counted.

    Args:
        previous: in the minute before ``ends``' own.
        current: in the minute that ``ends``, in seconds of a monotonic clock.
    """

    previous: int
    current: int
    ends: float


def at(state: State, now: float) -> State:
    """The same counts as they are at another time, not before the last."""
    if now < state.ends:
        return state
    if now < state.ends + MINUTE:
        return State(state.current, 0, state.ends + MINUTE)
    return State(0, 0, now + MINUTE)


def used(state: State, now: float) -> int:
    """What counts against a limit; a part of one does not."""
    return int(state.previous * (state.ends - now) / MINUTE + state.current)


def wait(state: State, limit: int, amount: int, now: float) -> float:
    """Seconds until so much more is within the limit, if nothing else is counted meanwhile; infinite if it never is."""
    if amount > limit:
        return math.inf
    left = state.ends - now
    # What weighs must fall below this, since a part of one does not count.
    room = limit - amount + 1
    if state.current < room:
        most = MINUTE * (room - state.current)
        seconds = left - most / state.previous if state.previous else 0.0
    else:
        seconds = left + MINUTE * (1 - room / state.current)
    return seconds + _MORE if seconds >= 0 and used(state, now) + amount > limit else 0.0


def reset(state: State, now: float) -> float:
    """Seconds until nothing counts any more."""
    if state.current > 0:
        return state.ends + MINUTE - now
    return state.ends - now if state.previous > 0 else 0.0


def shown(seconds: float) -> str:
    """A time as OpenAI's headers write it: ``6m0s``, ``1s``, ``20ms``; rounded up to a millisecond."""
    ms = math.ceil(seconds * 1000 - 1e-6)
    if ms <= 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    rest = f"{ms / 1000:g}s" if ms % 1000 else f"{ms // 1000}s"
    if minutes < 60:
        return f"{minutes}m{rest}" if minutes else rest
    return f"{minutes // 60}h{minutes % 60}m{rest}"
