"""Identical streams at two instances that share a Redis: one upstream call, whatever becomes of either."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing

import gevent
import pytest

from aura.cache.remote_leases import LEASE, STREAM

from .busy import PATIENT
from .calls import chat, provider
from .faulty import Faulty, text
from .redis_server import NEEDS_REDIS, Redis
from .server import Server, gateway
from .test_cache_shared_flights import SLOW, Client, times

pytestmark = NEEDS_REDIS
LONG = "first/ok:tokens:30:interval:0.2"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture
def redis() -> Iterator[Redis]:
    running = Redis()
    yield running
    running.close()


@pytest.fixture
def instances(upstream: Faulty, redis: Redis) -> Iterator[list[Server]]:
    config = f"aura:\n  cache: {{type: redis, redis-url: '{redis.url}'}}\n  providers:\n"
    config += provider("first", upstream.url) + provider("second", upstream.url)
    with gateway(config, workers=2, app=PATIENT) as one, gateway(config, workers=2, app=PATIENT) as other:
        yield [one, other]


@pytest.fixture
def clients(instances: list[Server]) -> Iterator[list[Client]]:
    leads, follows = (Client(instance, instance.workers()[0]) for instance in instances)
    with closing(leads), closing(follows):
        yield [leads, follows]


def test_identical_streams_at_two_instances_make_one_upstream_call(upstream, instances):
    asking = [gevent.spawn(chat, instances[n % 2].port, SLOW, "instances") for n in range(40)]
    gevent.joinall(asking, raise_error=True)
    outcomes = [one.value for one in asking]

    assert times(upstream, "instances") == 1
    assert {(one.status, one.text, one.done) for one in outcomes} == {(200, text("instances"), 1)}
    assert min(len(one.at) for one in outcomes) > 4


def test_what_is_said_in_redis_goes_with_its_end(upstream, redis, clients):
    leads, follows = clients
    leads.begin(SLOW, "goes")
    second = gevent.spawn(follows.ask, SLOW, "goes")
    while leads.read():
        pass
    second.get()
    while_known = redis.client().keys(f"{STREAM}*"), redis.client().keys(f"{LEASE}*")
    gevent.sleep(4)

    assert (len(while_known[0]), while_known[1]) == (1, [])
    assert not redis.client().keys(f"{STREAM}*")


def test_a_stream_of_an_instance_that_dies_is_gone_on_with_by_the_other(upstream, instances, clients):
    leads, follows = clients
    leads.begin(LONG, "dies")
    leads.read()
    second = gevent.spawn(follows.ask, "first/ok:tokens:30:interval:0.2", "dies")
    gevent.sleep(1.5)
    os.killpg(instances[0].pid, signal.SIGKILL)
    outcome = second.get()

    assert (outcome.text, outcome.done, outcome.errors) == (text("dies", 30), 1, [])
    assert times(upstream, "dies") == 2


@pytest.mark.parametrize("what", ["killed", "restarted", "frozen"])
def test_no_stream_is_lost_with_redis(upstream, redis, clients, what):
    leads, follows = clients
    nonce = f"redis-{what}"
    first = gevent.spawn(leads.ask, LONG, nonce)
    gevent.sleep(0.4)
    second = gevent.spawn(follows.ask, LONG, nonce)
    gevent.sleep(1.5)
    if what == "frozen":
        redis.process.send_signal(signal.SIGSTOP)
        gevent.sleep(3)
        redis.process.send_signal(signal.SIGCONT)
    else:
        redis.kill()
        if what == "restarted":
            redis.start()
    outcomes = [first.get(), second.get()]

    assert [(one.text, one.done, one.errors) for one in outcomes] == [(text(nonce, 30), 1, [])] * 2
    assert times(upstream, nonce) <= 2
