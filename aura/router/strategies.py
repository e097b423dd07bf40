"""In which order the targets of a tier are asked: small pure functions over what is known of them.

Each takes the targets in the configuration's order and returns all of them, those it would ask first at the front.
What is not available is moved behind by the router, after the strategy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..call import TIERS, Planned, Target, Tier
from .needs import Needs

# How often the latency strategy asks another target than the fastest, to learn whether it has become faster.
EXPLORE = 0.05
# Tokens of an answer whose length the client leaves open, for comparing prices.
ANSWER = 500

RANK = {tier: rank for rank, tier in enumerate(TIERS)}

Random = Callable[[], float]


def no_chance() -> float:
    """The middle, always: nothing is explored, and the greatest weight is first."""
    return 0.5


class Fleet(Protocol):
    """What the gateway knows of its targets from asking them."""

    @property
    def all_well(self) -> bool:
        """Whether every target is available, so that none need be looked for that is not."""

    def available(self, target: Target) -> bool:
        """Whether its circuit is closed and it is not throttled."""

    def first_content_s(self, target: Target) -> float | None:
        """Moving average of the seconds to first content; None if it was never asked."""

    def in_flight(self, target: Target) -> int:
        """Requests that are open at it now."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that the configuration lists, and what choosing it rests on.

    Args:
        lacks: bits of what it cannot do, see :mod:`aura.router.needs`.
        weight: the operator's, for the weighted strategy.
        window: tokens of prompt and answer together; unlimited where it is not known.
        output: tokens of an answer, likewise.
    """

    planned: Planned
    lacks: int
    weight: float = 1.0
    window: int = sys.maxsize
    output: int = sys.maxsize

    @property
    def target(self) -> Target:
        """Who it is."""
        return self.planned.target


Strategy = Callable[[Sequence[Candidate], Needs, Fleet, Random], list[Candidate]]


def priority(candidates: Sequence[Candidate], _needs: Needs, _fleet: Fleet, _random: Random) -> list[Candidate]:
    """The order of the configuration."""
    return list(candidates)


def cost(candidates: Sequence[Candidate], needs: Needs, _fleet: Fleet, _random: Random) -> list[Candidate]:
    """The cheapest for this prompt first; those whose price is not known last, since they may be dear."""
    answer = (needs.max_tokens or ANSWER) * needs.choices

    def dollars(candidate: Candidate) -> float:
        price = candidate.planned.model.price
        return float("inf") if price is None else needs.tokens * price.input + answer * price.output

    return sorted(candidates, key=dollars)


def latency(candidates: Sequence[Candidate], _needs: Needs, fleet: Fleet, random: Random) -> list[Candidate]:
    """The quickest to first content first; one that was never asked is tried, and now and then any other."""
    ordered = sorted(candidates, key=lambda candidate: fleet.first_content_s(candidate.target) or 0.0)
    if len(ordered) > 1 and random() < EXPLORE:
        other = 1 + int(random() * (len(ordered) - 1))
        ordered.insert(0, ordered.pop(min(other, len(ordered) - 1)))
    return ordered


def weighted(candidates: Sequence[Candidate], _needs: Needs, _fleet: Fleet, random: Random) -> list[Candidate]:
    """Drawn by weight without putting back; weight 0 is asked only when the others have failed.

    Each gets the key u^(1/weight), u even in 0..1, and the largest goes first.
    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    """
    keys = [random() ** (1 / candidate.weight) if candidate.weight > 0 else -1.0 for candidate in candidates]
    order = sorted(range(len(candidates)), key=lambda index: -keys[index])
    return [candidates[index] for index in order]


def least_busy(candidates: Sequence[Candidate], _needs: Needs, fleet: Fleet, _random: Random) -> list[Candidate]:
    """The one with the fewest open requests first."""
    return sorted(candidates, key=lambda candidate: fleet.in_flight(candidate.target))


STRATEGIES: dict[str, Strategy] = {
    "priority": priority,
    "cost": cost,
    "latency": latency,
    "weighted": weighted,
    "least-busy": least_busy,
}


Group = tuple[Candidate, ...]


def orders(tiers: dict[Tier, tuple[Candidate, ...]]) -> dict[tuple[Tier, Tier | None], list[tuple[Tier, Group]]]:
    """For each tier and ceiling, all tiers in the order in which they are used, no target twice."""
    orders = {}
    for ceiling in (None, *TIERS):
        allowed = [tier for tier in TIERS if ceiling is None or RANK[tier] <= RANK[ceiling]]
        for tier in allowed:
            above = [other for other in allowed if RANK[other] > RANK[tier]]
            below = [other for other in reversed(allowed) if RANK[other] < RANK[tier]]
            seen: set[Target] = set()
            order = []
            for other in (tier, *above, *below):
                group = tuple(c for c in tiers[other] if c.planned.target not in seen)
                seen.update(c.planned.target for c in group)
                order.append((other, group))
            orders[tier, ceiling] = order
    return orders
