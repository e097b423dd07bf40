"""Whether Redis may be asked: how much time calls may lose to it, and what the log says of it.

At most ``most_lost`` calls of a worker wait for Redis to the end of their patience in any ``WINDOW`` seconds: those
that wait now count with those that waited in vain. Whoever comes beyond them waits for a fifth of the time. The first
to wait in vain closes the gate for all; it is opened again by someone who asks Redis on nobody's account.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

PATIENCE, SHORT_PATIENCE = 0.05, 0.01
MOST_LOST, WINDOW = 3, 5.0
WRITE_AGAIN = 5.0  # seconds until a write is tried again where writes are refused


class Gate:
    """The gate of one worker, to Redis as one part of Aura uses it.

    Args:
        clock: monotonic seconds.
        part: whose gate it is, for the log: ``cache``, ``limits``.
        most_lost: calls that may wait to the end of their patience in a ``WINDOW``.
    """

    def __init__(self, clock: Callable[[], float], part: str, most_lost: int = MOST_LOST) -> None:
        self._clock, self._most_lost = clock, most_lost
        self.part = part
        self._log, self._event = logging.getLogger(f"aura.{part}"), f"{part}.changed"
        self._lost: deque[float] = deque(maxlen=most_lost)
        self._waiting = 0
        self._down = ""
        self._refused = ""
        self._write_at = 0.0

    @property
    def down(self) -> bool:
        """Whether Redis is out of use."""
        return bool(self._down)

    @property
    def refusing(self) -> bool:
        """Whether Redis can be read but takes no writes."""
        return bool(self._refused)

    def admit(self, write: bool) -> float:
        """Take leave to ask Redis; returns the seconds that the caller may wait, 0 if it must not ask."""
        if self._down or (write and self._refused and self._clock() < self._write_at):
            return 0.0
        if write and self._refused:
            self._write_at = self._clock() + WRITE_AGAIN
        lost = sum(1 for at in self._lost if at > self._clock() - WINDOW)
        self._waiting += 1
        return PATIENCE if self._waiting + lost <= self._most_lost else SHORT_PATIENCE

    def leave(self) -> None:
        """Give back what :meth:`admit` gave; whatever came of it."""
        self._waiting -= 1

    def lost(self, seconds: float) -> None:
        """A caller waited in vain for so long."""
        if seconds >= PATIENCE:
            self._lost.append(self._clock())
            self.close("timeout")

    def close(self, reason: str) -> None:
        """Put Redis out of use."""
        if not self._down:
            self._log.warning(self._event, extra={"store": "redis", "to": "down", "reason": reason})
        self._down = reason

    def open(self) -> None:
        """Put Redis into use again."""
        if self._down:
            self._log.info(self._event, extra={"store": "redis", "to": "up"})
        self._down = self._refused = ""

    def refuse_writes(self, reason: str) -> None:
        """Redis takes no writes, but can be read."""
        if not self._refused:
            self._log.warning(self._event, extra={"store": "redis", "to": "read_only", "reason": reason})
        self._refused, self._write_at = reason, self._clock() + WRITE_AGAIN

    def written(self) -> None:
        """Redis took a write."""
        if self._refused:
            self._log.info(self._event, extra={"store": "redis", "to": "up"})
            self._refused = ""
