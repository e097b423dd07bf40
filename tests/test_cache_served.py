"""The cache as clients see it: through real workers to a real provider."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
import requests

from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("cache")

KEYS = "{name: a, key: key-a}, {name: b, key: key-b, cache-ttl: 0}, {name: root, key: key-root, admin: true}"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Faulty) -> Iterator[Server]:
    """Three workers."""
    config = f"aura:\n  auth: {{keys: [{KEYS}]}}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=3) as running:
        yield running


KEY = {"Authorization": "Bearer key-a"}


def ask(server: Server, nonce: str, key: str = "key-a", control: str = "", **more: object) -> Outcome:
    headers = {"Authorization": f"Bearer {key}"} | ({"Cache-Control": control} if control else {})
    return chat(server.port, "first/ok", nonce, **{"stream": False, "headers": headers, "limit": 20.0, **more})


def count(server: Server, name: str) -> float:
    shown = requests.get(f"{server.url}/actuator/prometheus", headers={"Authorization": "Bearer key-a"}, timeout=10)
    found = re.search(rf"^{name} (\S+)$", shown.text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def clear(server: Server, query: str = "", key: str = "key-root") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.delete(f"{server.url}/v1/cache{query}", headers=headers, timeout=10)


@pytest.mark.parametrize("stream", [False, True])
def test_a_hit_names_what_its_target_could_not_take(upstream, stream):
    entry = provider("claude", upstream.url, kind="anthropic")
    with gateway(f"aura:\n  providers:\n{entry}", workers=2) as server:
        first = chat(server.port, "claude/ok", "drops", stream=stream, seed=7)
        hits = [chat(server.port, "claude/ok", "drops", stream=form, seed=7) for form in (stream, not stream)]
        calls = [gevent.spawn(chat, server.port, "claude/late:by:1", "drops", stream=stream, seed=7) for _ in range(8)]
        gevent.joinall(calls)

    assert first.headers["x-aura-cache"] == "miss"
    assert [hit.headers["x-aura-cache"] for hit in hits] == ["hit", "hit"]
    together = [call.value for call in calls]
    assert {answer.headers.get("x-aura-dropped") for answer in [first, *hits, *together]} == {"seed"}


def test_a_repeat_hits_whichever_worker_it_lands_on(server, upstream):
    for number in range(20):
        nonce = f"any-worker-{number}"
        asked = len(upstream.asked)
        outcomes = [ask(server, nonce, stream=turn % 2 == 1) for turn in range(6)]

        assert [outcome.headers["x-aura-cache"] for outcome in outcomes] == ["miss", *["hit"] * 5]
        assert {outcome.text for outcome in outcomes} == {text(nonce)}
        assert len(upstream.asked) == asked + 1


def test_identical_calls_at_three_workers_make_one_upstream_call(server, upstream):
    for nonce in ("at-once-1", "at-once-2"):
        calls = [
            gevent.spawn(chat, server.port, "first/late:by:0.7", nonce, stream=False, headers=KEY) for _ in range(60)
        ]
        gevent.joinall(calls)
        outcomes = [call.value for call in calls]
        told = [outcome.headers["x-aura-cache"] for outcome in outcomes]

        assert {(outcome.status, outcome.text) for outcome in outcomes} == {(200, text(nonce))}
        assert sum(asked.nonce == nonce for asked in upstream.asked) == 1
        assert (told.count("miss"), told.count("hit")) == (1, 59)


def test_a_failure_at_one_worker_leaves_the_others_to_ask(server, upstream):
    model = "first/late:by:0.5"
    upstream.next.append("status:code:400")
    calls = [gevent.spawn(chat, server.port, model, "one-fails", stream=False, headers=KEY) for _ in range(30)]
    gevent.joinall(calls)

    assert sorted(call.value.status for call in calls)[:29] == [200] * 29
    assert sum(asked.nonce == "one-fails" for asked in upstream.asked) <= 4


def test_a_hit_costs_nothing_and_says_how_old_it_is(server):
    first, again = ask(server, "free"), ask(server, "free")

    assert int(again.headers["age"]) >= 0
    assert "age" not in first.headers
    assert float(again.headers["x-aura-cost-usd"]) == 0
    assert again.headers["x-aura-attempts"] == "0"
    assert again.headers["x-aura-provider"] == "first"
    assert json.loads(again.body) == json.loads(first.body)


def test_a_stored_answer_is_a_faithful_stream(server):
    whole = json.loads(ask(server, "faithful").body)
    stream = ask(server, "faithful", stream=True, stream_options={"include_usage": True})

    assert stream.headers["x-aura-cache"] == "hit"
    assert (stream.text, stream.finish, stream.done) == (text("faithful"), ["stop"], 1)
    assert stream.usage == [whole["usage"]]


def test_control_is_obeyed_over_http(server, upstream):
    told = []
    for control in ("", "no-cache", "", "max-age=0", "no-store", "only-if-cached"):
        told.append(ask(server, "control", control=control).headers["x-aura-cache"])
    refused = ask(server, "nobody-asked-this", control="only-if-cached")
    asked = len(upstream.asked)
    wrong = ask(server, "control", aura={"cache": {"ttl": "long"}})

    assert told == ["miss", "miss", "hit", "miss", "bypass", "hit"]
    assert (refused.status, refused.errors[0]["code"]) == (504, "not_cached")
    assert (wrong.status, wrong.errors[0]["param"]) == (400, "aura.cache.ttl")
    assert len(upstream.asked) == asked


def test_a_refreshed_answer_replaces_the_old_one_for_all_workers(server):
    ask(server, "refresh")
    fresh = json.loads(ask(server, "refresh", aura={"cache": {"mode": "refresh"}}).body)
    seen = [json.loads(ask(server, "refresh").body) for _ in range(6)]

    assert seen == [fresh] * 6


def test_a_tenant_whose_time_is_0_is_never_given_a_stored_answer(server):
    told = [ask(server, "tenant-b", key="key-b").headers["x-aura-cache"] for _ in range(3)]

    assert told == ["miss"] * 3


def test_an_administrator_empties_the_cache_or_a_part_of_it(server):
    clear(server)
    for nonce, key, namespace in (("1", "key-a", ""), ("2", "key-a", "n"), ("3", "key-root", "")):
        ask(server, f"clear-{nonce}", key=key, aura={"cache": {"namespace": namespace}})
    answers = [clear(server, query) for query in ("?model=none", "?tenant=a&namespace=n", "?model=first/ok", "")]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert [answer.json()["deleted"] for answer in answers] == [0, 1, 2, 0]
    assert ask(server, "clear-1").headers["x-aura-cache"] == "miss"


@pytest.mark.parametrize(
    ("query", "key", "status"), [("", "key-a", 403), ("", "no-key", 401), ("?tenants=a", "key-root", 400)]
)
def test_nobody_else_empties_it(server, query, key, status):
    answer = clear(server, query, key)

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_metrics_tell_what_the_cache_holds_and_saves(server):
    clear(server)
    before = {name: count(server, name) for name in ("aura_cache_saved_seconds_total", "aura_cache_hits_total")}
    for _ in range(3):
        ask(server, "metrics")

    assert count(server, "aura_cache_entries") == 1
    assert 100 < count(server, "aura_cache_bytes") < 10_000
    assert count(server, "aura_cache_hits_total") == before["aura_cache_hits_total"] + 2
    assert count(server, "aura_cache_saved_seconds_total") > before["aura_cache_saved_seconds_total"]


def test_the_cache_survives_a_reload_and_killed_workers(upstream):
    config = f"aura:\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=2) as server:
        ask(server, "survives")
        old = server.workers()
        server.signal(signal.SIGHUP)
        while set(old) & set(server.workers()):
            gevent.sleep(0.05)
        reloaded = ask(server, "survives")
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        server.wait_for(r"(?s)(Booting worker.*){6}")
        gevent.sleep(0.5)
        killed = ask(server, "survives")

    assert (reloaded.headers["x-aura-cache"], killed.headers["x-aura-cache"]) == ("hit", "hit")


def test_the_master_leaves_no_folder_behind(upstream):
    config = f"aura:\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config) as server:
        ask(server, "folder")
        there = list(Path(server.folder).glob("aura-cache-*"))
        server.signal(signal.SIGTERM)
        server.wait()

        assert len(there) == 1
        assert not there[0].exists()
