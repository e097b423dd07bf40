"""Stored answers: given to calls that ask the same, kept of calls that went well."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Protocol

import orjson

from .. import metrics
from ..call import Call, Json, Plan, Target, Tier
from ..settings import CacheSettings
from .control import Control, control_of, not_stored
from .entry import Codec, Head, Poisoned, head_of, well_formed
from .key import key_of, tag
from .semantic import Semantic, pointed, pointer
from .sharing import Keeper, Sharing, Work

# An answer of letters is a quarter of its size when it is compressed; what is not is seldom one.
_UNPACKED = 4
# Answers that are kept as they were last unpacked, and the bytes that one of them may have.
_KEPT, _KEPT_SIZE = 256, 32 * 1024

_MOST_DROPPED = 16  # names of parameters that an entry tells of

Chosen = Callable[[str, bytes], bool]


class Store(Work, Protocol):
    """Where bytes are kept: a flask-caching backend, and what else the cache needs of it."""

    def get(self, key: str) -> Any:
        """The bytes under a key, None if there are none."""

    def set(self, key: str, value: Any, timeout: Any = None) -> bool | None:
        """Keep bytes for so many seconds."""

    def delete(self, key: str) -> bool:
        """Forget a key."""

    def purge(self, scope: str, chosen: Chosen) -> int:
        """Forget keys that begin with ``scope`` and are chosen with their bytes; returns how many went."""

    def usage(self) -> tuple[int, int]:
        """How many values there are, and their bytes."""

    def ping(self) -> bool | None:
        """Whether what lies beyond this host answers; None where nothing does."""


@dataclass(slots=True)
class Stored:
    """An answer from the cache: its canonical JSON, its age in seconds, who gave it, what that left out, its cost."""

    data: bytes
    age: float
    target: Target
    dropped: tuple[str, ...] = ()
    usd: float = 0.0

    @property
    def body(self) -> Json:
        """The answer; read anew each time."""
        found: Json = orjson.loads(self.data)
        return found


class AnswerCache:
    """The answers of calls.

    Args:
        store: where bytes are kept.
        clock: seconds, of a clock that all share who share the store.
        ttls: for how many seconds the answers of a tenant are kept, for tenants that have a time of their own.
        semantic: tells questions in other words; None: only the same call has the same answer.
    """

    def __init__(
        self,
        store: Store,
        settings: CacheSettings,
        clock: Callable[[], float] = time.time,
        ttls: Mapping[str, float] | None = None,
        semantic: Semantic | None = None,
    ) -> None:
        self._semantic = semantic
        self._kept: OrderedDict[str, tuple[bytes, Head, bytes]] = OrderedDict()
        self._store, self._settings, self._clock = store, settings, clock
        self._ttls = dict(ttls or {})
        self._on = settings.enabled and settings.type != "none"
        self._tier_ttls: dict[Tier | None, float | None] = {
            Tier.ECO: settings.eco_ttl,
            Tier.BALANCED: settings.balanced_ttl,
            Tier.PREMIUM: settings.premium_ttl,
        }
        self._codec = Codec()
        self._keeper = Keeper(store) if self._on and store.audiences else None

    def ping(self) -> bool | None:
        """Whether the store beyond this host answers; None where there is none."""
        return self._store.ping() if self._on else None

    def key(self, call: Call, plan: Plan) -> str | None:
        """The key of a call, None where the cache has no part in it.

        Raises:
            BadRequest: what it asks of the cache is not what it should be.
            AuraError: it wants a stored answer or none, and there can be none.
        """
        control = control_of(call)
        key = None
        if self._on and control.used and (not self._settings.deterministic_only or call.body.get("temperature") == 0):
            body = call.body if call.native is None else call.native
            key = key_of(call.door, call.caller, control.namespace, plan.signature, body)
        if key is None and control.only_if_cached:
            raise not_stored()
        return key

    def get(self, key: str, call: Call, plan: Plan | None = None) -> Stored | None:
        """The stored answer, unless the call asks for a fresh one; notes the hit or miss.

        Raises:
            AuraError: there is none, and the call wants nothing else.
        """
        control = control_of(call)
        found = self._read(key, control)
        if found is None and self._semantic is not None and plan is not None and control.reads:
            found = self._read_alike(self._semantic, call, plan, control)
        call.cache = "miss" if found is None else "hit"
        if found is None and control.only_if_cached:
            raise not_stored()
        return found

    def flight(self, key: str, call: Call) -> Hashable:
        """What is equal for calls that may share an answer which is still on its way: they want it in one form."""
        control = control_of(call)
        patience = call.headers.get("x-aura-timeout")
        return key, call.stream, call.wants_usage, control.reads, control.writes, patience, call.kept is not None

    def sharing(self, key: str, flight: Hashable, call: Call) -> Sharing | None:
        """The work for a call, as the processes that share the store share it; None where they do not.

        Args:
            flight: equal for calls that may share an answer which is still on its way.
        """
        if self._keeper is None:
            return None
        control = control_of(call)
        if not (control.reads and control.writes) or self._ttl(control, call) <= 0:
            return None  # what is not stored is not said elsewhere either
        name = key[: 2 * len(tag(""))] + blake2b(repr(flight).encode(), digest_size=20).hexdigest()
        return Sharing(self._store, self._keeper, name, lambda: self._read(key, control), call.stream)

    def _read(self, key: str, control: Control) -> Stored | None:
        entry = self._store.get(key) if control.reads else None
        if entry is None:
            return None
        try:
            head, data = self._unpacked(key, entry)
        except Poisoned:
            self._store.delete(key)
            return None
        age = max(0.0, self._clock() - head.at)
        if age > head.ttl or (control.max_age is not None and age > control.max_age):
            return None
        metrics.cache_saved_seconds.add(head.seconds)
        metrics.cache_saved_usd.add(head.usd)
        return Stored(data, age, head.target, head.dropped, head.usd)

    def _unpacked(self, key: str, entry: bytes) -> tuple[Head, bytes]:
        """Take an entry apart; one that is still what it was has been."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] == entry:
            self._kept.move_to_end(key)
            return kept[1], kept[2]
        head, _, data = self._codec.unpack(entry, _UNPACKED * self._settings.max_entry)
        if len(data) <= _KEPT_SIZE:
            self._kept[key] = entry, head, data
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return head, data

    def _read_alike(self, semantic: Semantic, call: Call, plan: Plan, control: Control) -> Stored | None:
        """The stored answer to the same question in other words."""
        question = semantic.question(call, plan, control)
        entry = self._store.get(question.key) if question else None
        if question is None or entry is None:
            return None
        try:
            key, text = pointed(self._codec.open(entry, _UNPACKED * self._settings.max_entry)[1])
        except Poisoned:
            self._store.delete(question.key)
            return None
        began = time.monotonic()
        likeness = semantic.alike(question.text, text)
        call.upstream_s += time.monotonic() - began
        found = self._read(key, control) if likeness is not None else None
        if found is not None:
            call.similarity = likeness
            metrics.cache_semantic_hits.inc()
        return found

    def put(self, key: str, target: Target, body: Json, call: Call | None = None, plan: Plan | None = None) -> None:
        """Store a complete answer, if it may be stored.

        Args:
            call: whose answer it is.
            plan: the call's.
        """
        control = control_of(call) if call is not None else Control()
        ttl = self._ttl(control, call)
        if ttl <= 0 or not control.writes or not self._worth_keeping(body):
            return
        data = orjson.dumps(body)
        if len(data) > _UNPACKED * self._settings.max_entry:
            return
        seconds, usd = (time.monotonic() - call.started, call.cost_usd) if call is not None else (0.0, 0.0)
        dropped = tuple(call.dropped[:_MOST_DROPPED]) if call is not None else ()
        head = Head(self._clock(), ttl, target, round(seconds, 3), round(usd, 9), len(data), dropped)
        entry = self._codec.pack(head, data)
        if len(entry) > self._settings.max_entry:
            return
        self._store.set(key, entry, ttl)
        question = self._semantic.question(call, plan, control) if self._semantic and call and plan else None
        if question is not None:
            data = pointer(key, question)
            self._store.set(question.key, self._codec.pack(replace(head, size=len(data)), data), ttl)
        self._tell_usage()

    def _ttl(self, control: Control, call: Call | None) -> float:
        """For how long an answer is kept: the call's own time, its tenant's, its tier's, or that of all."""
        settings = self._settings
        if control.ttl is not None:
            return min(control.ttl, max(settings.max_ttl, settings.ttl))
        if call is not None and call.caller in self._ttls:
            return self._ttls[call.caller]
        of_tier = self._tier_ttls.get(call.tier) if call is not None else None
        return settings.ttl if of_tier is None else of_tier

    def _worth_keeping(self, body: Json) -> bool:
        """Whether an answer is whole, not refused, and not cut where those are not wanted."""
        if not well_formed(body):
            return False
        for choice in body.get("choices") or ():
            reason = choice["finish_reason"]
            if reason in ("content_filter", "error") or choice["message"].get("refusal"):
                return False
            if reason == "length" and not self._settings.store_truncated:
                return False
        return True

    def purge(self, tenant: str | None = None, namespace: str | None = None, model: str | None = None) -> int:
        """Forget stored answers: of a tenant, of a namespace of it, of a model; returns how many went.

        Args:
            tenant: None: of all tenants.
            namespace: None: of all namespaces. The one without a name is "".
            model: the one that answered, as ``model`` or ``provider/model``.
        """
        begin = "" if tenant is None else tag(tenant)
        inner = "" if namespace is None else tag(namespace)

        def chosen(key: str, entry: bytes) -> bool:
            if not key.startswith(inner, len(begin) or len(tag(""))):
                return False
            try:
                target = head_of(entry)[0].target
            except Poisoned:
                return True
            return model is None or model in (target.model, target.name)

        went = self._store.purge(begin, chosen)
        self._tell_usage()
        return went

    def _tell_usage(self) -> None:
        entries, size = self._store.usage()
        metrics.cache_entries.set(entries)
        metrics.cache_bytes.set(size)
