"""Log levels that an operator sets while Aura runs: the same in all workers, until the next reload or restart.

They stand in a file beside the metrics' files; a number that all workers have mapped counts its changes, so that a
request looks at a number and nothing else.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from .log import LOGGERS, OWN

# Spring's names, the finest first; Python knows no TRACE and no OFF.
BY_NAME = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "OFF": logging.CRITICAL + 10,
}
NAMES = tuple(BY_NAME)
# What the Java service's operators call the whole of Aura.
ALIASES = {"ROOT": OWN, "io.github.girisenji.ai.aura": OWN, "gunicorn": LOGGERS[1]}
_COUNT, _SET, _LOCK = "levels.count", "levels.json", "levels.lock"


class Levels:
    """The levels of this process's loggers.

    Args:
        folder: what the workers share; empty: this process is alone.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None
        self._count = _mapped(self._folder / _COUNT) if self._folder else memoryview(bytearray(8)).cast("Q")
        self._seen = 0
        self._set: dict[str, str] = {}
        self._configured = {name: logging.getLogger(name).level for name in LOGGERS}
        self.follow()

    def follow(self) -> None:
        """Take over what was set since the last time, in whatever worker."""
        if self._count[0] != self._seen:
            self._seen = self._count[0]
            self._apply(_read(self._folder) if self._folder else {})

    def _apply(self, levels: dict[str, str]) -> None:
        for name in self._set.keys() - levels.keys():
            logging.getLogger(name).setLevel(self._configured.get(name, logging.NOTSET))
        for name, level in levels.items():
            logging.getLogger(name).setLevel(BY_NAME[level])
        self._set = levels

    def known(self) -> list[str]:
        """The loggers there are."""
        own = [name for name in logging.root.manager.loggerDict if name.startswith(f"{OWN}.")]
        return [*ALIASES, *LOGGERS, *sorted(own)]

    def of(self, name: str) -> dict[str, str]:
        """The level that a logger was given, if it was, and the one that holds."""
        logger = logging.getLogger(ALIASES.get(name, name))
        effective = {"effectiveLevel": _name(logger.getEffectiveLevel())}
        return {"configuredLevel": _name(logger.level), **effective} if logger.level else effective

    def set(self, name: str, level: str | None) -> None:
        """Give a logger a level, in all workers; None: the one of the configuration."""
        name = ALIASES.get(name, name)
        with _locked(self._folder):
            levels = dict(_read(self._folder) if self._folder else self._set)
            levels.pop(name, None)
            if level is not None:
                levels[name] = level
            if self._folder:
                _write(self._folder, levels)
                self._count[0] += 1
                self._seen = self._count[0]
        self._apply(levels)


def forget(folder: str) -> None:
    """Have the next workers begin with the configuration's levels."""
    Path(folder, _SET).unlink(missing_ok=True)


def _name(number: int) -> str:
    """The name of the highest level that is not above a number."""
    return max((name for name in NAMES if BY_NAME[name] <= number), key=BY_NAME.__getitem__, default="TRACE")


def _mapped(path: Path) -> memoryview[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, 8)
        return memoryview(mmap.mmap(fd, 8)).cast("Q")
    finally:
        os.close(fd)


def _read(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = orjson.loads((folder / _SET).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _write(folder: Path, levels: dict[str, str]) -> None:
    new = folder / f"{_SET}.new"
    new.write_bytes(orjson.dumps(levels))
    new.replace(folder / _SET)


@contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """Alone among the workers; what is done under it takes microseconds, so nobody waits for long."""
    if folder is None:
        yield
        return
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
