"""Leases that instances take from one another in Redis, and what their holders say of their work.

A lease is a key with the name that its holder made up for this piece of work; it ends by itself unless it is renewed.
What the holder says lies under that name, and whoever follows leaves a mark there that ends by itself, too.

All of it is for work that waits anyhow, so it may take its time, and no error of Redis's is one of a call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from redis import exceptions

from ..gate import Gate
from .leases import FRESH, Source

LEASE, STREAM, FOLLOWED = "aura:lease:", "aura:stream:", "aura:followed:"
LEASE_MS = 15_000  # after which the lease of an instance that died is anyone's
_RENEWED = 5.0  # seconds
_KEPT_MS = 30_000  # for which what was said stays without a further word
_RENEW = f"""
for number = 1, #KEYS do
  if redis.call('get', KEYS[number]) == ARGV[number] then redis.call('pexpire', KEYS[number], {LEASE_MS}) end
end
return 1"""
_GIVE_BACK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('unlink', KEYS[1]) end return 0"

Result = TypeVar("Result")


class RemoteLeases:
    """The leases of this process.

    Args:
        redis: a client that may take its time.
        gate: whoever finds it closed asks nothing.
    """

    near, interval = False, 0.1

    def __init__(self, redis: Any, gate: Gate) -> None:
        self._redis, self._gate = redis, gate
        self._names: dict[str, bytes] = {}
        self._owed: dict[bytes, str] = {}  # what could not be given back yet
        self._renewed = 0.0

    def claim(self, redis: Any, key: str) -> bool:
        """Take a lease; asked by a client that takes no longer than its caller can wait."""
        # Noted first: Redis may take it and say so too late, and then it is given back all the same.
        name = self._names[key] = os.urandom(8).hex().encode()
        taken = bool(redis.set(LEASE + key, name, nx=True, px=LEASE_MS))
        if not taken and self._names.get(key) == name:
            del self._names[key]
        return taken

    def give_back(self, redis: Any, key: str) -> None:
        """Give a lease back, if it is this process's still."""
        name = self._names.get(key)
        if name is not None:
            redis.eval(_GIVE_BACK, 1, LEASE + key, name)
            del self._names[key]

    def owe(self, key: str) -> None:
        """Note a lease that could not be given back: it is tried again."""
        name = self._names.pop(key, None)
        if name is not None:
            self._owed[name] = key

    def _pay(self) -> None:
        for name, key in list(self._owed.items()):
            if self.asked(lambda key=key, name=name: self._redis.eval(_GIVE_BACK, 1, LEASE + key, name)) is None:  # type: ignore[misc]
                return
            self._owed.pop(name, None)

    def tend(self, keys: Iterable[str]) -> list[str]:
        """Renew leases from time to time; returns which of them are followed."""
        if self._owed:
            self._pay()
        mine = [(key, name) for key in keys if (name := self._names.get(key)) is not None]
        if not mine:
            return []
        if time.monotonic() - self._renewed > _RENEWED:
            self._renewed = time.monotonic()
            names = [LEASE + key for key, _ in mine]
            self.asked(lambda: self._redis.eval(_RENEW, len(mine), *names, *(name for _, name in mine)))
        marks = self.asked(lambda: self._redis.mget([FOLLOWED.encode() + name for _, name in mine]))
        return [key for (key, _), mark in zip(mine, marks or (), strict=False) if mark is not None]

    def region(self, key: str) -> RedisRegion:
        """Where this process says what it brings."""
        return RedisRegion(self, key, self._names.get(key, b"none"), made=True)

    def follow(self, key: str) -> Source | None:
        """What the instance that has a lease says of its work."""
        name = self.asked(lambda: self._redis.get(LEASE + key))
        mine = self._names.get(key)
        return RedisRegion(self, key, name, made=False) if isinstance(name, bytes) and name != mine else None

    def asked(self, command: Callable[[], Result]) -> Result | None:
        """What Redis answers; None where it does not."""
        if self._gate.down:
            return None
        try:
            return command()
        except (exceptions.RedisError, OSError, ValueError):
            return None

    def pipeline(self, whole: bool) -> Any:
        """Commands that are sent together; ``whole``: they take effect together."""
        return self._redis.pipeline(transaction=whole)


class RedisRegion:
    """What the holder of a lease says, under the name of its work."""

    interval = 0.05

    def __init__(self, leases: RemoteLeases, key: str, name: bytes, made: bool) -> None:
        self._leases, self._lease, self._name, self._made = leases, LEASE + key, name, made
        self._stream = STREAM.encode() + name

    def read(self, *ranges: tuple[int, int]) -> list[bytes] | None:
        """Read some ranges."""
        asking = self._leases.pipeline(whole=False)
        for at, size in ranges:
            asking.getrange(self._stream, at, at + size - 1)
        found = self._leases.asked(asking.execute)
        return found if found is not None and all(isinstance(one, bytes) for one in found) else None

    def write(self, pieces: list[tuple[int, bytes]]) -> bool:
        """Write some bytes in order."""
        asking = self._leases.pipeline(whole=True)
        for at, data in pieces:
            asking.setrange(self._stream, at, data)
        asking.pexpire(self._stream, _KEPT_MS)
        return self._leases.asked(asking.execute) is not None

    def held(self) -> bool | None:
        """Whether the holder has its lease; it learns that it is followed."""
        asking = self._leases.pipeline(whole=False)
        asking.set(FOLLOWED.encode() + self._name, b"", px=int(FRESH * 1000))
        asking.get(self._lease)
        found = self._leases.asked(lambda: asking.execute(raise_on_error=False))
        if found is None or isinstance(found[1], Exception):
            return None
        return bool(found[1] == self._name)

    def close(self) -> None:
        """Forget what was said, if this process said it."""
        if self._made:
            asking = self._leases.pipeline(whole=False)
            asking.unlink(self._stream)
            self._leases.asked(asking.execute)
