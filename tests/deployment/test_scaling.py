"""Scaling out on one machine: two instances, one Redis, one nginx."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.calls import Outcome, chat, provider
from tests.faulty import Faulty, text
from tests.server import Server, gateway

from .programs import Nginx, needs, nginx, on_free_port

pytestmark = [
    needs("nginx", "nginx-light"),
    needs("redis-server", "redis-server"),
    pytest.mark.xdist_group("nginx"),
]


@dataclass
class Fleet:
    """All of it."""

    front: Nginx
    provider: Faulty
    instances: list[Server]

    def ask(self, nonce: str) -> Outcome:
        return chat(self.front.port, "only/m", nonce)

    def answered(self) -> list[int]:
        """How many calls each instance has answered."""
        return [one.log().count('"route":"/v1/chat/completions"') for one in self.instances]


@pytest.fixture
def fleet(tmp_path) -> Iterator[Fleet]:
    def redis(port: int) -> list[Any]:
        return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]

    with ExitStack() as stack:
        asked = stack.enter_context(Faulty())
        redis_port = stack.enter_context(on_free_port(redis, tmp_path / "redis.log"))
        config = f'aura:\n  cache: {{type: redis, redis-url: "redis://127.0.0.1:{redis_port}/0"}}\n  providers:\n'
        config += provider("only", asked.url)
        instances = [stack.enter_context(gateway(config)) for _ in range(2)]
        yield Fleet(stack.enter_context(nginx(tmp_path, [one.port for one in instances])), asked, instances)


def test_what_one_instance_has_learned_every_other_knows(fleet):
    first = fleet.ask("shared")
    while min(fleet.answered()) < 2:
        assert fleet.ask("shared").headers["x-aura-cache"] == "hit"

    assert first.headers["x-aura-cache"] == "miss"
    assert len(fleet.provider.asked) == 1


def test_what_a_killed_instance_has_learned_is_not_lost(fleet):
    nonces = [f"kept{number}" for number in range(10)]
    for nonce in nonces:
        assert fleet.ask(nonce).headers["x-aura-cache"] == "miss"
    os.killpg(fleet.instances[0].pid, signal.SIGKILL)
    again = [fleet.ask(nonce) for nonce in nonces]

    assert [answer.text for answer in again] == [text(nonce) for nonce in nonces]
    assert {answer.headers["x-aura-cache"] for answer in again} == {"hit"}
    assert len(fleet.provider.asked) == len(nonces)


def test_calls_are_spread_over_the_instances(fleet):
    while min(fleet.answered()) < 3:
        assert fleet.ask(f"share{sum(fleet.answered())}").status == 200
