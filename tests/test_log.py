"""The log: what a line says, and that neither a line is lost nor a call held by who reads it."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import gevent
import pytest
import requests

from aura import log, sink
from aura.settings import LogSettings
from tests.calls import chat, provider
from tests.faulty import Faulty
from tests.server import APPLICATION, CONF, ROOT, gateway

pytestmark = pytest.mark.xdist_group("log")

MANY = 3000
"""Lines enough for any pipe: it holds 64 KiB."""


class Lost:
    """Counts what is lost, and is told when it ends."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[int] = []

    def __call__(self) -> None:
        self.count += 1


@contextmanager
def output(monkeypatch, fd: int) -> Iterator[tuple[sink.Sink, Lost]]:
    """A sink on a descriptor that stands in for standard output."""
    lost = Lost()
    with open(fd, "wb", closefd=False) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        made = sink.Sink("", lost, lost.told.append)
        yield made, lost
        made.close()


def line(number: int) -> bytes:
    return b"%06d %s\n" % (number, b"x" * 92)


def wait_until(true) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        gevent.sleep(0.01)


def read(fd: int, size: int) -> bytes:
    """Read so many bytes, some at a time; the loop goes on meanwhile."""
    os.set_blocking(fd, False)
    got = bytearray()

    def enough() -> bool:
        got.extend(_some(fd))
        return len(got) >= size

    wait_until(enough)
    return bytes(got)


def _some(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


# ---- a reader that does not read


def test_a_slow_reader_gets_every_line_and_holds_nobody(monkeypatch):
    reading, writing = os.pipe()
    with output(monkeypatch, writing) as (made, lost):
        for number in range(MANY):
            made.write(line(number))
        got = read(reading, MANY * 100)

    assert got == b"".join(map(line, range(MANY)))
    assert (lost.count, lost.told) == (0, [])


def test_the_pipe_itself_still_waits_for_others_who_hold_it(monkeypatch):
    _, writing = os.pipe()
    with output(monkeypatch, writing):
        assert os.get_blocking(writing)


def test_beyond_the_bound_the_newest_lines_are_lost_and_counted(monkeypatch):
    monkeypatch.setattr(sink, "MAX_WAITING", 10_000)
    reading, writing = os.pipe()
    with output(monkeypatch, writing) as (made, lost):
        for number in range(MANY):
            made.write(line(number))
        taken = MANY - lost.count
        assert 0 < taken < MANY
        got = read(reading, taken * 100)
        wait_until(lambda: lost.told)

    assert got == b"".join(map(line, range(taken)))
    assert lost.told == [lost.count]


def test_a_pipe_that_nobody_reads_any_more_raises_nothing(monkeypatch):
    reading, writing = os.pipe()
    with output(monkeypatch, writing) as (made, _lost):
        os.close(reading)
        for number in range(10):
            made.write(line(number))


def test_a_closed_output_raises_nothing(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
    made = sink.Sink("", Lost(), lambda _lost: None)
    made.write(line(1))
    made.close()


def test_a_full_disk_raises_nothing(monkeypatch):
    lost = Lost()
    monkeypatch.setattr(sink, "MAX_WAITING", 1000)
    made = sink.Sink("/dev/full", lost, lost.told.append)
    for number in range(100):
        made.write(line(number))
    made.close()

    assert lost.count == 90


def test_what_cannot_be_written_is_tried_again_now_and_then_and_not_all_the_time(monkeypatch):
    tries: list[float] = []
    made = sink.Sink("/dev/full", Lost(), lambda _lost: None)
    flush = made._flush
    monkeypatch.setattr(made, "_flush", lambda: tries.append(time.monotonic()) or flush())
    made.write(line(1))
    wait_until(lambda: len(tries) >= 4)
    made.close()
    gevent.idle()  # which never comes while a timer rings all the time

    assert min(after - before for before, after in pairwise(tries)) > sink.AGAIN / 10


def test_a_stopped_terminal_holds_nobody(monkeypatch):
    ours, theirs = pty.openpty()
    with output(monkeypatch, theirs) as (made, _lost):
        for number in range(MANY):
            made.write(line(number))
        assert os.read(ours, 7) == b"000000 "
    os.close(ours)


def test_a_pipe_that_cannot_be_opened_anew_is_written_to_with_care(monkeypatch):
    """It belongs to another user, say."""
    reading, writing = os.pipe()
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *more: real("/nonexistent" if "/proc" in str(path) else path, *more))
    with output(monkeypatch, writing) as (made, _lost):
        for number in range(MANY):
            made.write(line(number))
        got = read(reading, MANY * 100)

    assert got == b"".join(map(line, range(MANY)))


def test_a_named_pipe_may_get_its_reader_later(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    made = sink.Sink(str(path), Lost(), lambda _lost: None)
    made.write(line(1))
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    wait_until(lambda: _some(reading) == line(1))
    made.close()


def test_a_line_may_come_from_another_thread(monkeypatch):
    reading, writing = os.pipe()
    with output(monkeypatch, writing) as (made, _lost):
        gevent.get_hub().threadpool.apply(lambda: [made.write(line(number)) for number in range(MANY)])
        got = read(reading, MANY * 100)

    assert got == b"".join(map(line, range(MANY)))


def test_a_forked_process_does_not_write_what_its_parent_will(monkeypatch):
    _reading, writing = os.pipe()
    with output(monkeypatch, writing) as (made, _lost):
        for number in range(MANY):
            made.write(line(number))
        made.forget()

        assert made._flush()


def test_what_waits_is_written_before_the_process_ends(tmp_path):
    """Its reader begins to read when it wants to end."""
    code = (
        "import logging; from aura import log; from aura.settings import LogSettings; log.setup(LogSettings());"
        f"[logging.getLogger('aura').info('line', extra={{'number': n}}) for n in range({MANY})]"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()

    assert [json.loads(one)["number"] for one in lines] == list(range(MANY))


# ---- the form of a line


@pytest.fixture
def written(tmp_path):
    """What a record looks like."""

    def write(form: str, event: str, level: int = logging.INFO, **fields: object) -> str:
        handler = log.handler(LogSettings(format=form, file=str(tmp_path / "log")))
        record = logging.LogRecord("aura.x", level, "", 0, event, (), None)
        vars(record).update(fields)
        handler.emit(record)
        handler.close()
        return (tmp_path / "log").read_text()

    return write


def test_json_is_one_object_a_line(written):
    told = json.loads(written("json", "thing.done", number=5, text="a\nb"))

    wanted = {"level": "info", "logger": "aura.x", "event": "thing.done", "number": 5, "text": "a\nb"}
    assert told.items() >= wanted.items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["time"])


def test_text_is_a_line_for_people_without_control_characters(written):
    told = written("text", "thing.done", logging.WARNING, number=5, empty=None, text="a\nb\x1b[31m")

    assert re.fullmatch(r"\S+Z WARNING thing\.done number=5 text=a\\x0ab\\x1b\[31m\n", told)


def test_what_cannot_be_told_does_not_fail_the_call(written):
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    assert "log.unprintable" in written("json", "thing.done", odd=Odd())


# ---- a running gateway


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("json", r'^\{"time":.*"event":"Listening at: http://.*\}$'),
        ("text", r"^\S+Z INFO    Listening at: http://"),
    ],
)
def test_gunicorns_lines_follow_form_and_level(form, wanted):
    with gateway(f"aura: {{log: {{format: {form}}}}}\n") as server:
        chat(server.port, "auto")
        server.wait_for(r"request\.done.*chat")

        assert re.search(wanted, server.log(), re.MULTILINE)
        assert "[INFO]" not in server.log()


def test_gunicorns_lines_are_silent_above_their_level():
    port = free_port()
    with gateway("aura: {log: {level: ERROR}}\n", args=["-b", f"127.0.0.1:{port}"], wait=False) as server:
        wait_until(lambda: _answers(port))
        server.signal(signal.SIGTERM)

        assert server.wait() == 0
        assert "Listening" not in server.log()


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/actuator/health", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_the_command_line_decides_where_gunicorns_lines_go(tmp_path):
    path = tmp_path / "error.log"
    with gateway(args=["--error-logfile", str(path)], wait=False) as server:
        deadline = time.monotonic() + 60
        while not path.exists() or "Booting worker" not in path.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert "Listening" not in server.log()
        server.signal(signal.SIGUSR1)
        path.rename(tmp_path / "old.log")


def test_a_log_file_is_reopened_by_all_processes_on_sigusr1(tmp_path):
    path, old = tmp_path / "aura.log", tmp_path / "old.log"
    config = f"aura:\n  server: {{port: {free_port()}}}\n  log: {{file: {path}}}\n"
    with filed(config, path, workers=2) as (server, port):
        chat(port, "auto")
        path.rename(old)
        server.send_signal(signal.SIGUSR1)
        wait_until(path.exists)
        time.sleep(0.2)
        for number in range(8):
            chat(port, "auto", f"after-{number}", headers={"X-Request-Id": f"after-{number}"})
        server.send_signal(signal.SIGTTIN)  # a line of the master's
        wait_until(lambda: "after-7" in path.read_text() and "Booting worker" in path.read_text())

        assert "after-" not in old.read_text()
        assert [f"after-{number}" in path.read_text() for number in range(8)] == [True] * 8


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def filed(config: str, path: Path, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway that logs to a file, so that its output tells nothing."""
    (path.parent / "aura.yml").write_text(config)
    env = {**os.environ, "AURA_CONFIG": str(path.parent / "aura.yml")}
    command = [sys.executable, "-m", "gunicorn", "-c", CONF, "-w", str(workers), APPLICATION]
    process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: path.exists() and path.read_text().count("Booting worker") == workers)
        found = re.search(r"Listening at: http://[^\s]*:(\d+)", path.read_text())
        assert found is not None
        yield process, int(found[1])
    finally:
        process.terminate()
        assert process.stdout is not None
        rest = process.stdout.read()
        process.wait(20)
    assert rest == b""


def test_a_log_file_that_cannot_be_opened_ends_the_start_with_78(tmp_path):
    with gateway(f"aura: {{log: {{file: {tmp_path}/nowhere/aura.log}}}}\n", wait=False) as server:
        assert server.wait() == 78
        assert "aura.log.file" in server.log()
        assert "Traceback" not in server.log()


def test_a_reader_that_has_stopped_reading_stops_no_call():
    """The pipe is full after some hundred lines; calls go on, the lines wait, and come when they are read."""
    with piped() as (process, port):
        for number in range(600):
            assert requests.get(f"http://127.0.0.1:{port}/v1/models", timeout=60).status_code == 200, number
        lines: list[bytes] = []
        reader = gevent.spawn(lambda: lines.extend(process.stdout or ()))
        wait_until(lambda: sum(b"request.done" in one for one in lines) == 600)
        reader.kill()


def test_a_reader_that_has_gone_stops_no_call():
    with piped() as (process, port):
        assert process.stdout is not None
        process.stdout.close()
        for _ in range(20):
            assert requests.get(f"http://127.0.0.1:{port}/v1/models", timeout=60).status_code == 200


@contextmanager
def piped() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway whose log is a pipe to us."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("AURA_")}
    command = [sys.executable, "-m", "gunicorn", "-c", CONF, "-w", "1", "-b", "127.0.0.1:0", APPLICATION]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            port = 0
            for one in process.stdout:
                found = re.search(rb"Listening at: http://[^\s]*:(\d+)", one)
                port = int(found[1]) if found else port
                if b"Booting worker" in one:
                    break
            yield process, port
        finally:
            process.kill()


# ---- ids


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("openai", ["x-request-id", "x-client-request-id"]),
        ("anthropic", ["x-request-id"]),
        ("ollama", ["x-request-id"]),
    ],
)
def test_the_clients_id_goes_to_the_provider_and_comes_back(kind, names):
    with Faulty() as upstream:
        config = "aura:\n  providers:\n" + provider("p", upstream.url, kind=kind)
        with gateway(config) as server:
            outcome = chat(server.port, "auto", stream=False, headers={"X-Request-Id": "client-id.1"})

    assert outcome.headers["x-request-id"] == "client-id.1"
    assert [upstream.asked[0].headers.get(name) for name in names] == ["client-id.1"] * len(names)


@pytest.mark.parametrize("sent", ["", "a b", "é", "x" * 129, "-first"])
def test_an_id_that_is_not_well_formed_is_replaced(sent):
    with gateway() as server:
        outcome = chat(server.port, "auto", headers={"X-Request-Id": sent.encode()})

    assert re.fullmatch(r"req_[0-9a-f]{32}", outcome.headers["x-request-id"])


def test_an_id_that_the_operator_sends_stands_above_ours():
    with Faulty() as upstream:
        entry = provider("p", upstream.url).replace("timeout:", "headers: {X-Request-Id: fixed}, timeout:")
        with gateway("aura:\n  providers:\n" + entry) as server:
            chat(server.port, "auto", stream=False)

    assert upstream.asked[0].headers["x-request-id"] == "fixed"
