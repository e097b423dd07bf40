"""Redis, asked without ever failing a call or holding it for long: what it says or does is no error of the caller's.

Facts
  - A time limit of redis-py's holds for one read or write on the socket; a connection is made with several. So a limit
    of ours lies around each command, from the wait for a connection to the end of the answer. A connection that it
    interrupts is closed by redis-py, so that no later command reads the answer.
  - Redis that is full, or a replica, refuses writes and can be read all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import gevent
import redis
from gevent.queue import LifoQueue
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import metrics
from .gate import PATIENCE, Gate

CONNECTIONS, READY = 16, 4  # at most, and made before they are needed
_PROBE = 0.5  # seconds between two looks at a Redis that is out of use
_PATIENT = 1.0  # seconds that such a look may take
_NO_KEY = "aura:probe"
# How Redis refuses a write that it would take at another time.
_REFUSALS = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)
_REFUSING_WORDS = ("MISCONF", "NOREPLICAS")

Result = TypeVar("Result")


class Late(Exception):
    """Redis did not answer in the time that a call may lose to it."""


class Link:
    """Redis behind a gate.

    Args:
        url: ``redis://[user:password@]host:port/database``, ``rediss://`` or ``unix://``.

    Raises:
        ValueError: the URL is none of Redis's.
    """

    def __init__(self, url: str, gate: Gate) -> None:
        self.redis: Any = client(url, PATIENCE)
        self._gate = gate
        self._out_of_use = metrics.redis_down.labels(gate.part)
        self._out_of_use.set(0)
        self._prober: gevent.Greenlet[Any, Any] | None = None
        gevent.spawn(self._connect)

    def ask(self, command: Callable[[], Result], write: bool = False) -> tuple[bool, Result | None]:
        """Ask Redis, unless the gate is closed.

        Returns:
            Whether it answered, and what; None for a key that holds something of another type.
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
        self._out_of_use.set(1)
        while self._gate.down:
            gevent.sleep(_PROBE)
            if self.answers():
                self._connect()
                self._gate.open()
        self._out_of_use.set(0)

    def answers(self) -> bool:
        """Whether Redis answers; to a ping it would while it is loading, too."""
        try:
            with gevent.Timeout(_PATIENT, Late()):
                self.redis.getrange(_NO_KEY, 0, 1)
        except (Late, exceptions.RedisError, OSError, ValueError):
            return False
        return True

    def _connect(self) -> None:
        """Make the first connections, so that no call loses its time with that."""
        gevent.joinall([gevent.spawn(self.answers) for _ in range(READY)])


def client(url: str, seconds: float) -> redis.Redis:
    """A client whose every wait ends after so many seconds.

    Raises:
        ValueError: the URL is none of Redis's.
    """
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
        raise ValueError("a redis-url must be redis://[user:password@]host:port/database") from None
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
