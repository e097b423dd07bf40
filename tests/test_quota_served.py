"""Limits as clients see them: through two real workers to a real provider."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import gevent
import pytest
import requests

from .calls import Outcome, chat, provider
from .faulty import Faulty
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("quota")

KEYS = """
    - {name: many, key: key-many}
    - {name: three, key: key-three, requests-per-minute: 3}
    - {name: doors, key: key-doors, requests-per-minute: 4}
    - {name: few, key: key-few, requests-per-minute: 100, tokens-per-minute: 100000}
    - {name: tokens, key: key-tokens, tokens-per-minute: 1000}
    - {name: ten, key: key-ten, concurrent: 10}
    - {name: one, key: key-one, concurrent: 1}
    - {name: killed, key: key-killed, concurrent: 2}
    - {name: cached, key: key-cached, requests-per-minute: 100, tokens-per-minute: 1000}
    - {name: invalid, key: key-invalid, requests-per-minute: 100, tokens-per-minute: 1000}
    - {name: failing, key: key-failing, requests-per-minute: 100, tokens-per-minute: 1000, concurrent: 1}
    - {name: leaving, key: key-leaving, tokens-per-minute: 1000000, concurrent: 1}
"""
RESET = re.compile(r"(\d+m)?\d+(\.\d+)?s|\d+ms")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Faulty) -> Iterator[Server]:
    """Two workers that make 50 connections each, so that calls at once reach both."""
    config = f"aura:\n  auth:\n    keys:{KEYS}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=2) as running:
        yield running


def ask(server: Server, caller: str, model: str = "first/ok", nonce: str = "n", **more: object) -> Outcome:
    headers = {"Authorization": f"Bearer key-{caller}", "Cache-Control": "no-store"} | dict(more.pop("headers", {}))
    return chat(server.port, model, nonce, headers=headers, limit=20.0, **{"stream": False, **more})


def limits(outcome: Outcome) -> dict[str, str]:
    begin = "x-ratelimit-"
    return {name[len(begin) :]: value for name, value in outcome.headers.items() if name.startswith(begin)}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        gevent.sleep(0.02)


def test_two_workers_count_requests_together(server):
    outcomes = [ask(server, "three", stream=turn % 2 == 0) for turn in range(8)]
    refused = outcomes[3]
    error = refused.errors[0]

    assert [one.status for one in outcomes] == [200] * 3 + [429] * 5
    assert [limits(one)["remaining-requests"] for one in outcomes[:4]] == ["2", "1", "0", "0"]
    assert (error["code"], error["type"], error["param"]) == ("rate_limit_exceeded", "rate_limit_error", None)
    assert set(error) == {"message", "type", "param", "code"}
    assert refused.headers["x-should-retry"] == "true"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert ask(server, "many").status == 200


def test_a_refusal_asks_no_provider_and_is_logged_and_counted(server, upstream):
    while ask(server, "three").status == 200:
        pass
    asked = len(upstream.asked)
    name = 'aura_rate_limited_total{limit="requests",scope="key"}'
    before = _count(server, name)
    ask(server, "three", nonce="refused", headers={"x-request-id": "refused-1"})
    line = json.loads(server.wait_for(r'\{[^\n]*"id":"refused-1"[^\n]*\}')[0])

    assert len(upstream.asked) == asked
    assert (line["event"], line["status"], line["tenant"], line["limited"]) == (
        "request.done",
        429,
        "three",
        "key.requests",
    )
    assert _count(server, name) == before + 1


def _count(server: Server, name: str) -> float:
    headers = {"Authorization": "Bearer key-many"}
    shown = requests.get(f"{server.url}/actuator/prometheus", headers=headers, timeout=10).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", shown, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_every_answer_of_a_limited_key_tells_its_limits(server):
    outcomes = [
        ask(server, "few"),
        ask(server, "few", stream=True),
        ask(server, "few", "nowhere/m"),
        ask(server, "few", "first/status:code:500"),
        ask(server, "few", temperature=99),
        ask(server, "few", messages="x"),
    ]

    assert [one.status for one in outcomes] == [200, 200, 404, 503, 400, 400]
    for one in outcomes:
        told = limits(one)
        assert set(told) == {
            f"{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
        }
        assert (told["limit-requests"], told["limit-tokens"]) == ("100", "100000")
        assert RESET.fullmatch(told["reset-requests"])
        assert RESET.fullmatch(told["reset-tokens"])


def test_others_are_told_nothing(server):
    assert limits(ask(server, "many")) == {}
    assert set(limits(ask(server, "tokens"))) == {"limit-tokens", "remaining-tokens", "reset-tokens"}


def test_every_door_is_limited_in_its_own_words(server):
    """Of the last call of a minute that each door lets in."""
    messages = {"model": "first/ok", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    doors = {
        "chat/completions": messages,
        "messages": messages,
        "embeddings": {"model": "first/ok", "input": "Hi"},
        "moderations": {"model": "first/ok", "input": "Hi"},
    }
    headers = {"Authorization": "Bearer key-doors"}
    told, first = {}, {}
    for _ in range(2):
        for door, body in doors.items():
            told[door] = requests.post(f"{server.url}/v1/{door}", json=body, headers=headers, timeout=20)
            first.setdefault(door, told[door])

    assert {door: answer.status_code for door, answer in told.items()} == dict.fromkeys(doors, 429)
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in told.values()} == {"4"}
    assert {answer.json()["error"]["type"] for answer in told.values()} == {"rate_limit_error"}
    assert told["messages"].json()["type"] == "error"
    assert told["messages"].headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert first["messages"].status_code == 200
    assert first["messages"].headers["anthropic-ratelimit-requests-limit"] == "4"
    assert first["messages"].headers["anthropic-ratelimit-requests-remaining"] == "2"
    assert "anthropic-ratelimit-requests-limit" not in first["chat/completions"].headers
    assert "code" in told["embeddings"].json()["error"]


def test_a_body_that_is_no_call_does_not_count(server):
    told = [limits(ask(server, "invalid", temperature=99)) for _ in range(3)]

    assert [(one["remaining-requests"], one["remaining-tokens"]) for one in told] == [("100", "1000")] * 3


def test_a_providers_own_limits_are_not_taken_for_those_of_the_key(server):
    # A model for each: the worker that a first call throttled would not ask again.
    model = "first/status:code:429:retry:60:limit:7:of:"
    limited, other = ask(server, "few", f"{model}few"), ask(server, "many", f"{model}many")

    assert (limited.status, other.status) == (429, 429)
    assert limits(limited)["limit-requests"] == "100"
    assert limits(limited)["remaining-requests"] != "0"
    assert limits(other) == {"limit-requests": "7", "remaining-requests": "0"}


def test_tokens_are_settled_by_what_was_used(server):
    """19 tokens are used of each call; far more are reserved."""
    told = [limits(ask(server, "tokens", max_tokens=100, stream=turn % 2 == 1)) for turn in range(6)]
    left = [int(one["remaining-tokens"]) for one in told]

    assert [before - after for before, after in pairwise(left)] == [19] * 5
    too_large = ask(server, "tokens", max_tokens=5000)
    assert (too_large.status, too_large.headers["x-should-retry"]) == (429, "false")
    assert "retry-after" not in too_large.headers


def test_an_answer_from_the_cache_counts_as_a_request_without_tokens(server):
    told = []
    for turn in range(4):
        headers = {"Cache-Control": "max-age=100"}
        outcome = ask(server, "cached", nonce="again", max_tokens=50, stream=turn % 2 == 1, headers=headers)
        told.append((outcome.headers["x-aura-cache"], limits(outcome)))
    after = limits(ask(server, "cached", temperature=99))

    assert [cache for cache, _ in told] == ["miss", "hit", "hit", "hit"]
    assert (after["remaining-requests"], after["remaining-tokens"]) == ("96", str(1000 - 19))


def test_a_hundred_calls_at_once_where_ten_may_be(server, upstream):
    asked = len(upstream.asked)
    calls = [
        gevent.spawn(ask, server, "ten", "first/late:by:3", f"at-once-{number}", stream=number % 2 == 0)
        for number in range(100)
    ]
    gevent.joinall(calls)
    outcomes = [call.value for call in calls]
    refused = [one for one in outcomes if one.status != 200]

    assert sorted(one.status for one in outcomes) == [200] * 10 + [429] * 90
    assert len(upstream.asked) == asked + 10
    assert {(one.errors[0]["code"], one.headers["retry-after"]) for one in refused} == {("rate_limit_exceeded", "1")}
    assert ask(server, "ten").status == 200


@pytest.mark.parametrize(
    "model",
    ["first/ok", "first/status:code:500", "first/hangup", "first/cut:after:2", "first/html", "nowhere/m"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_place_is_free_again_when_its_call_has_ended(server, model, stream):
    for _ in range(3):
        assert ask(server, "one", model, stream=stream).status != 429


@pytest.mark.parametrize(
    ("model", "stream", "used"),
    [
        pytest.param("first/silence", False, 6, id="whole"),
        pytest.param("first/silence", True, 6, id="stream"),
        pytest.param("first/stall:after:3", False, 6, id="half of a whole answer"),
        pytest.param("first/stall:after:3", True, 106, id="half of a stream"),
    ],
)
def test_a_client_that_leaves_frees_its_place(server, upstream, model, stream, used):
    """Of its tokens the prompt counts, and what was reserved for an answer that it has seen some of."""
    asked, before = len(upstream.asked), _tokens_left(server)
    body = {"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": "leaves"}]}
    headers = {"Authorization": "Bearer key-leaving", "Content-Type": "application/json", "Cache-Control": "no-store"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    if stream and used > 6:
        connection.getresponse().read1(10)
    until(lambda: len(upstream.asked) == asked + 1)
    refused = ask(server, "leaving")
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    until(lambda: ask(server, "leaving").status == 200)

    assert refused.status == 429
    assert before - _tokens_left(server) == 19 + used


def _tokens_left(server: Server) -> int:
    """What is left, told by a call that counts nothing."""
    return int(limits(ask(server, "leaving", temperature=99))["remaining-tokens"])


def test_what_failed_gives_its_tokens_back(server):
    told = [limits(ask(server, "failing", "first/status:code:500", max_tokens=800)) for _ in range(4)]

    assert [one["remaining-tokens"] for one in told] == [told[0]["remaining-tokens"]] * 4


def test_a_killed_workers_calls_free_their_places(upstream):
    config = f"aura:\n  auth:\n    keys:{KEYS}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=2) as server:
        asked = len(upstream.asked)
        calls = [gevent.spawn(ask, server, "killed", "first/late:by:60", f"k-{number}") for number in range(2)]
        until(lambda: len(upstream.asked) == asked + 2)
        before = ask(server, "killed").status
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        gevent.joinall(calls)
        server.wait_for(r"(?s)(Booting worker.*){4}")
        outcomes = [ask(server, "killed") for _ in range(4)]

    assert before == 429
    assert [call.value.status for call in calls] == [0, 0]
    assert [one.status for one in outcomes] == [200] * 4


def test_the_total_holds_for_all_keys_and_what_was_counted_outlives_a_reload(upstream):
    limits_ = "  limits: {requests-per-minute: 3, total-requests-per-minute: 5}\n"
    keys = "  auth: {keys: [{name: a, key: key-a}, {name: b, key: key-b}]}\n"
    config = f"aura:\n{limits_}{keys}  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=2) as server:
        first = [ask(server, caller).status for caller in "aaaab"]
        server.signal(signal.SIGHUP)
        server.wait_for(r"(?s)(Booting worker.*){4}")
        until(lambda: len(server.workers()) == 2)
        second = [ask(server, caller) for caller in "abb"]

    assert first == [200, 200, 200, 429, 200]
    assert [one.status for one in second] == [429, 200, 429]
    assert limits(second[2])["limit-requests"] == "5"


def test_callers_without_keys_share_the_limits(upstream):
    config = f"aura:\n  limits: {{requests-per-minute: 2}}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=2) as server:
        outcomes = [chat(server.port, "first/ok", str(number), stream=False) for number in range(3)]

    assert [one.status for one in outcomes] == [200, 200, 429]
