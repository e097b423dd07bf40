"""Prompts recorded for calibration and replay: only where a file is named, and never in a call's way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gevent
import pytest
import requests

from aura.call import Call
from aura.recording import MAX_LINE, Recorder

from .faulty import Faulty
from .server import gateway


def call(text: str, tier: str | None = None, **more: object) -> Call:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
    return Call("req", body, headers={} if tier is None else {"x-aura-tier": tier})


def recorded(recorder: Recorder, path: Path) -> list[dict]:
    """What stands in the file when all has been written."""
    if recorder._writer is not None:
        recorder._writer.join()
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_bodies_are_written_as_they_came_in_their_order(tmp_path):
    path = tmp_path / "traffic.jsonl"
    recorder = Recorder(str(path))
    bodies = [call(f"{n} 漢字\n", temperature=0.5).body for n in range(100)]
    for body in bodies:
        recorder.record(Call("req", body))

    assert recorded(recorder, path) == bodies
    assert path.stat().st_mode & 0o077 == 0


def test_a_later_run_goes_on_with_the_file(tmp_path):
    path = tmp_path / "traffic.jsonl"
    for text in ("one", "two"):
        recorder = Recorder(str(path))
        recorder.record(call(text))
        recorded(recorder, path)

    assert [body["messages"][0]["content"] for body in recorded(recorder, path)] == ["one", "two"]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (call("x", tier="premium"), {"tier": "premium"}),
        (call("x", tier="premium", aura={"max_cost_usd": 1}), {"max_cost_usd": 1, "tier": "premium"}),
        (call("x", tier="premium", aura={"tier": "eco"}), {"tier": "eco"}),
        (call("x"), None),
    ],
)
def test_a_tier_named_by_header_is_not_lost(tmp_path, given, written):
    path = tmp_path / "traffic.jsonl"
    before = json.dumps(given.body)
    recorder = Recorder(str(path))
    recorder.record(given)

    assert recorded(recorder, path)[0].get("aura") == written
    assert json.dumps(given.body) == before


def test_a_line_that_is_too_long_is_left_out(tmp_path):
    path = tmp_path / "traffic.jsonl"
    recorder = Recorder(str(path))
    recorder.record(call("x" * MAX_LINE))
    recorder.record(call("short"))

    assert len(recorded(recorder, path)) == 1
    assert recorder.left_out == 1


def test_a_full_file_grows_no_more(tmp_path):
    path = tmp_path / "traffic.jsonl"
    recorder = Recorder(str(path), max_file=100)
    for _ in range(10):
        recorder.record(call("x" * 100))
        recorded(recorder, path)

    assert len(recorded(recorder, path)) == 1
    assert recorder.left_out >= 1


def test_a_reader_that_does_not_read_holds_no_one_up_and_memory_is_bounded(tmp_path):
    """A pipe that nobody empties stands for a disk that does not answer."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(str(path))
    ticks = []
    ticking = gevent.spawn(lambda: [ticks.append(n) or gevent.sleep(0) for n in range(100)])
    for _ in range(40):
        recorder.record(call("x" * (MAX_LINE - 1000)))
        gevent.sleep(0)
    ticking.join()

    assert len(ticks) == 100
    assert recorder.left_out > 0
    os.set_blocking(reader, True)
    emptied = gevent.get_hub().threadpool.spawn(_empty, reader)
    recorder._writer.join()
    os.close(recorder._fd)
    emptied.get()
    os.close(reader)


def _empty(fd: int) -> None:
    while os.read(fd, 1024 * 1024):
        pass


def test_a_file_that_cannot_be_opened_ends_no_call(tmp_path):
    recorder = Recorder(str(tmp_path / "none" / "traffic.jsonl"))

    recorder.record(call("x"))


def test_the_gateway_records_what_it_routes_and_warns_of_it(tmp_path):
    path = tmp_path / "traffic.jsonl"
    with Faulty() as provider:
        config = f"""
aura:
  log: {{record-prompts: {path}}}
  providers: {{openai: {{base-url: "{provider.url}/v1", api-key: test-key-1}}}}
"""
        with gateway(config) as server:
            for body in (call("first").body, call("first").body, {"model": "auto", "messages": []}, call("last").body):
                requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
            requests.post(f"{server.url}/v1/route", json=call("asked").body, timeout=30)
            server.signal(15)
            server.wait()
            log = server.log()

    texts = [json.loads(line)["messages"][0]["content"] for line in path.read_text().splitlines()]
    assert texts == ["first", "first", "last"]
    assert "WARNING" in log
    assert str(path) in log


def test_nothing_is_recorded_unless_a_file_is_named(tmp_path):
    with gateway("aura: {}") as server:
        requests.post(f"{server.url}/v1/chat/completions", json=call("a-secret-prompt").body, timeout=30)
        files = [path for path in server.folder.rglob("*") if path.is_file()]

        assert not any(b"a-secret-prompt" in path.read_bytes() for path in files)
        assert "record" not in server.log()
