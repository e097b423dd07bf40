"""The cache in Redis, as a backend of flask-caching: one for all instances, with the local one to fall back on.

Facts
  - GETRANGE reads as much of a value as it is told: one of 500 MB costs no more than the largest of ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flask_caching.backends.base import BaseCache
from redis import exceptions

from ..gate import Gate
from ..redis_link import Link, client
from .leases import Audience, Source
from .local import Chosen, LocalCache, open_level
from .remote_leases import RemoteLeases

PREFIX = "aura:cache:"
_PATIENT = 1.0  # seconds that an administrator waits for one command
_SCANNED = 200
_HEAD = 1024


class RedisCache(BaseCache):
    """The backend. Values are bytes.

    Args:
        url: ``redis://[user:password@]host:port/database``, or ``rediss://``.
        local: keeps what is stored too, and answers while Redis is out of use.
        ttl: seconds for values that come without a time of their own.
        largest: bytes that a value may have.

    Raises:
        ValueError: the URL is none of Redis's.
    """

    def __init__(self, url: str, local: LocalCache, ttl: float = 3600.0, largest: int = 1024 * 1024) -> None:
        super().__init__(default_timeout=int(ttl))
        self._local, self._ttl, self._largest = local, ttl, largest
        self._gate = Gate(time.monotonic, "cache")
        self._link = Link(url, self._gate)
        self._redis, self._ask = self._link.redis, self._link.ask
        self._patient: Any = client(url, _PATIENT)
        self._leases = RemoteLeases(self._patient, self._gate)
        self.audiences: tuple[Audience, ...] = (*local.audiences, self._leases)
        """Who may follow what is done under a lease: the workers of this instance, and other instances."""

    @classmethod
    def factory(cls, app: Any, config: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any]) -> RedisCache:  # noqa: ARG003  (flask-caching's shape)
        """Make the backend from an app's configuration."""
        ttl = config["CACHE_DEFAULT_TIMEOUT"]
        local = LocalCache(open_level(config["CACHE_THRESHOLD"], config["CACHE_MAX_BYTES"]), ttl)
        return cls(config["CACHE_REDIS_URL"], local, ttl, config["CACHE_MAX_ENTRY"])

    def get(self, key: str) -> bytes | None:
        """The value of a key; what is no value of ours is deleted."""
        most = self._largest + _HEAD
        asked, value = self._ask(lambda: self._redis.getrange(PREFIX + key, 0, most))
        if not asked or (value == b"" and self._gate.refusing):
            return self._local.get(key)
        if not isinstance(value, bytes) or len(value) > most:
            self.delete(key)
            return None
        return value or None

    def set(self, key: str, value: Any, timeout: Any = None) -> bool:
        """Keep a value for so many seconds."""
        ttl = self._ttl if timeout is None else timeout
        self._local.set(key, value, ttl)
        return self._ask(lambda: self._redis.set(PREFIX + key, value, px=max(1, int(ttl * 1000))), write=True)[0]

    def delete(self, key: str) -> bool:
        """Forget a key."""
        self._local.delete(key)
        return self._ask(lambda: self._redis.unlink(PREFIX + key), write=True)[0]

    def clear(self) -> bool:
        """Forget everything."""
        self.purge("", lambda _key, _value: True)
        return True

    def claim(self, key: str) -> bool:
        """Take the lease of a key for a while, here and in Redis; False where another process or instance has it."""
        if not self._local.claim(key):
            return False
        asked, taken = self._ask(lambda: self._leases.claim(self._redis, key), write=True)
        if asked and not taken:
            self._local.release(key)
            return False
        return True

    def release(self, key: str) -> None:
        """Give the lease of a key back."""
        self._local.release(key)
        if not self._ask(lambda: self._leases.give_back(self._redis, key), write=True)[0]:
            self._leases.owe(key)

    def follow(self, key: str) -> Source | None:
        """What the process or instance that has the lease of a key says of its work; None where no other has it."""
        return self._local.follow(key) or self._leases.follow(key)

    def ping(self) -> bool:
        """Whether Redis answers; one that is known to be out of use is not asked. Waits for a second at most."""
        return not self._gate.down and self._link.answers()

    def usage(self) -> tuple[int, int]:
        """How many values there are locally, and their bytes."""
        return self._local.usage()

    def purge(self, scope: str, chosen: Chosen) -> int:
        """Forget keys that begin with ``scope`` and are chosen with the beginning of their value.

        Returns:
            How many went: in Redis, or locally while it is out of use.

        Raises:
            TimeoutError: Redis is out of use, or went out of use; what it holds may come back.
        """
        local, went, at = self._local.purge(scope, chosen), 0, 0
        if self._gate.down:
            raise TimeoutError(f"Redis is out of use; {local} answers are forgotten here")
        try:
            while True:
                at, keys = self._patient.scan(at, match=f"{PREFIX}{scope}*", count=_SCANNED)
                went += self._purge_some(keys, chosen)
                if not at:
                    return went
        except (exceptions.RedisError, OSError) as error:
            raise TimeoutError("Redis does not answer") from error

    def _purge_some(self, keys: list[bytes], chosen: Chosen) -> int:
        if not keys:
            return 0
        reader = self._patient.pipeline(transaction=False)
        for key in keys:
            reader.getrange(key, 0, _HEAD)
        heads = reader.execute(raise_on_error=False)
        going = [key for key, head in zip(keys, heads, strict=True) if self._goes(key, head, chosen)]
        return int(self._patient.unlink(*going)) if going else 0

    @staticmethod
    def _goes(key: bytes, head: Any, chosen: Chosen) -> bool:
        return not isinstance(head, bytes) or chosen(key.decode("utf-8", "replace").removeprefix(PREFIX), head)
