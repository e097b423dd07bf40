"""The numbers of the metrics: in one file for all workers, of one slot each, whoever reads them."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from aura import samples
from aura.slots import FOLDER, SLOT
from tests.server import ROOT, gateway


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(SLOT, "0")
    monkeypatch.setattr(values, "ValueClass", samples.SlotValue)
    monkeypatch.setattr(samples, "_files", {})
    monkeypatch.setattr(samples, "_values", [])
    yield tmp_path
    samples._forked()


def shown(folder) -> list[str]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_prometheus_own_collector_reads_what_was_counted(folder):
    registry = CollectorRegistry()
    counter = Counter("calls", "Calls.", ["tier"], registry=registry)
    counter.labels("ECO").inc()
    counter.labels("ECO").inc(2.5)
    Gauge("open", "Open.", multiprocess_mode="livesum", registry=registry).set(3)
    Histogram("seconds", "Seconds.", buckets=(1.0,), registry=registry).observe(0.5)

    assert {
        'calls_total{tier="ECO"} 3.5',
        "open 3.0",
        'seconds_bucket{le="1.0"} 1.0',
        'seconds_bucket{le="+Inf"} 1.0',
        "seconds_sum 0.5",
    } <= set(shown(folder))
    assert sorted(file.name for file in folder.iterdir()) == ["counter_0.db", "gauge_livesum_0.db", "histogram_0.db"]


def test_a_slots_next_worker_counts_on(folder):
    Counter("calls", "Calls.", registry=CollectorRegistry()).inc(5)
    samples._forked()
    Counter("calls", "Calls.", registry=CollectorRegistry()).inc(2)

    assert shown(folder) == ["calls_total 7.0"]


def test_a_scrape_while_a_worker_begins_its_files_is_answered(folder, monkeypatch):
    seen, make_room = [], os.posix_fallocate

    def slowly(*room):
        seen.append(shown(folder))
        make_room(*room)

    monkeypatch.setattr(os, "posix_fallocate", slowly)
    Counter("calls", "Calls.", registry=CollectorRegistry()).inc(5)

    assert seen == [[]]
    assert shown(folder) == ["calls_total 5.0"]


def test_numbers_stay_right_while_their_file_grows(folder):
    counter = Counter("calls", "Calls." * 60, ["name"], registry=CollectorRegistry())
    first = counter.labels("first")
    first.inc()
    for number in range(1000):
        counter.labels(f"label-{number}").inc()
    first.inc()

    assert (folder / "counter_0.db").stat().st_size > 256 * 1024
    lines = shown(folder)
    assert len(lines) == 1001
    assert 'calls_total{name="first"} 2.0' in lines


def test_a_forked_worker_writes_a_file_of_its_own(folder, monkeypatch):
    counter = Counter("calls", "Calls.", registry=CollectorRegistry())
    counter.inc()
    samples._forked()
    monkeypatch.setenv(SLOT, "1")
    counter.inc(10)

    assert (folder / "counter_1.db").exists()
    assert shown(folder) == ["calls_total 11.0"]


def test_what_has_no_place_is_lost_and_breaks_nothing(folder):
    """No folder, no descriptor or no room: the next to be counted finds its place when there is one again."""
    there = Counter("there", "There.", ["name"], registry=CollectorRegistry())
    there.labels("before").inc()
    kept = folder.rename(folder.with_name("elsewhere"))
    gauge = Gauge("open", "Open.", multiprocess_mode="livesum", registry=CollectorRegistry())
    gauge.set(3)
    there.labels("before").inc()
    kept.rename(folder)
    gauge.set(4)

    assert set(shown(folder)) == {'there_total{name="before"} 2.0', "open 4.0"}


def test_a_file_that_cannot_grow_keeps_what_it_has(folder, monkeypatch):
    counter = Counter("calls", "Calls.", ["name"], registry=CollectorRegistry())
    counter.labels("first").inc()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(samples.MmapedDict, "_init_value", full)
        counter.labels("second").inc()
        counter.labels("first").inc()
    counter.labels("second").inc()

    assert {line[-3:] for line in shown(folder)} == {"2.0", "1.0"}


COUNTING = """
from aura import metrics
metrics.requests["ECO", "200"].inc()
metrics.provider_duration[("demo",)].observe(0.1)
metrics.streams_open.set(1)

def app(environ, start):
    body = metrics.exposition("")[0]
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_two_hundred_restarts_leave_the_files_of_the_workers_there_are(tmp_path):
    """A slot is used again, and what its workers counted stays."""
    (tmp_path / "counting.py").write_text(COUNTING)
    files, workers, rounds = tmp_path / "metrics", 4, 50
    env = {"PYTHONPATH": f"{ROOT}:{tmp_path}", FOLDER: str(files)}
    with gateway(env=env, workers=workers, args=["-k", "gevent"], app="counting:app", wait=False) as server:
        url = "http://127.0.0.1:" + server.wait_for(r"Listening at: http://[^\s]*:(\d+)")[1]
        until(lambda: counted(url) == workers)
        first = sorted(path.name for path in files.glob("*.db"))
        for restarts in range(workers, workers * rounds + 1, workers):
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
            until(lambda wanted=workers + restarts: counted(url) == wanted)

        assert counted(url) == workers * (rounds + 1)
        assert len(list(files.glob("*.db"))) <= 2 * len(first)
        assert "aura_streams_open 4.0" in requests.get(url, timeout=20).text


def counted(url: str) -> float:
    """What all workers have counted; nothing while none answers."""
    try:
        text = requests.get(url, headers={"Connection": "close"}, timeout=20).text
    except requests.ConnectionError:
        return 0
    found = re.search(r'^aura_requests_total\{status="200",tier="ECO"\} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0


def until(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
