"""Identical calls at once in several workers and instances: one upstream call, streams included."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gevent
import pytest

from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .faulty.faults import FAULTS, fault
from .faulty.grammar import Asked
from .faulty.server import Conversation
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("cache")

SLOW = "first/ok:tokens:12:interval:0.2"  # a stream of more than two seconds


@fault
def refusing_late(link: Conversation, asked: Asked) -> None:
    """A status after a second."""
    link.pause(1)
    FAULTS["status"](link, asked)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Faulty) -> Iterator[Server]:
    with gateway(config(upstream), workers=2) as running:
        yield running


def config(upstream: Faulty, more: str = "") -> str:
    return f"aura:\n{more}  providers:\n{provider('first', upstream.url)}{provider('second', upstream.url)}"


class Client:
    """A client whose connection is served by a worker of the tester's choice."""

    def __init__(self, server: Server, worker: int) -> None:
        until = time.monotonic() + 30
        while True:
            assert time.monotonic() < until, "the worker takes no connection"
            self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            self._connection.request("GET", "/actuator/health")
            self._connection.getresponse().read()
            if serves(worker, self._connection.sock.getsockname()[1], server.port):
                break
            self._connection.close()
        self.outcome = Outcome()
        self._response: http.client.HTTPResponse | None = None

    def begin(
        self, model: str, nonce: str, stream: bool = True, path: str = "/v1/chat/completions", **more: object
    ) -> None:
        """Ask, and read the head."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": f"{nonce} tell me"}]} | more
        self._began = time.monotonic()
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        self._response = self._connection.getresponse()
        self.outcome = Outcome(self._response.status, began=time.monotonic() - self._began)
        self.outcome.headers = {name.lower(): value for name, value in self._response.getheaders()}

    def read(self) -> bytes:
        """Read a piece."""
        piece = self._response.read1(65536)
        if piece:
            self.outcome.at.append((time.monotonic() - self._began, piece))
            self.outcome.body += piece
        return piece

    def ask(self, model: str, nonce: str, stream: bool = True, **more: object) -> Outcome:
        """Ask, and read the answer to its end."""
        self.begin(model, nonce, stream, **more)
        while self.read():
            pass
        return self.outcome

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()


def serves(worker: int, near: int, far: int) -> bool:
    """Whether a process holds the far end of a connection, by the ports of both."""
    lines = [line.split() for line in Path(f"/proc/{worker}/net/tcp").read_text().splitlines()[1:]]
    inodes = [line[9] for line in lines if line[1].endswith(f":{far:04X}") and line[2].endswith(f":{near:04X}")]
    held = {os.readlink(file) for file in Path(f"/proc/{worker}/fd").iterdir() if file.is_symlink()}
    return any(f"socket:[{inode}]" in held for inode in inodes)


@pytest.fixture
def leader(server: Server) -> Iterator[Client]:
    with closing(Client(server, server.workers()[0])) as client:
        yield client


@pytest.fixture
def follower(server: Server) -> Iterator[Client]:
    with closing(Client(server, server.workers()[1])) as client:
        yield client


def times(upstream: Faulty, nonce: str) -> int:
    """How often a provider was asked."""
    return sum(asked.nonce == nonce for asked in upstream.asked)


@pytest.mark.parametrize("stream", [False, True])
def test_identical_calls_at_several_workers_make_one_upstream_call(server, upstream, stream):
    nonce = f"workers-{stream}"
    asking = [gevent.spawn(chat, server.port, "first/late:by:1", nonce, stream=stream, limit=60.0) for _ in range(200)]
    gevent.joinall(asking, raise_error=True)
    outcomes = [one.value for one in asking]
    told = [outcome.headers["x-aura-cache"] for outcome in outcomes]

    assert times(upstream, nonce) == 1
    assert {(outcome.status, outcome.text) for outcome in outcomes} == {(200, text(nonce))}
    assert {outcome.done for outcome in outcomes} == {int(stream)}
    assert (told.count("miss"), told.count("hit")) == (1, 199)


def test_a_late_reader_at_another_worker_gets_what_was_said_and_then_what_comes(upstream, leader, follower):
    leader.begin(SLOW, "late")
    leader.read()
    gevent.sleep(0.8)
    second = follower.ask(SLOW, "late")
    while leader.read():
        pass

    assert times(upstream, "late") == 1
    assert second.body == leader.outcome.body
    assert (second.text, second.done) == (text("late"), 1)
    assert len(second.at) > 4
    assert second.headers["x-aura-cache"] == "hit"
    assert second.headers["x-aura-model"] == leader.outcome.headers["x-aura-model"]


def test_a_call_that_is_not_streamed_follows_another_worker_too(upstream, leader, follower):
    first = gevent.spawn(leader.ask, "first/late:by:1", "whole", stream=False)
    gevent.sleep(0.3)
    second = follower.ask("first/late:by:1", "whole", stream=False)

    assert times(upstream, "whole") == 1
    assert second.body == first.get().body
    assert float(second.headers["x-aura-cost-usd"]) == 0


@pytest.mark.parametrize("model", [SLOW, "first/late:by:1.5"])
def test_a_stream_lives_on_for_another_worker_when_its_first_client_leaves(upstream, leader, follower, model):
    nonce = f"leaves-{model[6:8]}"
    first = gevent.spawn(leader.begin, model, nonce)
    gevent.sleep(0.4)
    second = gevent.spawn(follower.ask, model, nonce)
    gevent.sleep(0.4)
    first.kill()
    leader.close()
    outcome = second.get()

    assert times(upstream, nonce) == 1
    assert (outcome.text, outcome.done) == (text(nonce), 1)


def test_the_upstream_call_ends_when_the_last_has_left_wherever_it_was(upstream, leader, follower):
    for client in (leader, follower):
        client.begin("first/stall:after:2", "all-leave")
        client.read()
    asked = next(asked for asked in upstream.asked if asked.nonce == "all-leave")
    began = time.monotonic()
    leader.close()
    follower.close()
    ended = upstream.ended_at(asked.connection)

    assert times(upstream, "all-leave") == 1
    assert ended - began < 10


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_first_worker_fails_one_other_asks_again(server, upstream, leader, follower, stream):
    nonce = f"fails-{stream}"
    upstream.next.append("refusing-late:code:400")
    first = gevent.spawn(leader.ask, "first/late:by:0.5", nonce, stream)
    gevent.sleep(0.3)
    second = follower.ask("first/late:by:0.5", nonce, stream)

    assert first.get().status == 400
    assert (second.status, second.text) == (200, text(nonce))
    assert times(upstream, nonce) == 2


def test_a_failure_that_comes_again_is_told_to_all_workers(server, upstream):
    asking = [gevent.spawn(chat, server.port, "first/refusing-late:code:400", "always") for _ in range(40)]
    gevent.joinall(asking, raise_error=True)

    assert {one.value.status for one in asking} == {400}
    assert times(upstream, "always") <= 5


def test_two_tenants_never_share_what_is_on_its_way(upstream):
    keys = "  auth: {keys: [{name: a, key: key-a}, {name: b, key: key-b}]}\n"
    with gateway(config(upstream, keys), workers=2) as server:
        asking = [
            gevent.spawn(
                chat, server.port, "first/late:by:1", "tenants", headers={"Authorization": f"Bearer key-{'ab'[n % 2]}"}
            )
            for n in range(20)
        ]
        gevent.joinall(asking, raise_error=True)
    told = [one.value.headers["x-aura-cache"] for one in asking]

    assert {one.value.text for one in asking} == {text("tenants")}
    assert times(upstream, "tenants") == 2
    assert (told[::2].count("miss"), told[1::2].count("miss")) == (1, 1)


def test_a_worker_that_is_killed_before_content_is_followed_by_another(upstream):
    with gateway(config(upstream), workers=2) as server:
        leads, follows = server.workers()
        with closing(Client(server, leads)) as leader, closing(Client(server, follows)) as follower:
            first = gevent.spawn(leader.begin, "first/late:by:1.5", "killed-early")
            gevent.sleep(0.3)
            second = gevent.spawn(follower.ask, "first/late:by:1.5", "killed-early")
            gevent.sleep(0.3)
            os.kill(leads, signal.SIGKILL)
            first.kill()
            outcome = second.get()

    assert (outcome.status, outcome.text, outcome.done) == (200, text("killed-early"), 1)
    assert times(upstream, "killed-early") == 2


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_stream_whose_worker_is_lost_in_the_middle_is_gone_on_with(upstream, sign):
    nonce = f"lost-{sign.name}"
    with gateway(config(upstream), workers=2) as server:
        leads, follows = server.workers()
        with closing(Client(server, leads)) as leader, closing(Client(server, follows)) as follower:
            leader.begin("first/ok:tokens:30:interval:0.2", nonce)
            leader.read()
            second = gevent.spawn(follower.ask, "first/ok:tokens:30:interval:0.2", nonce)
            gevent.sleep(1.2)
            os.kill(leads, sign)
            outcome = second.get()

    assert times(upstream, nonce) == 2
    assert (outcome.text, outcome.done, outcome.errors) == (text(nonce, 30), 1, [])
    assert any("continued by first/" in comment for comment in outcome.comments)


def said(body: bytes, path: str) -> str:
    """The text of a stream in the grammar of a path."""
    if path == "/api/chat":
        return "".join(json.loads(line)["message"]["content"] for line in body.splitlines())
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    if path == "/v1/responses":
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return "".join(delta.get("text", "") for delta in deltas)


@pytest.mark.parametrize(
    ("path", "target", "ends"),
    [
        ("/v1/messages", "first", b'"message_stop"'),
        ("/v1/messages", "claude", b'"message_stop"'),
        ("/v1/responses", "claude", b'"response.completed"'),
        ("/api/chat", "first", b'"done":true'),
    ],
)
def test_a_lost_stream_is_gone_on_with_in_every_grammar(upstream, path, target, ends):
    nonce = f"lost{path.replace('/', '-')}-{target}"
    model = f"{target}/ok:tokens:20:interval:0.2"
    more = {"max_tokens": 1000} if path == "/v1/messages" else {}
    if path == "/v1/responses":
        more = {"input": f"{nonce} tell me", "messages": None}
    claude = provider("claude", upstream.url, kind="anthropic")
    with gateway(config(upstream) + claude, workers=2) as server:
        leads, follows = server.workers()
        with closing(Client(server, leads)) as leader, closing(Client(server, follows)) as follower:
            leader.begin(model, nonce, path=path, **more)
            leader.read()
            second = gevent.spawn(follower.ask, model, nonce, path=path, **more)
            gevent.sleep(1.2)
            os.kill(leads, signal.SIGKILL)
            outcome = second.get()

    assert times(upstream, nonce) == 2
    assert said(outcome.body, path) == text(nonce, 20)
    assert outcome.body.count(ends) == 1
    assert b'"error":{' not in outcome.body
