"""Idle connections, the last one first: it is the likeliest to live, and the others may grow old and go."""

from __future__ import annotations

from time import monotonic

from .connection import Connection

# Proxies and load balancers forget a silent connection after a minute or more; most providers close theirs earlier.
MAX_IDLE = 55.0


class Pool:
    """Keeps idle connections by origin.

    Args:
        size: kept for each origin.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._closed = False

    def take(self, origin: tuple[str, str, int]) -> Connection | None:
        """Take a connection on which nothing has come since; None if there is none."""
        idle = self._idle.get(origin)
        oldest = monotonic() - MAX_IDLE
        while idle:
            connection = idle.pop()
            connection.wire.idle = False
            if connection.kept_since > oldest and connection.wire.silent():
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Keep a connection if it may be used again and there is room; else close it."""
        if self._closed or not connection.reusable:
            connection.close()
            return
        idle = self._idle.setdefault(connection.origin, [])
        now = monotonic()
        # The oldest go from the bottom, and so do those that closed meanwhile.
        while idle and (idle[0].wire.closed or idle[0].kept_since < now - MAX_IDLE or len(idle) >= self._size):
            idle.pop(0).close()
        connection.used = True
        connection.kept_since = now
        connection.wire.idle = True
        idle.append(connection)

    def close(self) -> None:
        """Close what is idle; what comes back later is closed then."""
        self._closed = True
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()
