"""Names to addresses: looked up once for all who wait, bounded in time, and remembered for when the lookup fails."""

from __future__ import annotations

import ipaddress
import socket
from time import monotonic
from typing import Any

import gevent
from gevent.event import AsyncResult

# Seconds that an answer is taken for granted; getaddrinfo does not tell its time to live.
_TRUSTED = 30.0
# Seconds that a lookup may take where an older answer is at hand.
_PATIENCE = 0.2
_MAX_NAMES = 1024

Addresses = list[tuple[int, Any]]


class Resolver:
    """Asks ``socket.getaddrinfo``, which must be gevent's own (monkey-patched): it waits in a thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, Addresses]] = {}
        self._asked: dict[tuple[str, int], AsyncResult] = {}

    def addresses(self, host: str, port: int, deadline: float) -> Addresses:
        """The addresses of a host, in the order in which they should be tried.

        Raises:
            OSError: the name is not known, or nobody said so in time; and it never was known.
        """
        if _is_address(host):
            return _look_up(host, port)
        found = self._known.get((host, port))
        if found is None:
            return self._ask(host, port, deadline)
        now = monotonic()
        if found[0] > now:
            return found[1]
        # What was right a while ago is likely still right: a name server that is slow or down stops nobody.
        try:
            return self._ask(host, port, min(deadline, now + _PATIENCE))
        except OSError:
            return found[1]

    def doubt(self, host: str, port: int) -> None:
        """None of the addresses answered: ask again next time."""
        found = self._known.get((host, port))
        if found is not None:
            self._known[host, port] = 0.0, found[1]

    def _ask(self, host: str, port: int, deadline: float) -> Addresses:
        key = host, port
        asked = self._asked.get(key)
        if asked is None:
            # A green thread of its own: who waits may leave, and a name that hangs takes one thread, not all of them.
            asked = self._asked[key] = AsyncResult()
            gevent.spawn(self._answer, key, asked)
        try:
            return asked.get(timeout=max(0.0, deadline - monotonic()))  # type: ignore[no-any-return]
        except gevent.Timeout:
            raise TimeoutError("the name was not resolved in time") from None

    def _answer(self, key: tuple[str, int], asked: AsyncResult) -> None:
        try:
            addresses = _look_up(*key)
        except (OSError, UnicodeError) as error:
            asked.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            if len(self._known) >= _MAX_NAMES:
                self._known.clear()
            self._known[key] = monotonic() + _TRUSTED, addresses
            asked.set(addresses)
        finally:
            self._asked.pop(key, None)


def _look_up(host: str, port: int) -> Addresses:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
