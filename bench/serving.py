"""The gates that the server must pass: stop and reload, a killed worker, a soak, overload."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.pool import Pool

from tests.calls import Outcome, chat, provider
from tests.faulty import Faulty
from tests.server import Server, gateway
from tests.test_hardship import established
from tests.wire import get, post

from .gates import AT_ONCE, Verdict, config, percentile, volley
from .storm import ending, world


def drain(full: bool) -> Verdict:
    """G8: reloads and stops break no stream; those that cannot be waited for are told."""
    verdict, streams = Verdict(), 200 if full else 40
    with Faulty() as first, gateway(config(provider("first", first.url))) as server:
        running = _streams(server, streams, 0.5)
        for _ in range(10 if full else 3):
            server.signal(signal.SIGHUP)
            gevent.sleep(0.4)
        _count_whole(verdict, "whole through reloads", running)
    with Faulty() as first, gateway(config(provider("first", first.url))) as server:
        idle = [_idle(server) for _ in range(500 if full else 100)]
        running = _streams(server, streams, 0.2)
        server.signal(signal.SIGTERM)
        _count_whole(verdict, "whole through a stop", running)
        ended = time.monotonic()
        verdict.count("exit status 0", int(server.wait() == 0), 1)
        verdict.measure("idle connections keep it s", time.monotonic() - ended, 1.5)
        for link in idle:
            link.close()
    with Faulty() as first, gateway(config(provider("first", first.url), server="{graceful-timeout: 2s}")) as server:
        running = _streams(server, streams, 5)
        server.signal(signal.SIGTERM)
        told = [greenlet.get() for greenlet in running]
        codes = [outcome.errors[0]["code"] if outcome.whole and outcome.errors else "" for outcome in told]
        verdict.requests += streams
        verdict.count("told in-band", codes.count("server_shutting_down"), streams)
    return verdict


def _streams(server: Server, count: int, interval: float) -> list[gevent.Greenlet]:
    """Open streams, and wait until all have begun."""
    model = f"first/ok:interval:{interval}"
    running = [gevent.spawn(chat, server.port, model, f"n{number}x") for number in range(count)]
    gevent.sleep(1.0)
    return running


def _count_whole(verdict: Verdict, what: str, running: list[gevent.Greenlet]) -> None:
    outcomes = [greenlet.get() for greenlet in running]
    verdict.requests += len(outcomes)
    good = sum(ending(outcome, f"n{number}x", 60) == "ok" for number, outcome in enumerate(outcomes))
    verdict.count(what, good, len(outcomes))


def _idle(server: Server) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", server.port))
    link.sendall(get("/actuator/health"))
    link.recv(65536)
    return link


def crash(full: bool) -> Verdict:
    """G9: a killed worker takes its own streams with it and nothing else."""
    verdict, streams = Verdict(), 200 if full else 40
    with Faulty() as first, gateway(config(provider("first", first.url)), workers=2) as server:
        running = _streams(server, streams, 0.3)
        killed = server.workers()[0]
        held = established(killed, server.port)
        os.kill(killed, signal.SIGKILL)
        died = time.monotonic()
        while (outcome := chat(server.port, "first/ok", "n", limit=5)).status != 200:
            gevent.sleep(0.02)
        verdict.count("answered again", int(ending(outcome, "n", 5) == "ok"), 1)
        verdict.measure("after s", time.monotonic() - died, 2)
        outcomes = [greenlet.get() for greenlet in running]
        verdict.requests += streams + 1
        whole = sum(ending(outcome, f"n{number}x", 60) == "ok" for number, outcome in enumerate(outcomes))
        verdict.measure("broken beyond its own", streams - held - whole, 0)
    return verdict


def soak(full: bool) -> Verdict:
    """G10: faults and leaving clients, for long: memory and descriptors stay where they are."""
    verdict = Verdict(requests=100_000 if full else 2000)
    faults = ["cut:after:5", "broken:after:3", "status:code:503", "hangup", "truncated", "cut:after:0"]
    with world() as here:
        server = here.servers[True]
        worker = server.workers()[0]

        def ask(number: int) -> str:
            fault = random.choice(faults) if number % 10 == 0 else "ok"
            nonce, model = f"n{number}x", f"first/{fault}:kind:{number % 50}"
            if number % 20 == 1:
                return _given_up(server, nonce)
            outcome = chat(server.port, model, nonce, stream=number % 3 > 0, fallbacks=["second/ok"])
            return ending(outcome, nonce, 130)

        ending_words, base = [], (0.0, 0)
        for part in range(4):
            quarter = verdict.requests // 4
            ending_words += Pool(AT_ONCE).map(ask, range(part * quarter, (part + 1) * quarter))
            here.faulty.asked.clear()
            here.healthy.asked.clear()
            gevent.sleep(1)
            now = (_memory(worker), len(os.listdir(f"/proc/{worker}/fd")))
            base = now if part == 1 else base
    verdict.count("ended well", sum(word == "ok" for word in ending_words), len(ending_words))
    verdict.measure("memory more MiB", now[0] - base[0], 5)
    verdict.measure("descriptors more", now[1] - base[1], 4)
    return verdict


def _given_up(server: Server, nonce: str) -> str:
    """A client that leaves after the first bytes of a stream."""
    body = f'{{"model": "first/stall:after:3", "stream": true, "messages": [{{"role": "user", "content": "{nonce}"}}]}}'
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        link.sendall(post("/v1/chat/completions", body.encode(), "Content-Type: application/json"))
        link.recv(100)
    return "ok"


def _memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def overload(full: bool) -> Verdict:
    """G18: twice what fits: nearly all of that is answered, the rest is refused at once and told when to come back."""
    verdict, room, seconds = Verdict(), 40, 20 if full else 5
    sections = {"server": f"{{worker-connections: {room}}}"}
    with Faulty() as first, gateway(config(provider("first", first.url), **sections)) as server:

        def ask(number: int) -> Outcome:
            return chat(server.port, "first/late:by:0.5", f"n{number}x", stream=False)

        capacity = room / 0.5
        verdict.requests = round(2 * capacity * seconds)
        outcomes = volley(2 * capacity, verdict.requests, ask)
    good = sum(ending(outcome, f"n{number}x", 60) == "ok" for number, outcome in enumerate(outcomes))
    refused = [outcome for outcome in outcomes if outcome.status == 503]
    verdict.count("answered or refused", good + len(refused), verdict.requests)
    verdict.measure("share of capacity not used", max(0.0, 1 - good / (capacity * seconds)), 0.1)
    # What the machine adds to the answered ones, whose time is known, it adds to the refused ones too.
    noise = percentile([outcome.seconds - 0.5 for outcome in outcomes if outcome.status == 200], 0.99)
    verdict.measure("refused in p99 s", percentile([outcome.seconds for outcome in refused], 0.99), max(0.01, noise))
    verdict.count("told when to come back", sum("retry-after" in o.headers for o in refused), len(refused))
    return verdict


GATES: dict[str, Callable[[bool], Verdict]] = {
    "G8 drain": drain,
    "G9 crash": crash,
    "G10 soak": soak,
    "G18 overload": overload,
}
