"""What one process says of its work while others read along: the last of it, where all of them can reach it.

Facts
  - One process writes, many read. Bytes are written before the count that covers them, so whoever goes by the count
    reads whole bytes; whoever reads may be overtaken, and looks at the count again behind what it has read.
  - Everything has its place: what could perhaps not be written is written again, and lies where it lay.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Protocol

SIZE = 2 * 1024 * 1024
_WRITTEN, _READ = 0, 8  # where the counts stand: bytes written, bytes that the fastest reader has read
_COUNT = struct.Struct("<Q")
_DATA = 16
_RECORD = struct.Struct("<IB")  # bytes that follow, and their kind
_AT_ONCE = 64 * 1024
_MARGIN = 2 * _AT_ONCE  # the writer may be so far beyond the count that it has told
LARGEST = SIZE - 2 * _MARGIN  # bytes of a record that one who has yet to read can still find whole


class Kind(IntEnum):
    """What a record says."""

    HEAD = 1
    DATA = 2
    END = 3
    FAILED = 4
    GONE = 5  # the beginning is not kept any more


Record = tuple[Kind, bytes]


class Lost(Exception):
    """What was to be read has been overwritten, or is nothing that was written here."""


class Region(Protocol):
    """Bytes that several processes reach."""

    def read(self, *ranges: tuple[int, int]) -> list[bytes] | None:
        """Read some ranges, each by its place and size; None where they cannot be read now."""

    def write(self, pieces: list[tuple[int, bytes]]) -> bool:
        """Write some bytes in order, each at its place; whether they were."""

    def close(self) -> None:
        """Let go of it; for its maker: remove it."""


class Ring:
    """The writer's end. What could not be written waits: it may have been, and somebody may have read it."""

    def __init__(self, region: Region) -> None:
        self._region, self.written = region, 0
        self._waiting = b""

    def append(self, kind: Kind, data: bytes) -> None:
        """Append a record; if it cannot be written, it waits, and so do those behind it."""
        self._waiting += _RECORD.pack(len(data), kind) + data
        self.flush()

    def flush(self) -> bool:
        """Write what waits; whether that could be done."""
        at = self.written
        for begin in range(0, len(self._waiting), _AT_ONCE):
            piece = self._waiting[begin : begin + _AT_ONCE]
            place = at % SIZE
            pieces = [(_DATA + place, piece[: SIZE - place])]
            if SIZE - place < len(piece):
                pieces.append((_DATA, piece[SIZE - place :]))
            at += len(piece)
            pieces.append((_WRITTEN, _COUNT.pack(at)))
            if not self._region.write(pieces):
                return False
        self.written, self._waiting = at, b""
        return True

    def read(self) -> int:
        """How many bytes the fastest reader has read."""
        found = self._region.read((_READ, _COUNT.size))
        return int(_COUNT.unpack(found[0])[0]) if found and len(found[0]) == _COUNT.size else 0

    def close(self) -> None:
        """Remove it."""
        self._region.close()


class Reading:
    """A reader's end."""

    def __init__(self, region: Region) -> None:
        self._region, self._at, self._rest = region, 0, b""

    def records(self) -> list[Record]:
        """What has come since the last time.

        Raises:
            Lost: the writer has overtaken this reader.
        """
        written = self._counted(self._region.read((_WRITTEN, _COUNT.size)))
        if written is None or written == self._at:
            return []
        place = self._at % SIZE
        size = min(written - self._at, 4 * _AT_ONCE, SIZE - place)
        found = self._region.read((_DATA + place, size), (_WRITTEN, _COUNT.size))
        if found is None or len(found[0]) != size or self._counted(found[1:]) is None:
            return []
        self._at += size
        self._region.write([(_READ, _COUNT.pack(self._at))])
        return self._parsed(found[0])

    def _counted(self, found: list[bytes] | None) -> int | None:
        if not found or len(found[0]) != _COUNT.size:
            return None
        written = int(_COUNT.unpack(found[0])[0])
        if not 0 <= written - self._at <= SIZE - _MARGIN:
            raise Lost
        return written

    def _parsed(self, data: bytes) -> list[Record]:
        data, at, found = self._rest + data, 0, []
        while len(data) - at >= _RECORD.size:
            size, kind = _RECORD.unpack_from(data, at)
            if not Kind.HEAD <= kind <= Kind.GONE:
                raise Lost
            begin = at + _RECORD.size
            if len(data) - begin < size:
                break
            found.append((Kind(kind), data[begin : begin + size]))
            at = begin + size
        self._rest = data[at:]
        return found


class FileRegion:
    """A region in a file.

    Args:
        made: this process makes the file, and removes it in the end.
    """

    def __init__(self, path: Path, made: bool) -> None:
        self._path, self._made, self._file = path, made, -1
        if made:
            with suppress(OSError):
                path.unlink()  # of one that this process told before

    def _open(self) -> int:
        if self._file < 0:
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if self._made else 0)
            self._file = os.open(self._path, flags, 0o600)
        return self._file

    def read(self, *ranges: tuple[int, int]) -> list[bytes] | None:
        """Read some ranges."""
        try:
            file = self._open()
            return [os.pread(file, size, at) for at, size in ranges]
        except OSError:
            return None

    def write(self, pieces: list[tuple[int, bytes]]) -> bool:
        """Write some bytes in order."""
        try:
            file = self._open()
            return all(os.pwrite(file, data, at) == len(data) for at, data in pieces)
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; whoever still reads it can."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._made:
            with suppress(OSError):
                self._path.unlink()
