"""What a busy machine does to a test, kept apart from what Aura does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from aura import app, gate, redis_link

from .server import Server

PATIENT = "tests.busy:patient()"
_PATIENCE = 20.0


def starved(*processes: int) -> float:
    """Seconds in which this process, or others, were ready to run and not let, so far; 0 where no kernel tells."""
    files = ["/proc/thread-self/schedstat", *(f"/proc/{process}/schedstat" for process in processes)]
    try:
        return sum(int(Path(file).read_text().split()[1]) for file in files) / 1e9
    except OSError:
        return 0.0


class Moment:
    """A moment from which time is taken, without what the machine took from this process and a server's workers."""

    def __init__(self, server: Server | None = None) -> None:
        self._processes = server.workers() if server else []
        self._starved, self.at = starved(*self._processes), time.monotonic()

    def to(self, at: float) -> float:
        """Seconds up to a later moment, told soon after that."""
        return at - self.at - (starved(*self._processes) - self._starved)

    def now(self) -> float:
        """Seconds up to now."""
        return self.to(time.monotonic())


def spent(work: Callable[[], object]) -> float:
    """The seconds that something takes, without those in which this process was not let run."""
    began = Moment()
    work()
    return began.now()


def wait_for_redis(put: Callable[[object, str, float], None] = setattr) -> None:
    """Let calls wait for Redis until it answers: what it holds is tested, and not how soon it says so."""
    put(gate, "PATIENCE", _PATIENCE)
    put(gate, "SHORT_PATIENCE", _PATIENCE)
    put(redis_link, "PATIENCE", _PATIENCE)


def patient() -> object:
    """An application, to be served in the usual one's place, whose calls wait for Redis."""
    wait_for_redis()
    return app.create_app()
