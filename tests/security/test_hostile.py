"""Every hostile request of the tables, over the wire: its one status, the error object, nothing else."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pool import Pool

from tests.classes import BYTES, CLASSES, GUNICORN, IDS
from tests.wire import statuses

from . import hostile, hostile_bytes
from .hostile_bytes import Bytes
from .watched import Answer, Watched, malformed, told_wrongly, watched

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
# The corpus asks two params for the same bytes: this one for a message of null, and "messages".
CONTRADICTED = "type-messages-list-null"
AT_ONCE = 30
# The reader that takes a byte a second takes a minute and a quarter; it is in a hurry here.
SLOW, PAUSE = "slow-reader-1Bps", 0.05

beside = pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of hostile requests are not beside the checkout")


@pytest.fixture(scope="module", params=CLASSES, ids=IDS)
def served_by(request: pytest.FixtureRequest) -> Any:
    """Either worker class."""
    return request.param


@pytest.fixture(scope="module")
def watch(served_by: str) -> Iterator[Watched]:
    with watched(served_by=served_by, conf="python:tests.quick_conf") as made:
        yield made


@pytest.mark.parametrize("group", hostile.GROUPS)
def test_every_hostile_request_has_its_one_answer(watch, group):
    """Whatever came before it; and a good request behind it, over the same connection, is answered."""
    worker, done, sent = watch.server.workers(), watch.done(), len(watch.emitted)
    cases = hostile.GROUPS[group]
    found = {case.name: watch.faults(case.request, case.status, param=case.param, after=True) for case in cases}

    assert {name: faults for name, faults in found.items() if faults} == {}
    assert watch.server.workers() == worker
    lines = done + len(watch.emitted) - sent
    assert watch.await_done(lines) == lines


def exchanged(watch: Watched, case: Bytes) -> list[str]:
    """Send the bytes of a case; returns what is wrong with what came back."""
    got, closed = b"", False
    with socket.create_connection(("127.0.0.1", watch.server.port), timeout=30) as link:
        try:
            link.sendall(case.data)
            while data := link.recv(65536):
                got += data
            closed = True
        except ConnectionError:
            closed = True
    watch.emitted.append(got)
    told = statuses(got)
    faults = [] if closed else ["left open"]
    if told[:1] != [case.status] or len(told) > case.responses:
        faults.append(f"statuses {told}")
    if case.status >= 400 and not faults:
        head, _, body = got.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:]]
        headers = {name.lower(): value for name, _, value in lines}
        length = int(headers["content-length"])
        faults += told_wrongly(Answer(case.status, headers, body[:length]), hostile.Request(), None, watch.key)
    return faults


@pytest.mark.parametrize("group", hostile_bytes.GROUPS)
def test_bytes_that_two_readers_could_take_differently_have_one_answer(watch, served_by, group):
    asked, cases = len(watch.provider.asked), hostile_bytes.GROUPS[group]
    unlike = {case.name for case in cases} & BYTES.keys() if served_by == GUNICORN else set()
    found = Pool(AT_ONCE).map(lambda case: (case.name, exchanged(watch, case)), cases)

    assert [(name, faults) for name, faults in found if faults and name not in unlike] == []
    assert {name for name, faults in found if faults} == unlike
    assert "smuggled" not in watch.server.log()
    allowed = sum(case.responses for case in cases if case.status == 200 or case.responses > 1)
    assert len(watch.provider.asked) - asked <= allowed


def test_every_line_of_the_log_is_one_object_without_control_characters(watch):
    for case in (*hostile.GROUPS["places"], *hostile.GROUPS["headers"], *hostile.GROUPS["strangers"]):
        watch.send(case.request)

    assert malformed(watch.lines()) == []
    assert hostile.KEY not in watch.server.log()


def test_what_the_worker_refuses_is_counted_and_logged_like_everything_else(watch):
    """Two that are no HTTP at all, one whose id was read before it was refused."""

    def refused() -> float:
        series = 'aura_requests_total{status="400",tier="none"'
        lines = [line for line in watch.metrics().splitlines() if line.startswith(series)]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0

    before = refused()
    seen = b"GET / HTTP/1.1\r\nX-Request-Id: seen\r\nHost: a b\r\n\r\n"
    for data in (b"BAD\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", seen):
        assert exchanged(watch, Bytes("", data, 400)) == []

    assert refused() == before + 3
    line = json.loads(next(line for line in watch.lines() if '"id":"seen"' in line))
    assert (line["event"], line["status"], line["outcome"]) == ("request.done", 400, "bad_framing")


@beside
def test_every_json_case_of_the_corpora_is_right(watch):
    assert wrong(watch, "json", CORPORA / "bad_inputs.jsonl") == []


@beside
def test_every_byte_level_case_of_the_corpora_is_right(watch, tmp_path):
    """All of them on both worker classes, those of slow clients among them."""
    cases = [json.loads(line) for line in (CORPORA / "raw_cases.jsonl").read_text().splitlines()]
    quick = tmp_path / "cases.jsonl"
    quick.write_text("\n".join(json.dumps(case) for case in cases if case["id"] != SLOW))
    reading = gevent.spawn(read_slowly, watch, next(case for case in cases if case["id"] == SLOW))

    assert wrong(watch, "raw", quick) == []
    assert statuses(reading.get()) == [200]


def read_slowly(watch: Watched, case: dict[str, Any]) -> bytes:
    """Read the beginning of an answer byte by byte."""
    with socket.create_connection(("127.0.0.1", watch.server.port), timeout=30) as link:
        for segment in case["segments"]:
            link.sendall(base64.b64decode(segment["b64"]))
        got = b""
        while len(got) < 40:
            gevent.sleep(PAUSE)
            got += link.recv(1)
    return got


def wrong(watch: Watched, kind: str, cases: Path) -> list[str]:
    """What the corpora's own program says of the cases that are answered wrongly."""
    address = f"127.0.0.1:{watch.server.port}"
    command = [sys.executable, CORPORA / "run.py", kind, address, "--file", cases]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    *told, last = ran.stdout.splitlines()
    assert re.fullmatch(r"\d+ of \d+ right", last)
    return [line for line in told if not line.startswith(CONTRADICTED)]
