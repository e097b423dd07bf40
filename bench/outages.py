"""What calls lose while Redis does something else than answer: the outage table of ``docs/caching.md``.

``python -m bench.cache --outages`` starts a redis-server of its own for each row, which takes two minutes.
"""

from __future__ import annotations

import logging
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import gevent

from aura.cache.remote import PREFIX, RedisCache
from tests.test_cache_redis import Redis, answering, cache_of

CALLERS, PAUSE = 20, 0.002
LOST = 0.04  # seconds of a look-up that count as lost: a good one takes less than 1 ms, if the machine is free
KEYS = [f"{number:064x}" for number in range(200)]

Outage = Callable[[Redis], None]


@dataclass
class Seen:
    """What was seen during one outage."""

    times: list[float] = field(default_factory=list)
    failed: int = 0
    back: float = 0.0
    lines: list[str] = field(default_factory=list)


class _Lines(logging.Handler):
    """Keeps the words of ``cache.changed``."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "cache.changed":
            self.seen.append(f"{record.to} ({record.reason})" if hasattr(record, "reason") else record.to)


@contextmanager
def _listening() -> Iterator[list[str]]:
    logger, lines = logging.getLogger("aura.cache"), _Lines()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(lines)
    try:
        yield lines.seen
    finally:
        logger.removeHandler(lines)


def under_load(cache: RedisCache, what: Callable[[], None]) -> Seen:
    """Let callers look up and store answers while something happens, and until Redis is back in use."""
    seen, stop = Seen(), []

    def calls(number: int) -> None:
        turn = number
        while not stop:
            key, began = KEYS[turn % len(KEYS)], time.monotonic()
            try:
                if cache.get(key) is None or turn % 10 == 0:
                    cache.set(key, b"answer" * 100, 60)
            except Exception:  # what a call would have failed by
                seen.failed += 1
            seen.times.append(time.monotonic() - began)
            turn += 7
            gevent.sleep(PAUSE)

    with _listening() as seen.lines:
        asking = [gevent.spawn(calls, number) for number in range(CALLERS)]
        gevent.sleep(0.5)
        what()
        ended = time.monotonic()
        while cache._gate.down or cache._gate.refusing:
            if time.monotonic() > ended + 10:
                break
            gevent.sleep(0.01)
        seen.back = time.monotonic() - ended
        gevent.sleep(0.3)
        stop.append(True)
        gevent.joinall(asking)
    return seen


def well(_server: Redis) -> None:
    """As it should be: what the machine itself takes."""
    gevent.sleep(3)


def killed(server: Redis) -> None:
    """Killed and restarted, a hundred times."""
    for _ in range(100):
        server.restart()
        gevent.sleep(0.05)


def refused(server: Redis) -> None:
    """Nothing listens for three seconds."""
    server.kill()
    gevent.sleep(3)
    server.start()


def frozen(server: Redis) -> None:
    """Stopped for three seconds, so that it takes connections and says nothing."""
    server.process.send_signal(signal.SIGSTOP)
    gevent.sleep(3)
    server.process.send_signal(signal.SIGCONT)


def full(server: Redis) -> None:
    """No memory left for writes, for three seconds."""
    server.client().config_set("maxmemory", "1")
    gevent.sleep(3)
    server.client().config_set("maxmemory", "0")


def replica(server: Redis) -> None:
    """A replica that takes no writes, for three seconds."""
    server.client().replicaof("127.0.0.1", "1")
    gevent.sleep(3)
    server.client().replicaof("no", "one")


def locked(server: Redis) -> None:
    """Another password, for three seconds."""
    server.restart("--requirepass", "another")
    gevent.sleep(3)
    server.restart()


def poisoned(server: Redis) -> None:
    """Pickles, lists and large values under the keys."""
    pipe = server.client().pipeline()
    for turn in range(300):
        key = PREFIX + KEYS[turn % len(KEYS)]
        pipe.delete(key)
        if turn % 3 == 0:
            pipe.set(key, pickle.dumps("x" * 10))
        elif turn % 3 == 1:
            pipe.lpush(key, "x")
        else:
            pipe.set(key, b"x" * 200_000)
        pipe.execute()
        gevent.sleep(0.01)


OUTAGES: tuple[Outage, ...] = (well, refused, killed, frozen, full, replica, locked, poisoned)
# What answers instead of Redis, for three seconds.
REPLIES = {
    "Loading its data": b"-LOADING Redis is loading the dataset in memory\r\n",
    "Garbage": b"\x00\xff" * 500 + b"\r\n",
    "Half a reply": b"$100\r\nhalf of the",
}


def table() -> None:
    """Print the table."""
    print(
        "\n| Redis | calls | failed | slowest, ms | over 40 ms | back after, s | log |\n|---|---|---|---|---|---|---|"
    )
    for outage in OUTAGES:
        server = Redis()
        try:
            cache = cache_of(server.url)
            _row(_first_line(outage), under_load(cache, lambda outage=outage, server=server: outage(server)))
        finally:
            server.close()
    for name, reply in REPLIES.items():
        with answering(reply) as url:
            seen = under_load(cache_of(url), lambda: gevent.sleep(3))
        _row(name, seen, comes_back=False)


def _first_line(outage: Outage) -> str:
    return (outage.__doc__ or "").removesuffix(".")


def _row(name: str, seen: Seen, comes_back: bool = True) -> None:
    told = ", ".join(seen.lines) if len(seen.lines) < 5 else f"{len(seen.lines)} lines, one for each change"
    over = sum(took > LOST for took in seen.times)
    back = f"{seen.back:.1f}" if comes_back else ""
    cells = (f"{len(seen.times):,}", seen.failed, f"{max(seen.times) * 1000:.0f}", over, back, told)
    print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)
