"""The environment as a layer of the tree: every key under ``AURA_``, the Java service's variables, the vendors' own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..settings import SECTIONS, VENDOR_VARIABLES, ProviderSettings, declared
from .files import flow
from .old import ROWS
from .problems import squashed, suggestion
from .tree import OLD_VARIABLE, VARIABLE, VENDOR, Leaf, Path

# Variables that begin like ours without being settings: what Kubernetes and Docker set for a service named "aura",
# what chooses the files, and what Aura's processes tell each other.
_FOREIGN = re.compile(r"AURA(_.*)?_(SERVICE_(HOST|PORT(_.*)?)|PORT(_\d+_(TCP|UDP).*)?)")
_OTHERS = frozenset({"AURA_CONFIG", "AURA_PROFILE", "AURA_WORKER_SLOT", "AURA_METRICS_FOLDER_OWNED"}) | {
    "AURA_CACHE_FOLDER",
    "AURA_CACHE_FOLDER_OWNED",
}
_SERVICE_LINK = re.compile(r"(tcp|udp)://.*")
_NEW_ENTRY = re.compile(r"AURA_PROVIDERS_([A-Z0-9_]+)_TYPE")
_ENTRIES = ("aura", "providers")
_TIERS = ("premium", "balanced", "eco")


def variable(path: Path) -> str:
    """The variable of a key: ``aura.router.stream-rescue`` is AURA_ROUTER_STREAM_RESCUE."""
    return "_".join(part.upper().replace("-", "_") for part in path)


def entries(environ: Mapping[str, str]) -> list[str]:
    """Names of provider entries that the environment alone declares, by their type."""
    found = (_NEW_ENTRY.fullmatch(name) for name in environ)
    return sorted(match[1].lower().replace("_", "-") for match in found if match)


def leaves(environ: Mapping[str, str], providers: Iterable[str]) -> tuple[list[tuple[Path, Leaf]], list[str]]:
    """What the environment says, the lowest layer first, and a sentence for each variable that is not understood.

    Args:
        providers: the entries there are; their names cannot be told from a variable's alone.
    """
    said = {name: value for name, value in environ.items() if value and not _SERVICE_LINK.fullmatch(value)}
    out: list[tuple[Path, Leaf]] = [
        (("aura", "providers", entry, key), Leaf(said[name], name, VENDOR))
        for (entry, key), name in VENDOR_VARIABLES.items()
        if name in said
    ]
    out += [(path, Leaf(said[name], name, OLD_VARIABLE)) for name, path in _old(said)]
    known = _known(providers)
    by_squashed = {squashed(name): path for name, path in reversed(known.items())}
    strange = []
    for name in sorted(said):
        if not name.startswith("AURA_") or name in _OTHERS or (name not in known and _FOREIGN.fullmatch(name)):
            continue
        path = known.get(name) or by_squashed.get(squashed(name)) or _header(name, providers)
        if path is None:
            strange.append(_strange(name, known, providers))
        else:
            out.append((path, Leaf(_value(said[name]), name, VARIABLE)))
    return out, strange


def _strange(name: str, known: Iterable[str], providers: Iterable[str]) -> str:
    """The sentence about a variable that is no setting's."""
    begins = [variable((*_ENTRIES, entry)) + "_" for entry in providers]
    if name.startswith(variable(_ENTRIES) + "_") and not name.startswith(tuple(begins)):
        return f"The variable {name} is ignored: there is no such entry; a variable AURA_PROVIDERS_…_TYPE makes one."
    told = f"The variable {name} is not known and ignored{suggestion(name, known)}"
    return told if told.endswith("?") else f"{told}."


def _value(text: str) -> object:
    """A list or a mapping where the text is one in YAML's (or JSON's) brackets, else the text."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return flow(text)
        except ValueError:
            return text
    return text


def _old(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The Java service's variables: Spring's form of its keys."""
    for row in ROWS:
        for name in dict.fromkeys((variable(row.path).replace(".", "_"), variable(row.path).replace("-", ""))):
            if name in environ:
                yield name, row.path
                break
    for name in environ:
        if name.startswith("LOGGING_LEVEL_"):
            yield name, ("logging", "level", name.removeprefix("LOGGING_LEVEL_").lower().replace("_", "."))


def _known(providers: Iterable[str]) -> dict[str, Path]:
    """Every setting by its variable."""
    out: dict[str, Path] = {}
    for section, record in SECTIONS.items():
        if record is ProviderSettings:
            continue
        for _, one in declared(record):
            path: Path = ("aura", section, one.key)
            out |= dict.fromkeys((variable(path), *one.environment), path)
    for entry in providers:
        for _, one in declared(ProviderSettings):
            for key in (one.key, *one.aliases):
                out[variable(("aura", "providers", entry, key))] = ("aura", "providers", entry, one.key)
        for tier in _TIERS:
            path = ("aura", "providers", entry, "models", tier)
            out[variable(path)] = path
    return out


def _header(name: str, providers: Iterable[str]) -> Path | None:
    """A header of an entry: AURA_PROVIDERS_GROQ_HEADERS_X_TEAM is ``x-team``."""
    for entry in providers:
        path: Path = ("aura", "providers", entry, "headers")
        begin = variable(path) + "_"
        if name.startswith(begin) and len(name) > len(begin):
            return (*path, name.removeprefix(begin).lower().replace("_", "-"))
    return None
