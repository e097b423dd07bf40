"""The cache in Redis, as a backend of flask-caching: one for all instances, with the local one to fall back on.

Facts
  - A time limit of redis-py's holds for one read or write on the socket; a connection is made with several. So a limit
    of ours lies around each command, from the wait for a connection to the end of the answer. A connection that it
    interrupts is closed by redis-py, so that no later command reads the answer.
  - GETRANGE reads as much of a value as it is told: one of 500 MB costs no more than the largest of ours.
  - Redis that is full, or a replica, refuses writes and can be read all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gevent
import redis
from flask_caching.backends.base import BaseCache
from gevent.queue import LifoQueue
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from .gate import PATIENCE, Gate
from .local import Chosen, LocalCache, open_level

CONNECTIONS, READY = 16, 4  # at most, and made before they are needed
PREFIX, LEASE = "aura:cache:", "aura:lease:"
LEASE_MS = 15_000  # after which the lease of an instance that died is anyone's
_PROBE = 0.5  # seconds between two looks at a Redis that is out of use
_PATIENT = 1.0  # seconds that an administrator waits for one command
_SCANNED = 200
_HEAD = 1024
# How Redis refuses a write that it would take at another time.
_REFUSALS = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)
_REFUSING_WORDS = ("MISCONF", "NOREPLICAS")

Result = TypeVar("Result")


class Late(Exception):
    """Redis did not answer in the time that a call may lose to it."""


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
        self._gate = Gate(time.monotonic)
        self._redis: Any = _client(url, PATIENCE)
        self._patient: Any = _client(url, _PATIENT)
        self._prober: gevent.Greenlet[Any, Any] | None = None
        gevent.spawn(self._connect)

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
        asked, taken = self._ask(lambda: self._redis.set(LEASE + key, b"", nx=True, px=LEASE_MS), write=True)
        if asked and not taken:
            self._local.release(key)
            return False
        return True

    def release(self, key: str) -> None:
        """Give the lease of a key back."""
        self._local.release(key)
        self._ask(lambda: self._redis.unlink(LEASE + key), write=True)

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

    def _ask(self, command: Callable[[], Result], write: bool = False) -> tuple[bool, Result | None]:
        """Ask Redis, unless the gate is closed. Nothing it says or does is an error of the caller's.

        Returns:
            Whether it answered, and what; None for a key that holds something else than bytes.
        """
        patience = self._gate.admit(write)
        if not patience:
            return False, None
        try:
            with gevent.Timeout(patience, Late()):
                answer = command()
        except Late:
            self._gate.lost(patience)
        except (exceptions.RedisError, OSError, ValueError) as error:
            if _is_wrong_type(error):
                return True, None
            self._failed(error, write)
        else:
            if write:
                self._gate.written()
            return True, answer
        finally:
            self._gate.leave()
            if self._gate.down and (self._prober is None or self._prober.dead):
                self._prober = gevent.spawn(self._probe)
        return False, None

    def _failed(self, error: Exception, write: bool) -> None:
        if write and (isinstance(error, _REFUSALS) or str(error).startswith(_REFUSING_WORDS)):
            self._gate.refuse_writes(_reason(error))
        else:
            self._gate.close(_reason(error))

    def _probe(self) -> None:
        """Ask on nobody's account, until Redis answers again."""
        while self._gate.down:
            gevent.sleep(_PROBE)
            if self._answers():
                self._connect()
                self._gate.open()

    def _answers(self) -> bool:
        """Whether Redis answers; to a ping it would while it is loading, too."""
        try:
            with gevent.Timeout(_PATIENT, Late()):
                self._redis.getrange(f"{PREFIX}probe", 0, 1)
        except (Late, exceptions.RedisError, OSError, ValueError):
            return False
        return True

    def _connect(self) -> None:
        """Make the first connections, so that no call loses its time with that."""
        gevent.joinall([gevent.spawn(self._answers) for _ in range(READY)])


def _client(url: str, seconds: float) -> redis.Redis:
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=seconds,
            queue_class=LifoQueue,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
            driver_info=None,  # three quarters of what a new connection takes
        )
    except ValueError:
        raise ValueError("aura.cache.redis-url must be redis://[user:password@]host:port/database") from None
    return redis.Redis(connection_pool=pool)


def _is_wrong_type(error: Exception) -> bool:
    return isinstance(error, exceptions.ResponseError) and str(error).startswith("WRONGTYPE")


def _reason(error: Exception) -> str:
    """One word for the log, never the error's own words: they may hold an address or a name."""
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (exceptions.AuthenticationError, "auth"),
        (exceptions.AuthorizationError, "auth"),
        (exceptions.NoPermissionError, "auth"),
        (exceptions.BusyLoadingError, "loading"),
        (exceptions.OutOfMemoryError, "full"),
        (exceptions.ReadOnlyError, "replica"),
        (exceptions.TimeoutError, "timeout"),
        (exceptions.InvalidResponse, "protocol"),
        (exceptions.ResponseError, "refused"),
        (ConnectionError, "unreachable"),
        (exceptions.ConnectionError, "unreachable"),
    )
    return next((word for kind, word in kinds if isinstance(error, kind)), "protocol")
