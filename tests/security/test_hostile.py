"""Every hostile request of the tables, over the wire: its one status, the error object, nothing else."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent.pool import Pool

from tests.server import Server, gateway
from tests.wire import everything

from . import hostile, hostile_bytes
from .hostile_bytes import Bytes
from .watched import Answer, Watched, malformed, told_wrongly, watched

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
# The corpus asks two params for the same bytes: this one for a message of null, and "messages".
CONTRADICTED = "type-messages-list-null"
AT_ONCE = 30

beside = pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of hostile requests are not beside the checkout")


@pytest.fixture(scope="module")
def watch() -> Iterator[Watched]:
    with watched() as made:
        yield made


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """Served by gunicorn's own gevent class."""
    with gateway("aura:\n  providers: {demo: {type: demo}}\n", args=("-k", "gevent")) as server:
        yield server


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
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]
    faults = [] if closed else ["left open"]
    if statuses[:1] != [case.status] or len(statuses) > case.responses:
        faults.append(f"statuses {statuses}")
    if case.status >= 400 and not faults:
        head, _, body = got.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:]]
        headers = {name.lower(): value for name, _, value in lines}
        length = int(headers["content-length"])
        faults += told_wrongly(Answer(case.status, headers, body[:length]), hostile.Request(), None, watch.key)
    return faults


@pytest.mark.parametrize("group", hostile_bytes.GROUPS)
def test_bytes_that_two_readers_could_take_differently_have_one_answer(watch, group):
    asked, cases = len(watch.provider.asked), hostile_bytes.GROUPS[group]
    found = Pool(AT_ONCE).map(lambda case: (case.name, exchanged(watch, case)), cases)

    assert [(name, faults) for name, faults in found if faults] == []
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


@pytest.mark.parametrize(
    "chunks",
    [b"-5\r\nabcde\r\n0\r\n\r\n", b"5\r\nabcdeXX\r\n0\r\n\r\n", b"\r\n", b"5_0\r\n", b"5 \r\nabcde\r\n0\r\n\r\n"],
)
def test_broken_chunks_are_the_clients_fault_under_gunicorns_own_worker_class_too(plain, chunks):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", plain.port), timeout=20) as link:
        link.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        status, _, rest = everything(link).partition(b" ")[2].partition(b" ")

    assert status == b"400"
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad_framing"
    assert "Traceback" not in plain.log()


@beside
@pytest.mark.parametrize("kind", ["json", "raw"])
@pytest.mark.timeout(400)
def test_every_case_of_the_corpora_is_right(watch, kind):
    """The slow ones are left to the worker's own tests, whose limits are shorter."""
    only = [] if kind == "json" else ["--only", "smuggle,chunk,line,hdr,pipe"]
    command = [sys.executable, CORPORA / "run.py", kind, f"127.0.0.1:{watch.server.port}", *only]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = [line for line in ran.stdout.splitlines()[:-1] if not line.startswith(CONTRADICTED)]

    assert wrong == []
    assert re.search(r"\d+ of \d+ right", ran.stdout)
