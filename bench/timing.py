"""Does the time of a wrong key tell how wrong it is? Run: ``python -m bench.timing [ROUNDS]``.

Keys that differ from a right one in more and fewer places, by letters drawn anew each time, are sent to a real worker
over one connection, in an order drawn anew each round, so that what else the machine does falls on all alike. For each
kind the median time is told, and by the Mann-Whitney test against keys that have nothing in common with any: the share
of its times that are longer (0.5: no difference at all) and how many standard deviations that is from chance. The
look-up is measured without the network as well, where nanoseconds show; there the secret under which keys are hashed is
drawn anew again and again, as at every start: which two hashes meet in a table is chance, and says nothing of a key.
"""

from __future__ import annotations

import http.client
import math
import random
import statistics
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from string import ascii_letters

from aura.api.auth import Keys
from aura.settings import ClientKey, Secret
from tests.server import gateway

KEY = "Zk4vQx8wLr7tYp2mHs9cBn5dGf3jWe6a"
OTHERS = 20
_SUSPICIOUS = 4.0  # standard deviations, of six comparisons


# Which places of the key are wrong.
KINDS: dict[str, slice] = {
    "nothing right": slice(None),
    "first 8 right": slice(8, None),
    "first 16 right": slice(16, None),
    "first 24 right": slice(24, None),
    "all but the last": slice(-1, None),
    "all but the first": slice(0, 1),
    "all but the middle": slice(15, 16),
}
BASE = "nothing right"


def wrong(kind: str, chance: random.Random) -> str:
    """A key of a kind."""
    letters = list(KEY)
    for place in range(len(KEY))[KINDS[kind]]:
        letters[place] = chance.choice(ascii_letters.replace(KEY[place], ""))
    return "".join(letters)


def measured(rounds: int, ask: Callable[[str], None], seed: int = 0) -> dict[str, list[float]]:
    """Seconds of each kind, a time a round, in an order drawn anew each round."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    chance = random.Random(seed)
    # All keys are there before the first is timed: making one leaves traces in the processor's caches.
    orders = [chance.sample(list(KINDS), len(KINDS)) for _ in range(rounds)]
    for kind, key in [(kind, wrong(kind, chance)) for order in orders for kind in order]:
        started = time.perf_counter()
        ask(key)
        spent = time.perf_counter() - started  # before the look-up of the kind, whose own time depends on the kind
        times[kind].append(spent)
    return times


def longer(these: list[float], those: list[float]) -> tuple[float, float]:
    """How often one of these is longer than one of those, and how far that is from one half, in deviations."""
    n, m = len(these), len(those)
    other = sorted(those)
    share = sum(bisect_left(other, value) + bisect_right(other, value) for value in these) / (2 * n * m)
    return share, (share - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))


def told(title: str, times: dict[str, list[float]]) -> bool:
    """Print a table; returns whether any kind is told from the base."""
    print(f"{title}, {len(times[BASE])} times each")
    suspicious = False
    for kind, values in times.items():
        share, deviations = longer(values, times[BASE])
        print(
            f"  {kind:18} median {statistics.median(values) * 1e6:9.2f} µs   longer {share:.3f}   {deviations:+5.1f} σ"
        )
        suspicious = suspicious or (kind != BASE and abs(deviations) > _SUSPICIOUS)
    return suspicious


def looked_up(rounds: int, listed: tuple[ClientKey, ...]) -> dict[str, list[float]]:
    """Seconds of the look-up, under many secrets."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(rounds // 5):
        keys = Keys(listed)

        def ask(key: str, keys: Keys = keys) -> None:
            keys.find(key)

        for kind, values in measured(20, ask, seed).items():
            times[kind] += values
    return times


def main() -> int:
    """Measure and tell; returns 1 if the time tells something."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    others = [f"{KEY[:16]}{number:016}" for number in range(OTHERS)]
    keys = tuple(ClientKey(key, Secret(key)) for key in (KEY, *others))
    suspicious = told("the look-up alone", looked_up(rounds, keys))

    listed = ", ".join(f"{{name: k{number}, key: '{key}'}}" for number, key in enumerate((KEY, *others)))
    config = f"aura: {{auth: {{keys: [{listed}]}}, log: {{level: ERROR}}}}"
    with gateway(config) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

        def ask(key: str) -> None:
            connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401, answer.status

        for _ in range(200):
            ask(KEY[::-1])
        suspicious = told("over a connection", measured(rounds, ask)) or suspicious
    print("the time tells something" if suspicious else "the time of a wrong key does not tell how wrong it is")
    return int(suspicious)


if __name__ == "__main__":
    sys.exit(main())
