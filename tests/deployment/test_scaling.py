"""Scaling out on one machine: two instances, one Redis, one nginx; the cache and the limits are everyone's."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import gevent
import pytest
import requests

from tests.busy import PATIENT
from tests.calls import Outcome, chat, provider
from tests.faulty import Faulty
from tests.server import Server, gateway

from .load import Load, open_streams_only
from .programs import Nginx, needs, nginx, on_free_port

pytestmark = [
    needs("nginx", "nginx-light"),
    needs("redis-server", "redis-server"),
    pytest.mark.xdist_group("nginx"),
]

FEW = 6
FEWS = ("few", "some")  # keys of few calls a minute
KEYS = {name: f"key-of-{name}-0001" for name in ("many", "open", *FEWS)}
CONFIG = (
    'aura:\n  cache: {type: redis, redis-url: "REDIS"}\n'
    "  limits: {storage: redis, requests-per-minute: 1000000, concurrent: 1000}\n  auth:\n    keys:\n"
    f"      - {{name: many, key: {KEYS['many']}}}\n      - {{name: open, key: {KEYS['open']}, concurrent: 2}}\n"
    + "".join(f"      - {{name: {few}, key: {KEYS[few]}, requests-per-minute: {FEW}}}\n" for few in FEWS)
    + "  providers:\n"
)


@dataclass
class Fleet:
    """All of it."""

    front: Nginx
    provider: Faulty
    instances: list[Server]
    config: str

    def ask(self, nonce: str, key: str = "many") -> Outcome:
        return chat(self.front.port, "only/m", nonce, headers=authorized(key))

    def answered(self) -> list[int]:
        """How many calls each instance has answered."""
        return [one.log().count('"route":"/v1/chat/completions"') for one in self.instances]

    def statuses(self, key: str, calls: int) -> list[int]:
        """What so many calls of a key come to."""
        return [self.ask(f"{key}-{random.random()}", key).status for _ in range(calls)]


def authorized(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[key]}"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")

    def redis(port: int) -> list[Any]:
        return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]

    with ExitStack() as stack:
        asked = stack.enter_context(Faulty())
        redis_port = stack.enter_context(on_free_port(redis, folder / "redis.log"))
        config = CONFIG.replace("REDIS", f"redis://127.0.0.1:{redis_port}/0") + provider("only", asked.url)
        instances = [stack.enter_context(gateway(config, app=PATIENT)) for _ in range(2)]
        front = stack.enter_context(nginx(folder, [one.port for one in instances]))
        yield Fleet(front, asked, instances, config)


@pytest.fixture
def fleet(whole) -> Fleet:
    whole.provider.always = ""
    whole.provider.asked.clear()
    return whole


@pytest.fixture
def mortal(fleet, tmp_path) -> Iterator[Fleet]:
    """The same, but that the first instance is one that may die."""
    with gateway(fleet.config, app=PATIENT) as first:
        instances = [first, fleet.instances[1]]
        with nginx(tmp_path, [one.port for one in instances]) as front:
            yield Fleet(front, fleet.provider, instances, fleet.config)


def test_what_one_instance_has_learned_every_other_knows(fleet):
    before = fleet.answered()
    first = fleet.ask("shared")
    while min(now - then for now, then in zip(fleet.answered(), before, strict=True)) < 2:
        assert fleet.ask("shared").headers["x-aura-cache"] == "hit"

    assert first.headers["x-aura-cache"] == "miss"
    assert len(fleet.provider.asked) == 1


def test_what_a_key_may_is_counted_once_for_all_instances(fleet):
    """A limit of its own for each instance would let in twice as many."""
    assert fleet.statuses("few", 2 * FEW) == [200] * FEW + [429] * FEW


def test_calls_at_once_are_counted_once_for_all_instances(fleet):
    fleet.provider.always = "stall:after:2"
    waiting = [gevent.spawn(fleet.ask, f"open{number}", "open") for number in range(2)]
    while len(fleet.provider.asked) < len(waiting):
        gevent.sleep(0.01)
    answers = fleet.statuses("open", 4)
    gevent.killall(waiting)

    assert answers == [429] * 4


def test_an_instance_that_is_killed_under_load_takes_only_its_own_open_streams_with_it(mortal):
    """Every question is asked twice at about the same time, so that calls wait for one another's answers, too."""
    mortal.statuses("some", FEW - 2)
    mortal.provider.always = "ok:interval:0.02"
    with Load(mortal.front.port, lambda number: f"load{number // 2}", authorized("many")) as load:
        os.killpg(mortal.instances[0].pid, signal.SIGKILL)
        load.goes_on(60)
    asked = len(mortal.provider.asked)
    known = [call.nonce for call in load.done if not call.failed]
    again = [mortal.ask(nonce) for nonce in known[:10]]

    assert open_streams_only(load.failed())
    assert {answer.headers["x-aura-cache"] for answer in again} == {"hit"}
    assert len(mortal.provider.asked) == asked
    assert mortal.statuses("some", 3) == [200, 200, 429]


def test_health_says_that_redis_answers_cache_and_limits(fleet):
    found = requests.get(f"{fleet.front.url}/actuator/health/redis", headers=authorized("many"), timeout=20)

    assert found.json() == {
        "status": "UP",
        "details": {"answers": True, "fallback": "local", "cache": True, "limits": True},
    }
