"""Which targets a client's key may use.

Facts
  - An entry of a key's ``models`` is a tier, a model's name, ``provider/model``, ``provider/*``, or a name of
    ``aura.embeddings.models``. A key without the setting may use all.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..call import TIERS, Model, Target
from ..errors import Forbidden
from ..settings import ClientKey
from .directory import ANY, Directory
from .needs import tier_named


class Allowed:
    """What one key may use."""

    __slots__ = ("_names", "_providers", "_targets", "word")

    def __init__(self, names: tuple[str, ...], directory: Directory) -> None:
        self.word = ",".join(sorted(names))
        """Equal for keys that may use the same."""
        self._names = frozenset(names)
        self._providers = frozenset(name.removesuffix(f"/{ANY}") for name in names if name.endswith(f"/{ANY}"))
        targets: set[Target] = set()
        for name in names:
            tier = tier_named(name)
            if tier is not None:
                targets.update(candidate.planned.target for candidate in directory.tiers[tier])
            else:
                targets.update(candidate.planned.target for candidate in directory.alike(name))
        self._targets = frozenset(targets)

    def __contains__(self, target: Target) -> bool:
        return (
            target in self._targets
            or target.model in self._names
            or target.provider in self._providers
            or target.name in self._names
        )


class Access:
    """What each key may use, by its name."""

    def __init__(self, keys: Iterable[ClientKey], directory: Directory) -> None:
        self._directory = directory
        self._of = {key.name: Allowed(key.models, directory) for key in keys if key.models is not None}

    def of(self, caller: str) -> Allowed | None:
        """What a key may use; None: everything."""
        return self._of.get(caller)

    def models(self, caller: str) -> list[tuple[str, Model | None, str]]:
        """What a key can ask for, as of :meth:`Directory.models`."""
        listed, allowed = self._directory.models(), self.of(caller)
        return listed if allowed is None else [entry for entry in listed if self._lists(allowed, entry[0])]

    def _lists(self, allowed: Allowed, name: str) -> bool:
        tier = tier_named(name)
        if tier is not None:
            return any(candidate.planned.target in allowed for candidate in self._directory.tiers[tier])
        named = self._directory.named(name)
        if named:
            return any(candidate.planned.target in allowed for candidate in named)
        pinned = self._directory.target(name) if "/" in name else None
        if pinned is not None:
            return pinned.planned.target in allowed
        return any(candidate.planned.target in allowed for tier in TIERS for candidate in self._directory.tiers[tier])


def not_allowed(name: str, param: str = "model") -> Forbidden:
    """What a client is told that asks for what its key may not use."""
    return Forbidden(
        f"This key may not use {name}; GET /v1/models lists what it may.", param=param, code="model_not_allowed"
    )
