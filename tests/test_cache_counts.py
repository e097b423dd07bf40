"""What headers, metrics and log say of the cache's part in a call: the same."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import gevent
import pytest
import requests

from .calls import chat, provider
from .faulty import Faulty
from .server import Server, gateway
from .test_cache_flights import open_stream

pytestmark = pytest.mark.xdist_group("cache")

NAMES = ("hits", "misses", "coalesced", "evictions", "saved_usd", "saved_seconds")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Faulty) -> Iterator[Server]:
    with gateway(f"aura:\n  providers:\n{provider('first', upstream.url)}") as running:
        yield running


def counted(server: Server) -> Counter[str]:
    shown = requests.get(f"{server.url}/actuator/prometheus", timeout=10).text
    found = {name: re.search(rf"^aura_cache_{name}_total (\S+)$", shown, re.MULTILINE) for name in NAMES}
    return Counter({name: float(value[1]) for name, value in found.items() if value})


def lines(server: Server, nonce: str) -> list[dict]:
    """The log's lines of the calls whose ids begin with the nonce."""
    found = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == "request.done" and line["id"].startswith(nonce)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "coalesced"), [("first/late:by:0.7", 9), ("first/late-status:code:400", 0)])
def test_header_metric_and_log_agree_about_calls_that_share_an_answer(server, stream, model, coalesced):
    nonce, before = f"agree-{stream}-{coalesced}", counted(server)
    asking = [
        gevent.spawn(chat, server.port, model, nonce, stream=stream, headers={"X-Request-Id": f"{nonce}-{number}"})
        for number in range(10)
    ]
    outcomes = [one.get() for one in asking]
    after = counted(server)
    headers = Counter(outcome.headers["x-aura-cache"] for outcome in outcomes if outcome.status == 200)
    logged = Counter(line["cache"] for line in lines(server, nonce))
    changed = {name: after[name] - before[name] for name in NAMES}

    assert (changed["hits"], changed["misses"]) == (logged["hit"], logged["miss"])
    assert sum(logged.values()) == 10
    assert changed["coalesced"] == headers["hit"] == coalesced
    assert headers == (logged if coalesced else {})


def test_a_call_whose_client_left_tells_its_attempt(server):
    nonce = "left-alone"
    link = open_stream(server, "first/silence", nonce)
    gevent.sleep(0.3)
    link.close()
    found = server.wait_for(r'\{[^\n]*"outcome":"client_left"[^\n]*\}')
    line = json.loads(found[0])

    assert (line["attempts"], line["status"], line["cache"], line["target"]) == (1, 499, "miss", "first/silence")


def test_a_stream_whose_client_left_tells_its_attempt_and_its_first_content(server):
    link = open_stream(server, "first/stall:after:5", "left-in-the-middle")
    link.recv(1000)
    gevent.sleep(0.3)
    link.close()
    found = server.wait_for(r'\{[^\n]*"target":"first/stall:after:5"[^\n]*\}')
    line = json.loads(found[0])

    assert (line["attempts"], line["outcome"], line["status"]) == (1, "client_left", 499)
    assert line["ttft_s"] > 0


def test_what_is_saved_and_what_had_to_go_is_counted_over_all_workers(upstream):
    """A model that costs 7 and 24 dollars a million tokens, a cache of five answers, three workers."""
    priced = "models: {eco: [{name: ok, price: {input: 7, output: 24}}]}"
    entry = provider("first", upstream.url, "ok").replace("models: {eco: [ok]}", priced)
    with gateway(f"aura:\n  cache: {{max-entries: 5}}\n  providers:\n{entry}", workers=3) as server:
        first = [chat(server.port, "first/ok", f"goes-{number}", stream=False) for number in range(20)]
        evicted = counted(server)
        again = [chat(server.port, "first/ok", "goes-19", stream=number % 2 == 0) for number in range(6)]
        together = [gevent.spawn(chat, server.port, "first/ok", "new", stream=True) for _ in range(4)]
        gevent.joinall(together)
        after = counted(server)
        entries, size = (gauge(server, name) for name in ("entries", "bytes"))
    one = float(first[-1].headers["x-aura-cost-usd"])
    hits = sum(outcome.headers["x-aura-cache"] == "hit" for outcome in [*again, *(call.value for call in together)])

    assert (evicted["hits"], evicted["misses"], evicted["evictions"]) == (0, 20, 15)
    assert {outcome.headers["x-aura-cache"] for outcome in again} == {"hit"}
    assert after["hits"] == hits
    assert after["misses"] == 20 + 4 + 6 - hits
    assert one > 0
    assert after["saved_usd"] == pytest.approx(hits * one)
    assert 0 < after["saved_seconds"] < 5
    assert entries == 5
    assert 5 * 100 < size < 5 * 5000


def gauge(server: Server, name: str) -> float:
    shown = requests.get(f"{server.url}/actuator/prometheus", timeout=10).text
    found = re.search(rf"^aura_cache_{name} (\S+)$", shown, re.MULTILINE)
    assert found
    return float(found[1])
