"""The provider entries: which of them are on, whether they can be asked safely, and the demo where none is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from ..call import TIERS, Tier
from ..providers import GROUP
from ..settings import BUILT_IN, VENDOR_VARIABLES, ModelSettings, ProviderSettings, Secret
from . import tree as layers
from .problems import suggestion
from .schema import key_problem, load_record, schema_of
from .tree import Leaf, Tree

_ROOT = ("aura", "providers")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_RESERVED = frozenset({"auto", "aura", "eco", "balanced", "premium"})
_KEYLESS = frozenset({"ollama", "demo"})
_SCHEMA = schema_of(ProviderSettings)
# What an application of Entra ID has in place of a key.
_APPLICATION = {"tenant_id": "tenant-id", "client_id": "client-id", "client_secret": "client-secret"}
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_CREDENTIAL = re.compile(r"auth|key|token|cookie|secret", re.IGNORECASE)
_HERE = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")
_PRIVATE = tuple(ip_network(one) for one in (*_HERE, "fc00::/7", "fe80::/10"))
_PRIVATE_NAME = re.compile(r"[a-z][a-z0-9_-]*|.*\.(localhost|local|internal|lan|home\.arpa|svc|cluster\.local)")


@dataclass(slots=True)
class Entries:
    """What became of the entries: settings of those that are on, what the operator is told, what is wrong."""

    on: dict[str, ProviderSettings] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def lay_built_in(tree: Tree) -> None:
    """Put the built-in entries beneath what was said; a file's ``models`` replace an entry's own altogether."""
    for name, values in BUILT_IN.items():
        path = (*_ROOT, name)
        tree.lay(path, Leaf({}, "", layers.BUILT_IN))
        for key, value in values.items():
            if isinstance(value, dict):
                said = [leaf for leaf in tree.below((*path, key)).values() if leaf.value is not None]
                if not any(layers.FILE <= leaf.layer < layers.OLD_VARIABLE for leaf in said):
                    for below, text in value.items():
                        _lay_under(tree, (*path, key, below), text)
            elif not _said_models(tree, name, key):
                _lay_under(tree, (*path, key), value)


def _said_models(tree: Tree, name: str, key: str) -> bool:
    """Whether a deployment's default name would stand beside models that were named."""
    said = tree.below((*_ROOT, name, "models")).values()
    return key == "deployment-name" and any(leaf.value is not None for leaf in said)


def _lay_under(tree: Tree, path: layers.Path, value: str) -> None:
    if all(leaf.value is None for leaf in tree.below(path).values()):
        tree.lay(path, Leaf(value, "", layers.BUILT_IN))


def types() -> list[str]:
    """The provider types that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def read(tree: Tree) -> Entries:
    """Check all entries and choose those that are on."""
    entries, installed = Entries(), types()
    for name in _order(tree):
        before = len(entries.problems)
        loaded = _load(tree, name, installed, entries)
        if loaded is None or len(entries.problems) > before:
            continue
        _choose_credentials(tree, name, loaded)
        reason = _off(tree, name, loaded)
        if reason is None:
            _switch_on(tree, name, loaded, entries)
        elif reason:
            entries.notes.append(f"Provider {name} is off: {reason}.")
    _demo(entries)
    return entries


def _order(tree: Tree) -> list[str]:
    """The entries' names in the order of the files, then the built-in ones, then those of the environment alone."""
    filed = [name for name, layer in tree.entries.items() if layers.FILE <= layer < layers.OLD_VARIABLE]
    return list(dict.fromkeys([*filed, *BUILT_IN, *tree.entries]))


def _load(tree: Tree, name: str, installed: list[str], entries: Entries) -> dict[str, Any] | None:
    """The checked keys of an entry, by field name; None with the problems noted."""
    path = (*_ROOT, name)
    leaf = tree.leaves.get(path)
    if leaf is not None and leaf.value not in (None, {}):
        entries.problems.append((tree.place(path), "must be a mapping of keys to values"))
        return None
    if leaf is not None and leaf.value is None and name not in BUILT_IN:
        return None
    if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
        wrong = "a provider's name is letters, digits, '-' and '_', and no tier's name, 'auto' or 'aura'"
        entries.problems.append((tree.place(path), wrong))
        return None
    try:
        loaded = load_record(_SCHEMA, tree.nested(path))
    except ValidationError as error:
        entries.problems += placed(tree, path, error.messages)
        return None
    wrong = _type(name, loaded, installed)
    if wrong:
        entries.problems.append((tree.place((*path, "type")), wrong))
        return None
    return loaded


def _type(name: str, loaded: dict[str, Any], installed: list[str]) -> str:
    """Settle an entry's type; what is wrong with it."""
    if "type" not in loaded and name in BUILT_IN:
        loaded["type"] = name
    if not loaded.get("type"):
        meant = suggestion(name, BUILT_IN)
        hint = meant if meant.endswith("?") else f"; installed: {', '.join(installed)}"
        return f"provider {name!r} needs a type{hint}"
    if loaded["type"] not in installed:
        return f"there is no provider type {loaded['type']!r}; installed: {', '.join(installed)}"
    if name == "demo" and loaded["type"] != "demo":
        return "the name 'demo' is the built-in demo's"
    return ""


def placed(tree: Tree, path: layers.Path, messages: Any) -> list[tuple[str, str]]:
    """Marshmallow's nested messages as pairs of place and sentence."""
    if isinstance(messages, dict):
        out = []
        for key, below in messages.items():
            out += placed(tree, path if key == "_schema" else (*path, str(key)), below)
        return out
    return [(tree.place(path), str(one)) for one in messages]


def _choose_credentials(tree: Tree, name: str, loaded: dict[str, Any]) -> None:
    """Where Azure has both a key and an application, the one that is said in the higher layer counts; else the key."""
    for one in ("authority", "scope"):
        if not loaded.get(one):
            loaded.pop(one, None)
    key, secret = tree.leaves.get((*_ROOT, name, "api-key")), tree.leaves.get((*_ROOT, name, "client-secret"))
    both = loaded["type"] == "azure" and loaded.get("api_key") and not _application_lacks(name, loaded)
    if both and key and secret and secret.layer > key.layer:
        del loaded["api_key"]


def _application_lacks(name: str, loaded: dict[str, Any]) -> list[str]:
    """What is not said of an application of Entra ID."""
    return [VENDOR_VARIABLES.get((name, key), f"its {key}") for one, key in _APPLICATION.items() if not loaded.get(one)]


def _as_application(loaded: dict[str, Any]) -> bool:
    """Whether an entry is on by what is said of its application; all of it is there."""
    return loaded["type"] == "azure" and not loaded.get("api_key")


def _off(tree: Tree, name: str, loaded: dict[str, Any]) -> str | None:
    """Why an entry is off: a clause, empty where nobody need be told; None if it is on."""
    kind, enabled = loaded["type"], loaded.get("enabled")
    if enabled is False:
        leaf = tree.leaves.get((*_ROOT, name, "api-key"))
        set_aside = leaf is not None and leaf.layer == layers.VENDOR
        return f"enabled is false, although {leaf.where} is set" if leaf and set_aside else ""
    if kind == "ollama" and name == "ollama":
        said = any(leaf.layer > layers.BUILT_IN for leaf in tree.below((*_ROOT, name)).values())
        return None if enabled else ("enabled is not true" if said else "")
    if kind in _KEYLESS:
        return None
    missing = [] if loaded.get("api_key") else [VENDOR_VARIABLES.get((name, "api-key"), "its api-key")]
    if missing and kind == "azure" and any(loaded.get(one) for one in _APPLICATION):
        missing = _application_lacks(name, loaded)
    if kind == "azure" and not loaded.get("base_url"):
        missing.insert(0, VENDOR_VARIABLES.get((name, "base-url"), "its base-url"))
    if not missing:
        return None
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"


def _switch_on(tree: Tree, name: str, loaded: dict[str, Any], entries: Entries) -> None:
    path = (*_ROOT, name)
    wrong = _key(loaded)
    if wrong:
        entries.problems.append((tree.place((*path, "api-key")), wrong))
    if _exposed(loaded):
        problem = "a key would be sent over http:// to a host that is not private; use https://"
        entries.problems.append((tree.place((*path, "base-url")), problem))
    if _as_application(loaded):
        entries.problems += [(tree.place((*path, key)), wrong) for key, wrong in _application(loaded)]
    models = _models(loaded)
    if not models and not loaded.get("extra_models"):
        entries.problems.append((tree.place(path), f"provider {name!r} names no models"))
    fields = {key: value for key, value in loaded.items() if value is not None}
    entries.on[name] = ProviderSettings(**{**fields, "name": name, "enabled": True, "models": models})


def _key(loaded: dict[str, Any]) -> str | None:
    """What makes a provider's key unfit, said without it."""
    text = (loaded.get("api_key") or Secret("")).reveal()
    if loaded["type"] == "azure":
        text = re.sub(r"^(bearer +)+", "", text, flags=re.IGNORECASE)
    problem = key_problem(text)
    if problem and re.match(r"bearer ", text, re.IGNORECASE):
        return f"{problem}; write it without 'Bearer'"
    return problem


def _application(loaded: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with an application of Entra ID, by key, said without its secret."""
    if not _TENANT.fullmatch(loaded["tenant_id"]):
        yield "tenant-id", "must be a directory's id or one of its domains"
    problem = key_problem(loaded["client_secret"].reveal())
    if problem:
        yield "client-secret", problem
    if _in_clear(loaded.get("authority") or ""):
        yield "authority", "a secret would be sent over http:// to a host that is not private; use https://"


def _in_clear(url: str) -> bool:
    """Whether what is sent there crosses an open network in clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_private(parts.hostname or "")


def _exposed(loaded: dict[str, Any]) -> bool:
    """Whether a credential would cross an open network in clear."""
    if not _in_clear(loaded.get("base_url") or ""):
        return False
    if _as_application(loaded):
        return True
    key = (loaded.get("api_key") or Secret("")).reveal()
    return key.lower() not in ("", "none") or any(_CREDENTIAL.search(name) for name in loaded.get("headers") or {})


def is_private(host: str) -> bool:
    """Whether a host is this one, or one of a private network by its address or its name."""
    host = host.lower().rstrip(".").partition("%")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return bool(_PRIVATE_NAME.fullmatch(host))
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in _PRIVATE)


def _models(loaded: dict[str, Any]) -> dict[Tier, tuple[ModelSettings, ...]]:
    """The models per tier; an Azure deployment serves every tier for which none is named."""
    models: dict[Tier, tuple[ModelSettings, ...]] = dict(loaded.get("models") or {})
    deployment = loaded.get("deployment_name")
    if loaded["type"] == "azure" and deployment:
        models = {tier: models.get(tier) or (ModelSettings(deployment),) for tier in TIERS}
    if loaded["type"] == "demo" and not models:
        models = _demo_models()
    return models


def _demo_models() -> dict[Tier, tuple[ModelSettings, ...]]:
    return {tier: (ModelSettings(f"demo-{tier.lower()}"),) for tier in TIERS}


def _demo(entries: Entries) -> None:
    """Let the demo serve where nothing else is on, and only there."""
    demos = [name for name, entry in entries.on.items() if entry.type == "demo"]
    if demos and len(demos) < len(entries.on):
        for name in demos:
            del entries.on[name]
            entries.notes.append(f"Provider {name} is off: the demo never joins a real provider.")
    elif not entries.on and not entries.problems:
        entries.on["demo"] = ProviderSettings(name="demo", type="demo", models=_demo_models())
    if entries.on and all(entry.type == "demo" for entry in entries.on.values()):
        entries.notes.append(
            "No provider is on, so the built-in demo answers; set OPENAI_API_KEY, for example, to have real answers."
        )
