"""A whole body as it comes in: in memory at first, in a file where it is large, since most that is so large is refused.

Facts
  - Pieces by the thousand would leave holes in memory; one buffer for all would be copied each time that it grows, and
    be larger than what it holds. So blocks are filled.
  - A file without a name is gone with its descriptor. What is written to it stands in the kernel's cache, which lets it
    go when memory is wanted elsewhere.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO

log = logging.getLogger("aura.upstream")

_BLOCK = 1024 * 1024
IN_MEMORY = 8 * _BLOCK
# Bytes that the files of a process hold at most, so that no provider fills a disk; beyond them memory is used.
IN_FILES = 128 * _BLOCK


class Kept:
    """One body. It must be closed."""

    _in_files = 0

    def __init__(self, begun: bytes) -> None:
        self.size = len(begun)
        self._block = bytearray(begun)
        self._blocks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._filed = 0
        self._full = False

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._block += piece
        self.size += len(piece)
        if len(self._block) >= _BLOCK:
            self._blocks.append(bytes(self._block))
            self._block.clear()
            if self.size > IN_MEMORY:
                self._file_away()

    def _file_away(self) -> None:
        """Move the blocks into the file, if there can be one; they stay where they are otherwise."""
        size = sum(map(len, self._blocks))
        if self._full or Kept._in_files + size > IN_FILES:
            return
        at = self._filed
        try:
            if self._file is None:
                self._file = TemporaryFile(buffering=0)  # noqa: SIM115  (closed with the body)
            for block in self._blocks:
                at += self._file.write(block)
        except OSError as error:
            self._full = True
            log.warning("disk.exhausted", extra={"reason": error.strerror})
        if at != self._filed + size:  # the disk is full: what it took in part is written over, or not read
            if self._file is not None:
                self._file.seek(self._filed)
            return
        Kept._in_files += size
        self._filed = at
        self._blocks.clear()

    def whole(self) -> bytes:
        """All of it."""
        self._blocks.append(bytes(self._block))
        self._block.clear()
        if self._file is not None:
            self._file_away()  # read in one piece, it is held once
            self._file.seek(0)
            self._blocks.insert(0, self._file.read(self._filed))
        return self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)

    def close(self) -> None:
        """Let go of all: a failure's traceback keeps whoever held this for a while."""
        self._blocks.clear()
        self._block.clear()
        Kept._in_files -= self._filed
        self._filed = 0
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
