"""The local cache, as a backend of flask-caching: one store for all workers of the instance, or one in the process.

The workers' store is a file in a folder that gunicorn's master made and named in the environment. Where nobody did
(another server, a test), or where it cannot be used, each process has a store of its own in its memory.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import lmdb
import moka_py
from flask_caching.backends.base import BaseCache

from .. import metrics
from ..runtime import CACHE_FOLDER
from .leases import Audience, Source
from .shared import Shared

log = logging.getLogger("aura.cache")

_HEAVIEST = 2**31

Chosen = Callable[[str, bytes], bool]


class Level(Protocol):
    """Where a local cache keeps its values."""

    @property
    def audiences(self) -> tuple[Audience, ...]:
        """Who may follow what is done under a lease."""

    def get(self, key: str) -> bytes | None:
        """The value of a key, unless its time is over."""

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for so many seconds."""

    def delete(self, key: str) -> None:
        """Forget a key."""

    def claim(self, key: str) -> bool:
        """Take the lease of a key, unless another process has it."""

    def release(self, key: str) -> None:
        """Give the lease of a key back."""

    def follow(self, key: str) -> Source | None:
        """What the process that has the lease of a key says of its work; None where no other has it."""

    def usage(self) -> tuple[int, int]:
        """How many values there are, and their bytes."""

    def purge(self, scope: str, chosen: Chosen) -> int:
        """Forget keys that begin with ``scope`` and are chosen with their value; returns how many went."""


class Memory:
    """A W-TinyLFU store in the process.

    Args:
        entries: the most values.
        size: the most bytes of them.
        evicted: told how many values had to go.
    """

    audiences = ()

    def __init__(self, entries: int, size: int, evicted: Callable[[int], None] = lambda _count: None) -> None:
        self._evicted, self._size = evicted, size
        self._keys: set[str] = set()
        self._bytes = 0
        # The store is bounded by one weight: a value weighs its bytes, at least its share of the number allowed.
        share = max(1, size // max(1, entries))
        self._store: moka_py.Moka[str, bytes] = moka_py.Moka(
            size if entries else 0,
            policy="tiny_lfu",
            weigher=lambda _key, value: max(share, min(len(value), _HEAVIEST)),
            eviction_listener=self._gone,
        )

    def _gone(self, key: str, value: bytes, cause: str) -> None:
        self._bytes -= len(value)
        if cause != "replaced":
            self._keys.discard(key)
        if cause == "size":
            self._evicted(1)

    def get(self, key: str) -> bytes | None:
        """The value of a key, unless its time is over."""
        value: bytes | None = self._store.get(key)
        return value

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for so many seconds."""
        if len(value) > self._size:
            self._store.remove(key)
            return
        self._keys.add(key)
        self._bytes += len(value)
        self._store.set(key, value, ttl=ttl)

    def delete(self, key: str) -> None:
        """Forget a key."""
        self._store.remove(key)

    def claim(self, key: str) -> bool:  # noqa: ARG002  (no other process knows of it)
        """Take the lease of a key."""
        return True

    def release(self, key: str) -> None:
        """Give the lease of a key back."""

    def follow(self, key: str) -> None:
        """No other process has the lease of a key."""

    def usage(self) -> tuple[int, int]:
        """How many values there are, and their bytes."""
        self._store.run_pending_tasks()
        return len(self._keys), self._bytes

    def purge(self, scope: str, chosen: Chosen) -> int:
        """Forget keys that begin with ``scope`` and are chosen with their value; returns how many went."""
        found = [key for key in self._keys if key.startswith(scope)]
        values = ((key, self._store.get(key)) for key in found)
        going = [key for key, value in values if value is not None and chosen(key, value)]
        for key in going:
            self._store.remove(key)
        return len(going)


class LocalCache(BaseCache):
    """The backend. Values are bytes.

    Args:
        level: where they are kept.
        ttl: seconds for values that come without a time of their own.
    """

    def __init__(self, level: Level, ttl: float = 3600.0) -> None:
        super().__init__(default_timeout=int(ttl))
        self._level, self._ttl = level, ttl
        self.audiences = level.audiences
        """Who may follow what is done under a lease: the other processes that share the store."""

    @classmethod
    def factory(cls, app: Any, config: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any]) -> LocalCache:  # noqa: ARG003  (flask-caching's shape)
        """Make the backend from an app's configuration."""
        return cls(open_level(config["CACHE_THRESHOLD"], config["CACHE_MAX_BYTES"]), config["CACHE_DEFAULT_TIMEOUT"])

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        return self._level.get(key)

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Keep a value for so many seconds."""
        self._level.set(key, value, self._ttl if timeout is None else timeout)
        return True

    def delete(self, key: str) -> bool:
        """Forget a key."""
        self._level.delete(key)
        return True

    def clear(self) -> bool:
        """Forget everything."""
        self.purge("", lambda _key, _value: True)
        return True

    def purge(self, scope: str, chosen: Chosen) -> int:
        """Forget keys that begin with ``scope`` and are chosen with their value; returns how many went."""
        return self._level.purge(scope, chosen)

    def claim(self, key: str) -> bool:
        """Take the lease of a key: leave to make its value, while another process waits; False where one has it."""
        return self._level.claim(key)

    def release(self, key: str) -> None:
        """Give the lease of a key back."""
        self._level.release(key)

    def follow(self, key: str) -> Source | None:
        """What the process that has the lease of a key says of its work; None where no other has it."""
        return self._level.follow(key)

    def ping(self) -> None:
        """Nothing lies beyond this host."""

    def usage(self) -> tuple[int, int]:
        """How many values there are, and their bytes."""
        return self._level.usage()


def open_level(entries: int, size: int) -> Level:
    """The store of all workers where there is a folder for it, else one in the process."""
    evicted = metrics.cache_evictions.inc
    folder = os.environ.get(CACHE_FOLDER)
    if folder:
        try:
            return Shared(Path(folder), entries, size, evicted)
        except (OSError, lmdb.Error) as error:
            log.warning("cache.not_shared", extra={"reason": type(error).__name__})
    return Memory(entries, size, evicted)
