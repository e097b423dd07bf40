"""What another configuration would have done to recorded calls: tiers, costs, expected quality. Pure.

Both configurations get the calls in the order in which they came, so conversations stay put as they would have; every
target is taken to be well. Quality is measured by one yardstick for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .calibration import gain_kept
from .call import Call, Json, Tier, Verdict
from .errors import AuraError
from .preview import Untouched, estimate
from .router import Router
from .router.needs import needs_of

Judge = Callable[[Json], Verdict]
NO_TIER, REFUSED = "no tier", "refused"
LABELS = (*(tier.value for tier in Tier), NO_TIER, REFUSED)
_WELL = Untouched()


@dataclass(slots=True)
class Configured:
    """One of the two configurations."""

    router: Router
    judge: Judge


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a call: its label is a tier's name, or one of the two other words."""

    label: str
    target: str = ""
    tier: Tier | None = None
    usd: float = 0.0


@dataclass(slots=True)
class Side:
    """Sums of one configuration, over the calls that both serve."""

    usd: float = 0.0
    chosen: list[tuple[float, Tier]] = field(default_factory=list)

    @property
    def quality(self) -> float:
        """The part of the expected gain that is kept."""
        return gain_kept(self.chosen)


@dataclass(slots=True)
class Report:
    """The difference.

    Args:
        moved: calls by the label before and after.
        targets: calls by the first target before and after, where it changed.
        served: how many calls both configurations serve.
    """

    calls: int = 0
    served: int = 0
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    targets: Counter[tuple[str, str]] = field(default_factory=Counter)
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)


def replay(bodies: Iterable[Json], before: Configured, after: Configured, gain: Callable[[Json], float]) -> Report:
    """Route calls by two configurations.

    Args:
        bodies: chat bodies, in the order in which they came.
        gain: what a strong model is expected to gain with a chat.
    """
    report = Report()
    for body in bodies:
        was, will_be = _routed(before, body), _routed(after, body)
        report.calls += 1
        report.moved[was.label, will_be.label] += 1
        if REFUSED in (was.label, will_be.label):
            continue
        report.served += 1
        if was.target != will_be.target:
            report.targets[was.target, will_be.target] += 1
        report.before.usd += was.usd
        report.after.usd += will_be.usd
        if was.tier is not None and will_be.tier is not None:
            gained = gain(body)
            report.before.chosen.append((gained, was.tier))
            report.after.chosen.append((gained, will_be.tier))
    return report


def _routed(configured: Configured, body: Json) -> _Outcome:
    call = Call("replay", body)
    try:
        plan = configured.router.plan(call, configured.judge, _WELL)
    except AuraError:
        return _Outcome(REFUSED)
    first = plan.targets[0]
    configured.router.remember(call, plan, first.target)
    label = plan.tier.value if plan.tier else NO_TIER
    return _Outcome(label, first.target.name, plan.tier, estimate(needs_of(call), first, body).usd)
