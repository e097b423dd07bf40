"""The cache in Redis, and everything that Redis may do instead of answering: no call fails, few lose time."""

from __future__ import annotations

import itertools
import logging
import pickle
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.server import StreamServer

from aura.cache.key import tag
from aura.cache.local import LocalCache, Memory
from aura.cache.remote import PREFIX, RedisCache
from aura.cache.remote_leases import LEASE, LEASE_MS
from aura.gate import MOST_LOST, PATIENCE, SHORT_PATIENCE, WINDOW, WRITE_AGAIN, Gate

from .busy import PATIENT, spent, wait_for_redis
from .calls import chat, provider
from .faulty import Faulty, text
from .redis_server import NEEDS_REDIS, Redis
from .server import gateway

pytestmark = NEEDS_REDIS

# A call may lose the patience it has, and what all the calls beside it take.
LIMIT = PATIENCE + 0.15
BACK = 6.0


@pytest.fixture
def server() -> Iterator[Redis]:
    running = Redis()
    yield running
    running.close()


def cache_of(url: str) -> RedisCache:
    return RedisCache(url, LocalCache(Memory(1000, 10**7)), largest=100_000)


@pytest.fixture
def cache(server: Redis) -> RedisCache:
    return cache_of(server.url)


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_redis(monkeypatch.setattr)


patient = pytest.mark.usefixtures("_patient")


def wait_until_up(cache: RedisCache) -> float:
    """Wait until Redis is in use again; the seconds that took."""
    began = time.monotonic()
    while cache._gate.down:
        assert time.monotonic() < began + BACK
        gevent.sleep(0.01)
    return time.monotonic() - began


def changes(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    return [(r.to, getattr(r, "reason", None)) for r in caplog.records if r.message == "cache.changed"]


@pytest.fixture(autouse=True)
def _all_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aura.cache")


# --- Redis as it should be


@patient
def test_two_instances_share_what_is_stored(server):
    one, other = cache_of(server.url), cache_of(server.url)
    one.set("k", b"value", 60)
    found = other.get("k")
    other.delete("k")

    assert found == b"value"
    assert one.get("k") is None
    assert one.get("never") is None


@patient
def test_a_value_ends_with_its_time(server, cache):
    cache.set("short", b"x", 0.05)
    cache.set("long", b"x", 90)

    assert 80_000 < server.client().pttl(f"{PREFIX}long") <= 90_000
    gevent.sleep(0.1)
    assert cache.get("short") is None


@patient
def test_a_purge_reaches_redis(server, cache):
    client = server.client()
    for tenant, number in itertools.product("ab", range(500)):
        client.set(f"{PREFIX}{tag(tenant)}{number:052x}", b"%d" % (number % 2))
    client.set("of somebody else", b"x")
    client.lpush(f"{PREFIX}{tag('a')}list", "x")

    assert cache.purge(tag("a"), lambda _key, head: head == b"1") == 251
    assert cache.purge(tag("a"), lambda key, _head: key.startswith(tag("a"))) == 250
    assert cache.purge("", lambda _key, _head: True) == 500
    assert client.keys("*") == [b"of somebody else"]


@patient
def test_hundreds_of_calls_at_once_are_served(cache):
    for number in range(50):
        cache.set(f"k{number}", b"%d" % number, 60)
    for _ in range(3):
        gevent.joinall([gevent.spawn(cache.get, f"k{number}") for number in range(50)])
    asking = [gevent.spawn(cache.get, f"k{number % 50}") for number in range(500)]
    gevent.joinall(asking)

    assert [one.value for one in asking if one.value is not None]
    assert all(one.value in (None, b"%d" % (number % 50)) for number, one in enumerate(asking))


@patient
@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(b"x" * 5_000_000, id="huge"),
        pytest.param(["a", "b"], id="list"),
        pytest.param({"a": "b"}, id="hash"),
    ],
)
def test_a_value_that_is_none_of_ours_is_a_miss_and_deleted(server, cache, poison):
    client = server.client()
    if isinstance(poison, list):
        client.rpush(f"{PREFIX}k", *poison)
    elif isinstance(poison, dict):
        client.hset(f"{PREFIX}k", mapping=poison)
    else:
        client.set(f"{PREFIX}k", poison)

    assert cache.get("k") is None
    assert not client.exists(f"{PREFIX}k")
    assert not cache._gate.down


# --- outages


def test_refused(server, cache, caplog):
    cache.set("k", b"v", 60)
    server.kill()
    times = [spent(lambda: cache.get("k")) for _ in range(50)]
    found = cache.get("k")
    stored = cache.set("new", b"local", 60)
    local = cache.get("new")
    server.start()
    wait_until_up(cache)

    assert max(times) < LIMIT
    assert sorted(times)[25] < 0.005
    assert (found, stored, local) == (b"v", False, b"local")
    assert cache.get("k") is None  # it was not saved
    assert changes(caplog) == [("down", "unreachable"), ("up", None)]


def test_frozen(server, cache, caplog, monkeypatch):
    cache.set("k", b"v", 60)
    gevent.joinall([gevent.spawn(cache.get, "k") for _ in range(20)])
    server.process.send_signal(signal.SIGSTOP)
    times: list[float] = []
    lost: list[float] = []
    note = cache._gate.lost
    monkeypatch.setattr(cache._gate, "lost", lambda patience: lost.append(patience) or note(patience))

    def calls() -> None:
        for _ in range(100):
            times.append(spent(lambda: cache.get("k")))
            gevent.sleep(0.02)

    gevent.joinall([gevent.spawn(calls) for _ in range(20)])
    server.process.send_signal(signal.SIGCONT)
    took = wait_until_up(cache)
    wait_for_redis(monkeypatch.setattr)

    assert len(times) == 2000
    assert max(times) < LIMIT
    assert lost.count(PATIENCE) <= MOST_LOST
    assert sorted(times)[1000] < 0.005
    assert took < BACK
    assert cache.get("k") == b"v"
    assert changes(caplog) == [("down", "timeout"), ("up", None)]


def test_killed_and_restarted_a_hundred_times(server, cache, caplog):
    """Every call is answered, and every change of state is told once."""
    cache.set("k", b"v", 60)
    stop, times = [], []

    def calls() -> None:
        while not stop:
            times.append(spent(lambda: cache.get("k")))
            times.append(spent(lambda: cache.set("k", b"v", 60)))
            gevent.sleep(0.001)

    asking = [gevent.spawn(calls) for _ in range(4)]
    for _ in range(100):
        server.restart()
        gevent.sleep(0.05)
    wait_until_up(cache)
    gevent.sleep(0.1)
    stop.append(True)
    gevent.joinall(asking, raise_error=True)
    told = [to for to, _ in changes(caplog)]

    assert len(times) > 1000
    assert max(times) < 2 * LIMIT
    assert told == ["down", "up"] * (len(told) // 2)
    assert server.client().get(f"{PREFIX}k") == b"v"


@patient
def test_full(server, cache, caplog):
    cache.set("k", b"v", 60)
    client = server.client()
    client.config_set("maxmemory", "1")
    stored = cache.set("new", b"local", 60)
    times = [spent(lambda: cache.set("more", b"x", 60)) for _ in range(20)]
    found = [cache.get(key) for key in ("k", "new", "more", "none")]
    client.config_set("maxmemory", "0")
    cache._gate._write_at = 0.0  # five seconds later
    again = cache.set("new", b"remote", 60)

    assert (stored, again) == (False, True)
    assert sorted(times)[10] < 0.01
    assert found == [b"v", b"local", b"x", None]
    assert client.get(f"{PREFIX}new") == b"remote"
    assert changes(caplog) == [("read_only", "full"), ("up", None)]


@patient
def test_a_replica_that_takes_no_writes(server, cache, caplog):
    cache.set("k", b"v", 60)
    server.client().replicaof("127.0.0.1", "1")
    found = [cache.set("new", b"local", 60), cache.get("new"), cache.get("k")]
    server.client().replicaof("no", "one")
    cache._gate._write_at = 0.0

    assert found == [False, b"local", b"v"]
    assert cache.set("new", b"remote", 60)
    assert changes(caplog) == [("read_only", "replica"), ("up", None)]


@patient
def test_wrong_password(server, cache, caplog):
    server.restart("--requirepass", "secret-word")
    wrong = cache_of(server.url.replace("//", "//:no-password@"))
    right = cache_of(server.url.replace("//", "//:secret-word@"))
    for one in (cache, wrong, right):
        one.set("k", b"v", 60)
        one.get("k")

    assert [bool(one._gate.down) for one in (cache, wrong, right)] == [True, True, False]
    assert changes(caplog) == [("down", "auth")] * 2
    assert not any(word in caplog.text for word in ("secret-word", "no-password"))


@contextmanager
def answering(reply: bytes, reset: bool = False) -> Iterator[str]:
    """A server that gives one reply to whatever it is asked, and resets the connection if it is told to; its URL."""

    def serve(link: socket.socket, _address: object) -> None:
        while link.recv(65536):
            link.sendall(reply)
            if reset:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                return

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.server_port}/0"
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("reply", "reset", "reason"),
    [
        pytest.param(b"-LOADING Redis is loading the dataset in memory\r\n", False, "loading", id="loading"),
        pytest.param(b"-NOAUTH Authentication required.\r\n", False, "auth", id="no password"),
        pytest.param(b"-MASTERDOWN Link with MASTER is down\r\n", False, "refused", id="master down"),
        pytest.param(b"-ERR unknown command\r\n", False, "refused", id="no such command"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "protocol", id="another server"),
        pytest.param(b"\x00\xff" * 500 + b"\r\n", False, "protocol", id="garbage"),
        pytest.param(b"$notanumber\r\n", False, "protocol", id="no length"),
        pytest.param(b"$100\r\nhalf of the", False, "timeout", id="half a reply"),
        pytest.param(b"", False, "timeout", id="silence"),
        pytest.param(b"$100\r\nhalf of the", True, "unreachable", id="reset in a reply"),
        pytest.param(b"", True, "unreachable", id="reset"),
    ],
)
def test_what_is_no_answer_puts_redis_out_of_use(reply, reset, reason, caplog, monkeypatch):
    if reason != "timeout":
        wait_for_redis(monkeypatch.setattr)
    with answering(reply, reset) as url:
        cache = cache_of(url)
        times = [spent(lambda: cache.set("k", b"v", 60)), *(spent(lambda: cache.get("k")) for _ in range(20))]
        found = cache.get("k")

    assert found == b"v"
    assert max(times) < LIMIT
    assert sorted(times, reverse=True)[MOST_LOST] < PATIENCE
    assert changes(caplog) == [("down", reason)]


@patient
@pytest.mark.parametrize("reply", [b":5\r\n", b"*1\r\n$1\r\nx\r\n", b"$-1\r\n"])
def test_an_answer_of_another_kind_is_a_miss(reply):
    with answering(reply) as url:
        assert cache_of(url).get("k") is None


def test_an_address_that_is_none_is_refused_at_the_start_without_its_password():
    with pytest.raises(ValueError, match="redis-url") as refused:
        cache_of("http://:secret-word@x/")

    assert "secret-word" not in str(refused.value)


# --- the gate


def test_at_most_three_calls_lose_their_patience_in_five_seconds():
    now = [0.0]
    gate = Gate(lambda: now[0], "cache")
    at_once = [gate.admit(write=False) for _ in range(5)]
    for patience in at_once:
        gate.lost(patience)
        gate.leave()
    closed = gate.admit(write=False)
    gate.open()
    now[0] = WINDOW - 0.1
    soon = gate.admit(write=False)
    gate.leave()
    now[0] = WINDOW + 0.1
    later = gate.admit(write=False)

    assert at_once == [PATIENCE] * 3 + [SHORT_PATIENCE] * 2
    assert closed == 0
    assert (soon, later) == (SHORT_PATIENCE, PATIENCE)


def test_a_refused_write_is_tried_again_after_a_while_by_one_call():
    now = [0.0]
    gate = Gate(lambda: now[0], "cache")
    gate.refuse_writes("full")
    refused = gate.admit(write=True), gate.admit(write=False)
    now[0] = WRITE_AGAIN
    again = gate.admit(write=True), gate.admit(write=True)

    assert refused == (0, PATIENCE)
    assert again == (PATIENCE, 0)


# --- through a gateway


def test_no_call_fails_whatever_redis_does(server):
    """Every kind of outage under load, in turn: 200 for all, from the cache or the provider."""
    with Faulty() as upstream:
        config = f"aura:\n  cache: {{type: redis, redis-url: '{server.url}'}}\n  providers:\n"
        with gateway(config + provider("first", upstream.url), workers=2) as running:
            outcomes, stop = [], []

            def calls(number: int) -> None:
                for turn in itertools.count():
                    if stop:
                        return
                    nonce = f"outage-{(turn * 7 + number) % 20}"
                    outcomes.append((nonce, chat(running.port, "first/ok", nonce, stream=turn % 2 == 0)))

            asking = [gevent.spawn(calls, number) for number in range(4)]
            gevent.sleep(0.5)
            for _ in range(3):
                server.process.send_signal(signal.SIGSTOP)
                gevent.sleep(0.5)
                server.process.send_signal(signal.SIGCONT)
                gevent.sleep(1)
                server.client().set(f"{PREFIX}x", pickle.dumps("x"))
                for key in server.client().scan_iter(f"{PREFIX}*"):
                    server.client().set(key, pickle.dumps("poison"))
                server.restart()
                gevent.sleep(1)
                server.client().config_set("maxmemory", "1")
                gevent.sleep(0.3)
                server.client().config_set("maxmemory", "0")
            stop.append(True)
            gevent.joinall(asking, raise_error=True)
            log = running.log()

    assert len(outcomes) > 200
    assert {outcome.status for _, outcome in outcomes} == {200}
    assert all(outcome.text == text(nonce) for nonce, outcome in outcomes)
    assert sum(outcome.headers["x-aura-cache"] == "hit" for _, outcome in outcomes) > len(outcomes) // 2
    assert '"cache.changed"' in log
    assert "Traceback" not in log


def test_what_one_instance_stores_another_gives(server):
    with Faulty() as upstream:
        config = f"aura:\n  cache: {{type: redis, redis-url: '{server.url}'}}\n  providers:\n"
        config += provider("first", upstream.url)
        with gateway(config, app=PATIENT) as one, gateway(config, app=PATIENT) as other:
            first = chat(one.port, "first/ok", "shared")
            again = chat(other.port, "first/ok", "shared", stream=False)
            asked = len(upstream.asked)

    assert (first.headers["x-aura-cache"], again.headers["x-aura-cache"], asked) == ("miss", "hit", 1)
    assert again.text == text("shared")


def test_identical_calls_at_two_instances_make_one_upstream_call(server):
    with Faulty() as upstream:
        config = f"aura:\n  cache: {{type: redis, redis-url: '{server.url}'}}\n  providers:\n"
        config += provider("first", upstream.url)
        with gateway(config, workers=2, app=PATIENT) as one, gateway(config, workers=2, app=PATIENT) as other:
            for number in range(20):  # every worker has begun
                chat((one.port, other.port)[number % 2], "first/ok", f"before-{number}", stream=False)
            calls = [
                gevent.spawn(chat, port, "first/late:by:0.7", "everywhere", stream=False)
                for port in (one.port, other.port) * 20
            ]
            gevent.joinall(calls)
            asked = sum(asked.nonce == "everywhere" for asked in upstream.asked)

    assert {(call.value.status, call.value.text) for call in calls} == {(200, text("everywhere"))}
    assert asked == 1


@patient
def test_the_lease_of_an_instance_is_released_or_ends(server):
    one, other = cache_of(server.url), cache_of(server.url)
    held = one.claim("k"), other.claim("k")
    left = server.client().pttl(f"{LEASE}k")
    one.release("k")

    assert held == (True, False)
    assert 0 < left <= LEASE_MS
    assert other.claim("k")
    server.kill()
    assert one.claim("k")
