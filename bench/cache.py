"""What the cache is worth: hit rates on traces of requests, and the CPU of what a hit and a miss take.

``python -m bench.cache`` prints both tables in a minute or two; ``--entries`` and ``--requests`` size the traces.
``--outages`` prints what calls lose while Redis is away (:mod:`bench.outages`).
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
import time
from bisect import bisect
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from gevent import monkey

from aura.cache import AnswerCache, LocalCache
from aura.cache.key import key_of
from aura.cache.local import Level, Memory
from aura.cache.shared import Shared
from aura.call import Call, Target
from aura.settings import CacheSettings

ANSWER_BYTES = 4096


def zipf(keys: int, exponent: float, requests: int, seed: int) -> list[int]:
    """Requests for keys of which the n-th is asked for in proportion to 1 / n ** exponent."""
    chance = random.Random(seed)
    weights = list(itertools.accumulate(1 / (n + 1) ** exponent for n in range(keys)))
    return [bisect(weights, chance.random() * weights[-1]) for _ in range(requests)]


def traces(keys: int, requests: int) -> dict[str, list[int]]:
    """The traces, by name: always the same popular keys; popular keys that change; one request in three asked once."""
    shifting = [
        key if key < keys // 500 else key + turn * keys // 20
        for turn in range(6)
        for key in zipf(keys, 0.9, requests // 6, turn)
    ]
    once = itertools.count(10 * keys)
    mixed = [
        one
        for number, key in enumerate(zipf(keys, 0.9, requests * 2 // 3, 3))
        for one in ((key, next(once)) if number % 2 else (key,))
    ]
    return {
        "Zipf 0.8": zipf(keys, 0.8, requests, 1),
        "Zipf 1.0": zipf(keys, 1.0, requests, 2),
        "Zipf 0.9, the popular change": shifting,
        "Zipf 0.9, a third asked once": mixed,
    }


def lru(trace: list[int], entries: int | None) -> float:
    """The share of hits of an LRU, or of a cache without bounds."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in trace:
        if key in kept:
            hits += 1
            kept.move_to_end(key)
        else:
            kept[key] = None
            if entries is not None and len(kept) > entries:
                kept.popitem(last=False)
    return hits / len(trace)


def level(trace: list[int], store: Level) -> float:
    """The share of hits of one of ours."""
    hits = 0
    for key in trace:
        name = named(key)
        if store.get(name) is not None:
            hits += 1
        else:
            store.set(name, b"x", 3600)
    return hits / len(trace)


def named(key: int) -> str:
    """A key as calls have them."""
    return f"{random.Random(key).getrandbits(256):064x}"


@contextmanager
def shared(entries: int, size: int = 2**30) -> Iterator[Shared]:
    """A store of the workers, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="aura-bench-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    store = Shared(folder, entries, size)
    try:
        yield store
    finally:
        store.close()
        shutil.rmtree(folder)


def rates(keys: int, entries: int, requests: int) -> None:
    """Print the table of hit rates."""
    print(f"\nHit rates: {requests:,} requests for {keys:,} keys and more, {entries:,} entries kept\n")
    print("| trace | no bounds | LRU | in the process | shared by the workers |")
    print("|---|---|---|---|---|")
    for name, trace in traces(keys, requests).items():
        with shared(entries) as store:
            found = (lru(trace, None), lru(trace, entries), level(trace, Memory(entries, 2**30)), level(trace, store))
        print(f"| {name} | {' | '.join(f'{rate:.3f}' for rate in found)} |", flush=True)


def cpu_us(work: Callable[[], Any], times: int = 3000) -> float:
    """Microseconds of CPU of one execution, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, time.process_time() - began)
    return best / times * 1e6


def answer(size: int) -> dict[str, Any]:
    """An answer of about so many bytes of JSON."""
    words = random.Random(size).choices(
        ["heat", "pump", "moves", "from", "cold", "to", "warm", "a", "the", "in"], k=size
    )
    message = {"role": "assistant", "content": " ".join(words)[: size - 300]}
    return {
        "id": "chatcmpl-" + "x" * 24,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 800, "total_tokens": 900},
    }


def costs(entries: int) -> None:
    """Print what the steps of a look-up cost, in a full store of answers of 4 kB."""
    print(f"\nCPU, in µs, at {entries:,} entries of {len(orjson.dumps(answer(ANSWER_BYTES))):,} bytes\n")
    print("| | in the process | shared by the workers |")
    print("|---|---|---|")
    with shared(entries) as store:
        columns = [steps(Memory(entries, 2**30), entries), steps(store, entries)]
    for name in columns[0]:
        print(f"| {name} | {columns[0][name]:.1f} | {columns[1][name]:.1f} |")


def steps(kept: Level, entries: int) -> dict[str, float]:
    """What each step costs over one store, in microseconds."""
    body: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "Explain a heat pump. " * 16}]}
    call, whole, target = Call("id", {**body, "seed": 1}), answer(ANSWER_BYTES), Target("p", "m")
    cache = AnswerCache(LocalCache(kept), CacheSettings(), time.monotonic)
    keys = [named(number) for number in range(entries)]
    for key in keys:
        cache.put(key, target, whole, call)
    turns = itertools.cycle(keys)
    return {
        "key of a short chat": cpu_us(lambda: key_of("chat", "tenant", "", "0123456789abcdef ECO", call.body)),
        "look up bytes": cpu_us(lambda: kept.get(next(turns))),
        "hit, ready to be sent": cpu_us(lambda: cache.get(next(turns), call)),
        "hit, the same again": cpu_us(lambda: cache.get(keys[-1], call)),
        "miss": cpu_us(lambda: cache.get("f" * 64, call)),
        "store": cpu_us(lambda: cache.put(next(turns), target, whole, call), 500),
        "look-up that 1 in 1,000 is slower than, wall": slow(lambda: kept.get(next(turns)), 20_000),
    }


def slow(work: Callable[[], Any], times: int) -> float:
    """The time that one execution in a thousand takes longer than, in microseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[-times // 1000] * 1e6


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=300_000)
    parser.add_argument("--outages", action="store_true")
    options = parser.parse_args()
    if options.outages:
        monkey.patch_all()
        from . import outages  # what it imports waits on sockets

        outages.table()
        return
    costs(options.entries)
    rates(options.keys, options.entries, options.requests)


if __name__ == "__main__":
    main()
