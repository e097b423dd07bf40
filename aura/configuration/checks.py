"""From the tree to :class:`Settings`: every value checked by its declaration, and the values against one another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path as File
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from ..settings import (
    SECTIONS,
    AuthSettings,
    CacheSettings,
    ClientKey,
    ProviderSettings,
    ServerSettings,
    Settings,
    UpstreamSettings,
    declared,
)
from . import old, providers, spec
from .problems import ConfigurationError, shown, unknown
from .schema import client_key, keyed_line, load_record, schema_of
from .tree import Path, Tree, field_key

_SHORT_KEY = 8
_RECORDS = {name: record for name, record in SECTIONS.items() if record is not ProviderSettings}
_SCHEMAS = {name: schema_of(record) for name, record in _RECORDS.items()}
_OF_SEMANTIC = ("numpy", "safetensors", "tokenizers", "wordllama")
_REDIS = re.compile(r"(rediss?://([^\s/?#]*@)?[^\s/?#@:][^\s/?#@]*(/\d*)?|unix://[^\s?#]+)(\?[^\s#]*)?")
_PROXY = re.compile(r"http://([^\s/?#@:]+:[^\s/?#@]*@)?([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/?")
_SERVER = frozenset(one.key for _, one in declared(ServerSettings))
_SPRING_SERVER = frozenset({"port", "address"})
_TOP = ("aura", "spring", "server", "logging", "management")
Problems = list[tuple[str, str]]


def settings(tree: Tree, problems: Problems) -> Settings:
    """Check what was said.

    Args:
        problems: what is wrong already.

    Raises:
        ConfigurationError: with all that is wrong.
    """
    providers.lay_built_in(tree)
    problems = [*problems, *_unknown(tree)]
    notes: list[str] = []
    sections = {name: _section(tree, name, problems) for name in _RECORDS}
    sections["auth"] = _auth(tree, sections["auth"], problems, notes)
    sections["cache"] = _cache(tree, sections["cache"], problems, notes)
    problems += _redis(tree, "cache", sections["cache"].redis_url.reveal())
    if sections["limits"].redis_url:
        problems += _redis(tree, "limits", sections["limits"].redis_url.reveal())
    _upstream(tree, sections["upstream"], problems)
    _thresholds(tree, sections["classifier"], problems)
    if sections["log"].record_prompts:
        notes.append(f"WARNING: prompts are recorded in {sections['log'].record_prompts} (aura.log.record-prompts).")
    if sections["tracing"].enabled and not _has_opentelemetry():
        problems.append(("aura.tracing.enabled", "needs what pip install 'aura-gateway[otel]' brings"))
    entries = providers.read(tree)
    _semantic(tree, sections["cache"], entries.on, problems)
    problems += entries.problems
    _moderation(tree, sections["guardrails"], entries.on, problems)
    if problems:
        raise ConfigurationError(problems)
    return Settings(**sections, providers=entries.on, notes=(*notes, *entries.notes))


def _upstream(tree: Tree, own: UpstreamSettings, problems: Problems) -> None:
    if own.proxy and not _PROXY.fullmatch(own.proxy.reveal()):
        place = tree.place(("aura", "upstream", "proxy"))
        problems.append((place, "must be http://host:port, with user:password@ before the host if it wants that"))
    if own.no_proxy and not own.proxy:
        problems.append((tree.place(("aura", "upstream", "no-proxy")), "says nothing without aura.upstream.proxy"))
    if own.ca_bundle:
        try:
            held = b"-----BEGIN CERTIFICATE-----" in File(own.ca_bundle).read_bytes()
            problem = "" if held else "holds no certificate in PEM form"
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        if problem:
            problems.append((tree.place(("aura", "upstream", "ca-bundle")), f"{own.ca_bundle} {problem}"))


def _has_opentelemetry() -> bool:
    try:
        return find_spec("opentelemetry.sdk.trace") is not None
    except ModuleNotFoundError:
        return False


def _unknown(tree: Tree) -> Problems:
    """Keys at the top, and sections below ``aura``, that there are none of; sections that are no mapping."""
    problems: dict[Path, str] = {}
    for path, leaf in tree.leaves.items():
        if path[0] != "aura":
            problem = _misplaced(path)
            if problem:
                problems[path[: 1 if path[0] not in old.SECTIONS else 2]] = problem
        elif len(path) > 1 and path[1] not in SECTIONS:
            problems[path[:2]] = unknown(path[1], SECTIONS)
        elif len(path) < 3 and leaf.value not in (None, {}):
            problems[path] = "must be a mapping of keys to values"
    return [(tree.place(path), problem) for path, problem in problems.items()]


def _misplaced(path: Path) -> str:
    """What is wrong with a key that is not below ``aura``, or is only meant to be."""
    if path[0] in SECTIONS and path[0] not in old.SECTIONS:
        return f"belongs below 'aura', as aura.{path[0]}"
    if path[0] == "server" and len(path) == 2 and path[1] not in _SPRING_SERVER:
        key = field_key(ServerSettings, path[1])
        return f"belongs below 'aura', as aura.server.{key}" if key in _SERVER else ""
    return "" if path[0] in old.SECTIONS else unknown(path[0], _TOP)


def _section(tree: Tree, name: str, problems: Problems) -> Any:
    path: Path = ("aura", name)
    try:
        return _RECORDS[name](**load_record(_SCHEMAS[name], tree.nested(path)))
    except ValidationError as error:
        problems += providers.placed(tree, path, error.messages)
        return _RECORDS[name]()


def _auth(tree: Tree, auth: AuthSettings, problems: Problems, notes: list[str]) -> AuthSettings:
    keys = (*auth.keys, *_keys_of(tree, auth.keys_file, problems))
    names, texts = [key.name for key in keys], [key.key.reveal() for key in keys]
    place = tree.place(("aura", "auth", "keys"))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problems.append((place, f"a name stands for one key only: {', '.join(twice)} is there twice"))
    elif len(set(texts)) < len(texts):
        shared = sorted(name for name, text in zip(names, texts, strict=True) if texts.count(text) > 1)
        problems.append((place, f"{', '.join(shared)} have the same key"))
    short = [key.name for key in keys if len(key.key.reveal()) < _SHORT_KEY]
    if short:
        notes.append(f"Keys of fewer than {_SHORT_KEY} characters are easily guessed: that of {', '.join(short)}.")
    if not keys and auth.allow_anonymous:
        notes.append("No client keys are configured: everyone who reaches the address may call.")
    return replace(auth, keys=keys)


def _keys_of(tree: Tree, name: str, problems: Problems) -> list[ClientKey]:
    """The keys of a file, one a line; empty lines and lines that begin with # say nothing."""
    if not name:
        return []
    try:
        lines = File(name).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        problems.append((tree.place(("aura", "auth", "keys-file")), f"the file cannot be read: {why}"))
        return []
    keys = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keys.append(client_key(keyed_line(line)))
        except (ValueError, ValidationError) as error:
            told = error.messages if isinstance(error, ValidationError) else str(error)
            problems.append((f"{name}, line {number}", _flat(told)))
    return keys


def _flat(messages: Any) -> str:
    if isinstance(messages, dict):
        return "; ".join(f"{key} {_flat(below)}" for key, below in messages.items())
    return ", ".join(messages) if isinstance(messages, list) else str(messages)


def _cache(tree: Tree, cache: CacheSettings, problems: Problems, notes: list[str]) -> CacheSettings:
    said = tree.nested(("aura", "cache"))
    try:
        entries, ttl, told = spec.read(cache.spec)
    except ValueError as error:
        problems.append((tree.place(("aura", "cache", "spec")), str(error)))
        return cache
    notes += told
    if entries is not None and said.get("max-entries") is None:
        cache = replace(cache, max_entries=entries)
    if ttl is not None and said.get("ttl") is None:
        cache = replace(cache, ttl=ttl)
    on = cache.enabled and cache.type != "none" and cache.max_entries > 0 and cache.ttl > 0
    return replace(cache, enabled=on)


def _moderation(tree: Tree, guardrails: Any, on: Mapping[str, ProviderSettings], problems: Problems) -> None:
    """Whoever moderates must be there, and speak OpenAI's grammar."""
    if guardrails.moderation is None:
        return
    name = guardrails.moderation.provider
    place = tree.place(("aura", "guardrails", "moderation", "provider"))
    if name not in on:
        problems.append((place, f"there is no provider {name!r} that is on"))
    elif on[name].type != "openai":
        problems.append((place, f"{name} is of type {on[name].type}: only openai has a moderation endpoint"))


def _redis(tree: Tree, section: str, url: str) -> Problems:
    """What is wrong with the address of Redis, said without it: it may hold a password."""
    if _REDIS.fullmatch(url) and _understood(url):
        return []
    problem = "must be redis:// or rediss:// with [user:password@]host:port/database, or unix:// with a path"
    return [(tree.place(("aura", section, "redis-url")), problem)]


def _understood(url: str) -> bool:
    """Whether the port is one and, where there are options, the client knows them."""
    try:
        if urlsplit(url).port == 0:
            return False
        if "?" in url:
            from redis import ConnectionPool  # takes 0.2 s

            ConnectionPool.from_url(url).make_connection()
    except Exception:  # the client's errors have no common kind, and none is told
        return False
    return True


def _semantic(tree: Tree, cache: CacheSettings, on: dict[str, ProviderSettings], problems: Problems) -> None:
    """Whether what is to tell questions in other words is there."""
    provider, _, model = cache.semantic.partition("/")
    problem = ""
    if cache.semantic == "local":
        missing = [name for name in _OF_SEMANTIC if find_spec(name) is None]
        if missing:
            problem = f"needs the extra: pip install 'aura-gateway[semantic]' (not found: {', '.join(missing)})"
    elif cache.semantic != "none" and not model:
        problem = "must be none, local or provider/model"
    elif cache.semantic != "none" and provider not in on:
        problem = f"names a provider that is not on: {shown(provider)!r}"
    if problem:
        problems.append((tree.place(("aura", "cache", "semantic")), problem))


def _thresholds(tree: Tree, classifier: Any, problems: Problems) -> None:
    if classifier.balanced_threshold > classifier.premium_threshold:
        path: Path = ("aura", "classifier", "balanced-threshold")
        if path in tree.leaves:
            problems.append((tree.place(path), "must not lie above premium-threshold"))
        else:
            path = ("aura", "classifier", "premium-threshold")
            problems.append(
                (tree.place(path), f"must not lie below balanced-threshold, {classifier.balanced_threshold}")
            )
