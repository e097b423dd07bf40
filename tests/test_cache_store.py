"""The stores of one instance: bounds, times, policy, and workers that die or stop while they write."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
from bisect import bisect
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import gevent
import pytest

from aura.cache.key import tag
from aura.cache.local import LocalCache, Memory, open_level
from aura.cache.shared import MAX_WAITING, Shared
from aura.cache.sketch import Sketch
from aura.runtime import CACHE_FOLDER, prepare_cache_folder, remove_cache_folder

from .busy import Moment

KINDS = ["memory", "shared"]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def key(number: int, tenant: str = "a", namespace: str = "") -> str:
    return tag(tenant) + tag(namespace) + blake2b(str(number).encode(), digest_size=20).hexdigest()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Memory | Shared]]:
    opened: list[Shared] = []

    def make(kind: str, entries: int = 100, size: int = 10**6, **more: object) -> Memory | Shared:
        if kind == "memory":
            return Memory(entries, size, **more)
        opened.append(Shared(tmp_path, entries, size, **more))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_kept_until_it_is_deleted(made, kind):
    store = made(kind)
    store.set(key(1), b"one", 60)
    store.set(key(1), b"another", 60)
    kept = store.get(key(1))
    store.delete(key(1))
    store.delete(key(2))

    assert kept == b"another"
    assert store.get(key(1)) is None
    assert store.usage() == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_entries_are_kept_than_allowed(made, kind):
    gone: list[int] = []
    store = made(kind, entries=50, evicted=gone.append)
    for number in range(500):
        store.set(key(number), b"x", 60)
        entries, _ = store.usage()

        assert entries <= 50
    assert sum(gone) == 450 + (50 - entries)
    assert entries >= 40


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_bytes_are_kept_than_allowed(made, kind):
    store = made(kind, entries=10_000, size=200_000)
    for number in range(200):
        store.set(key(number), os.urandom(random.Random(number).randrange(1, 20_000)), 60)
        entries, size = store.usage()

        assert size <= 200_000
    assert entries > 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_larger_than_all_is_not_kept_and_costs_no_other(made, kind):
    store = made(kind, size=50_000)
    store.set(key(1), b"small", 60)
    store.set(key(2), b"x" * 60_000, 60)

    assert store.get(key(2)) is None
    assert store.get(key(1)) == b"small"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_kept_where_nothing_may_be(made, kind):
    store = made(kind, entries=0)
    store.set(key(1), b"x", 60)

    assert store.get(key(1)) is None


def test_a_value_ends_with_its_time(made):
    clock = Clock()
    store = made("shared", clock=clock)
    store.set(key(1), b"short", 10)
    store.set(key(2), b"long", 20)
    clock.now += 10

    assert store.get(key(1)) is None
    assert store.get(key(2)) == b"long"


def test_what_has_ended_goes_before_what_is_wanted(made):
    clock = Clock()
    store = made("shared", entries=20, clock=clock)
    for number in range(20):
        store.set(key(number), b"x", 10 if number % 2 else 1000)
        for _ in range(10):
            store.get(key(number))
    clock.now += 11
    for number in range(100, 105):
        store.get(key(number))
        store.set(key(number), b"x", 1000)

    assert sum(store.get(key(number)) is not None for number in range(0, 20, 2)) >= 9


def test_memory_forgets_a_value_at_its_time(made):
    store = made("memory")
    store.set(key(1), b"x", 0.02)
    store.set(key(2), b"x", 60)
    gevent.sleep(0.05)

    assert store.get(key(1)) is None
    assert store.get(key(2)) == b"x"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_for_often_outlives_a_flood(made, kind):
    store = made(kind, entries=100)
    wanted = [key(number) for number in range(50)]
    for one in wanted:
        store.set(one, b"x", 60)
    for _ in range(5):
        for one in wanted:
            store.get(one)
    for number in range(1000, 3000):
        store.get(key(number))
        store.set(key(number), b"x", 60)

    # An LRU keeps none. The store in the process draws lots among its victims, so it promises less than the shared one.
    assert sum(store.get(one) is not None for one in wanted) >= (25 if kind == "shared" else 10)


def test_the_shared_store_hits_more_than_an_lru_of_its_size(made):
    chance, weights = random.Random(5), list(itertools.accumulate(1 / (n + 1) ** 0.9 for n in range(5000)))
    trace = [bisect(weights, chance.random() * weights[-1]) for _ in range(20_000)]
    store, hits, lru, lru_hits = made("shared", entries=200), 0, {}, 0
    for number in trace:
        if store.get(key(number)):
            hits += 1
        else:
            store.set(key(number), b"x", 60)
        lru_hits += number in lru
        lru.pop(number, None)
        lru[number] = True
        if len(lru) > 200:
            del lru[next(iter(lru))]

    assert hits > lru_hits


@pytest.mark.parametrize("kind", KINDS)
def test_a_purge_takes_a_tenant_a_namespace_or_what_is_chosen(made, kind):
    store = made(kind, entries=1000)
    for number, (tenant, namespace) in itertools.product(range(100), [("a", ""), ("a", "n"), ("b", ""), ("b", "n")]):
        store.set(key(number, tenant, namespace), b"%d" % (number % 2), 60)

    assert store.purge(tag("a") + tag("n"), lambda _key, _value: True) == 100
    assert store.purge(tag("b"), lambda _key, value: value == b"1") == 100
    assert store.purge(tag("c"), lambda _key, _value: True) == 0
    assert store.usage()[0] == 200
    assert store.purge("", lambda _key, _value: True) == 200
    assert store.usage() == (0, 0)


def fresh(folder: Path, code: str) -> subprocess.Popen[str]:
    """Another process with the same store; ``code`` finds it as ``store``."""
    begin = (
        "import os, sys, time, fcntl; from pathlib import Path; from aura.cache.shared import Shared\n"
        f"store = Shared(Path({str(folder)!r}), 100, 10**6)\n"
        "print('open', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", begin + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_what_one_worker_stores_another_finds(made, tmp_path):
    store = made("shared")
    with fresh(
        tmp_path, f"store.set({key(1)!r}, b'from afar', 60)\nprint('set', flush=True)\nsys.stdin.read()"
    ) as other:
        assert other.stdout.readline() == "set\n"
        found = store.get(key(1))
        store.set(key(1), b"from here", 60)
        other.kill()

    assert found == b"from afar"
    assert store.get(key(1)) == b"from here"


def test_a_worker_killed_while_it_writes_leaves_a_whole_store(made, tmp_path):
    """Whatever it was doing: each value is there whole or not at all, and others go on writing."""
    store = made("shared")
    code = "n = 0\nwhile True:\n    n += 1\n    store.set(f'{n % 150:080x}', b'%d' % n * 2000, 60)"
    for turn in range(8):
        with fresh(tmp_path, code) as writer:
            gevent.sleep(0.02 + 0.01 * turn)
            writer.kill()
        values = [value for n in range(150) if (value := store.get(f"{n:080x}")) is not None]
        store.set(key(turn), b"mine", 60)
        gevent.sleep(0.01)

        assert store.get(key(turn)) == b"mine"
        assert values
        assert all(value == value[: len(value) // 2000] * 2000 for value in values)
        assert store.usage()[0] <= 100


def test_a_worker_that_stops_while_it_writes_blocks_no_other(made, tmp_path):
    store = made("shared")
    hold = f"fcntl.flock(os.open({str(tmp_path / 'writer')!r}, os.O_RDWR), fcntl.LOCK_EX); print('held', flush=True)\n"
    with fresh(tmp_path, hold + "time.sleep(60)") as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        began = Moment()
        for number in range(2 * MAX_WAITING):
            store.set(key(number), b"x", 60)
        store.delete(key(0))
        took = began.now()
        at_once = [store.get(key(number)) for number in (0, 1, MAX_WAITING - 1)]
        with pytest.raises(TimeoutError):
            store.purge("", lambda _key, _value: True)
        holder.kill()
    store.set(key(1), b"y", 60)

    assert at_once == [None, b"x", b"x"]
    assert took < 1
    assert store.get(key(1)) == b"y"


def test_what_waited_for_the_lock_is_written_when_it_is_free(made, tmp_path):
    store = made("shared")
    hold = f"fcntl.flock(os.open({str(tmp_path / 'writer')!r}, os.O_RDWR), fcntl.LOCK_EX); print('held', flush=True)\n"
    with fresh(tmp_path, hold + "time.sleep(60)") as holder:
        assert holder.stdout.readline() == "held\n"
        store.set(key(1), b"x", 60)
        store.set(key(2), b"x", 60)
        store.delete(key(2))
        before = store.usage()[0]
        holder.kill()
    gevent.sleep(0.1)

    assert before == 0
    assert store.usage()[0] == 1
    assert store.get(key(1)) == b"x"


def test_one_process_at_a_time_has_the_lease_of_a_key_and_a_dead_one_none(made, tmp_path):
    store = made("shared")
    claim = f"print(store.claim({key(1)!r}), flush=True); sys.stdin.read()"
    with fresh(tmp_path, claim) as other:
        told = other.stdout.readline()
        while_held = store.claim(key(1)), store.claim(key(2))
        store.release(key(1))
        not_mine = store.claim(key(1))
        other.kill()
    after_death = store.claim(key(1))

    assert (told, while_held, not_mine, after_death) == ("True\n", (False, True), False, True)


def test_a_file_without_room_costs_the_value_alone(made, caplog):
    store = made("shared", entries=10**6, size=10**12 // 4)
    store._env.set_mapsize(1024 * 1024)
    for number in range(100):
        store.set(key(number), b"x" * 50_000, 60)

    assert [record.message for record in caplog.records] == ["cache.failed"]
    assert store.get(key(0)) == b"x" * 50_000
    assert store.get(key(99)) is None


def test_the_sketch_counts_and_forgets():
    sketch = Sketch(bytearray(Sketch.size(100)), 100)
    for _ in range(6):
        sketch.asked(key(1))
    often = sketch.count(key(1))
    for number in range(2000):
        sketch.asked(key(number % 97 + 100))

    assert often == 6
    assert sketch.count(key(1)) <= 2


def test_without_a_folder_each_process_has_a_store_of_its_own(monkeypatch, tmp_path, caplog):
    monkeypatch.delenv(CACHE_FOLDER, raising=False)
    alone = open_level(10, 1000)
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "absent"))
    failed = open_level(10, 1000)

    assert isinstance(alone, Memory)
    assert isinstance(failed, Memory)
    assert [record.message for record in caplog.records] == ["cache.not_shared"]


def test_the_backend_is_flask_cachings(made):
    cache = LocalCache(made("memory"), ttl=60)
    cache.set(key(1), b"x")

    assert cache.get(key(1)) == b"x"
    assert cache.clear()
    assert cache.get(key(1)) is None


# --- the folder


@pytest.fixture
def place(monkeypatch, tmp_path):
    for name in (CACHE_FOLDER, "AURA_CACHE_FOLDER_OWNED", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    remove_cache_folder()


def test_the_master_makes_a_folder_and_removes_it(place):
    folder = prepare_cache_folder(1000)
    there = [file.name for file in place.iterdir()]
    remove_cache_folder()

    assert folder == str(place / there[0])
    assert not list(place.iterdir())


def test_a_folder_that_was_given_is_emptied_and_kept(place, monkeypatch):
    (place / "given").mkdir()
    (place / "given" / "data.mdb").write_text("old")
    monkeypatch.setenv(CACHE_FOLDER, str(place / "given"))
    prepare_cache_folder(1000)
    remove_cache_folder()

    assert list((place / "given").iterdir()) == []


def test_no_folder_is_made_where_there_is_no_room(place, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _place: type("Usage", (), {"free": 1000}))

    assert prepare_cache_folder(501) is None
    assert CACHE_FOLDER not in os.environ


def test_what_a_killed_master_left_is_removed_but_not_what_a_living_one_holds(place, monkeypatch):
    code = "import sys; from aura.runtime import *; print(prepare_cache_folder(1), flush=True); sys.stdin.read()"
    owners = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    left, held = (Path(owner.stdout.readline().strip()) for owner in owners)
    owners[0].kill()
    owners[0].wait()
    for folder in (left, held):
        os.utime(folder, (0, 0))
    mine = Path(prepare_cache_folder(1000) or "")
    exist = [folder.exists() for folder in (left, held, mine)]
    for owner in owners:
        owner.kill()
        owner.communicate()

    assert exist == [False, True, True]
