"""Finding and reading the files: YAML whose scalars stay text, with the line of every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import yaml

from .problems import ConfigurationError, shown
from .tree import Leaf, Path, canonical

NAMES = ("aura.yml", "aura.yaml", "application.yml", "application.yaml")
FOLDERS = (File(), File("/etc/aura"))
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PROFILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_DEEPEST = 50
_MOST_NODES = 100_000
Document = list[tuple[Path, Leaf]]


def find(named: str | None, source: str) -> File | None:
    """The configuration file.

    Args:
        named: a path that was asked for by name; it must be there.
        source: who asked.
    """
    if named:
        file = File(named)
        if not _present(file):
            raise ConfigurationError([(source, f"there is no file {named}")])
        return file
    return next((file for folder in FOLDERS for name in NAMES if _present(file := folder / name)), None)


def hidden_by(file: File) -> list[str]:
    """Files beside the one found that would have been found without it."""
    return [name for name in NAMES if name != file.name and file.name in NAMES and _present(file.parent / name)]


def find_profile(base: File | None, profile: str) -> File | None:
    """The file of a profile: beside the base file by its name, or by one of the usual names."""
    if not _PROFILE.fullmatch(profile):
        raise ConfigurationError([("profiles", "a profile's name is made of letters, digits, '.', '_' and '-'")])
    folders = [base.parent] if base else list(FOLDERS)
    names = [*([base.name] if base else []), *NAMES]
    for folder in folders:
        for name in names:
            file = folder / f"{File(name).stem}-{profile}{File(name).suffix}"
            if _present(file):
                return file
    return None


def _present(file: File) -> bool:
    try:
        return file.is_file()
    except OSError:
        return False


def read(file: File, layer: int, problems: list[tuple[str, str]]) -> list[Document]:
    """The documents of a file, each as leaves under canonical paths; keys that are there twice join the problems.

    Raises:
        ConfigurationError: the file cannot be read, or is not YAML.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
    except OSError as error:
        raise ConfigurationError([(str(file), f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([(str(file), "is not UTF-8")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError([_broken(file, error)]) from None
    return [_Reader(file, layer, problems).document(node) for node in nodes if node is not None]


def _broken(file: File, error: Exception) -> tuple[str, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is nested too deeply"
    return f"{file}, line {mark.line + 1}" if mark else str(file), f"is not valid YAML: {what}"


class _Reader:
    """Turns one document into leaves, and collects what is wrong with it."""

    def __init__(self, file: File, layer: int, problems: list[tuple[str, str]]) -> None:
        self.file = file
        self.layer = layer
        self.nodes = 0
        self.problems = problems

    def document(self, node: Any) -> Document:
        """All leaves of a document."""
        if node.tag == "tag:yaml.org,2002:null":
            return []
        if not isinstance(node, yaml.MappingNode):
            raise ConfigurationError([(self._line(node), "must be a mapping of keys to values")])
        leaves = list(self._leaves(node, ()))
        first: dict[Path, Leaf] = {}
        for path, leaf in leaves:
            if (said := first.setdefault(path, leaf)) is not leaf:
                line = said.where.rpartition(" ")[2]
                problem = f"the key {shown(path[-1])!r} is there twice in two spellings, first in line {line}"
                self.problems.append((leaf.where, problem))
        return leaves

    def _line(self, node: Any) -> str:
        return f"{self.file}, line {node.start_mark.line + 1}"

    def _leaves(self, node: Any, path: Path) -> Iterator[tuple[Path, Leaf]]:
        for key, value in self._pairs(node, len(path)):
            below = (*path, key.value)
            if isinstance(value, yaml.MappingNode) and value.value:
                yield from self._leaves(value, below)
            else:
                yield canonical(below), Leaf(self.value(value, len(below)), self._line(key), self.layer)

    def _pairs(self, node: Any, depth: int) -> Iterator[tuple[Any, Any]]:
        """The keys and values of a mapping, what ``<<`` merges in first, each key once."""
        self._count(node, depth)
        own: dict[str, tuple[Any, Any]] = {}
        merged: dict[str, tuple[Any, Any]] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for source in sources:
                    if isinstance(source, yaml.MappingNode):
                        for pair in self._pairs(source, depth + 1):
                            merged.setdefault(pair[0].value, pair)
            elif not isinstance(key, yaml.ScalarNode):
                self.problems.append((self._line(key), "a key must be a word"))
            elif key.value in own:
                first = own[key.value][0].start_mark.line + 1
                self.problems.append(
                    (self._line(key), f"the key {shown(key.value)!r} is there twice, first in line {first}")
                )
            else:
                own[key.value] = (key, value)
        yield from {**merged, **own}.values()

    def value(self, node: Any, depth: int) -> Any:
        """What a node holds, scalars as text."""
        self._count(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, depth + 1) for one in node.value]
        if isinstance(node, yaml.MappingNode):
            return {key.value: self.value(value, depth + 1) for key, value in self._pairs(node, depth)}
        return None if node.tag == "tag:yaml.org,2002:null" else node.value

    def _count(self, node: Any, depth: int) -> None:
        """Keep aliases that hold themselves, or multiply, from running away."""
        self.nodes += 1
        if depth > _DEEPEST or self.nodes > _MOST_NODES:
            raise ConfigurationError([(self._line(node), "is nested too deeply, or grows too large by its aliases")])


def flow(text: str) -> Any:
    """A value of the environment that is written as YAML, a list or a mapping; scalars stay text.

    Raises:
        ValueError: it is not valid.
    """
    try:
        reader = _Reader(File("value"), 0, [])
        value = reader.value(yaml.compose(text, Loader=_LOADER), 0)
    except (yaml.YAMLError, ConfigurationError, RecursionError):
        raise ValueError("is not a valid YAML list or mapping") from None
    if reader.problems:
        raise ValueError("has a key twice")
    return value
