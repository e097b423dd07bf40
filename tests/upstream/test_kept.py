"""Whole bodies, small and large, whatever the disk has room for."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any

import pytest

from aura.upstream import kept
from aura.upstream.kept import IN_MEMORY, Kept

BODY = random.Random(7).randbytes(3 * IN_MEMORY + 12_345)


class Filling:
    """A file on a disk that has room for so many bytes more."""

    def __init__(self, room: int) -> None:
        self._file: Any = TemporaryFile(buffering=0)  # noqa: SIM115
        self._room = room

    def write(self, data: bytes) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def no_place(**_more: Any) -> None:
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")


DISKS: dict[str, Callable[..., Any]] = {
    "room": TemporaryFile,
    "no place": no_place,
    "full at once": lambda **_more: Filling(0),
    "full in the middle of a block": lambda **_more: Filling(IN_MEMORY + 3_500_000),
    "full at the end": lambda **_more: Filling(len(BODY) - 1),
}


@pytest.mark.parametrize("disk", DISKS.values(), ids=DISKS)
@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, IN_MEMORY + 1, len(BODY)])
@pytest.mark.parametrize("piece", [16 * 1024, 5_000_001])
def test_a_body_is_what_came_whatever_the_disk_takes(monkeypatch, disk, size, piece):
    monkeypatch.setattr(kept, "TemporaryFile", disk)
    body = Kept(BODY[: min(size, 777)])
    for at in range(777, size, piece):
        body.add(BODY[at : min(size, at + piece)])
    whole = body.whole()
    body.close()

    assert whole == BODY[:size]
    assert Kept._in_files == 0


def test_no_more_is_filed_than_a_process_may(monkeypatch):
    """The disk is not the provider's to fill; what finds no room there is held in memory, and whole."""
    monkeypatch.setattr(kept, "IN_FILES", 2 * IN_MEMORY)
    bodies = [Kept(b"") for _ in range(3)]
    for body in bodies:
        for at in range(0, len(BODY), 100_000):
            body.add(BODY[at : at + 100_000])

    assert IN_MEMORY < Kept._in_files <= 2 * IN_MEMORY
    assert [body.whole() for body in bodies] == [BODY] * 3
    for body in bodies:
        body.close()
    assert Kept._in_files == 0
