"""What was said, where, and how it is laid over what was said before: leaves under paths of keys, in layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..settings import SECTIONS, declared
from .problems import shown, squashed

Path = tuple[str, ...]

# The keys of each record by all names that a file may use for them.
_KEYS = {
    record: {squashed(name): one.key for _, one in declared(record) for name in (one.key, *one.aliases)}
    for record in SECTIONS.values()
}

# Layers in order; files of profiles lie between FILE and the environment, one number each.
BUILT_IN, VENDOR, FILE, OLD_VARIABLE, VARIABLE, COMMAND = 0, 1, 2, 1000, 1001, 1002


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value and its place.

    Args:
        value: text, None, a list, or an empty mapping; all scalars are text, whose meaning the setting decides.
        where: a variable's name, or a file's with the line.
        layer: the higher layer wins.
        key: how its place calls it, where that is not its path (an old name).
    """

    value: Any
    where: str
    layer: int
    key: str = ""


class Tree:
    """Leaves by path; a later leaf replaces what it contradicts.

    ``entries`` keeps the order in which provider entries were first named, with the layer that did.
    """

    def __init__(self) -> None:
        self.leaves: dict[Path, Leaf] = {}
        self.entries: dict[str, int] = {}
        self._below: dict[Path, dict[Path, None]] = {}

    def lay(self, path: Path, leaf: Leaf) -> None:
        """Put a leaf over whatever is at, above or below its path in the same layer or a lower one.

        Null and an empty mapping say nothing against what is there.
        """
        if path[:2] == ("aura", "providers") and len(path) > 2:
            self.entries.setdefault(path[2], leaf.layer)
        above = [path[:length] for length in range(1, len(path) + 1)]
        overlap = [other for other in above if other in self.leaves]
        overlap += [other for other in self._below.get(path, ()) if other != path]
        if overlap and leaf.value in (None, {}):
            return
        there = [self.leaves[other] for other in overlap]
        if any(one.layer > leaf.layer and one.value not in (None, {}) for one in there):
            return
        for other in overlap:
            self._remove(other)
        self.leaves[path] = leaf
        for prefix in above:
            self._below.setdefault(prefix, {})[path] = None

    def _remove(self, path: Path) -> None:
        del self.leaves[path]
        for length in range(1, len(path) + 1):
            del self._below[path[:length]][path]

    def below(self, path: Path) -> dict[Path, Leaf]:
        """The leaves at and below a path."""
        return {other: self.leaves[other] for other in self._below.get(path, ())}

    def nested(self, path: Path) -> dict[str, Any]:
        """The leaves below a path, as mappings in mappings."""
        out: dict[str, Any] = {}
        for other, leaf in self.below(path).items():
            at = out
            for key in other[len(path) : -1]:
                at = at.setdefault(key, {})
            if len(other) > len(path):
                at[other[-1]] = leaf.value
        return out

    def place(self, path: Path) -> str:
        """How a problem names a path: the variable, or the key with file and line."""
        leaf = None
        for length in range(len(path), 0, -1):
            found = self.leaves.get(path[:length]) or next(iter(self.below(path[:length]).values()), None)
            if found:
                leaf = found
                break
        key = ".".join(shown(part) for part in path)
        if leaf is None or leaf.layer == BUILT_IN:
            return key
        return f"{leaf.where} ({leaf.key or key})"


def canonical(path: Path) -> Path:
    """A path in the names of the declarations: dotted keys divided, case and dashes of relaxed binding undone.

    What is not declared stays as it is written.
    """
    parts = _divided(path)
    if parts[:2] == ("logging", "level") and len(parts) > 2:
        # A logger's name stays one key: the levels of its parents stand beside its own, not above it.
        return (*parts[:2], ".".join(parts[2:]))
    if parts[0].lower() != "aura" or len(parts) < 2:
        return parts
    section = _named(parts[1], SECTIONS)
    out = ["aura", section]
    rest = list(parts[2:])
    if section == "providers" and rest:
        out.append(rest.pop(0))
    if rest and section in SECTIONS:
        out.append(field_key(SECTIONS[section], rest.pop(0)))
    if rest and section == "providers" and out[-1] == "models":
        out.append(rest.pop(0).lower())
    return (*out, *rest)


def field_key(record: type[Any], written: str) -> str:
    """The key that a written name stands for; the name itself where there is none."""
    return _KEYS[record].get(squashed(written), written)


def _named(written: str, known: dict[str, Any]) -> str:
    return {squashed(one): one for one in known}.get(squashed(written), written)


def _divided(path: Path) -> Path:
    """Spring's dotted keys as the mappings they mean; a header's name stays whole."""
    out: list[str] = []
    for key in path:
        whole = "headers" in out or not key or key.startswith(".") or key.endswith(".") or ".." in key
        out += [key] if whole else key.split(".")
    return tuple(out)
