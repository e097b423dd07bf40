"""Which targets answer a call, in which order: the table of names, the tiers, and what each call needs.

Pure: it knows the configuration and the catalogue, is told of the fleet with each call, and keeps no clock. All that
does not depend on a call is worked out once, when the router is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..call import TIERS, Call, Json, Model, Plan, Planned, Target, Tier, Verdict
from ..catalogue import Catalogue
from ..ceiling import prompt_tokens
from ..errors import BadRequest, NotFound
from ..settings import Settings
from .access import Access, Allowed, not_allowed
from .conversations import Conversations, beginnings
from .directory import Directory
from .draft import LEAST_ANSWERS, Draft
from .needs import NO_OPTIONS, Needs, Options, needs_of, options_of, tier_named
from .strategies import RANK, STRATEGIES, Candidate, Fleet, Random, no_chance, orders

AUTO = ("auto", "aura")
MAX_NAME = 128
MAX_USUAL = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*(?:/[A-Za-z0-9][A-Za-z0-9._:@+-]*)+")

Judge = Callable[[Json], Verdict]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the client asked for by ``model``, header and options.

    Args:
        pinned: exactly this target.
        first: these before all others.
        only: nothing but ``first``.
        tier: this tier, without asking the classifier.
        ceiling: no tier above this one.
    """

    pinned: Candidate | None = None
    first: tuple[Candidate, ...] = ()
    only: bool = False
    tier: Tier | None = None
    ceiling: Tier | None = None


@dataclass(slots=True)
class Ask:
    """One call on its way to a plan."""

    call: Call
    wish: Wish
    fallbacks: list[Candidate]
    needs: Needs
    options: Options
    fleet: Fleet
    allowed: Allowed | None = None
    memory: bool = True


_ANY_TIER = Wish()
Filled = TypeVar("Filled")


class Router:
    """Makes the plan of each call.

    Args:
        random: an even number in 0..1, for the strategies that draw or explore; without it they do neither, so that the
            same calls get the same plans.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, random: Random = no_chance) -> None:
        self._catalogue, self._random = catalogue, random
        self._directory = Directory(settings, catalogue)
        self._access = Access(settings.auth.keys, self._directory)
        self._orders = orders(self._directory.tiers)
        self._policy, self._spill = settings.router.requested_model, settings.router.spill
        self._strategy = STRATEGIES[settings.router.strategy]
        self._generation = f"{self._directory.fingerprint()} {self._spill}"
        self._baseline = settings.cost.baseline_model
        self._conversations = Conversations()
        self._open: set[str] = set()  # names of models that leave the choice to the tiers
        # What plans are made from, by tier, ceiling and needs, of calls that all targets have room for, in fixed order.
        self._usual: dict[tuple[Tier, Tier | None, int], Plan] = {}
        every = [candidate for group in self._directory.tiers.values() for candidate in group]
        self._fixed = settings.router.strategy == "priority"
        self._narrowest = min((candidate.window for candidate in every), default=0)
        self._shortest = min((candidate.output for candidate in every), default=0)

    def targets(self) -> list[Target]:
        """Every target that the configuration lists, in its order."""
        return self._directory.targets()

    def models(self, caller: str = "") -> list[tuple[str, Model | None, str]]:
        """What a key can ask for, as (id, model, who owns it); a tier is no model."""
        return self._access.models(caller)

    def allowed(self, caller: str, targets: list[Planned], name: str) -> list[Planned]:
        """Those of some targets that a key may use.

        Args:
            name: of what it asked for.

        Raises:
            Forbidden: it may use none of them.
        """
        allowed = self._access.of(caller)
        found = targets if allowed is None else [planned for planned in targets if planned.target in allowed]
        if not found:
            raise not_allowed(name)
        return found

    def baseline(self) -> Model | None:
        """The model that savings are counted against: the configured one, else the first of the highest tier."""
        if self._baseline:
            known = self._directory.known(self._baseline)
            return known.planned.model if known else self._catalogue.find(self._baseline)
        tiers = self._directory.tiers
        return next((tiers[tier][0].planned.model for tier in reversed(TIERS) if tiers[tier]), None)

    def plan(self, call: Call, judge: Judge, fleet: Fleet, *, memory: bool = True) -> Plan:
        """Choose the targets of a call, in their order.

        Args:
            memory: whether it may go on where its conversation was; False: as if it began.

        Raises:
            BadRequest: a name or an option is not what it should be, or nothing can serve the call.
            NotFound: the model is nowhere listed.
            Forbidden: the caller's key may not use what it names, or nothing of what could serve it.
        """
        options = options_of(call)
        name = call.body.get("model")
        known = options is NO_OPTIONS and name.__class__ is str and name in self._open and call.door != "embeddings"
        wish = _ANY_TIER if known else self._wish(call, options)
        fallbacks = [self._fallback(name, param) for name, param in options.fallbacks] if options.fallbacks else []
        allowed = self._access.of(call.caller)
        ask = Ask(call, wish, fallbacks, needs_of(call), options, fleet, allowed, memory)
        if allowed is not None:
            self._check_allowed(ask, allowed)
        named = wish.pinned is not None or wish.only
        return self._named_plan(ask) if named else self._routed_plan(ask, judge)

    def _check_allowed(self, ask: Ask, allowed: Allowed) -> None:
        """Refuse what the client names and its key may not use; what it leaves open is chosen from the rest."""
        wish, name = ask.wish, str(ask.call.body.get("model", AUTO[0]))
        named = wish.first if wish.pinned is None else (wish.pinned,)
        tier = ask.options.tier or tier_named(name)
        if not named and tier is not None:
            named, name = self._directory.tiers[tier], tier.value.lower()
        if named and not any(candidate.planned.target in allowed for candidate in named):
            raise not_allowed(name)
        for candidate, (fallback, param) in zip(ask.fallbacks, ask.options.fallbacks, strict=True):
            if candidate.planned.target not in allowed:
                raise not_allowed(fallback, param)

    def remember(self, call: Call, plan: Plan, target: Target) -> None:
        """Note who answered, so that the conversation stays there."""
        if plan.preferred is not None and plan.tier is not None:
            self._conversations.keep(call, plan.tier, target if target == plan.preferred else None, plan.goes_on)

    def _named_plan(self, ask: Ask) -> Plan:
        """The plan of a call that names its targets: those, and nothing else."""
        wish = ask.wish
        first = wish.first if wish.pinned is None else (wish.pinned,)

        def fill(draft: Draft) -> Tier | None:
            draft.take(draft.fitting(first))
            draft.take(draft.fitting(ask.fallbacks))
            draft.drop_doubles()
            model = first[0].planned
            return model.tier or model.model.tier

        draft, tier = _filled(ask, fill)
        return self._plan(ask, draft, tier, pinned=wish.pinned is not None)

    def _routed_plan(self, ask: Ask, judge: Judge) -> Plan:
        """The plan of a call that leaves the choice to a tier."""
        later = ask.needs.goes_on
        place = self._conversations.place(ask.call) if later and ask.memory else None
        verdict, tier = None, ask.wish.tier
        if tier is None:
            verdict = judge(ask.call.body)
            tier = verdict.tier
            kept = place.tier if place is not None else _begun(ask, judge, tier) if later else None
            if kept is not None and RANK[kept] > RANK[tier]:
                tier = kept
            ceiling = ask.wish.ceiling
            if ceiling is not None and RANK[tier] > RANK[ceiling]:
                tier = ceiling
        steady = place.target if place is not None else None
        usual = steady is None and self._is_usual(ask)
        known = self._usual.get((tier, ask.wish.ceiling, ask.needs.mask)) if usual else None
        if known is None:
            known = self._drafted(ask, tier, steady)
            if usual:
                if len(self._usual) >= MAX_USUAL:
                    self._usual.clear()
                self._usual[tier, ask.wish.ceiling, ask.needs.mask] = known
        return Plan(
            _well_first(known.targets, ask.fleet),
            known.tier,
            False,
            verdict,
            known.left_out,
            known.signature,
            known.preferred,
            known.max_tokens,
            later,
        )

    def _drafted(self, ask: Ask, tier: Tier, steady: Target | None) -> Plan:
        """A tier's plan, whether or not its targets are well."""
        draft, chosen = _filled(ask, lambda draft: self._fill(ask, draft, tier, steady))
        plan = self._plan(ask, draft, chosen)
        plan.preferred = draft.targets[0].target
        return plan

    def _is_usual(self, ask: Ask) -> bool:
        """Whether a plan depends on nothing but the tier and what the call needs, so that it is the same each time."""
        needs, wish = ask.needs, ask.wish
        return (
            self._fixed
            and ask.allowed is None
            and not (wish.first or ask.fallbacks)
            and ask.options.max_cost_usd is None
            and needs.tokens + needs.max_tokens <= self._narrowest
            and needs.max_tokens <= self._shortest
        )

    def _fill(self, ask: Ask, draft: Draft, tier: Tier, steady: Target | None) -> Tier:
        """Find the tier's targets, or the next tier's that has any; then the client's fallbacks; then other tiers'."""
        chosen: Tier | None = None
        if ask.wish.first:
            draft.take(self._ordered(draft.fitting(ask.wish.first), ask, None))
            chosen = tier if draft.targets else None
        named_fallbacks = False
        for group_tier, group in self._orders[tier, ask.wish.ceiling]:
            if chosen is not None and group_tier is not chosen and not self._spills(chosen, group_tier):
                continue
            fitting = draft.fitting(group)
            if not fitting:
                continue
            draft.take(self._ordered(fitting, ask, steady if chosen is None else None))
            if not named_fallbacks:
                chosen, named_fallbacks = chosen or group_tier, True
                draft.take(draft.fitting(ask.fallbacks))
        if not named_fallbacks:
            draft.take(draft.fitting(ask.fallbacks))
        if ask.fallbacks or ask.wish.first:
            draft.drop_doubles()
        return chosen or tier

    def _ordered(self, candidates: list[Candidate], ask: Ask, steady: Target | None) -> list[Candidate]:
        """By the strategy, but a conversation's own target before all."""
        if len(candidates) > 1:
            candidates = self._strategy(candidates, ask.needs, ask.fleet, self._random)
            if steady is not None:
                candidates.sort(key=lambda candidate: candidate.planned.target != steady)
        return candidates

    def _spills(self, chosen: Tier, other: Tier) -> bool:
        return self._spill == "any" or (self._spill == "up" and RANK[other] > RANK[chosen])

    def _wish(self, call: Call, options: Options) -> Wish:
        """Read what the client's ``model`` asks for."""
        name = call.body.get("model", AUTO[0])
        pinned = self._checked(name)
        if pinned is not None:
            return Wish(pinned=pinned)
        if call.door == "embeddings":
            first = self._directory.embedding(name)
            if not first:
                raise _not_found(name)
            return Wish(first=first, only=True)
        if options.tier is not None:
            return Wish(tier=options.tier)
        tier = tier_named(name)
        if tier is not None:
            return Wish(tier=tier)
        if self._policy == "route" or name.lower() in AUTO:
            if len(self._open) < MAX_USUAL:
                self._open.add(name)
            return _ANY_TIER
        return self._hinted(name)

    def _hinted(self, name: str) -> Wish:
        """What a catalogue name means where it is more than a hint."""
        listed = self._directory.named(name)
        model = listed[0].planned.model if listed else self._catalogue.find(name)
        if model is None:
            return _ANY_TIER
        tier = (listed[0].planned.tier if listed else None) or model.tier
        if self._policy == "ceiling":
            return Wish(ceiling=tier)
        return Wish(first=self._directory.serving(name), tier=tier)

    def _checked(self, name: object) -> Candidate | None:
        """The target that a name pins, None if it is a name of another kind.

        Raises:
            BadRequest: it has not the form of a name.
            NotFound: it names a target that is nowhere listed.
        """
        if not isinstance(name, str) or len(name) > MAX_NAME:
            raise _malformed()
        if _NAME.fullmatch(name):
            return None
        if not _PATH.fullmatch(name):
            raise _malformed()
        pinned = self._directory.target(name)
        if pinned is None and not self._directory.named(name):
            raise _not_found(name)
        return pinned

    def _fallback(self, name: str, param: str) -> Candidate:
        found = self._directory.target(name) if len(name) <= MAX_NAME and _PATH.fullmatch(name) else None
        if found is None:
            raise BadRequest("a fallback must be provider/model, of a provider that lists the model", param=param)
        return found

    def _plan(self, ask: Ask, draft: Draft, tier: Tier | None, *, pinned: bool = False) -> Plan:
        limits = [planned.max_tokens for planned in draft.targets if planned.max_tokens is not None]
        plan = Plan(draft.targets, tier, pinned, left_out=draft.left_out, max_tokens=min(limits, default=None))
        plan.signature = self._signature(plan, ask)
        return plan

    def _signature(self, plan: Plan, ask: Ask) -> str:
        """What a stored answer may be shared by: everything that was chosen, nothing that is so only for now."""
        wish = ask.wish
        named = (wish.pinned,) if wish.pinned is not None else wish.first
        parts = [self._generation, plan.tier.value if plan.tier and not plan.pinned else "-"]
        parts += [candidate.target.name for candidate in named]
        if ask.fallbacks:
            parts += ["fallbacks", *(candidate.target.name for candidate in ask.fallbacks)]
        if ask.options.max_cost_usd is not None:
            parts += ["max_cost_usd", repr(ask.options.max_cost_usd)]
        if ask.allowed is not None:
            parts += ["allowed", ask.allowed.word]
        return " ".join(parts)


def _well_first(targets: list[Planned], fleet: Fleet) -> list[Planned]:
    """The targets, those behind that would not be asked now."""
    if fleet.all_well:
        return targets.copy()
    well = [planned for planned in targets if fleet.available(planned.target)]
    return well + [planned for planned in targets if planned not in well]


def _begun(ask: Ask, judge: Judge, tier: Tier) -> Tier | None:
    """The highest tier that the earlier turns of a conversation are judged to need, which nobody here has answered.

    Other workers and instances have, or they were answered from the cache: each must come to the same tier.
    """
    if not ask.memory or tier is TIERS[-1]:
        return None
    tiers = [judge(body).tier for body in beginnings(ask.call)]
    return max(tiers, key=RANK.__getitem__, default=None)


def _filled(ask: Ask, fill: Callable[[Draft], Filled]) -> tuple[Draft, Filled]:
    """A draft with at least one target, with room for a decent answer if the client's money allows it.

    Raises:
        BadRequest: nothing can serve the call.
        Forbidden: nothing that the caller's key may use.
    """
    ceiling = ask.options.max_cost_usd
    prompt = 0 if ceiling is None else prompt_tokens(ask.call.body)
    for shorten in (False, True):  # agents ask for more than small models write: a shorter answer beats none
        for least in LEAST_ANSWERS if ceiling is not None else LEAST_ANSWERS[:1]:
            draft = Draft(ask.needs, ceiling, least, prompt, shorten, ask.allowed)
            filled = fill(draft)
            if draft.targets:
                return draft, filled
    raise draft.refusal(ask.call.body)


def _malformed() -> BadRequest:
    return BadRequest(
        "model must be auto, a tier, a model's name or provider/model, of at most 128 letters, digits and . _ : @ + -",
        param="model",
    )


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"No provider lists the model {name[:64]}; GET /v1/models shows what there is.",
        param="model",
        code="model_not_found",
    )
