"""What is kept in a full store and what goes: two queues in an lmdb file, after TinyLFU.

New keys stay in a window, a tenth of all, in the order in which they came. The window's oldest moves on if it was
asked for more often than one of the oldest of the rest, which goes in its place; otherwise it goes itself. Those of
the rest that are asked for more go round again. So a flood of keys that nobody asks for twice passes through.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from .sketch import Sketch

_UNTIL = struct.Struct("<d")  # before a value: when it ends
_PLACE = struct.Struct("<dQIB")  # of a key: when it ends, its number in its queue, the bytes it takes, which queue
_WINDOW, _MAIN = 0, 1
_WINDOW_SHARE = 10  # the window is one in so many
_TRIES = 5  # old keys that are looked at for one to go
_PAGE = 4096
_SMALL = 2000  # larger values take pages of their own
_NEXT, _BYTES = b"next", b"bytes"
_NEVER = 1 << 30
_OVERHEAD = 160  # of a key in all the trees
DATABASES = 5

Item = tuple[bytes, bytes]
Chosen = Callable[[str, bytes], bool]


class Queues:
    """The values with their places; everything happens in transactions of the caller's.

    Args:
        entries: the most values.
        size: the most bytes that they take in the file.
        sketch: how often keys are asked for.
    """

    def __init__(self, env: Any, entries: int, size: int, sketch: Sketch) -> None:
        self._entries, self._size, self._sketch = entries, size, sketch
        self._values = env.open_db(b"values")
        self._places = env.open_db(b"places")
        self._queues = (env.open_db(b"window"), env.open_db(b"main"))
        self._facts = env.open_db(b"facts")

    def get(self, txn: Any, key: bytes, now: float) -> bytes | None:
        """The value of a key, unless it has ended."""
        found: bytes | None = txn.get(key, db=self._values)
        if found is None or _UNTIL.unpack_from(found)[0] <= now:
            return None
        return found[_UNTIL.size :]

    def put(self, txn: Any, key: bytes, value: bytes, until: float, now: float) -> int:
        """Keep a value; returns how many others went for it."""
        size = _taken(len(value))
        if size > self._size or not self._entries:
            self.delete(txn, key)
            return 0
        before = self._place(txn, key)
        if before is None:
            number, queue, grown = self._join(txn, _WINDOW, key), _WINDOW, size
        else:
            _, number, old_size, queue = before
            grown = size - old_size
        txn.put(key, _PLACE.pack(until, number, size, queue), db=self._places)
        txn.put(key, _UNTIL.pack(until) + value, db=self._values)
        self._add(txn, _BYTES, grown)
        return self._make_room(txn, now)

    def delete(self, txn: Any, key: bytes) -> bool:
        """Forget a key; whether it was there."""
        place = self._place(txn, key)
        if place is None:
            return False
        _, number, size, queue = place
        txn.delete(number.to_bytes(8, "big"), db=self._queues[queue])
        txn.delete(key, db=self._places)
        txn.delete(key, db=self._values)
        self._add(txn, _BYTES, -size)
        return True

    def purge(self, txn: Any, scope: bytes, at: bytes, chosen: Chosen, most: int) -> tuple[int, bytes]:
        """Look at up to ``most`` keys from ``at`` on that begin with ``scope``, and forget those that are chosen.

        Returns:
            How many went, and where to go on; empty at the end.
        """
        found: list[bytes] = []
        go_on = b""
        with txn.cursor(db=self._values) as cursor:
            there = cursor.set_range(at)
            for _ in range(most):
                if not there or not cursor.key().startswith(scope):
                    break
                if chosen(cursor.key().decode(), cursor.value()[_UNTIL.size :]):
                    found.append(cursor.key())
                there = cursor.next()
            else:
                go_on = cursor.key() if there else b""
        return sum(self.delete(txn, key) for key in found), go_on

    def usage(self, txn: Any) -> tuple[int, int]:
        """How many values there are, and the bytes that they take."""
        return txn.stat(self._values)["entries"], self._fact(txn, _BYTES)

    def _make_room(self, txn: Any, now: float) -> int:
        went = 0
        while True:
            count, size = self.usage(txn)
            window: int = txn.stat(self._queues[_WINDOW])["entries"]
            window_full = window > max(1, count // _WINDOW_SHARE)
            if count > self._entries or size > self._size:
                self._evict(txn, window_full, now)
                went += 1
            elif window_full:
                self._move(txn, self._first(txn, _WINDOW), _WINDOW)
            else:
                return went

    def _evict(self, txn: Any, window_full: bool, now: float) -> None:
        """Let go of the least wanted: the window's oldest, or one of the oldest of the rest."""
        candidate = self._first(txn, _WINDOW)
        wanted = _NEVER
        if candidate is not None and window_full:
            wanted = self._sketch.count(candidate[1].decode())
        oldest = None
        for _ in range(_TRIES):
            oldest = self._first(txn, _MAIN)
            if oldest is None:
                break
            key = oldest[1]
            if self._ended(txn, key, now) or self._sketch.count(key.decode()) < wanted:
                self.delete(txn, key)
                return
            self._move(txn, oldest, _MAIN)
        loser = candidate if window_full or oldest is None else oldest
        assert loser is not None
        self.delete(txn, loser[1])

    def _first(self, txn: Any, queue: int) -> Item | None:
        with txn.cursor(db=self._queues[queue]) as cursor:
            return cursor.item() if cursor.first() else None

    def _move(self, txn: Any, item: Item | None, queue: int) -> None:
        """Move a key to the end of the main queue."""
        assert item is not None
        number, key = item
        until, _, size, _ = _PLACE.unpack(txn.get(key, db=self._places))
        txn.delete(number, db=self._queues[queue])
        txn.put(key, _PLACE.pack(until, self._join(txn, _MAIN, key), size, _MAIN), db=self._places)

    def _join(self, txn: Any, queue: int, key: bytes) -> int:
        """Put a key at the end of a queue; returns its number there."""
        number = self._add(txn, _NEXT, 1)
        txn.put(number.to_bytes(8, "big"), key, db=self._queues[queue], append=True)
        return number

    def _place(self, txn: Any, key: bytes) -> tuple[float, int, int, int] | None:
        found = txn.get(key, db=self._places)
        return None if found is None else _PLACE.unpack(found)

    def _ended(self, txn: Any, key: bytes, now: float) -> bool:
        place = self._place(txn, key)
        return place is not None and place[0] <= now

    def _fact(self, txn: Any, name: bytes) -> int:
        return int.from_bytes(txn.get(name, b"", db=self._facts), "big")

    def _add(self, txn: Any, name: bytes, number: int) -> int:
        total = self._fact(txn, name) + number
        txn.put(name, total.to_bytes(8, "big"), db=self._facts)
        return total


def _taken(size: int) -> int:
    """The bytes of the file that a value of so many takes."""
    size += _OVERHEAD
    return size if size <= _SMALL else -(-size // _PAGE) * _PAGE
