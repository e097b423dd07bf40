"""How well questions in other words are told from questions that only look alike.

``python -m bench.semantic`` prints precision and recall over the pairs of ``bench/data/questions.txt``: of likeness
alone, of the form alone, and of both, as the semantic cache asks for them. The questions are taken in turn for
``tuned``, which the rules were tried with, and ``held out``, which they were not. Needs the extra ``semantic``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aura.cache.likeness import StaticModel
from aura.cache.wording import form
from aura.settings import CacheSettings

from .cache import cpu_us

QUESTIONS = Path(__file__).parent / "data" / "questions.txt"
PARTS = ("tuned", "held out")


@dataclass(frozen=True)
class Pair:
    """Two questions.

    Args:
        same: one answer serves both.
        kind: in what they differ, where they do.
        part: which of ``PARTS``.
    """

    one: str
    other: str
    same: bool
    kind: str
    part: str


def pairs() -> list[Pair]:
    """All pairs of the file."""
    found: list[Pair] = []
    question, number = "", 0
    for line in QUESTIONS.read_text("utf-8").splitlines():
        mark, text = line[:2], line[2:]
        part = PARTS[number % 2]
        if mark == "+ ":
            found.append(Pair(question, text, True, "", part))
        elif mark == "- ":
            kind, _, text = text.partition(": ")
            found.append(Pair(question, text, False, kind, part))
        elif line and not line.startswith("#"):
            question, number = line, number + 1
    return found


def of_one_form(pair: Pair) -> bool:
    """Whether the rules find the same question in both."""
    found = form(pair.one)
    return found is not None and found == form(pair.other)


def measured(said: Callable[[Pair], bool], among: list[Pair]) -> tuple[int, int, float, float]:
    """How many pairs are said to be the same, how many of these wrongly, precision and recall."""
    hits = [pair for pair in among if said(pair)]
    wrong = sum(not pair.same for pair in hits)
    right = len(hits) - wrong
    return len(hits), wrong, right / max(1, len(hits)), right / sum(pair.same for pair in among)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threshold", type=float, default=CacheSettings().semantic_threshold)
    threshold = parser.parse_args().threshold
    model, everything = StaticModel(), pairs()
    alike = {pair: model(pair.one, pair.other) for pair in everything}

    def row(name: str, said: Callable[[Pair], bool], among: list[Pair]) -> None:
        hits, wrong, precision, recall = measured(said, among)
        print(f"| {name} | {hits} | {wrong} | {precision:.3f} | {recall:.3f} |")

    same = sum(pair.same for pair in everything)
    print(f"\n{len(everything)} pairs: {same} in other words, {len(everything) - same} that look alike\n")
    print("| | said to be the same | wrongly | precision | recall |\n|---|---|---|---|---|")
    for least in (0.7, 0.8, 0.9, 0.95, 0.98):
        row(f"likeness {least} alone", lambda pair, least=least: alike[pair] >= least, everything)
    row("form alone", of_one_form, everything)
    for part in PARTS:
        among = [pair for pair in everything if pair.part == part]
        row(f"both, {part}", lambda pair: of_one_form(pair) and alike[pair] >= threshold, among)
    row("both, all", lambda pair: of_one_form(pair) and alike[pair] >= threshold, everything)
    kinds = Counter(pair.kind for pair in everything if not pair.same)
    print("\nWhat looks alike differs in:", ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    one, other = everything[0].one, everything[0].other
    took = cpu_us(lambda: form.__wrapped__(one)), cpu_us(lambda: model(one, other))
    print(f"\nCPU: form {took[0]:.0f} µs, likeness {took[1]:.0f} µs")


if __name__ == "__main__":
    main()
