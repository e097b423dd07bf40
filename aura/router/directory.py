"""Which targets there are: what the configuration lists, and what its providers are known to have beside that.

Worked out once, when the router is made; a call only looks names up.
"""

from __future__ import annotations

import sys
from hashlib import blake2b

from ..call import TIERS, Model, Planned, Target, Tier
from ..catalogue import Catalogue
from ..settings import ModelSettings, ProviderSettings, Settings
from .needs import lacks
from .strategies import Candidate

ANY = "*"
_OPENAI = ("", "https://api.openai.com/v1")
# So many targets that only clients named are remembered; with more of them, all are worked out anew.
MAX_NAMED = 1024


class Directory:
    """The targets of a configuration.

    Args:
        settings: its providers that are on, in their order.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._providers = {name: entry for name, entry in settings.providers.items() if entry.enabled}
        self._listed: dict[Target, Candidate] = {}
        self._by_name: dict[str, tuple[Candidate, ...]] = {}
        self._named: dict[Target, Candidate] = {}
        self.tiers = {tier: self._of_tier(tier) for tier in TIERS}
        for tier in reversed(TIERS):  # a model of several tiers belongs to the highest
            for candidate in self.tiers[tier]:
                self._listed.setdefault(candidate.planned.target, candidate)
        for provider in self._providers.values():
            for name in (*provider.extra_models, provider.deployment_name):
                if name and name != ANY:
                    target = Target(provider.name, name)
                    self._listed.setdefault(target, self._candidate(provider, ModelSettings(name), None))
        self._embedding = {name: self._same(targets) for name, targets in settings.embeddings.models.items()}
        for target, candidate in self._listed.items():
            self._by_name[target.model] = (*self._by_name.get(target.model, ()), candidate)

    def _of_tier(self, tier: Tier) -> tuple[Candidate, ...]:
        found: dict[Target, Candidate] = {}
        for provider in self._providers.values():
            for model in provider.models.get(tier, ()):
                found.setdefault(Target(provider.name, model.name), self._candidate(provider, model, tier))
        return tuple(found.values())

    def _candidate(self, provider: ProviderSettings, model: ModelSettings, tier: Tier | None) -> Candidate:
        known = self._catalogue.model(model.name, model, provider.type, provider.base_url)
        windows = [size for size in (known.context_window, provider.num_ctx) if size]
        return Candidate(
            Planned(Target(provider.name, model.name), known, tier),
            lacks(known, provider.type, provider.base_url),
            model.weight,
            min(windows, default=sys.maxsize),
            known.max_output or sys.maxsize,
        )

    def named(self, name: str) -> tuple[Candidate, ...]:
        """The targets that the configuration lists for a model's bare name."""
        return self._by_name.get(name, ())

    def target(self, name: str) -> Candidate | None:
        """The target that ``provider/model`` names, if that provider lists the model or is known to have it."""
        provider_name, _, model = name.partition("/")
        provider = self._providers.get(provider_name)
        if provider is None:
            return None
        target = Target(provider_name, model)
        found = self._listed.get(target) or self._named.get(target)
        if found is None and (ANY in provider.extra_models or self._has(provider, model)):
            found = self._candidate(provider, ModelSettings(model), None)
            if len(self._named) >= MAX_NAMED:
                self._named.clear()
            self._named[target] = found
        return found

    def _has(self, provider: ProviderSettings, model: str) -> bool:
        return self._catalogue.lists(model, provider.type, provider.base_url)

    def _same(self, names: tuple[str, ...]) -> tuple[Candidate, ...]:
        """The targets of these names, but of providers that are off."""
        found = []
        for name in names:
            provider = self._providers.get(name.partition("/")[0])
            if provider is not None:
                target = Target(provider.name, name.partition("/")[2])
                made = self._listed.get(target) or self._candidate(provider, ModelSettings(target.model), None)
                found.append(self._listed.setdefault(target, made))
        return tuple(found)

    def embedding(self, name: str) -> tuple[Candidate, ...]:
        """The targets of an embedding model, all of which have that very model.

        One that is nowhere known may still be had from a server that speaks OpenAI's grammar and is not OpenAI's.
        """
        found = self._embedding.get(name) or self.serving(name)
        if found or self._catalogue.find(name) is not None:
            return found
        compatible = [one for one in self._providers.values() if one.type == "openai" and one.base_url not in _OPENAI]
        guessed = [self._candidate(provider, ModelSettings(name), None) for provider in compatible]
        return tuple(guessed)

    def alike(self, name: str) -> tuple[Candidate, ...]:
        """The targets of a name that the configuration gives to an embedding model; none of another name."""
        return self._embedding.get(name, ())

    def serving(self, name: str) -> tuple[Candidate, ...]:
        """The targets of a model: where the configuration lists it, else at whoever is known to have it."""
        listed = self.named(name)
        if listed:
            return listed
        found = [self.target(f"{key}/{name}") for key, provider in self._providers.items() if self._has(provider, name)]
        return tuple(candidate for candidate in found if candidate is not None)

    def known(self, name: str) -> Candidate | None:
        """The first target of a bare name or of ``provider/model``."""
        listed = self.named(name)
        return listed[0] if listed else self.target(name)

    def targets(self) -> list[Target]:
        """Every target that the configuration lists, in its order."""
        of_tiers = [candidate.planned.target for tier in TIERS for candidate in self.tiers[tier]]
        return list(dict.fromkeys([*of_tiers, *self._listed]))

    def models(self) -> list[tuple[str, Model | None, str]]:
        """What can be asked for, as (id, model, who owns it): the tiers, then every model by itself and pinned."""
        listed: dict[str, tuple[Model | None, str]] = {"auto": (None, "aura")}
        listed |= {tier.value.lower(): (None, "aura") for tier in TIERS}
        targets = self.targets()
        for target in targets:
            listed.setdefault(target.model, (self._listed[target].planned.model, target.provider))
        for target in targets:
            listed.setdefault(target.name, (self._listed[target].planned.model, target.provider))
        return [(name, model, provider) for name, (model, provider) in listed.items()]

    def fingerprint(self) -> str:
        """A word for these targets, the same in every process with this configuration."""
        tiers = [[candidate.planned.target.name for candidate in self.tiers[tier]] for tier in TIERS]
        bases = [[candidate.planned.model for candidate in self.tiers[tier]] for tier in TIERS]
        limits = [[(model.context_window, model.max_output, sorted(model.capabilities)) for model in t] for t in bases]
        addresses = sorted((provider.name, provider.type, provider.base_url) for provider in self._providers.values())
        return blake2b(repr((tiers, limits, addresses)).encode(), digest_size=6).hexdigest()
