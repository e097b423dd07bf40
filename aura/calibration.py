"""Thresholds for one's own traffic: those that meet a share or a budget, and what they are expected to be worth.

A strong model is expected to gain something over a weak one, more with some calls than with others. A tier keeps a part
of that gain (:data:`WORTH`); the quality of a choice of tiers is the part of the whole gain that it keeps: 1 if every
call goes to PREMIUM, 0 if all go to ECO.

Facts
  - On ZeroEval's GSM, MATH level 5 and CRUX, gpt-4o-mini, claude-3-5-haiku, Llama-3.1-70B and gemini-1.5-flash keep 0.5
    to 0.97 of what their vendor's (or OpenAI's) large model gains over a small one, 0.75 on average.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

from .call import TIERS, Tier

WORTH = {Tier.ECO: 0.0, Tier.BALANCED: 0.75, Tier.PREMIUM: 1.0}
DIGITS = 4  # of a threshold
_COARSE = 32  # points at which a cost is looked at before the search goes into one interval

Thresholds = tuple[float, float]
"""The premium and the balanced threshold."""

Tiers = Callable[[float, float], Sequence[Tier]]
"""What the classifier says of every call under a premium and a balanced threshold, in the order of the calls."""


class OutOfReachError(ValueError):
    """No thresholds meet what is asked for."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One call of the traffic that the classifier decides.

    Args:
        score: the classifier's, which the thresholds cut.
        gain: what a strong model is expected to gain.
        answers: the tier that answers if the classifier says ECO, BALANCED, PREMIUM; another where a tier cannot serve
            the call or its model sets a ceiling.
        costs: US dollars, likewise.
    """

    score: float
    gain: float
    answers: tuple[Tier, Tier, Tier]
    costs: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """What a pair of thresholds comes to.

    Args:
        shares: of ECO, BALANCED, PREMIUM among the calls, as the classifier says.
        usd_per_1k: expected cost of a thousand calls.
        quality: the part of the expected gain that is kept.
    """

    premium: float
    balanced: float
    shares: tuple[float, float, float]
    usd_per_1k: float
    quality: float


def gain_kept(chosen: Sequence[tuple[float, Tier]]) -> float:
    """The part of the expected gain that calls keep, each given by its gain and the tier that answers it."""
    whole = fsum(gain for gain, _ in chosen)
    return fsum(gain * WORTH[tier] for gain, tier in chosen) / whole if whole else 1.0


class Traffic:
    """Calls, and how their tiers follow from thresholds.

    Args:
        calls: at least one.
        tiers: the classifier's decision.
        balanced: the balanced threshold that is kept as long as it can be.
        fixed_usd: cost of the calls that the classifier does not decide, and ``fixed``, how many they are.
    """

    def __init__(
        self, calls: Sequence[Weighed], tiers: Tiers, balanced: float, fixed: int = 0, fixed_usd: float = 0.0
    ) -> None:
        self._calls, self._tiers = calls, tiers
        self._fixed, self._fixed_usd = fixed, fixed_usd
        self._path = path([call.score for call in calls], balanced)
        # Before this, BALANCED itself is held back: only a budget wants that.
        self._start = self._path.index((1.0, round(balanced, DIGITS)))

    def point(self, premium: float, balanced: float) -> Point:
        """What a pair of thresholds comes to."""
        tiers = self._tiers(premium, balanced)
        counts = [0] * len(TIERS)
        dollars, chosen = [self._fixed_usd], []
        for call, tier in zip(self._calls, tiers, strict=True):
            rank = TIERS.index(tier)
            counts[rank] += 1
            dollars.append(call.costs[rank])
            chosen.append((call.gain, call.answers[rank]))
        total = len(self._calls)
        eco, middle, high = (count / total for count in counts)
        return Point(
            premium, balanced, (eco, middle, high), fsum(dollars) * 1000 / (total + self._fixed), gain_kept(chosen)
        )

    def for_share(self, share: float) -> Point:
        """The thresholds whose share of PREMIUM calls is nearest to one that is asked for."""
        start, size = self._start, len(self._path)
        first = start + _first(size - start, lambda step: self._at(start + step).shares[2] >= share)
        near = [self._at(index) for index in (first - 1, first) if start <= index < size]
        return min(near, key=lambda point: abs(point.shares[2] - share))

    def for_budget(self, usd_per_1k: float) -> Point:
        """The thresholds that keep most of the gain for a cost.

        Raises:
            OutOfReachError: even the cheapest are dearer.
        """
        last = len(self._path) - 1
        marks = sorted({last * step // _COARSE for step in range(_COARSE + 1)})
        paid = [index for index in marks if self._at(index).usd_per_1k <= usd_per_1k]
        if not paid:
            least = min(self._at(index).usd_per_1k for index in marks)
            raise OutOfReachError(f"the cheapest thresholds come to {least:.4f} USD per 1,000 calls")
        best = max(paid, key=lambda index: self._at(index).quality)
        beyond = next((index for index in marks if index > best), last)
        steps = _first(beyond - best, lambda step: self._at(best + step + 1).usd_per_1k > usd_per_1k)
        return self._at(best + steps)

    def curve(self, points: int = 21) -> list[Point]:
        """The way from all ECO to all PREMIUM, in even steps."""
        last = len(self._path) - 1
        return [self._at(index) for index in sorted({last * step // (points - 1) for step in range(points)})]

    def _at(self, index: int) -> Point:
        return self.point(*self._path[index])


def path(scores: Sequence[float], balanced: float) -> list[Thresholds]:
    """The pairs of thresholds that are considered, from the cheapest on.

    BALANCED is paid for first, down to the threshold that it has; then PREMIUM; below it both go down as one. Each lies
    between two scores that occur, so that equal prompts stay together.
    """
    balanced = round(balanced, DIGITS)
    cuts = _cuts(scores)
    above = [cut for cut in cuts if cut > balanced]
    below = [cut for cut in cuts if cut < balanced]
    pairs = [(1.0, cut) for cut in above] + [(1.0, balanced)]
    pairs += [(cut, balanced) for cut in above] + [(balanced, balanced)]
    return list(dict.fromkeys(pairs + [(cut, cut) for cut in below]))


def _cuts(scores: Sequence[float]) -> list[float]:
    """1, the middles between neighbouring scores, and 0: from high to low."""
    known = sorted(set(scores))
    middles = (round((low + high) / 2, DIGITS) for low, high in pairwise(known))
    return sorted({0.0, 1.0, *middles}, reverse=True)


def _first(size: int, holds: Callable[[int], bool]) -> int:
    """The first of 0..size-1 for which something holds that goes on to hold; size if for none."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
