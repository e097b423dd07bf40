"""What a busy machine does to a test, kept apart from what Aura does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from aura import app, gate, redis_link

PATIENT = "tests.busy:patient()"
_PATIENCE = 20.0


def starved() -> float:
    """Seconds in which this thread was ready to run and another was let, so far; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def spent(work: Callable[[], object]) -> float:
    """The seconds that something takes, without those in which this process was not let run."""
    began = time.monotonic() - starved()
    work()
    return time.monotonic() - starved() - began


def wait_for_redis(put: Callable[[object, str, float], None] = setattr) -> None:
    """Let calls wait for Redis until it answers: what it holds is tested, and not how soon it says so."""
    put(gate, "PATIENCE", _PATIENCE)
    put(gate, "SHORT_PATIENCE", _PATIENCE)
    put(redis_link, "PATIENCE", _PATIENCE)


def patient() -> object:
    """An application, to be served in the usual one's place, whose calls wait for Redis."""
    wait_for_redis()
    return app.create_app()
