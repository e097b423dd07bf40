"""Look-ups of stored answers: in the local cache, and in a Redis on this machine, in a process that does nothing else.

``python -m bench.lookups``
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from typing import Any

_ENTRIES, _BYTES, _LOOKUPS = 10_000, 4096, 20_000


def rows() -> list[dict[str, Any]]:
    """What was measured, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "bench.lookups"], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def timed(name: str, cache: Any) -> dict[str, Any]:
    """Fill a cache, and look up what is in it at random."""
    chance = random.Random(1)
    keys = [f"{chance.getrandbits(256):064x}" for _ in range(_ENTRIES)]
    for key in keys:
        cache.set(key, b"answer" * (_BYTES // 6), 3600)
    asked, took = chance.choices(keys, k=_LOOKUPS), []
    spent = time.process_time()
    for key in asked:
        began = time.perf_counter()
        assert cache.get(key) is not None
        took.append(time.perf_counter() - began)
    spent = time.process_time() - spent
    took.sort()
    return {
        "gateway": "aura",
        "phase": f"lookups, {name}",
        "cpu_us_lookup": spent / _LOOKUPS * 1e6,
        "p50_ms": took[_LOOKUPS // 2] * 1e3,
        "p99_ms": took[_LOOKUPS * 99 // 100] * 1e3,
    }


def main() -> None:
    """Print a row for each cache, as JSON."""
    from aura.cache.local import LocalCache
    from aura.cache.remote import RedisCache
    from tests.redis_server import Redis

    from .cache import Memory, shared

    with shared(_ENTRIES) as store:
        print(json.dumps(timed("local", LocalCache(store, 3600))))
    if shutil.which("redis-server"):
        server = Redis()
        try:
            cache = RedisCache(server.url, LocalCache(Memory(16, 2**20), 3600))
            print(json.dumps(timed("Redis", cache)))
        finally:
            server.kill()


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    main()
