"""What a call would do, without doing it: the judgement, the plan with its costs, and why others were left out.

Pure: no provider is called, no conversation is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import classifier, limits
from .call import TIERS, Call, Json, Plan, Planned, Target, Tier, Usage, Verdict
from .catalogue import cost_usd
from .errors import BadRequest
from .router import AUTO, Router
from .router.needs import Needs, needs_of, options_of, tier_named
from .router.strategies import ANSWER, Fleet
from .settings import ClassifierSettings, Settings

Judge = Callable[[Json], Verdict]
# Tokens of a typical answer, with its thoughts, of a model that thinks before it speaks.
THOUGHTFUL_ANSWER = 2000
CLASSIFIER = "classifier"
_NOTHING = 1e-9
_NOT_CONSIDERED = {"pinned": "the call names its targets", "requested-model": "is not what the named model allows"}


class Untouched:
    """A fleet that nothing is known of: every target well and idle."""

    all_well = True

    def available(self, _target: Target) -> bool:
        """Every target is."""
        return True

    def first_content_s(self, _target: Target) -> None:
        """Never measured."""

    def in_flight(self, _target: Target) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would cost at a target.

    Args:
        output: tokens of the answer, all choices together.
        rests_on: where ``output`` comes from: ``max_tokens``, ``max_cost_usd`` or ``typical answer``.
        usd: 0 where the price is not known.
    """

    input: int
    output: int
    rests_on: str
    usd: float


def estimate(needs: Needs, planned: Planned, body: Json) -> Estimate:
    """Estimate what a call costs at a target: by the longest answer that it allows, else by a typical one."""
    model = planned.model
    if needs.max_tokens:
        length, rests_on = needs.max_tokens, "max_tokens"
    else:
        typical = THOUGHTFUL_ANSWER if limits.reasons(body, model) else ANSWER
        length, rests_on = min(typical, model.max_output or typical), "typical answer"
    if planned.max_tokens is not None and planned.max_tokens < length:
        length, rests_on = planned.max_tokens, "max_cost_usd"
    usage = Usage(input=needs.tokens, output=length * needs.choices)
    return Estimate(usage.input, usage.output, rests_on, cost_usd(usage, model.price))


def preview(call: Call, router: Router, judge: Judge, settings: Settings, fleet: Fleet) -> tuple[Plan, Json]:
    """Say what a call would do.

    Returns:
        Its plan, and the same with the judgement as JSON; ``tier`` there is the one that was decided on, whether or not
        it has a target that can serve the call.

    Raises:
        BadRequest: an option is not what it should be, or nothing can serve the call.
        NotFound: the model is nowhere listed.
    """
    plan = router.plan(call, judge, fleet)
    tier, decided_by = _decision(plan, call, router, settings, fleet)
    needs = needs_of(call)
    told = {
        "object": "aura.route",
        **judgement(call.body, settings.classifier),
        "tier": tier,
        "decided_by": decided_by,
        "requested_model": {"name": call.body.get("model", AUTO[0]), "policy": settings.router.requested_model},
        "strategy": settings.router.strategy,
        "plan": [_told(planned, needs, call.body, fleet) for planned in plan.targets],
        "left_out": [{"target": target.name, "reason": why} for target, why in _left_out(plan, router, decided_by)],
    }
    return plan, told


def unserved(call: Call, settings: Settings, error: BadRequest) -> Json:
    """What can be said of a call that nothing can serve: the judgement, and why."""
    judged = judgement(call.body, settings.classifier)
    return {"object": "aura.route", **judged, "decided_by": CLASSIFIER, "plan": [], "left_out": [], **error.body()}


def judgement(body: Json, settings: ClassifierSettings) -> Json:
    """What the classifier says of a body, and why."""
    told = classifier.explain(body, settings)
    contributions = told["contributions"]
    rest = told["score"] - sum(contributions.values())
    return {
        **told,
        "probabilities": {str(tier): chance for tier, chance in told["probabilities"].items()},
        # A classifier may attribute a part of its score to nothing.
        "contributions": contributions if abs(rest) < _NOTHING else {**contributions, "other": rest},
    }


def _decision(plan: Plan, call: Call, router: Router, settings: Settings, fleet: Fleet) -> tuple[Tier | None, str]:
    """The tier that was decided on, before asking who can serve the call, and what decided."""
    if plan.pinned:
        return plan.tier, "pinned"
    verdict = plan.verdict
    if verdict is None:
        named = options_of(call).tier is not None or tier_named(str(call.body.get("model"))) is not None
        return plan.tier, "tier" if named else "requested-model"
    if plan.tier is None or plan.tier is verdict.tier:
        return verdict.tier, CLASSIFIER
    # Without memory and earlier turns the router plans what it would for a conversation that begins.
    if router.plan(call, lambda _: verdict, fleet, memory=False).tier is not plan.tier:
        return plan.tier, "conversation"
    if settings.router.requested_model == "ceiling" and TIERS.index(plan.tier) < TIERS.index(verdict.tier):
        return plan.tier, "requested-model"
    return verdict.tier, CLASSIFIER


def _told(planned: Planned, needs: Needs, body: Json, fleet: Fleet) -> Json:
    expected = estimate(needs, planned, body)
    told = {
        "target": planned.target.name,
        "tier": planned.tier,
        "available": fleet.available(planned.target),
        "cost_usd": round(expected.usd, 8),
        "priced": planned.model.price is not None,
        "input_tokens": expected.input,
        "output_tokens": expected.output,
        "output_from": expected.rests_on,
    }
    return told if planned.max_tokens is None else {**told, "max_tokens": planned.max_tokens}


def _left_out(plan: Plan, router: Router, decided_by: str) -> list[tuple[Target, str]]:
    """Every target that the configuration lists and the plan has not, with the reason."""
    known = {planned.target for planned in plan.targets} | {target for target, _ in plan.left_out}
    why = _NOT_CONSIDERED.get(decided_by, "is in no tier that this call may use")
    return [*plan.left_out, *((target, why) for target in router.targets() if target not in known)]
