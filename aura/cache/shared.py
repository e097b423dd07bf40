"""The store that all workers of one instance share: an lmdb file, bounded by entries and bytes.

Facts
  - Readers of lmdb take no lock. Writers wait for one another, without a limit, in a lock of lmdb's own. So they take
    a lock of ours first (``flock``), which can be asked for without waiting and which the kernel frees when its holder
    dies; lmdb's is then never contended. What finds the lock taken is kept in the process and written a little later.
  - A page is copied before it is changed, and a commit ends with one small write: a worker that is killed in the
    middle leaves the state before it. Nothing is synchronised to a disk: the file does not outlive its instance.
  - A map of a file without blocks of its own kills the process when the disk is full: the blocks of ours are taken
    first, and lmdb writes by ``pwrite``, which can fail.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import lmdb

from ..runtime import mapped
from .leases import SIZE, Leases, Source
from .queues import DATABASES, Queues
from .sketch import Sketch

log = logging.getLogger("aura.cache")

MAX_WAITING = 256  # values that wait for the lock; what comes beyond is not kept
_WAIT = 0.002  # seconds between two looks at the lock
_GIVE_UP = 1.0  # seconds after which what waits is forgotten
_PURGED_AT_ONCE = 50
_LEASE_TRIES = 20
_SLACK = 64 * 1024 * 1024  # for the trees, and for pages that a reader still holds

Change = tuple[bytes, float] | None  # a value and when it ends; None deletes


class Shared:
    """The store; every worker opens the same folder.

    Args:
        entries: the most values.
        size: the most bytes of them.
        evicted: told how many values had to go.
        clock: seconds of a clock that all processes of this host share.

    Raises:
        OSError: the folder cannot be used.
        lmdb.Error: its file cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        entries: int,
        size: int,
        evicted: Callable[[int], None] = lambda _count: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._evicted, self._clock = evicted, clock
        self._lock = os.open(folder / "writer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._sketch = Sketch(mapped(folder, "counters", Sketch.size(entries)), entries)
        self._leases = Leases(mapped(folder, "leases", SIZE), folder)
        self.audiences = (self._leases,)
        self._env = lmdb.open(
            str(folder),
            map_size=2 * size + _SLACK,
            max_dbs=DATABASES,
            max_readers=2048,
            sync=False,
            metasync=False,
            meminit=False,
        )
        self._env.reader_check()
        self._queues = Queues(self._env, entries, size, self._sketch)
        self._waiting: dict[str, Change] = {}
        self._given_back: set[str] = set()
        self._writer: gevent.Greenlet[Any, Any] | None = None
        self._failing = False

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        self._sketch.asked(key)
        now = self._clock()
        if key in self._waiting:
            waiting = self._waiting[key]
            return waiting[0] if waiting and waiting[1] > now else None
        try:
            with self._env.begin() as txn:
                return self._queues.get(txn, key.encode(), now)
        except lmdb.Error:
            return None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for so many seconds: at once, or when the lock is free."""
        self._change(key, (value, self._clock() + ttl))

    def delete(self, key: str) -> None:
        """Forget a key."""
        self._change(key, None)

    def _change(self, key: str, change: Change) -> None:
        if not self._waiting and self._written({key: change}):
            return
        if key in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[key] = change
        if self._writer is None or self._writer.dead:
            self._writer = gevent.spawn(self._write_later)

    def _write_later(self) -> None:
        """Write all that waits in one go; where the lock stays taken for long, it is forgotten."""
        until = time.monotonic() + _GIVE_UP
        while self._waiting:
            gevent.sleep(_WAIT)
            if self._written(self._waiting) or time.monotonic() > until:
                self._waiting = {}
        for key in self._given_back:
            self._leases.release(key)
        self._given_back.clear()

    def _written(self, changes: dict[str, Change]) -> bool:
        """Write some changes, unless another process is writing now; what lmdb cannot take is lost."""
        with self._locked() as mine:
            if not mine:
                return False
            evicted, now = 0, self._clock()
            with self._noted(), self._env.begin(write=True) as txn:
                for key, change in changes.items():
                    if change is None:
                        self._queues.delete(txn, key.encode())
                    else:
                        evicted += self._queues.put(txn, key.encode(), *change, now)
        if evicted:
            self._evicted(evicted)
        return True

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """A write that fails is no one's error; the log says once that writes fail, and once that they do not."""
        try:
            yield
        except lmdb.Error as error:
            if not self._failing:
                self._failing = True
                log.warning("cache.failed", extra={"store": "shared", "reason": type(error).__name__})
        else:
            if self._failing:
                self._failing = False
                log.info("cache.recovered", extra={"store": "shared"})

    def claim(self, key: str) -> bool:
        """Take the lease of a key, unless another process that lives has it; whoever cannot tell has it too."""
        self._given_back.discard(key)
        for _ in range(_LEASE_TRIES):
            with self._locked() as mine:
                if mine:
                    return self._leases.claim(key)
            gevent.sleep(_WAIT / 4)
        return True

    def release(self, key: str) -> None:
        """Give the lease of a key back: once what waits is written, since those who wait for it look then."""
        if self._waiting:
            self._given_back.add(key)
        else:
            self._leases.release(key)

    def follow(self, key: str) -> Source | None:
        """What the process that has the lease of a key says of its work; None where no other has it."""
        return self._leases.follow(key)

    def usage(self) -> tuple[int, int]:
        """How many values there are, and the bytes that they take."""
        try:
            with self._env.begin() as txn:
                return self._queues.usage(txn)
        except lmdb.Error:
            return 0, 0

    def purge(self, scope: str, chosen: Callable[[str, bytes], bool]) -> int:
        """Forget keys that begin with ``scope`` and are chosen with their value, a few at a time.

        Returns:
            How many went.

        Raises:
            TimeoutError: another process does not let go of the lock.
        """
        begin = at = scope.encode()
        went, until = 0, time.monotonic() + _GIVE_UP
        while True:
            with self._locked() as mine:
                if mine:
                    until = time.monotonic() + _GIVE_UP
                    count, at = self._purge_some(begin, at, chosen)
                    went += count
            if mine and not at:
                return went
            if time.monotonic() > until:
                raise TimeoutError("the shared store is being written to for too long")
            gevent.sleep(_WAIT)

    def _purge_some(self, begin: bytes, at: bytes, chosen: Callable[[str, bytes], bool]) -> tuple[int, bytes]:
        with self._noted(), self._env.begin(write=True) as txn:
            return self._queues.purge(txn, begin, at, chosen, _PURGED_AT_ONCE)
        return 0, b""  # lmdb could not

    def close(self) -> None:
        """Let go of the file."""
        self._env.close()
        os.close(self._lock)
