"""The learned numbers, and what they make of measures: a score, three probabilities, and where they come from.

The score is a sum. ``base`` stands at its beginning. Each feature adds what its step holds: one part is what a strong
model is expected to gain on any prompt, the other what it gains besides where no answers are listed, and what puts
conversations into their tiers. The length and the phrases that were met add to the gain. Exam questions (three
lettered answers or more) get one constant in place of the second parts: there only the gain speaks. The last tenth at
both ends is bent so that 0 and 1 are never reached.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import chain, compress, pairwise
from math import exp, fsum, log1p, sqrt
from operator import getitem
from typing import Any

import orjson

from .. import features
from ..features import Measures, Term

EXAM = 3
_OPTIONS = features.NAMES.index("options")
_WORDS = features.NAMES.index("words")
# Phrases are damped where few are known.
_FEW = 5.0
_END = 0.1
_COUNTS = 40

# What a value adds: to the score and to the two logits.
Adds = tuple[float, float, float]
# The score before its ends are bent, and the logits of BALANCED and PREMIUM against ECO.
Sums = tuple[float, float, float]


class Step(dict[float, Adds]):
    """What each value of a feature adds. Most are small counts: those are looked up, others found between edges.

    Args:
        edges: the values at which anything changes, in order.
        adds: what is added up to the first edge, and behind each.
    """

    __slots__ = ("_adds", "edges")

    def __init__(self, edges: list[float], adds: list[Adds]) -> None:
        self.edges, self._adds = edges, adds
        super().__init__({count: adds[bisect_left(edges, count)] for count in range(_COUNTS)})

    def __missing__(self, value: float) -> Adds:
        return self._adds[bisect_left(self.edges, value)]


@dataclass(frozen=True, slots=True)
class Model:
    """The numbers of ``classifier.json``, ready for use; a step for each feature, others for exam questions."""

    base: float
    exam: float
    length: float
    logits: tuple[float, float]
    steps: tuple[Step, ...]
    exam_steps: tuple[Step, ...]
    phrases: dict[Term, float]
    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    gain_at: tuple[tuple[float, float], ...]

    def score(self, measures: Measures) -> tuple[float, tuple[float, float, float]]:
        """The score, and the probabilities of ECO, BALANCED, PREMIUM."""
        return self.weighed(measures.values, self.phrasing(measures))

    def weighed(self, values: Sequence[float], phrasing: float) -> tuple[float, tuple[float, float, float]]:
        """The same of the numbers, and of what the phrases add."""
        total, balanced, premium = self._sums(values, phrasing)
        return bounded(total), _softmax(balanced, premium)

    def sums(self, measures: Measures) -> Sums:
        """What the score and the probabilities are made of."""
        return self._sums(measures.values, self.phrasing(measures))

    def _sums(self, values: Sequence[float], phrasing: float) -> Sums:
        total, (balanced, premium) = self.base + self.length * log1p(values[_WORDS]), self.logits
        steps = self.steps
        if values[_OPTIONS] >= EXAM:
            total += self.exam
            steps = self.exam_steps
        # A value of zero adds nothing.
        for more, to_balanced, to_premium in map(getitem, compress(steps, values), filter(None, values)):
            total += more
            balanced += to_balanced
            premium += to_premium
        return total + phrasing, balanced, premium

    def phrasing(self, measures: Measures) -> float:
        """What the known words and pairs of neighbours add, each once."""
        words: Set[str] = self.words & measures.distinct
        pairs: Set[tuple[str, str]] = self.pairs.intersection(measures.pairs())
        if options := measures.option_tokens:
            words |= self.words.intersection(options)
            pairs |= self.pairs.intersection(pairwise(options))
        # An exact sum does not depend on how strings hash: all processes agree to the last digit.
        found: Iterator[Term] = chain(words, pairs)
        return fsum(map(self.phrases.__getitem__, found)) / sqrt(len(words) + len(pairs) + _FEW)

    def moved(self, sums: Sums, measures: Measures, place: int, value: float) -> Sums:
        """What the sums would be if one feature had another value; like a new sum, but for the last digits."""
        values = measures.values
        if place == _OPTIONS and (value >= EXAM) != (values[_OPTIONS] >= EXAM):
            changed = [*values]
            changed[place] = value
            return self.sums(replace(measures, values=changed))
        step = (self.exam_steps if values[_OPTIONS] >= EXAM else self.steps)[place]
        before, after = step[values[place]], step[value]
        total, balanced, premium = sums
        total += after[0] - before[0]
        if place == _WORDS:
            total += self.length * (log1p(value) - log1p(values[place]))
        return total, balanced + after[1] - before[1], premium + after[2] - before[2]

    def contributions(self, measures: Measures) -> dict[str, float]:
        """What adds up to the score, by the name of a feature; besides ``base``, ``phrasing`` and ``bounds``."""
        values = measures.values
        exam = values[_OPTIONS] >= EXAM
        found = {"base": self.base}
        for name, step, value in zip(features.NAMES, self.exam_steps if exam else self.steps, values, strict=True):
            found[name] = step[value][0]
        found[features.NAMES[_WORDS]] += self.length * log1p(values[_WORDS])
        if exam:
            found["options"] += self.exam
        found["phrasing"] = self.phrasing(measures)
        total = sum(found.values())
        found["bounds"] = bounded(total) - total
        return {name: amount for name, amount in found.items() if amount}

    def edges(self) -> list[list[float]]:
        """For each feature the values at which anything changes, in order."""
        return [step.edges for step in self.steps]

    def gain(self, score: float) -> float:
        """The mean gain of a strong over a weak model that was seen at a score, between 0 and 1."""
        knots = self.gain_at
        place = bisect_left(knots, (score, -1.0))
        if place in (0, len(knots)):
            return knots[min(place, len(knots) - 1)][1]
        (low, below), (high, above) = knots[place - 1], knots[place]
        return below + (above - below) * (score - low) / (high - low)


def bounded(value: float) -> float:
    """Bend the ends of the scale: every order is kept, and 0 and 1 are never reached."""
    if value > 1 - _END:
        over = value - 1 + _END
        return 1 - _END + _END * over / (over + _END)
    if value < _END:
        under = _END - value
        return _END - _END * under / (under + _END)
    return value


@cache
def load() -> Model:
    """Read the numbers that the package ships."""
    return read(orjson.loads(files("aura").joinpath("data", "classifier.json").read_bytes()))


def read(data: dict[str, Any]) -> Model:
    """Make a model of the file's content.

    Raises:
        ValueError: it was made for other features.
    """
    if tuple(data["features"]) != features.NAMES:
        raise ValueError("classifier.json was made for other features; train it anew")
    balanced, premium = data["probabilities"]
    phrases: dict[Term, float] = {}
    for term, weight in data["phrases"].items():
        left, blank, right = term.partition(" ")
        phrases[(left, right) if blank else term] = weight
    steps, exam_steps = zip(*(_steps(data["steps"].get(name)) for name in features.NAMES), strict=True)
    return Model(
        base=data["base"],
        exam=data["exam"],
        length=data["length"],
        logits=(balanced, premium),
        steps=steps,
        exam_steps=exam_steps,
        phrases=phrases,
        words=frozenset(term for term in phrases if isinstance(term, str)),
        pairs=frozenset(term for term in phrases if isinstance(term, tuple)),
        gain_at=tuple((score, gain) for score, gain in data["gain_at"]),
    )


def _steps(step: dict[str, Any] | None) -> tuple[Step, Step]:
    """The step of a feature, and the same for exam questions; where there is none, one that adds nothing."""
    edges, rows = (step["edges"], step["adds"]) if step else ([], [])
    nothing = (0.0, 0.0, 0.0)
    return (
        Step(edges, [nothing, *((gain + tier, *logits) for gain, tier, *logits in rows)]),
        Step(edges, [nothing, *((gain, *logits) for gain, _, *logits in rows)]),
    )


def _softmax(balanced: float, premium: float) -> tuple[float, float, float]:
    most = max(0.0, balanced, premium)
    raised = exp(-most), exp(balanced - most), exp(premium - most)
    whole = sum(raised)
    return raised[0] / whole, raised[1] / whole, raised[2] / whole
