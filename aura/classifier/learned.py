"""The learned classifier: how two heads make one decision, and what would change it.

The gain head's score is cut by the thresholds. The tier head says how probable each tier is. Where the tier head holds
a higher tier than the cut, and the score lies less than :data:`MARGIN` below that threshold, the call goes one tier up:
to be unsure costs a little, to be wrong costs the answer. The tier head never takes a call down.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p

from .. import features
from ..call import TIERS, Json, Tier, Verdict
from ..features import Measures
from ..features.surroundings import apart
from ..settings import ClassifierSettings
from .model import Model, Sums, bounded, load

MARGIN = 0.1
MAX_TURNS = 1024


@dataclass(slots=True)
class Turn:
    """A user's turn in numbers.

    Args:
        values: those of :func:`aura.features.turn`.
        phrasing: what its phrases add to the score.
        surroundings: what stood around it when it was judged last.
        verdict: what was found then.
    """

    values: Sequence[float]
    phrasing: float
    surroundings: Sequence[float] = ()
    verdict: Verdict | None = None


class Learned:
    """The judge. Its verdicts carry no reasons: those take longer, and :func:`explain` gives them.

    Args:
        settings: the thresholds.
        turn: reads a user's turn; by default each time anew.
    """

    def __init__(self, settings: ClassifierSettings, turn: Callable[[str], Turn] | None = None) -> None:
        self._settings, self._model = settings, load()
        self._low, self._high = settings.balanced_threshold, settings.premium_threshold
        self._turn = turn or self._read

    def __call__(self, body: Json) -> Verdict:
        """Judge a chat body."""
        prompt, surroundings = apart(body)
        turn = self._turn(prompt)
        verdict = turn.verdict
        if verdict is None or turn.surroundings != surroundings:
            score, probabilities = self._model.weighed(features.joined(turn.values, surroundings), turn.phrasing)
            tier = decide(score, probabilities, self._low, self._high)
            verdict = Verdict(tier=tier, score=score, probabilities=probabilities)
            turn.surroundings, turn.verdict = surroundings, verdict
        return verdict

    def remembering(self) -> Learned:
        """A judge of the same verdicts that reads no turn again which it has read of late.

        Of a turn it remembers the last verdict, too: one that comes with the same surroundings (a retry, one of many
        samples, an answer from the cache) is not weighed again.
        """
        return Learned(self._settings, Turns(self._read))

    def _read(self, prompt: str) -> Turn:
        found = features.turn(prompt)
        return Turn(found.values, self._model.phrasing(found))


class Turns:
    """Turns of late, by a hash of what is looked at: an agent's calls all hold the turn that they are made for.

    Numbers are kept and no word, about 2 kB for each.
    """

    def __init__(self, read: Callable[[str], Turn], size: int = MAX_TURNS) -> None:
        self._read, self._size = read, size
        self._turns: OrderedDict[int, Turn] = OrderedDict()

    def __call__(self, prompt: str) -> Turn:
        """The numbers of a turn."""
        # Python's hash of a text has a key of its own in each process: nobody can make two texts that share one.
        key = hash(features.text.ends(prompt))
        known = self._turns.get(key)
        if known is None:
            known = self._turns[key] = self._read(prompt)
            if len(self._turns) > self._size:
                self._turns.popitem(last=False)
        else:
            self._turns.move_to_end(key)
        return known


def decide(score: float, probabilities: tuple[float, ...], low: float, high: float) -> Tier:
    """The tier of a score and the probabilities of the three tiers.

    Args:
        score: the gain head's, 0..1.
        probabilities: of ECO, BALANCED, PREMIUM; anything that is in their order will do.
        low: from here on BALANCED.
        high: from here on PREMIUM.
    """
    cut = (score >= low) + (score >= high)
    if cut < 2 and score >= (low, high)[cut] - MARGIN and probabilities.index(max(probabilities)) > cut:
        cut += 1
    return TIERS[cut]


def explain(body: Json, settings: ClassifierSettings) -> Json:
    """Tell what a judgement rests on.

    Returns:
        ``tier``, ``score``, ``probabilities`` by tier, ``contributions`` by feature (they add up to the score),
        ``margins`` to both thresholds (positive: above), ``expected_gain`` (what a strong model gained over a weak one
        at this score), ``features`` that are not zero, and ``flips``: the smallest changes of one feature that lead to
        another tier, with the tier that each leads to.
    """
    model, measures = load(), features.measure(body)
    score, probabilities = model.score(measures)
    low, high = settings.balanced_threshold, settings.premium_threshold
    contributions = model.contributions(measures)
    named = zip(features.NAMES, measures.values, strict=True)
    return {
        "tier": decide(score, probabilities, low, high),
        "score": score,
        "probabilities": dict(zip(map(str, TIERS), probabilities, strict=True)),
        "contributions": dict(sorted(contributions.items(), key=lambda item: -abs(item[1]))),
        "margins": {"balanced": score - low, "premium": score - high},
        "expected_gain": model.gain(score),
        "features": {name: float(value) for name, value in named if value},
        "flips": flips(model, measures, low, high),
    }


def flips(model: Model, measures: Measures, low: float, high: float) -> list[Json]:
    """The smallest change of one feature that leads to each other tier, where there is one.

    A change is as large as the difference of the logarithms; counts change to the nearest whole number.
    """
    sums = model.sums(measures)
    present = _tier(sums, low, high)
    best: dict[Tier, tuple[float, int, float]] = {}
    far = float("inf")  # from here on no change is the smallest to any tier
    for place, (edges, value) in enumerate(zip(model.edges(), measures.values, strict=True)):
        for edge in edges:
            changed = _beyond(edge, value, features.NAMES[place])
            size = abs(log1p(changed) - log1p(value))
            if size >= far:
                continue
            tier = _tier(model.moved(sums, measures, place, changed), low, high)
            if tier is not present and (tier not in best or size < best[tier][0]):
                best[tier] = (size, place, changed)
                if len(best) == len(TIERS) - 1:
                    far = max(found[0] for found in best.values())
    return [
        {"feature": features.NAMES[place], "from": float(measures.values[place]), "to": changed, "tier": tier}
        for tier, (_, place, changed) in sorted(best.items(), key=lambda item: item[1][0])
    ]


def _tier(sums: Sums, low: float, high: float) -> Tier:
    total, *logits = sums
    return decide(bounded(total), (0.0, *logits), low, high)


def _beyond(edge: float, value: float, name: str) -> float:
    """The nearest value on the other side of an edge."""
    if name in features.FRACTIONS:
        return max(0.0, edge - 0.001) if value > edge else edge + 0.001
    return float(int(edge)) if value > edge else float(int(edge) + 1)
