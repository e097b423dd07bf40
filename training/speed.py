"""How long a verdict takes on the prompts of a data folder: ``python training/speed.py DATA_FOLDER [--each 5]``.

Every prompt is judged nine times and its least time kept, so that other work on the machine is left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import alone  # noqa: F401  (finds the package beside this folder)

from aura import classifier, features
from aura.settings import ClassifierSettings

RUNS = 9


def main() -> None:
    """Print mean, median, 99th percentile and maximum in µs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=5, help="judge every so many prompts (default: 5)")
    wanted = parser.parse_args()
    with gzip.open(wanted.folder / "dev.jsonl.gz", "rt", encoding="utf-8") as file:
        prompts = [json.loads(line)["prompt"] for line in file][:: wanted.each]
    bodies = [{"messages": [{"role": "user", "content": prompt}]} for prompt in prompts]
    judge = classifier.build(ClassifierSettings(type="learned"))
    for name, work in (("verdict", judge), ("features", features.measure)):
        found = sorted(timed(work, bodies))
        mean, last = sum(found) / len(found), len(found) - 1
        shown = (mean, found[last // 2], found[int(last * 0.99)], found[last])
        print(
            f"{name:9}"
            + "  ".join(
                f"{label} {time:6.1f}" for label, time in zip(("mean", "median", "p99", "most"), shown, strict=True)
            )
        )


def timed(work: Callable[[dict], object], bodies: list[dict]) -> list[float]:
    """The least time of each body, in µs."""
    least = [float("inf")] * len(bodies)
    for _ in range(RUNS):
        for place, body in enumerate(bodies):
            start = perf_counter_ns()
            work(body)
            least[place] = min(least[place], (perf_counter_ns() - start) / 1000)
    return least


if __name__ == "__main__":
    main()
