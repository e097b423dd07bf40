"""What providers' own prompt caches need: the same first bytes in each turn of a conversation, at the same target."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest
import requests

from aura import catalogue
from aura.call import Usage
from aura.providers import build
from aura.settings import ProviderSettings, Secret

from ..calls import provider
from ..faulty import Faulty
from ..server import gateway

KNOWN = catalogue.load()
MODELS = {
    "openai": "gpt-4o",
    "azure": "gpt-4o",
    "anthropic": "claude-3-5-sonnet-20241022",
    "ollama": "llama3",
}
ADDRESSES = {
    "openai": "https://api.example/v1",
    "azure": "https://res.example",
    "anthropic": "https://claude.example",
    "ollama": "http://ollama.example",
}


def tool(name: str, *parameters: str) -> dict:
    schema = {
        "type": "object",
        "properties": {one: {"type": "string"} for one in parameters},
        "required": [*parameters],
    }
    return {"type": "function", "function": {"name": name, "description": f"The {name}.", "parameters": schema}}


BEGUN = [
    {"role": "system", "content": "Be brief. Über alles ✓"},
    {"role": "user", "content": "What is the weather in Oslo?"},
]
TURNS = [
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": f"call_{one}",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"place": "Oslo"}'},
                }
                for one in "ab"
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "4 degrees"},
        {"role": "tool", "tool_call_id": "call_b", "content": "rain"},
    ],
    [{"role": "assistant", "content": "4 degrees, rain."}, {"role": "user", "content": "And tomorrow?"}],
    [
        {"role": "assistant", "content": "Sun."},
        {"role": "user", "content": [{"type": "text", "text": "Is this it?"}, {"type": "text", "text": "Yes?"}]},
    ],
    [{"role": "assistant", "content": "It is."}, {"role": "user", "content": "Thanks"}],
]
REST = {
    "model": "auto",
    "tools": [tool("weather", "place", "day", "at"), tool("add", "y", "x"), tool("map", "zoom", "place")],
    "temperature": 0.5,
    "max_tokens": 100,
    "stop": ["b", "a"],
    "metadata": {"z": "1", "a": "2"},
}


def requests_of(kind: str) -> list[bytes]:
    """The bytes of each turn's request."""
    made = build(ProviderSettings("mine", kind, base_url=ADDRESSES[kind], api_key=Secret("sk-0123456789")))
    model = KNOWN.model(MODELS[kind], None, kind)
    bodies, messages = [], BEGUN
    for turn in ([], *TURNS):
        messages = [*messages, *turn]
        bodies.append(made.request({**REST, "messages": messages}, model)[0].body)
    return bodies


def apart(body: bytes) -> tuple[bytes, list[bytes]]:
    """A request without its messages, and its messages, as the bytes that they are."""
    head, key, _ = body.partition(b'"messages":[')
    messages = json.loads(body)["messages"]
    said = [json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode() for one in messages]
    inside = b",".join(said)

    assert body.startswith(head + key + inside + b"]")
    return body.replace(inside, b""), said


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_each_turn_begins_with_the_bytes_of_the_turns_before(kind):
    turns = [apart(body) for body in requests_of(kind)]

    assert {rest for rest, _ in turns} == {turns[0][0]}
    for (_, before), (_, after) in pairwise(turns):
        assert after[: len(before)] == before
        assert len(after) > len(before)


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_the_same_request_has_the_same_bytes(kind):
    assert requests_of(kind) == requests_of(kind)


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_tools_keep_their_order(kind):
    names = re.findall(rb'"name":"(weather|add|map)","description"', requests_of(kind)[0])

    assert names == [b"weather", b"add", b"map"]


def test_every_process_makes_the_same_bytes():
    """The order of a set differs from process to process, and must not show."""
    script = "from tests.providers.test_stability import *\nprint([requests_of(kind) for kind in sorted(MODELS)])"
    seen = {
        subprocess.run(
            [sys.executable, "-c", "import gevent.monkey as m; m.patch_all()\n" + script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(seen) == 1


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[Faulty, Faulty]]:
    with Faulty() as one, Faulty() as other:
        yield one, other


def test_a_conversation_stays_with_its_target_and_its_bytes(upstreams):
    """Twelve conversations over two targets that share the load: each goes on where it began."""
    config = "aura:\n  router: {strategy: weighted}\n  providers:\n" + "\n".join(
        provider(name, upstream.url, "ok") for name, upstream in zip(("one", "other"), upstreams, strict=True)
    )
    with gateway(config) as server:
        for number in range(12):
            messages = [{"role": "system", "content": f"c{number}"}, {"role": "user", "content": f"c{number} begin"}]
            for turn in range(4):
                body = {"model": "eco", "messages": messages, "tools": REST["tools"]}
                answer = requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=20)
                said = answer.json()["choices"][0]["message"]["content"]
                more = [{"role": "assistant", "content": said}, {"role": "user", "content": f"c{number} go on, {turn}"}]
                messages = [*messages, *more]
    told: dict[str, list[tuple[int, bytes]]] = {}
    for place, upstream in enumerate(upstreams):
        for asked in upstream.asked:
            told.setdefault(json.loads(asked.body)["messages"][0]["content"], []).append((place, asked.body))

    assert len(told) == 12
    for asked in told.values():
        turns = [apart(body) for _, body in asked]
        assert len({place for place, _ in asked}) == 1
        assert len({rest for rest, _ in turns}) == 1
        assert [len(said) for _, said in turns] == [2, 4, 6, 8]
        assert turns[-1][1][:6] == turns[-2][1]
    assert {asked[0][0] for asked in told.values()} == {0, 1}


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(input=100_000, output=1000), 0.3 + 0.015),
        (Usage(input=100_000, output=1000, cached_read=90_000), 0.03 + 0.027 + 0.015),
        (Usage(input=100_000, output=1000, cached_write=90_000), 0.03 + 0.3375 + 0.015),
        (Usage(input=100_000, output=1000, cached_write=90_000, cached_write_1h=90_000), 0.03 + 0.54 + 0.015),
    ],
)
def test_what_the_provider_had_cached_is_priced_apart(usage, cost):
    price = KNOWN.model(MODELS["anthropic"], None, "anthropic").price

    assert catalogue.cost_usd(usage, price) == pytest.approx(cost)
