"""The gates of hard times: a hostile crowd, workers that stand still, no descriptors left, answers that cross."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from gevent.event import Event
from gevent.pool import Pool

from tests.calls import Outcome, chat, provider
from tests.faulty import Faulty
from tests.server import Server, gateway
from tests.test_hardship import established
from tests.wire import post, statuses

from .gates import NO_STORE, Verdict, config, percentile, volley
from .storm import ending

_POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HALVES = {
    "heads": _POST + b"X-Slow: ",
    "bodies": _POST + b"Content-Length: 900\r\n\r\n{",
    "chunks": _POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
}
OUT_AFTER = {"heads": 10.0, "bodies": 30.0, "chunks": 30.0}
READERS_OUT_AFTER = 60.0
_SLACK = 3.0


def hostile_crowd(full: bool) -> Verdict:
    """G17, F35, F36: half heads, half bodies, readers that take nothing: honest calls go on, the others are put out."""
    verdict, rate, count = Verdict(), 200 if full else 50, 2400 if full else 550
    with Faulty() as first, gateway(config(provider("first", first.url))) as server:

        def ask(number: int) -> Outcome:
            return chat(server.port, "first/ok", f"n{number}x", stream=bool(number % 2), headers=NO_STORE)

        quiet = percentile([outcome.seconds for outcome in volley(rate, count // 4, ask)], 0.99)
        began = time.monotonic()
        slow = {name: _crowd(server, 170 if full else 33, half) for name, half in HALVES.items()}
        readers = _readers(server, 100 if full else 20)
        gevent.sleep(1)  # until no more can be sent to them
        outcomes = volley(rate, count, ask)
        for name, links in slow.items():
            if not full and name != "heads":  # half a minute, that the short form does not have
                continue
            gevent.sleep(max(0.0, began + OUT_AFTER[name] + _SLACK - time.monotonic()))
            verdict.requests += len(links)
            out = sum(statuses(_rest(link)) in ([408], []) for link in links)
            verdict.count(f"slow {name} put out", out, len(links))
        if full:
            gevent.sleep(max(0.0, began + READERS_OUT_AFTER + 2 * _SLACK - time.monotonic()))
            held = [asked.connection for asked in first.asked if asked.fault == "torrent"]
            verdict.count("readers put out", sum(number in first.ends for number in held), len(readers))
        for link in itertools.chain(readers, *slow.values()):
            link.close()
        quiet = max(quiet, percentile([outcome.seconds for outcome in volley(rate, count // 4, ask)], 0.99))
    verdict.requests += count + len(readers)
    good = sum(ending(outcome, f"n{number}x", 60) == "ok" for number, outcome in enumerate(outcomes))
    verdict.count("honest answered", good, count)
    # Below ten milliseconds the machine's own noise decides.
    verdict.measure("p99 s", percentile([o.seconds for o in outcomes], 0.99), max(2 * quiet, 0.02))
    return verdict


def _crowd(server: Server, count: int, said: bytes) -> list[socket.socket]:
    links = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    for link in links:
        link.sendall(said)
    return links


def _readers(server: Server, count: int) -> list[socket.socket]:
    """Clients that ask for much and take nothing of it."""
    links = []
    for number in range(count):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        link.connect(("127.0.0.1", server.port))
        link.sendall(_asking(f"first/torrent:reader:{number}"))
        links.append(link)
    return links


def _asking(model: str) -> bytes:
    asked = {"model": model, "stream": True, "messages": [{"role": "user", "content": "n"}]}
    return post("/v1/chat/completions", json.dumps(asked).encode(), "Content-Type: application/json")


def _rest(link: socket.socket) -> bytes:
    """What a connection holds until its end, which must have come."""
    link.settimeout(1)
    data = b""
    try:
        while piece := link.recv(65536):
            data += piece
    except TimeoutError:
        return b"HTTP/1.1 999 open"
    except OSError:
        pass
    finally:
        link.close()
    return data


@contextmanager
def _calling(verdict: Verdict, server: Server, what: str) -> Iterator[None]:
    """Make a call after the other meanwhile, and count that each is answered."""
    over, answered = Event(), []

    def go_on() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            outcome = chat(server.port, "first/ok", f"n{number}x", headers=NO_STORE, limit=20)
            answered.append(ending(outcome, f"n{number}x", 15))
            gevent.sleep(0.02)

    running = gevent.spawn(go_on)
    yield
    over.set()
    running.join()
    verdict.requests += len(answered)
    verdict.count(what, answered.count("ok"), len(answered))


def stands_still(full: bool) -> Verdict:
    """F42: a worker whose loop is blocked is replaced; the others serve on."""
    verdict, patience = Verdict(), 30 if full else 3
    args = ["--timeout", str(patience)]
    with Faulty() as first, gateway(config(provider("first", first.url)), workers=2, args=args) as server:
        stopped = server.workers()[0]
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        with _calling(verdict, server, "answered by the other"):
            while stopped in server.workers() and time.monotonic() < began + 3 * patience:
                gevent.sleep(0.05)
            verdict.measure("replaced after s", time.monotonic() - began, patience + 5)
            gevent.sleep(2)
        verdict.count("workers", len(server.workers()), 2)
    return verdict


def no_descriptors(full: bool) -> Verdict:
    """F43: connections beyond all descriptors: streams go on, nothing dies, and all is well when the crowd leaves."""
    verdict, crowd = Verdict(), 600 if full else 200
    with Faulty() as first, gateway(config(provider("first", first.url))) as server:
        worker = server.workers()[0]
        chat(server.port, "first/ok", "n")
        running = [gevent.spawn(chat, server.port, "first/ok:interval:0.3", f"n{n}x") for n in range(10)]
        gevent.sleep(0.5)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{worker}/fd")) + 40, 4096))
        links = _crowd(server, crowd, b"")
        outcomes = [greenlet.get() for greenlet in running]
        whole = sum(ending(outcome, f"n{number}x", 60) == "ok" for number, outcome in enumerate(outcomes))
        verdict.count("streams whole", whole, 10)
        for link in links:
            link.close()
        left = time.monotonic()
        while ending(chat(server.port, "first/ok", "n", headers=NO_STORE, limit=5), "n", 5) != "ok":
            gevent.sleep(0.02)
        verdict.measure("answered again after s", time.monotonic() - left, 2)
        verdict.count("the same worker", int(server.workers() == [worker]), 1)
    verdict.requests = crowd + 11
    return verdict


def nothing_crosses(full: bool) -> Verdict:
    """F58: a nonce in every call, many at once, some of whose clients leave: nobody is given another's answer."""
    verdict = Verdict(requests=100_000 if full else 2000)
    words: list[str] = []
    with Faulty() as first, gateway(config(provider("first", first.url))) as server:

        def ask(number: int) -> None:
            nonce = f"n{number}x"
            if random.random() < 0.02:
                _leave_early(server, nonce)
                return
            model, stream = f"first/{random.choice(('ok', 'stale', 'closing', 'ok', 'ok'))}", number % 2 == 0
            words.append(ending(chat(server.port, model, nonce, stream=stream), nonce, 60))

        pool = Pool(200 if full else 50)
        for number in range(verdict.requests):
            pool.spawn(ask, number)
            if number % 10_000 == 0:
                first.asked.clear()
        pool.join()
        verdict.measure("connections left", established(server.workers()[0], server.port), 0)
    verdict.count("own answers", words.count("ok"), len(words))
    verdict.count("crossed", words.count("crossed"), 0)
    return verdict


def _leave_early(server: Server, nonce: str) -> None:
    asked = {"model": "first/ok:interval:0.01", "stream": True, "messages": [{"role": "user", "content": nonce}]}
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        link.sendall(post("/v1/chat/completions", json.dumps(asked).encode(), "Content-Type: application/json"))
        gevent.sleep(random.random() * 0.1)


GATES: dict[str, Callable[[bool], Verdict]] = {
    "G17 hostile crowd": hostile_crowd,
    "F42 a worker stands still": stands_still,
    "F43 no descriptors": no_descriptors,
    "F58 nothing crosses": nothing_crosses,
}
