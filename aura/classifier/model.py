"""The learned numbers, and what they make of measures: a score, three probabilities, and where they come from.

The score is a sum. ``base`` stands at its beginning. Each feature adds what its step holds: one part is what a strong
model is expected to gain, the other puts conversations into their tiers. The length and the phrases that were met add
to the gain. Exam questions (three lettered answers or more) get one constant in place of the second parts: there only
the gain speaks. The last tenth at both ends is bent so that 0 and 1 are never reached.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import exp, log1p, sqrt
from typing import Any

import orjson

from .. import features
from ..features import Measures

EXAM = 3
_OPTIONS = features.NAMES.index("options")
_WORDS = features.NAMES.index("words")
# Phrases are damped where few are known.
_FEW = 5.0
_END = 0.1

# A feature, its edges, and what a value between them adds: to the gain, to the rest of the score, to the two logits.
Step = tuple[int, list[float], list[tuple[float, float, float, float]]]


@dataclass(frozen=True, slots=True)
class Model:
    """The numbers of ``classifier.json``, ready for use."""

    base: float
    exam: float
    length: float
    logits: tuple[float, float]
    steps: tuple[Step, ...]
    phrases: dict[str | tuple[str, str], float]
    known: frozenset[str | tuple[str, str]]
    gain_at: tuple[tuple[float, float], ...]

    def score(self, measures: Measures) -> tuple[float, tuple[float, float, float]]:
        """The score, and the probabilities of ECO, BALANCED, PREMIUM."""
        values = measures.values
        total, rest, (balanced, premium) = self.base + self.length * log1p(values[_WORDS]), 0.0, self.logits
        for place, edges, adds in self.steps:
            if value := values[place]:
                gain, tier, to_balanced, to_premium = adds[bisect_left(edges, value)]
                total += gain
                rest += tier
                balanced += to_balanced
                premium += to_premium
        found = self.known & measures.terms
        if found:
            total += sum(map(self.phrases.__getitem__, found)) / sqrt(len(found) + _FEW)
        total += self.exam if values[_OPTIONS] >= EXAM else rest
        return bounded(total), _softmax(balanced, premium)

    def contributions(self, measures: Measures) -> dict[str, float]:
        """What adds up to the score, by the name of a feature; besides ``base``, ``phrasing`` and ``bounds``."""
        values, exam = measures.values, measures.values[_OPTIONS] >= EXAM
        found = {"base": self.base}
        for place, edges, adds in self.steps:
            gain, tier, *_ = adds[bisect_left(edges, values[place])]
            found[features.NAMES[place]] = gain if exam else gain + tier
        name = features.NAMES[_WORDS]
        found[name] = found.get(name, 0.0) + self.length * log1p(values[_WORDS])
        if exam:
            found["options"] = found.get("options", 0.0) + self.exam
        known = sorted(self.known & measures.terms, key=str)
        found["phrasing"] = sum(self.phrases[term] for term in known) / sqrt(len(known) + _FEW)
        total = sum(found.values())
        found["bounds"] = bounded(total) - total
        return {name: amount for name, amount in found.items() if amount}

    def edges(self) -> dict[int, list[float]]:
        """For each feature the values at which anything changes, in order."""
        return {place: edges for place, edges, _ in self.steps}

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
    place = {name: number for number, name in enumerate(features.NAMES)}
    balanced, premium = data["probabilities"]
    phrases: dict[str | tuple[str, str], float] = {}
    for term, weight in data["phrases"].items():
        left, blank, right = term.partition(" ")
        phrases[(left, right) if blank else term] = weight
    return Model(
        base=data["base"],
        exam=data["exam"],
        length=data["length"],
        logits=(balanced, premium),
        steps=tuple(
            (place[name], step["edges"], [(0.0, 0.0, 0.0, 0.0), *map(tuple, step["adds"])])
            for name, step in data["steps"].items()
        ),
        phrases=phrases,
        known=frozenset(phrases),
        gain_at=tuple((score, gain) for score, gain in data["gain_at"]),
    )


def _softmax(balanced: float, premium: float) -> tuple[float, float, float]:
    most = max(0.0, balanced, premium)
    raised = exp(-most), exp(balanced - most), exp(premium - most)
    whole = sum(raised)
    return raised[0] / whole, raised[1] / whole, raised[2] / whole
