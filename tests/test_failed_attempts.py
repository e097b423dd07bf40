"""What failed attempts leave behind: in the metrics, in the headers, in memory."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import gevent
import pytest
import requests

from .calls import chat, provider
from .faulty import Faulty, text
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("failed")


@pytest.fixture(scope="module")
def first():
    with Faulty() as first:
        yield first


@pytest.fixture(scope="module")
def server(first):
    config = "aura:\n  cache: {enabled: false}\n  actuator: {public: [health, prometheus]}\n  providers:\n"
    config += provider("first", first.url) + provider("llama", first.url, "l", kind="ollama")
    with gateway(config) as server:
        yield server


def metric(server: Server, pattern: str) -> str:
    told = requests.get(f"{server.url}/actuator/prometheus", timeout=10).text
    found = re.search(rf"^{pattern} (\S+)$", told, re.MULTILINE)
    return found[1] if found else ""


def until(server: Server, pattern: str, value: str) -> None:
    deadline = time.monotonic() + 20
    while (seen := metric(server, pattern)) != value:
        assert time.monotonic() < deadline, f"{pattern} is {seen}"
        gevent.sleep(0.05)


def test_a_circuit_shows_what_time_changes_though_nobody_asks(server, first):
    gauge = r'aura_circuit_state\{model="m",provider="first"\}'
    first.next.extend(["status:code:503"] * 5)
    for _ in range(5):
        chat(server.port, "first/m", headers={"X-Aura-Timeout": "0.15"})

    assert metric(server, gauge) == "2.0"

    until(server, gauge, "1.0")

    assert chat(server.port, "first/m").text == text("nonce")
    assert metric(server, gauge) == "0.0"
    lines = [json.loads(line) for line in server.log().splitlines() if "circuit.changed" in line]
    assert [line["to"] for line in lines] == ["open", "half_open", "closed"]


def test_the_circuits_of_all_listed_targets_are_shown_before_they_are_asked():
    """Else the circuit of the one that is asked and fails would be every circuit there is, for an alarm."""
    entries = provider("first", "http://127.0.0.1:9", "one", "two") + provider("other", "http://127.0.0.1:9", "three")
    with gateway(f"aura:\n  providers:\n{entries}") as server:
        told = requests.get(f"{server.url}/actuator/prometheus", timeout=20).text

    shown = re.findall(r'^aura_circuit_state\{model="(\w+)",provider="(\w+)"\} (\S+)$', told, re.MULTILINE)
    assert sorted(shown) == [("one", "first", "0.0"), ("three", "other", "0.0"), ("two", "first", "0.0")]


def test_a_throttle_that_is_over_shows_as_over_though_nobody_asks(server, first):
    gauge = r'aura_circuit_state\{model="l",provider="llama"\}'
    first.next.append("status:code:429:retry:1")
    chat(server.port, "llama/l", headers={"X-Aura-Timeout": "0.5"})

    assert metric(server, gauge) == "3.0"

    until(server, gauge, "0.0")


IMAGE = [
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},
]


@pytest.mark.parametrize("stream", [True, False])
def test_a_target_whose_grammar_cannot_carry_the_call_is_not_counted_as_asked(server, first, stream):
    asked = metric(server, r'aura_provider_requests_total\{model="other",provider="llama"\}')
    body = {"model": "llama/llava", "messages": IMAGE, "stream": stream, "fallbacks": ["first/vision"]}
    answer = requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=10)
    refused = requests.post(f"{server.url}/v1/chat/completions", json=body | {"fallbacks": []}, timeout=10)

    assert (answer.status_code, answer.headers["x-aura-provider"]) == (200, "first")
    assert answer.headers["x-aura-attempts"] == "1"
    assert refused.status_code == 400
    assert metric(server, r'aura_provider_requests_total\{model="other",provider="llama"\}') == asked


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_that_met_a_stale_connection_is_not_counted_twice(server, first, stream):
    for _ in range(2):
        outcome = chat(server.port, "first/stale", stream=stream)

        assert outcome.text == text("nonce")
        assert outcome.headers["x-aura-attempts"] == "1"
    assert first.asked[-1].order == 0
    assert first.faults()[-3:] == ["stale"] * 3


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_oversized_answers_take_little_memory_even_where_no_length_warns_of_them(server, first, framing):
    """Each is read up to 32 MiB; what a failure keeps of it would add up."""
    status = Path(f"/proc/{server.workers()[0]}/status")
    chat(server.port, "first/ok", stream=False)
    before = int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])
    for number in range(4):
        outcome = chat(server.port, f"first/huge:framing:{framing}:size:{64 << 20}:n:{number}", stream=False)

        assert outcome.errors[0]["code"] == "bad_upstream_response"

    assert int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) - before < 16 * 1024


def test_a_large_answer_that_is_none_too_large_comes_whole(server, first):
    outcome = chat(server.port, f"first/ok:tokens:{1_000_000}", stream=False)

    assert outcome.text == text("nonce", 1_000_000)
    assert len(outcome.body) > 12_000_000
