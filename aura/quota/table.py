"""What the workers of one instance count against limits: a small file that all of them have in memory.

Facts
  - ``limits`` keeps its own memory storage in one process, with a timer for every hit; an instance has many.
  - A change takes microseconds under a lock that the kernel frees when its holder dies. Where its holder does not run
    (stopped, or put aside by the system), a call is let in by what can be read, and counted when the lock is free.
  - How many calls each worker has open stands in a cell of the worker's slot, with its process beside it: a dead
    worker's cells are nothing to those who look, and its slot's next worker empties them.
  - The monotonic clock is one for all processes of a host.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from gevent.monkey import get_original

from ..runtime import mapped
from ..slots import FOLDER, SLOT, TABLES
from . import window
from .window import MINUTE, State

SLOTS = 256  # workers that can be told apart
_LEAST = 64  # places
_SOON = 0.02  # seconds that a holder of the lock may take, when it is put aside by the system
_NAP = 0.0001
_AT_START = 1.0
_WINDOW = 4  # numbers of a window: name, previous, current, end
_HOLDERS = SLOTS + 1  # numbers before the windows: the slots in use, and each one's process

# No other green thread may come between: this one waits for a process, for microseconds.
_sleep: Callable[[float], None] = get_original("time", "sleep")

Wanted = tuple[str, int, int]  # the name of a window, its limit, and how much is to be counted
Held = tuple[str, int]  # the name of what is open at once, and how many may be
Change = tuple[str, int, float]  # the name of a window, what is to be added, and the end of the minute it belongs to


class Taken(NamedTuple):
    """What came of counting something.

    Args:
        states: the windows as they are now.
        refused: which limit refuses, by its number among windows and what is held; None if none does.
        ticket: what the store knows its part by when it is settled.
    """

    states: list[State]
    refused: int | None
    ticket: str = ""


class Table:
    """The table.

    Args:
        windows: names of what is counted by the minute.
        rows: names of what is counted while it is open.
        folder: where the workers' file is; None keeps everything in this process.
        slot: this worker's.
        clock: monotonic seconds, the same for all processes.

    Raises:
        OSError: there is no room for the file.
    """

    def __init__(
        self,
        windows: Sequence[str],
        rows: Sequence[str],
        folder: Path | None = None,
        slot: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._slot = clock, slot % SLOTS
        places, lines = _size(windows), _size(rows)
        size = 8 * (_HOLDERS + places * _WINDOW + lines * (1 + SLOTS))
        self._patience = _SOON
        self._late: dict[int, int] = {}
        """What could not be written yet, by place."""
        if folder is None:
            memory = mmap.mmap(-1, size)
            self._lock = os.memfd_create("aura-limits", os.MFD_CLOEXEC)
        else:
            memory = mapped(folder, f"{TABLES}{places}x{lines}", size)
            self._lock = os.open(folder / f"{TABLES}lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._ints, self._floats = memoryview(memory).cast("q"), memoryview(memory).cast("d")
        self._wait_for_lock()
        self._begin(places, lines)
        first = _HOLDERS
        self._places = self._found(windows, range(first, first + places * _WINDOW, _WINDOW), self._is_over)
        first += places * _WINDOW
        self._rows = self._found(rows, range(first, first + lines * (1 + SLOTS), 1 + SLOTS), self._is_empty)
        self._give_lock()

    def _begin(self, places: int, lines: int) -> None:
        """Take the slot over from whoever had it."""
        ints = self._ints
        ints[0] = max(ints[0], self._slot + 1)
        ints[1 + self._slot] = os.getpid()
        row = _HOLDERS + places * _WINDOW
        for line in range(lines):
            ints[row + line * (1 + SLOTS) + 1 + self._slot] = 0

    def _found(self, names: Sequence[str], places: range, free: Callable[[int], bool]) -> dict[str, int]:
        """The place of each name: what it had already, else one that was never used, else one that is free again."""
        wanted = {_digest(name): name for name in names}
        there = {self._ints[place]: place for place in places}
        unused = [place for place in places if self._ints[place] == 0]
        unused += [place for place in places if self._ints[place] not in (0, *wanted) and free(place)]
        out = {}
        for digest, name in wanted.items():
            place = there.get(digest)
            if place is None:
                if not unused:
                    raise OSError("the table is full of what still counts")
                place = unused.pop(0)
                self._ints[place] = digest
                self._ints[place + 1] = self._ints[place + 2] = self._ints[place + 3] = 0
            out[name] = place
        return out

    def _is_over(self, place: int) -> bool:
        return self._floats[place + 3] + MINUTE < self._clock()

    def _is_empty(self, place: int) -> bool:
        return not any(self._ints[place + 1 : place + 1 + SLOTS])

    def take(self, wanted: Sequence[Wanted], held: Sequence[Held], now: float) -> Taken:
        """Count something against limits, all of it or nothing."""
        locked = self._take_lock(now)
        ints, floats, places = self._ints, self._floats, self._places
        states: list[State] = []
        refused = None
        for name, limit, amount in wanted:
            place = places[name]
            previous, current, ends = ints[place + 1], ints[place + 2], floats[place + 3]
            if now >= ends:
                previous, current, ends = self._turned(place, now, locked)
            if not locked:
                current += self._late.get(place, 0)
            current += amount
            if refused is None and int(previous * (ends - now) / MINUTE + current) > limit:
                refused = len(states)
            states.append(State(previous, current, ends))
        if refused is None and held:
            refused = self._open(held)
            if refused is not None:
                refused += len(states)
        if refused is None:
            self._write(wanted, states, locked)
        else:
            counted = zip(wanted, states, strict=True)
            states = [State(previous, current - it[2], ends) for it, (previous, current, ends) in counted]
        if locked:
            self._give_lock()
        return Taken(states, refused)

    def _write(self, wanted: Sequence[Wanted], states: Sequence[State], locked: bool) -> None:
        """Write what was counted, or note it for later."""
        if locked:
            for (name, _, _), state in zip(wanted, states, strict=True):
                self._ints[self._places[name] + 2] = state.current
        else:
            for name, _, amount in wanted:
                self._note_late(self._places[name], amount)

    def _note_late(self, place: int, amount: int) -> None:
        self._late[place] = self._late.get(place, 0) + amount

    def read(self, names: Iterable[str], now: float) -> list[State]:
        """The windows as they are."""
        states = []
        for name in names:
            place = self._places[name]
            found = State(self._ints[place + 1], self._ints[place + 2], self._floats[place + 3])
            states.append(window.at(found, now))
        return states

    def ping(self) -> None:
        """Nothing lies beyond this host."""

    def settle(self, changes: Sequence[Change], held: Iterable[Held], now: float, ticket: str = "") -> None:  # noqa: ARG002  (the shape of Store)
        """Correct what was counted, and close what was open.

        Args:
            changes: what is given back is taken from the minute that it was counted in, from nowhere if that does not
                count any more.
        """
        ints, floats = self._ints, self._floats
        for name, _ in held:
            at = self._rows[name] + 1 + self._slot
            ints[at] = max(0, ints[at] - 1)
        if not changes:
            return
        locked = self._take_lock(now)
        for name, amount, ends in changes:
            place = self._places[name]
            if not locked:
                self._note_late(place, amount)
                continue
            if now >= floats[place + 3]:
                self._turned(place, now, True)
            at = place + 2
            if amount < 0 and ends != floats[place + 3]:
                if ends + MINUTE != floats[place + 3]:
                    continue
                at = place + 1
            ints[at] = max(0, ints[at] + amount)
        if locked:
            self._give_lock()

    def _turned(self, place: int, now: float, locked: bool) -> State:
        """A window in its next minute; under the lock, that begins."""
        state = window.at(State(self._ints[place + 1], self._ints[place + 2], self._floats[place + 3]), now)
        if locked:
            self._ints[place + 1], self._ints[place + 2], self._floats[place + 3] = state
        return state

    def _catch_up(self, now: float) -> None:
        """Write what could not be written when it was counted."""
        late, self._late = self._late, {}
        for place, amount in late.items():
            _, current, _ = self._turned(place, now, True)
            self._ints[place + 2] = max(0, current + amount)

    def _open(self, held: Sequence[Held]) -> int | None:
        """Count one more that is open, for each name; returns the number of one whose limit was reached."""
        ints, own = self._ints, 1 + self._slot
        for number, (name, limit) in enumerate(held):
            row = self._rows[name]
            # It is counted first: so two that come at once without the lock cannot both be the last one.
            ints[row + own] += 1
            if self._count(row) > limit and self._count_of_living(row) > limit:
                for before, _ in held[: number + 1]:
                    ints[self._rows[before] + own] -= 1
                return number
        return None

    def _count(self, row: int) -> int:
        return sum(self._ints[row + 1 : row + 1 + self._ints[0]])

    def _count_of_living(self, row: int) -> int:
        """What is open, when the cells of dead workers are emptied."""
        for slot in range(self._ints[0]):
            at = row + 1 + slot
            if self._ints[at] and slot != self._slot and not _lives(self._ints[1 + slot]):
                self._ints[at] = 0
        return self._count(row)

    def _wait_for_lock(self) -> None:
        """Take the lock at the start, when all workers want it for longer."""
        until = time.monotonic() + _AT_START
        while not self._try_lock():
            if time.monotonic() > until:
                raise OSError("the table is locked")
            _sleep(_NAP)

    def _take_lock(self, now: float) -> bool:
        """Take the lock, if it is given up soon; each time that it is not, the next wait is half as long."""
        if not self._try_lock():
            until = time.monotonic() + self._patience
            while not self._try_lock():
                if time.monotonic() > until:
                    self._patience /= 2
                    return False
                _sleep(_NAP)
        self._patience = _SOON
        if self._late:
            self._catch_up(now)
        return True

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _give_lock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)


def shared(windows: Sequence[str], rows: Sequence[str]) -> Table:
    """The table of this instance's workers; one of this process where there is no folder, or no room in it."""
    folder = os.environ.get(FOLDER)
    if folder:
        try:
            return Table(windows, rows, Path(folder), int(os.environ.get(SLOT) or 0))
        except OSError:
            pass
    return Table(windows, rows)


def _size(names: Sequence[str]) -> int:
    """Places for so many names, and for as many that a configuration before had."""
    return max(_LEAST, 1 << (2 * len(names)).bit_length())


def _digest(name: str) -> int:
    """A number for a name, never 0."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big") + 1


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
