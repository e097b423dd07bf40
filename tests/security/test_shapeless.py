"""Providers that answer in JSON of any shape: another answers in their place, and no stream ends in a fault of ours."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from tests.calls import provider
from tests.obedient import Handler, Obedient, obedient
from tests.server import Server, gateway

pytestmark = pytest.mark.xdist_group("shapeless")

LONG = 30
CALLS = 25  # for each pair
VALUES = [
    None, True, False, 0, -1, 2**70, 1.5, 1e308, "", "x", "\u2028", [], [None], [1], ["x"], [[]], [{}], {}, {"a": 1},
    {"type": "x"}, "stop", [{"type": "text", "text": "z"}], {"text": "q"}, [{"index": 0}],
]  # fmt: skip
KINDS = {"chats": "azure", "claude": "anthropic", "llama": "ollama", "native": "openai"}
MESSAGES = [{"role": "user", "content": "Go."}]
TOOL: dict[str, Any] = {"name": "f", "parameters": {"type": "object", "properties": {}}}
DOORS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES, "tools": [{"type": "function", "function": TOOL}]},
    "/v1/messages": {
        "messages": MESSAGES,
        "max_tokens": 50,
        "tools": [{"name": "f", "input_schema": TOOL["parameters"]}],
    },
    "/v1/responses": {"input": "Go.", "tools": [{"type": "function", **TOOL}]},
    "/v1/completions": {"prompt": "Go."},
    "/api/chat": {"messages": MESSAGES, "tools": [{"type": "function", "function": TOOL}]},
    "/api/generate": {"prompt": "Go."},
}
numbers = itertools.count()
chance = random.Random(17)


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be changed."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(place for key, item in items for place in places(item, (*before, key)))]


def bent(data: bytes) -> bytes:
    """The same JSON, but for one to three of its members."""
    value = json.loads(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = chance.choice(places(value))
        if not place:
            continue
        inside = value
        for step in place[:-1]:
            inside = inside[step]
        if chance.random() < 0.8:
            inside[place[-1]] = json.loads(json.dumps(chance.choice(VALUES)))
        else:
            del inside[place[-1]]
    return json.dumps(value).encode()


class Bent(Handler):
    """An obedient provider whose answers lose their shape on the way."""

    def send(self, data: bytes, kind: str, status: int = 200) -> None:
        if kind == "application/json":
            super().send(bent(data), kind, status)
            return
        start, end = (b"data: ", b"\n\n") if "event-stream" in kind else (b"", b"\n")
        events = [event.partition(start) if start else (b"", b"", event) for event in data.split(end) if event]
        told = [
            name + begin + (bent(said) if said[:1] == b"{" and chance.random() < 0.3 else said)
            for name, begin, said in events
        ]
        super().send(b"".join(event + end for event in told), kind, status)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    far = Obedient.__new__(Obedient)
    ThreadingHTTPServer.__init__(far, ("127.0.0.1", 0), Bent)
    far.asked, far.counts = [], True
    thread = Thread(target=far.serve_forever, args=(0.01,))
    thread.start()
    with obedient() as good:
        config = "aura:\n  providers:\n" + provider("good", good.url, kind="anthropic")
        config += "".join(provider(name, far.url, kind=kind) for name, kind in KINDS.items())
        with gateway(config) as running:
            yield running
    far.shutdown()
    far.server_close()
    thread.join()


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("name", KINDS)
def test_an_answer_without_the_shape_of_its_grammar_is_answered_by_another(server, name, path):
    for _ in range(CALLS):
        body = {"model": f"{name}/m{next(numbers)}", "fallbacks": ["good/m"], "stream": False, **DOORS[path]}
        answer = requests.post(server.url + path, json=body, timeout=LONG)

        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json(), dict)
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("name", KINDS)
def test_events_without_the_shape_of_their_grammar_are_no_fault_of_the_gateways(server, name, path):
    for _ in range(CALLS):
        body = {"model": f"{name}/m{next(numbers)}", "fallbacks": ["good/m"], "stream": True, **DOORS[path]}
        answer = requests.post(server.url + path, json=body, timeout=LONG)

        assert answer.status_code == 200, answer.text
        assert "internal_error" not in answer.text
        assert "The gateway failed" not in answer.text
    assert "Traceback" not in server.log()
