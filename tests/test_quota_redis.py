"""Limits that all instances share in Redis, and everything that Redis may do instead: no call fails for it."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gevent
import pytest

from aura.call import Attempt, Call, Target, Usage
from aura.errors import RateLimited
from aura.gate import PATIENCE
from aura.quota import Quota, remote
from aura.quota.remote import LEASE_S, PREFIX, Remote
from aura.quota.table import Table
from aura.settings import LimitsSettings

from .busy import PATIENT, spent, wait_for_redis
from .calls import provider
from .faulty import Faulty
from .redis_server import NEEDS_REDIS, Redis
from .server import gateway
from .test_quota_served import ask, limits, until

pytestmark = NEEDS_REDIS


@pytest.fixture(scope="module")
def running() -> Iterator[Redis]:
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def redis_server(running: Redis, caplog: pytest.LogCaptureFixture, request: Any, monkeypatch: Any) -> Redis:
    caplog.set_level(logging.INFO, "aura.limits")
    if "fault" not in request.fixturenames:
        wait_for_redis(monkeypatch.setattr)
    if running.process.poll() is not None:
        running.start()
    running.client().flushall()
    return running


OPENED: list[Remote] = []


@pytest.fixture(autouse=True)
def _no_one_renews_leases_in_a_later_test() -> Iterator[None]:
    yield
    for store in OPENED:
        store._leases.clear()
    OPENED.clear()


def quota(server: Redis, **settings: int) -> Quota:
    def store(names: Sequence[str], rows: Sequence[str]) -> Remote:
        OPENED.append(Remote(server.url, Table(names, rows)))
        return OPENED[-1]

    return Quota(LimitsSettings(**settings), (), store)


def let(own: Quota, **body: object) -> Call | RateLimited:
    call = Call("id", {"messages": [{"role": "user", "content": "x" * 384}], **body})
    try:
        own.admit(call)
    except RateLimited as refused:
        return refused
    return call


def let_in(own: Quota, count: int, **body: object) -> list[Call]:
    """Those of some calls that are let in."""
    return [call for call in (let(own, **body) for _ in range(count)) if isinstance(call, Call)]


def left(own: Quota, kind: str = "tokens") -> int:
    return int(own.headers(Call("id", {}))[f"x-ratelimit-remaining-{kind}"])


def end(call: Call, status: int = 502) -> None:
    call.status = status
    call.lease.end(call)


def changes(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    return [(r.to, getattr(r, "reason", None)) for r in caplog.records if r.message == "limits.changed"]


def test_instances_count_together(redis_server):
    one, other = (quota(redis_server, requests_per_minute=4, tokens_per_minute=10_000) for _ in range(2))
    told = [let(own, max_tokens=10) for own in (one, other) * 3]

    assert [isinstance(call, Call) for call in told] == [True] * 4 + [False] * 2
    assert (told[4].code, 55 < told[4].retry_after < 61) == ("rate_limit_exceeded", True)
    assert (left(one, "requests"), left(other)) == (0, 10_000 - 4 * 110)


def test_tokens_are_settled(redis_server):
    own = quota(redis_server, tokens_per_minute=1000)
    first, second = let(own, max_tokens=300), let(own, max_tokens=300)
    before = left(own)
    end(first)
    second.attempts.append(Attempt(Target("p", "m"), usage=Usage(input=100, output=450)))
    end(second, 200)

    assert before == 200
    assert left(own) == 1000 - 550


def test_what_was_counted_in_the_minute_before_is_given_back_there(redis_server):
    own = quota(redis_server, tokens_per_minute=1000)
    call = let(own, max_tokens=300)
    client = redis_server.client()
    (current,) = client.keys(f"{PREFIX}:*")
    client.pexpire(current, 59_000)  # its minute was over a second ago
    again = let(own, max_tokens=100)
    previous = f"{current.decode()}/-1"
    own._clock = lambda: time.monotonic() + 61
    end(call)

    assert isinstance(again, Call)
    assert (int(client.get(previous)), int(client.get(current))) == (0, 200)
    assert client.pttl(previous) > 0


def test_a_refused_call_counts_nothing(redis_server):
    own = quota(redis_server, requests_per_minute=10, tokens_per_minute=1000, concurrent=1)
    call = let(own, max_tokens=100)
    refused = [let(own, max_tokens=100) for _ in range(3)] + [let(own, max_tokens=850) for _ in range(3)]

    assert all(isinstance(one, RateLimited) for one in refused)
    assert (left(own, "requests"), left(own)) == (9, 800)
    end(call)
    assert isinstance(let(own, max_tokens=100), Call)


def test_so_many_calls_may_be_open_at_once_everywhere(redis_server):
    one, other = (quota(redis_server, concurrent=3) for _ in range(2))
    held = let_in(one, 2) + let_in(other, 4)
    refused = let(one)
    end(held[0])

    assert len(held) == 3
    assert (refused.status, refused.retry_after) == (429, 1)
    assert len(let_in(other, 3)) == 1


def test_the_leases_of_an_instance_that_died_end_and_others_are_renewed(redis_server, monkeypatch):
    monkeypatch.setattr(remote, "RENEWED_S", 0.05)
    one = quota(redis_server, concurrent=2)
    let_in(one, 2)
    client = redis_server.client()
    name = f"{PREFIX}:key:concurrent:"

    def runs_out() -> None:
        for member in client.zrange(name, 0, -1):
            client.zadd(name, {member: time.time() + 0.3})

    runs_out()
    until(lambda: client.zrange(name, 0, 0, withscores=True)[0][1] > time.time() + LEASE_S - 5)
    other = quota(redis_server, concurrent=2)
    refused = let(other)
    one._store._renewer.kill()
    runs_out()
    until(lambda: isinstance(let(other), Call))

    assert isinstance(refused, RateLimited)
    assert 0 < client.ttl(name) <= LEASE_S


def test_a_redis_that_forgot_the_scripts_is_taught_them(redis_server, caplog):
    own = quota(redis_server, requests_per_minute=3, concurrent=5)
    let_in(own, 1)
    redis_server.client().script_flush()

    assert len(let_in(own, 5)) == 2
    assert changes(caplog) == []


def test_while_redis_is_down_the_instance_counts_by_itself(redis_server, caplog):
    own = quota(redis_server, requests_per_minute=3, tokens_per_minute=10_000, concurrent=5)
    held = let_in(own, 2)
    redis_server.kill()
    local = let_in(own, 10, max_tokens=10)
    for call in held + local:
        end(call)
    redis_server.start()
    until(lambda: not own._store._gate.down)

    assert len(local) == 3
    assert changes(caplog) == [("down", "unreachable"), ("up", None)]
    assert len(let_in(own, 5)) == 3  # it had saved nothing


@pytest.mark.parametrize("fault", ["frozen", "full", "replica", "another type", "loading"])
def test_no_call_fails_or_waits_for_long_whatever_redis_does(redis_server, fault):
    own = quota(redis_server, requests_per_minute=1000, tokens_per_minute=10**6, concurrent=1000)
    client = redis_server.client()
    let_in(own, 2)
    if fault == "frozen":
        redis_server.process.send_signal(signal.SIGSTOP)
    elif fault == "full":
        client.config_set("maxmemory", "1")
    elif fault == "replica":
        client.replicaof("127.0.0.1", "1")
    elif fault == "another type":
        for name in client.keys("*"):
            client.delete(name)
            client.lpush(name, "x")
    else:
        redis_server.restart("--requirepass", "not known")
    times = []
    for _ in range(50):
        calls: list[Call | RateLimited] = []
        times.append(spent(lambda calls=calls: calls.append(let(own))))
        assert isinstance(calls[0], Call)
        end(calls[0])
    redis_server.process.send_signal(signal.SIGCONT)
    redis_server.kill()

    assert sorted(times)[25] < 0.02
    assert max(times) < 2 * PATIENCE + 0.2


def test_through_two_instances(redis_server):
    with Faulty() as upstream:
        config = f"""aura:
  limits: {{storage: redis, redis-url: '{redis_server.url}'}}
  auth:
    keys:
    - {{name: three, key: key-three, requests-per-minute: 3}}
    - {{name: open, key: key-open, concurrent: 4}}
  providers:
{provider("first", upstream.url)}"""
        with gateway(config, workers=2, app=PATIENT) as one, gateway(config, workers=1, app=PATIENT) as other:
            outcomes = [ask(server, "three") for server in (one, other) * 3]
            calls = [
                gevent.spawn(ask, server, "open", "first/late:by:2", str(number))
                for number, server in enumerate((one, other) * 10)
            ]
            gevent.joinall(calls)
            after = ask(other, "open")
            redis_server.kill()
            down = [ask(server, "open") for server in (one, other) * 3]

    assert [outcome.status for outcome in outcomes] == [200] * 3 + [429] * 3
    assert [limits(outcome)["remaining-requests"] for outcome in outcomes[:3]] == ["2", "1", "0"]
    assert sorted(call.value.status for call in calls) == [200] * 4 + [429] * 16
    assert after.status == 200
    assert [outcome.status for outcome in down] == [200] * 6
