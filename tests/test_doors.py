"""What holds at every door alike: limits, the client's end, the form of errors, one line in the log."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import pytest

from .busy import Moment
from .calls import provider
from .faulty import Faulty
from .server import Server, gateway
from .wire import everything

pytestmark = pytest.mark.xdist_group("doors")

KEY, LONG = "key-of-the-doors", 20
_numbers = itertools.count()
_USER = {"role": "user", "content": "nonce tell me"}
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nMODEL\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
)
CHATS: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", {"model": "far/MODEL", "messages": [_USER]}),
    "azure's chat": ("/openai/deployments/MODEL/chat/completions", {"messages": [_USER]}),
    "completions": ("/v1/completions", {"model": "far/MODEL", "prompt": "nonce tell me"}),
    "messages": ("/v1/messages", {"model": "far/MODEL", "max_tokens": 500, "messages": [_USER]}),
    "messages of Anthropic": ("/v1/messages", {"model": "claude/MODEL", "max_tokens": 500, "messages": [_USER]}),
}
DOORS: dict[str, tuple[str, Any]] = CHATS | {
    "count_tokens": ("/v1/messages/count_tokens", {"model": "claude/MODEL", "messages": [_USER]}),
    "embeddings": ("/v1/embeddings", {"model": "far/MODEL", "input": "text"}),
    "moderations": ("/v1/moderations", {"model": "MODEL", "input": "text"}),
    "images": ("/v1/images/generations", {"model": "MODEL", "prompt": "a cat"}),
    "speech": ("/v1/audio/speech", {"model": "MODEL", "input": "text"}),
    "azure's speech": ("/openai/deployments/MODEL/audio/speech", {"input": "text"}),
    "transcriptions": ("/v1/audio/transcriptions", _FORM),
    "rerank": ("/v1/rerank", {"model": "far/MODEL", "query": "q", "documents": ["a"]}),
}
STREAMS = {f"{name}, streamed": (path, {**body, "stream": True}) for name, (path, body) in CHATS.items()}
ALL = DOORS | STREAMS
# A deployment's name is routed, so all calls for one share a circuit, which failures would open.
PINNED = [door for door in ALL if not door.startswith("azure's chat")]


@dataclass
class World:
    server: Server
    far: Faulty

    def ask(self, door: str) -> tuple[int, http.client.HTTPResponse, bytes]:
        """Ask at a door; status, response and what came of its body."""
        connection = self.asked(door)
        try:
            response = connection.getresponse()
            try:
                data = response.read()
            except http.client.IncompleteRead as cut:
                data = cut.partial
            return response.status, response, data
        finally:
            connection.close()

    def asked(self, door: str, **more: Any) -> http.client.HTTPConnection:
        """Ask at a door for a model that no other call asks for: no circuit of another's is open then."""
        path, body = ALL[door]
        form = isinstance(body, bytes)
        model = f"m{next(_numbers)}"
        data = body if form else json.dumps({**body, **more}).encode()
        headers = {
            "content-type": "multipart/form-data; boundary=b" if form else "application/json",
            "authorization": f"Bearer {KEY}",
            "cache-control": "no-store",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=LONG)
        connection.request("POST", path.replace("MODEL", model), data.replace(b"MODEL", model.encode()), headers)
        return connection

    def holding(self, door: str) -> http.client.HTTPConnection:
        """Ask at a door; the provider has got the question, and does not answer."""
        self.far.next.append("silence")
        connection = self.asked(door)
        with gevent.Timeout(LONG):
            while not self.far.asked:
                gevent.sleep(0.01)
        return connection

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.server.log().splitlines() if '"event":"request.done"' in line]


@pytest.fixture(scope="module")
def _world() -> Iterator[World]:
    with Faulty() as far:
        config = (
            f"aura:\n  auth: {{keys: [{{name: one, key: {KEY}, concurrent: 1}}]}}\n"
            "  router: {stream-rescue: false, max-attempts: 1}\n"
            f"  providers:\n{provider('far', far.url)}{provider('claude', far.url, kind='anthropic')}"
        )
        with gateway(config) as server:
            yield World(server, far)


@pytest.fixture
def world(_world: World) -> World:
    _world.far.next.clear()
    _world.far.asked.clear()
    return _world


def error_of(door: str, data: bytes) -> dict[str, Any]:
    """The error of an answer, in the form of its door's clients."""
    body = json.loads(data)
    if DOORS[door][0].startswith("/v1/messages"):
        assert body["type"] == "error"
        assert body["error"].keys() == {"type", "message"}
    else:
        assert body["error"].keys() == {"message", "type", "param", "code"}
    return dict(body["error"])


def until_free(world: World) -> None:
    """The one place of the key is free again, for whoever asks next."""
    deadline = time.monotonic() + LONG
    while (found := world.ask("chat"))[0] != 200:
        assert time.monotonic() < deadline, found[2]
        gevent.sleep(0.02)


@pytest.mark.parametrize("door", PINNED)
@pytest.mark.parametrize("fault", ["ok", "status:code:400", "status:code:401", "hangup", "html", "shape"])
def test_however_a_call_ends_its_place_is_free(world, door, fault):
    world.far.next.append(fault)
    lines = len(world.lines())
    status, response, data = world.ask(door)
    until_free(world)

    assert status == 200 or status in (400, 502, 503)
    assert response.headers["x-request-id"]
    if status != 200:
        error_of(door.removesuffix(", streamed"), data)
    assert len(world.lines()) == lines + 2
    assert world.lines()[lines]["status"] == status


@pytest.mark.parametrize("door", [*(door for door in STREAMS if door in PINNED), "speech"])
@pytest.mark.parametrize("fault", ["cut:after:3", "cut:after:3:how:rst"])
def test_a_stream_that_breaks_off_frees_its_place_and_is_no_success(world, door, fault):
    world.far.next.append(fault.replace("cut", "broken-sound") if door == "speech" else fault)
    lines = len(world.lines())
    status, _, data = world.ask(door)
    until_free(world)

    assert status == 200
    assert b"[DONE]" not in data
    assert b"message_stop" not in data
    assert world.lines()[lines]["outcome"] == "stream_interrupted"


@pytest.mark.parametrize("door", ALL)
def test_a_client_that_leaves_is_noticed_at_once_and_frees_its_place(world, door):
    connection = world.holding(door)
    number = world.far.asked[-1].connection
    left = Moment(world.server)
    connection.close()

    assert left.to(world.far.ended_at(number)) < 0.1
    until_free(world)
    assert world.lines()[-2]["status"] == 499


@pytest.mark.parametrize("door", DOORS)
def test_a_place_that_is_taken_is_taken_at_every_door(world, door):
    holding = world.holding("chat")
    status, response, data = world.ask(door)
    holding.close()
    until_free(world)

    assert status == 429
    error_of(door, data)
    assert response.headers["retry-after"] == "1"
    assert len(world.far.asked) == 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"FOO %b HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"POST %b HTTP/1.1\r\n\r\n", 400),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n", 417),
        (b"POST %b HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=["method", "host", "coding", "expect", "size"],
)
@pytest.mark.parametrize("door", ["chat", "messages", "count_tokens", "speech"])
def test_what_the_server_refuses_is_told_in_the_grammar_of_the_door(world, door, request_, status):
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=LONG) as link:
        link.sendall(request_.replace(b"%b", DOORS[door][0].encode()))
        head, _, data = everything(link).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert error_of(door, data)["message"]
    assert (b"\r\nrequest-id: " in head) == DOORS[door][0].startswith("/v1/messages")


@pytest.mark.parametrize("name", ["漢字", "a\r\nX-A: b", "a,b", "n" * 5000])
@pytest.mark.parametrize("door", ["messages", "completions", "chat"])
def test_a_member_of_any_name_is_named_plainly_where_it_is_dropped(world, door, name):
    """Its name is the client's word: in a header it can only be told by signs that headers have."""
    more = dict.fromkeys((name, *(f"more-{number}" for number in range(2000))), 1)
    model = "far/MODEL" if door == "messages" else "claude/MODEL"
    connection = world.asked(door, **more, model=model)
    response = connection.getresponse()
    response.read()
    connection.close()

    assert response.status == 200
    assert response.headers["x-a"] is None
    assert response.headers["x-aura-dropped"].endswith(" more")
    assert len(response.headers["x-aura-dropped"]) < 1000
