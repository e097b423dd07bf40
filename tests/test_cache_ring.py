"""What one process says and another reads, whatever comes between."""

from __future__ import annotations

import itertools
import random

import pytest

from aura.cache.ring import SIZE, FileRegion, Kind, Lost, Reading, Ring


class Unreliable(FileRegion):
    """A region that takes some writes, takes some and says it did not, and takes some not at all."""

    chance = random.Random(7)

    def write(self, pieces: list[tuple[int, bytes]]) -> bool:
        match self.chance.randrange(3):
            case 0:
                return super().write(pieces)
            case 1:
                super().write(pieces)
        return False


def test_what_is_said_is_read_in_order_and_whole(tmp_path):
    ring, reading = Ring(FileRegion(tmp_path / "f", made=True)), Reading(FileRegion(tmp_path / "f", made=False))
    sizes = itertools.islice(itertools.cycle([0, 1, 1000, 70_000, 300_000]), 60)
    said = [(Kind.DATA, bytes([number]) * size) for number, size in enumerate(sizes)]
    read = []
    for kind, data in said:
        ring.append(kind, data)
        while ring.read() < ring.written:  # a large one takes several looks
            read += reading.records()

    assert ring.written > 2 * SIZE
    assert read == said
    assert ring.read() == ring.written


def test_what_could_not_be_written_at_first_is_read_all_the_same(tmp_path):
    ring, reading = Ring(Unreliable(tmp_path / "f", made=True)), Reading(FileRegion(tmp_path / "f", made=False))
    said = [(Kind.DATA, b"%d " % number * 50) for number in range(200)]
    read = []
    for kind, data in said:
        ring.append(kind, data)
        read += reading.records()
    while not ring.flush():
        read += reading.records()
    while records := reading.records():
        read += records

    assert read == said


def test_who_falls_behind_is_told(tmp_path):
    ring, reading = Ring(FileRegion(tmp_path / "f", made=True)), Reading(FileRegion(tmp_path / "f", made=False))
    for _ in range(3):
        ring.append(Kind.DATA, b"x" * (SIZE // 2))

    with pytest.raises(Lost):
        reading.records()


def test_bytes_of_something_else_are_not_read_as_records(tmp_path):
    (tmp_path / "f").write_bytes((100).to_bytes(8, "little") + bytes(8) + b"\xff" * 200)

    with pytest.raises(Lost):
        Reading(FileRegion(tmp_path / "f", made=False)).records()


def test_what_is_removed_can_still_be_read_by_who_reads_it(tmp_path):
    ring, reading = Ring(FileRegion(tmp_path / "f", made=True)), Reading(FileRegion(tmp_path / "f", made=False))
    ring.append(Kind.HEAD, b"{}")
    reading.records()
    ring.append(Kind.END, b"{}")
    ring.close()

    assert reading.records() == [(Kind.END, b"{}")]
    assert not list(tmp_path.iterdir())
    assert Reading(FileRegion(tmp_path / "f", made=False)).records() == []
