"""Identical calls at once in several workers and instances: one upstream call, streams included."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import gevent
import pytest

from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("cache")

WORKERS = 4
SLOW = "first/ok:tokens:12:interval:0.2"  # a stream of more than two seconds


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Faulty) -> Iterator[Server]:
    with gateway(f"aura:\n  providers:\n{provider('first', upstream.url)}", workers=WORKERS) as running:
        for number in range(40):  # every worker has begun
            chat(running.port, "first/ok", f"before-{number}", stream=False)
        yield running


def crowd(server: Server, model: str, nonce: str, count: int = 40, **more: object) -> list[Outcome]:
    """So many identical calls at once."""
    asking = [gevent.spawn(chat, server.port, model, nonce, limit=60.0, **more) for _ in range(count)]
    gevent.joinall(asking, timeout=90, raise_error=True)
    return [one.value for one in asking]


@pytest.mark.parametrize("stream", [False, True])
def test_identical_calls_at_several_workers_make_one_upstream_call(server, upstream, stream):
    nonce = f"workers-{stream}"
    outcomes = crowd(server, "first/late:by:1", nonce, 200, stream=stream)

    assert sum(asked.nonce == nonce for asked in upstream.asked) == 1
    assert {(outcome.status, outcome.text) for outcome in outcomes} == {(200, text(nonce))}
    told = [outcome.headers["x-aura-cache"] for outcome in outcomes]
    assert (told.count("miss"), told.count("hit")) == (1, 199)
