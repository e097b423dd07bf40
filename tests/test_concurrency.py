"""Thousands of streams in one process: all complete, none crossed."""

from __future__ import annotations

import resource
import struct
from pathlib import Path

import gevent
import orjson
import pytest
from gevent import socket

from .faulty import Faulty
from .server import Server, gateway

STREAMS = 1000


def one_stream(server: Server, nonce: str) -> str:
    """Ask for a stream over a connection of its own; its whole text, or what was wrong."""
    body = orjson.dumps(
        {"model": "premium", "stream": True, "user": nonce, "messages": [{"role": "user", "content": nonce}]}
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as link:
        link.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        answer = b""
        while data := link.recv(65536):
            answer += data
    events = [line[6:] for line in answer.split(b"\r\n") for line in line.split(b"\n") if line.startswith(b"data: ")]
    if not events or events[-1] != b"[DONE]":
        return f"not complete: {answer[:200]!r}"
    chunks = [orjson.loads(event) for event in events[:-1]]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_a_thousand_streams_at_once_through_one_worker_are_all_whole_and_none_is_crossed(record_property):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Faulty() as provider:
        config = f"""
aura:
  log: {{level: WARNING}}
  providers:
    openai: {{base-url: "{provider.url}/ok:interval:0.2/v1", api-key: test-key-1}}
"""
        with gateway(config) as server:
            before = memory_mb(server.workers()[0])
            asked = [gevent.spawn(one_stream, server, f"nonce-{n:04}") for n in range(STREAMS)]
            gevent.joinall(asked, timeout=100)
            texts = [greenlet.value or "did not end" for greenlet in asked]
            peak = memory_mb(server.workers()[0])
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{STREAMS} streams, {len(provider.asked)} asked, memory of the worker {before:.0f} MB to {peak:.0f} MB")
    record_property("memory_mb", round(peak))

    wrong = [(n, text) for n, text in enumerate(texts) if f"nonce-{n:04}" not in text or text.count("nonce-") != 1]
    assert not wrong
    assert len({text.replace(f"nonce-{n:04}", "") for n, text in enumerate(texts)}) == 1
    assert len(provider.asked) == STREAMS


def refused(server: Server, path: bytes, body: bytes) -> int:
    """Send a body; its status."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(
            b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (path, len(body), body)
        )
        return int(link.recv(65536).split()[1])


@pytest.mark.parametrize(
    ("statuses", "path", "body"),
    [
        ({400}, b"/v1/chat/completions", {"temperature": "high"}),
        ({400}, b"/v1/messages", {"max_tokens": "many"}),
        ({400}, b"/v1/responses", {"input": 5}),
        ({502, 503}, b"/v1/responses", {"input": "word " * 80_000, "messages": None}),
        ({404}, b"/v1/nothing", {}),
        ({502, 503}, b"/v1/chat/completions", {}),
        ({502, 503}, b"/v1/chat/completions", {"stream": True}),
    ],
)
def test_requests_that_fail_leave_no_body_in_memory(statuses, path, body):
    chat = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "word " * 80_000}]}
    data = orjson.dumps({**chat, **body})
    config = """
aura:
  log: {level: WARNING}
  providers:
    openai: {base-url: "http://127.0.0.1:9/v1", api-key: test-key-1}
"""
    with gateway(config) as server:
        assert {refused(server, path, data) for _ in range(8)} <= statuses
        before = memory_mb(server.workers()[0])
        assert {refused(server, path, data) for _ in range(60)} <= statuses
        grown = memory_mb(server.workers()[0]) - before

    assert grown < 10


def left(server: Server, sent: bytes, seconds: float) -> None:
    """Send bytes, and reset the connection after a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(sent)
        gevent.sleep(seconds)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
CHAT = orjson.dumps({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "word " * 80_000}]})
RESPONSE = orjson.dumps({"model": "openai/gpt-4o", "input": "word " * 80_000})


@pytest.mark.parametrize(
    ("times", "sent"),
    [
        (60, HEAD % b"/v1/chat/completions" + b"Content-Length: 500000\r\n\r\n" + CHAT),
        (60, HEAD % b"/v1/chat/completions" + b"Transfer-Encoding: chunked\r\n\r\n7a120\r\n" + CHAT),
        (60, HEAD % b"/v1/chat/completions" + b"Content-Length: %d\r\n\r\n" % len(CHAT) + CHAT),
        (60, HEAD % b"/v1/responses" + b"Content-Length: %d\r\n\r\n" % len(RESPONSE) + RESPONSE),
        (400, HEAD % b"/v1/chat/completions" + b"X-Long: " + b"x" * 60_000),
        (400, HEAD % b"/v1/chat/completions" + b"X-Long: " + b"x" * 60_000 + b"\r\nExpect: more\r\n\r\n"),
    ],
    ids=["in the body", "in a chunk", "before the answer", "before the response", "in the head", "after a refusal"],
)
def test_clients_that_leave_leave_nothing_in_memory(times, sent):
    with Faulty() as provider:
        provider.always = "silence"
        config = f"""
aura:
  log: {{level: ERROR}}
  providers:
    openai: {{base-url: "{provider.url}/v1", api-key: test-key-1}}
"""
        with gateway(config) as server:

            def all_left(count: int) -> float:
                for _ in range(count // 4):
                    gevent.joinall([gevent.spawn(left, server, sent, 0.05) for _ in range(4)], raise_error=True)
                gevent.sleep(0.2)
                return memory_mb(server.workers()[0])

            before = all_left(16)
            grown = all_left(times) - before

    assert grown < 10
