"""Which process is at work for a key: a small table that the processes of an instance share, and what they say of it.

A key has a few places in it; where all of them are taken its work may be done twice, nothing worse comes of it. Whoever
has a lease says from time to time that it still works, since one that was stopped would keep it for ever.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .ring import FileRegion, Region

LAPSE = 5.0  # seconds without a sign of life after which a lease is anyone's
FRESH = 2.0  # seconds for which it is known that somebody follows
_PLACES, _TRIES = 4096, 8
# The process, which of the keys that belong here, when it last gave a sign, when it was last followed (tenths of s).
_SLOT = struct.Struct("<IIII")
_ROW = struct.Struct(f"<{4 * _TRIES}I")
_BEAT, _FOLLOWED = 8, 12
_TIME = struct.Struct("<I")
SIZE = (_PLACES + _TRIES) * _SLOT.size
_FILE = "stream-"


class Source(Region, Protocol):
    """What the holder of a lease says of its work, as another process reads it."""

    interval: float
    """Seconds between two looks."""

    def held(self) -> bool | None:
        """Whether the holder still has the lease, which learns by this that it is followed; None: not known now."""


class Audience(Protocol):
    """Other processes that may follow the work which is done under a lease."""

    near: bool
    """Whether they are asked without waiting."""
    interval: float
    """Seconds between two looks at them."""

    def tend(self, keys: Iterable[str]) -> list[str]:
        """Say that leases are still at work; returns which of them are followed."""

    def region(self, key: str) -> Region:
        """Where the holder of a lease says what it brings."""


class Leases:
    """The table, and the folder of what is said. To be claimed from under the lock of the writers.

    Args:
        table: ``SIZE`` bytes, shared.
        clock: seconds of a clock that all processes of this host share.
    """

    near, interval = True, 0.05

    def __init__(self, table: mmap.mmap, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._table, self._folder, self._clock = table, folder, clock
        self._mine: dict[str, int] = {}
        for file in folder.glob(f"{_FILE}*"):
            process = file.name.split("-")[1]
            if not (process.isdigit() and _lives(int(process))):
                file.unlink(missing_ok=True)

    def claim(self, key: str) -> bool:
        """Take the lease of a key, a hash in hexadecimal digits, unless another process has it and is at work."""
        first, name = _place(key)
        row = _ROW.unpack_from(self._table, first)
        now, mine, free = self._now(), os.getpid(), None
        for number in range(_TRIES):
            process, held, beat, _ = row[4 * number : 4 * number + 4]
            at_work = process and now - beat <= LAPSE * 10 and (process == mine or _lives(process))
            if held == name and at_work and process != mine:
                return False
            if held == name or (free is None and not at_work):
                free = first + number * _SLOT.size
            if held == name:
                break
        if free is not None:
            self._mine[key] = free
            _SLOT.pack_into(self._table, free, mine, name, now, 0)
        return True

    def release(self, key: str) -> None:
        """Give the lease of a key back, if it is this process's still."""
        place = self._mine.pop(key, None)
        if place is not None and self._is_mine(place, key):
            _SLOT.pack_into(self._table, place, 0, 0, 0, 0)

    def tend(self, keys: Iterable[str]) -> list[str]:
        """Say that leases are still at work; returns which of them are followed."""
        found, now = [], self._now()
        for key in keys:
            place = self._mine.get(key)
            if place is not None and self._is_mine(place, key):
                _TIME.pack_into(self._table, place + _BEAT, now)
                if now - _TIME.unpack_from(self._table, place + _FOLLOWED)[0] <= FRESH * 10:
                    found.append(key)
        return found

    def region(self, key: str) -> Region:
        """Where this process says what it brings."""
        return FileRegion(self._folder / f"{_FILE}{os.getpid()}-{key}", made=True)

    def follow(self, key: str) -> Source | None:
        """What the process that has a lease says; None where no other has it."""
        first, name = _place(key)
        for place in range(first, first + _TRIES * _SLOT.size, _SLOT.size):
            process, held, _, _ = _SLOT.unpack_from(self._table, place)
            if held == name and process not in (0, os.getpid()):
                return _Followed(self, self._folder / f"{_FILE}{process}-{key}", (process, name), place)
        return None

    def followed(self, holder: tuple[int, int], place: int) -> bool:
        """Tell a holder that it is followed; whether it has its lease and is at work."""
        process, name, beat, _ = _SLOT.unpack_from(self._table, place)
        now = self._now()
        if (process, name) != holder or now - beat > LAPSE * 10 or not _lives(process):
            return False
        _TIME.pack_into(self._table, place + _FOLLOWED, now)
        return True

    def _is_mine(self, place: int, key: str) -> bool:
        return _SLOT.unpack_from(self._table, place)[:2] == (os.getpid(), _place(key)[1])

    def _now(self) -> int:
        return int(self._clock() * 10) & 0xFFFFFFFF


class _Followed(FileRegion):
    """What another process of this instance says."""

    interval = 0.02

    def __init__(self, leases: Leases, path: Path, holder: tuple[int, int], place: int) -> None:
        super().__init__(path, made=False)
        self._leases, self._holder, self._place = leases, holder, place

    def held(self) -> bool:
        """Whether the holder has its lease and is at work."""
        return self._leases.followed(self._holder, self._place)


def _place(key: str) -> tuple[int, int]:
    bits = int(key[-16:], 16)
    return bits % _PLACES * _SLOT.size, bits >> 32


def _lives(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
