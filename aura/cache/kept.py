"""Responses that clients come back to: by ``previous_response_id``, or to read them again. Each belongs to its tenant.

They lie in the store of the answers, as entries of the same form, so they share its room and go when it is purged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from ..call import Json, Target
from ..settings import CacheSettings
from .answers import Store
from .entry import Codec, Head, Poisoned
from .key import tag

# A name of a cache's part that no client's namespace has: those are no longer than 128 characters.
_PART = "responses".ljust(129)
_UNPACKED = 4
_NOWHERE = Target("", "")


@dataclass(frozen=True, slots=True)
class Kept:
    """A response, and all items that it answered."""

    response: Json
    items: list[Json]


class KeptResponses:
    """The responses of all tenants.

    Args:
        ttl: seconds for which they are kept; 0: they are not.
        clock: seconds, of a clock that all share who share the store.
    """

    def __init__(
        self, store: Store, settings: CacheSettings, ttl: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._ttl, self._clock = store, ttl, clock
        self._largest = settings.max_entry
        self.on = settings.type != "none" and ttl > 0
        """Whether responses are kept at all."""
        self._codec = Codec()

    def put(self, tenant: str, kept: Kept, target: Target | None) -> None:
        """Keep a response; one that is too large for the store, or has no id, is not."""
        response = kept.response
        name = response.get("id")
        data = orjson.dumps({"model": str(response.get("model")), "data": [response], "input": kept.items})
        if not self.on or not isinstance(name, str) or len(data) > _UNPACKED * self._largest:
            return
        head = Head(self._clock(), self._ttl, target or _NOWHERE, 0.0, 0.0, len(data))
        entry = self._codec.pack(head, data)
        if len(entry) <= self._largest:
            self._store.set(_key(tenant, name), entry, self._ttl)

    def get(self, tenant: str, name: str) -> Kept | None:
        """The response with an id, None if the tenant has none."""
        entry: Any = self._store.get(_key(tenant, name)) if self.on else None
        if entry is None:
            return None
        try:
            head, body, _ = self._codec.unpack(entry, _UNPACKED * self._largest)
        except Poisoned:
            return None
        if self._clock() - head.at > head.ttl or not isinstance(body.get("input"), list):
            return None
        return Kept(body["data"][0], body["input"])

    def delete(self, tenant: str, name: str) -> None:
        """Forget a response."""
        self._store.delete(_key(tenant, name))


def _key(tenant: str, name: str) -> str:
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    return tag(tenant) + tag(_PART) + digest
