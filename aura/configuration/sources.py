"""All that was said, laid over one another in one tree: files, profiles, environment, command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..settings import BUILT_IN
from . import environment, files, units
from .old import ROWS
from .placeholders import Unresolved, resolve
from .problems import ConfigurationError
from .tree import COMMAND, FILE, OLD_VARIABLE, Leaf, Path, Tree

_ENTRIES = ("aura", "providers")
_ON_PROFILE = ("spring", "config", "activate", "on-profile")
_ACTIVE = ("spring", "profiles", "active")
_OLD = {row.path for row in ROWS}


@dataclass(slots=True)
class Said:
    """The tree, what the operator is to be told, the files that were read, and what is wrong so far."""

    tree: Tree = field(default_factory=Tree)
    notes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def gather(path: str | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Said:
    """Read everything; placeholders are filled in.

    Raises:
        ConfigurationError: a file is missing, cannot be read or is not YAML.
    """
    said = Said()
    _lay_files(said, path, environ)
    tree = said.tree
    names = dict.fromkeys([*BUILT_IN, *environment.entries(environ), *_entries(tree)])
    leaves, strange = environment.leaves(environ, names)
    for where, leaf in leaves:
        tree.lay(where, leaf)
    said.notes += strange
    for name, value in overrides.items():
        if value is not None:
            tree.lay(("aura", "server", name), Leaf(str(value), f"--{name}", COMMAND))
    said.problems += _fill_in(tree, environ)
    return said


def _entries(tree: Tree) -> Iterator[str]:
    return (path[2] for path in tree.below(_ENTRIES) if len(path) > 2)


def _lay_files(said: Said, path: str | None, environ: Mapping[str, str]) -> None:
    base = files.find(path or environ.get("AURA_CONFIG"), "--config" if path else "AURA_CONFIG")
    documents = files.read(base, FILE, said.problems) if base else []
    if base:
        said.files.append(str(base))
        for name in files.hidden_by(base):
            said.notes.append(f"{name} is not read, because {base.name} is there.")
    active = _profiles(documents, environ)
    _lay(said.tree, documents, active)
    for number, profile in enumerate(active, 1):
        file = files.find_profile(base, profile)
        if file is None:
            said.notes.append(f"The profile {profile!r} has no file of its own.")
        else:
            said.files.append(str(file))
            _lay(said.tree, files.read(file, FILE + number, said.problems), active)


def _profiles(documents: list[files.Document], environ: Mapping[str, str]) -> list[str]:
    """The active profiles, the later on top: of the environment, else of the file."""
    asked = environ.get("AURA_PROFILE") or environ.get("SPRING_PROFILES_ACTIVE")
    if asked:
        return list(dict.fromkeys(units.names(asked)))
    for document in documents:
        for path, leaf in document:
            if path == _ACTIVE and leaf.value:
                words = leaf.value if isinstance(leaf.value, list) else units.names(_filled(leaf, environ))
                return list(dict.fromkeys(str(word) for word in words))
    return []


def _filled(leaf: Leaf, environ: Mapping[str, str]) -> str:
    try:
        return resolve(str(leaf.value), environ)
    except Unresolved as error:
        raise ConfigurationError([(f"{leaf.where} (spring.profiles.active)", str(error))]) from None


def _lay(tree: Tree, documents: list[files.Document], active: list[str]) -> None:
    """Lay the documents of a file, but those that are for other profiles."""
    for document in documents:
        wanted = next((leaf for path, leaf in document if path == _ON_PROFILE), None)
        if wanted is not None and not _meant(wanted, active):
            continue
        for path, leaf in document:
            if path != _ON_PROFILE:
                tree.lay(path, leaf)


def _meant(wanted: Leaf, active: list[str]) -> bool:
    words = wanted.value if isinstance(wanted.value, list) else units.names(str(wanted.value))
    for word in words:
        if any(sign in word for sign in "&|()"):
            raise ConfigurationError([(wanted.where, "on-profile takes names, '!name' and lists of them")])
    return any((word[1:] not in active) if word.startswith("!") else (word in active) for word in words)


def _fill_in(tree: Tree, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Fill in the placeholders of the files; an entry that is switched off need not have its variables."""
    problems = []
    for path, leaf in list(tree.leaves.items()):
        if not FILE <= leaf.layer < OLD_VARIABLE:
            continue
        try:
            tree.leaves[path] = Leaf(_resolved(leaf.value, environ), leaf.where, leaf.layer)
        except Unresolved as error:
            if path[0] != "aura" and path not in _OLD:
                continue
            if not _switched_off(tree, path, environ):
                problems.append((tree.place(path), str(error)))
            tree.leaves[path] = Leaf(None, leaf.where, leaf.layer)
    return problems


def _resolved(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return resolve(value, environ) if "${" in value else value
    if isinstance(value, list):
        return [_resolved(one, environ) for one in value]
    if isinstance(value, dict):
        return {key: _resolved(one, environ) for key, one in value.items()}
    return value


def _switched_off(tree: Tree, path: Path, environ: Mapping[str, str]) -> bool:
    if path[:2] != _ENTRIES or len(path) < 4 or path[3] == "enabled":
        return False
    enabled = tree.leaves.get((*path[:3], "enabled"))
    try:
        return enabled is not None and not units.boolean(str(_resolved(enabled.value, environ)))
    except ValueError:
        return False
