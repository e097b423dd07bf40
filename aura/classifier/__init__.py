"""How demanding a conversation is: a judge made from settings, and what its judgement rests on.

A classifier is a function ``make(settings) -> judge``, where ``judge(body)`` takes an OpenAI chat body, which it leaves
alone, and returns a :class:`~aura.call.Verdict`. Aura's own are ``heuristic`` and ``learned``; others are found by the
entry point group ``aura.classifiers`` under the name that ``aura.classifier.type`` gives. A judge may have a method
``remembering()``: it gives a judge of the same verdicts that remembers what it found of late, and is asked for calls.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from .. import features
from ..call import TIERS, Json, KnownBody, Tier, Verdict
from ..settings import ClassifierSettings
from . import heuristic, learned, model

GROUP = "aura.classifiers"
Judge = Callable[[Json], Verdict]

_OWN: dict[str, Callable[[ClassifierSettings], Judge]] = {"heuristic": heuristic.judge, "learned": learned.Learned}
_LEARNED = ClassifierSettings(type="learned")


class UnknownClassifierError(ValueError):
    """No classifier of that name is installed."""

    def __init__(self, name: str) -> None:
        known = sorted({*_OWN, *(point.name for point in entry_points(group=GROUP))})
        super().__init__(f"aura.classifier.type is {name!r}; known are {', '.join(known)}")


def build(settings: ClassifierSettings) -> Judge:
    """Make the judge that a configuration names.

    Raises:
        UnknownClassifierError: neither Aura nor an installed package has it.
    """
    if settings.type in _OWN:
        return _OWN[settings.type](settings)
    for point in entry_points(group=GROUP):
        if point.name == settings.type:
            judge: Judge = point.load()(settings)
            return judge
    raise UnknownClassifierError(settings.type)


def remembering(judge: Judge) -> Judge:
    """The judge that calls are judged by: one that remembers its verdicts of late, where the judge knows how."""
    own: Callable[[], Judge] | None = getattr(judge, "remembering", None)
    return judge if own is None else _Remembering(own())


class _Remembering:
    """A judge whose verdict on a body that many calls share is kept with the body."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def __call__(self, body: Json) -> Verdict:
        if body.__class__ is not KnownBody:
            return self._judge(body)
        known = body.verdict
        if known is None or known[0] is not self:
            known = body.verdict = self, self._judge(body)
        return known[1]


def explain(body: Json, settings: ClassifierSettings) -> Json:
    """Tell what the judgement of a chat body rests on, as plain JSON data.

    Returns:
        At least ``tier``, ``score``, ``probabilities`` (by tier, empty where the classifier has none),
        ``contributions`` (by name, signed; they add up to the score), ``margins`` to both thresholds and ``flips``. The
        learned classifier tells more, see :func:`aura.classifier.learned.explain`.
    """
    if settings.type == "learned":
        return learned.explain(body, settings)
    verdict = build(settings)(body)
    return {
        "tier": verdict.tier,
        "score": verdict.score,
        "probabilities": dict(zip(map(str, TIERS), verdict.probabilities, strict=False)),
        "contributions": dict(verdict.reasons),
        "margins": {
            "balanced": verdict.score - settings.balanced_threshold,
            "premium": verdict.score - settings.premium_threshold,
        },
        "flips": [],
    }


def score(prompt: str) -> float:
    """The learned score of a prompt that stands alone, 0..1; higher is harder."""
    return model.load().score(features.measure({"messages": [{"role": "user", "content": prompt}]}))[0]


def classify(messages: list[Json]) -> Tier:
    """The learned tier of a conversation, by the default thresholds."""
    return build(_LEARNED)({"messages": messages}).tier
