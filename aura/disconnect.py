"""Leaving early: a client that goes away, and a server that is told to stop, reach the green thread that serves.

Around the work for one request (until its stream has ended)::

    watch = disconnect.watch(environ)
    try:
        ...
    finally:
        watch.stop()

Inside, :class:`ClientGone` is raised at the point where the green thread waits as soon as the client has left, and
:class:`~aura.errors.ShuttingDown` when a stopping server can wait no longer. Works under Aura's own worker class and
under gunicorn's gevent class.
"""

from __future__ import annotations

import signal
import socket
from typing import Any, Protocol

import gevent
from gevent import getcurrent

from .errors import ShuttingDown

CONNECTION = "aura.connection"
READ = 1
_SEND_SECONDS = 60.0


class ClientGone(gevent.GreenletExit):  # type: ignore[misc]
    """The client has left; nobody reads the answer.

    Not an Exception, so that no handler takes it for a failure; a kind of GreenletExit, so that gunicorn's own worker
    class, too, ends without a word when it escapes.
    """


class Watch(Protocol):
    """A request under watch."""

    greenlet: Any

    def stop(self) -> None:
        """End the watch; idempotent. Nothing is raised from here on."""


# A process serves, or it drains: signals know no other owner. The watches are those of all requests being served.
_watches: set[Watch] = set()
_stopping: list[bool] = []


def can_watch(environ: dict[str, Any]) -> bool:
    """Whether the server lets its connections be watched; other WSGI servers do not."""
    return CONNECTION in environ or "gunicorn.socket" in environ


def watch(environ: dict[str, Any]) -> Watch:
    """Watch over the request of a WSGI environ from the green thread that serves it."""
    found = environ.get(CONNECTION)
    if found is None:
        found = SocketWatch(environ["gunicorn.socket"])
    else:
        found.watch()
    _watches.add(found)
    return found


def forget(found: Watch) -> None:
    """Take a watch out of those that are told of the server's end; for the watches themselves."""
    _watches.discard(found)


class SocketWatch:
    """Watches a connection of gunicorn's own worker class by one libev watcher.

    Bytes instead of an end are a further request sent ahead: they stay where they are, and the watch ends, since what
    comes behind them cannot be seen.
    """

    __slots__ = ("_socket", "_watcher", "greenlet")

    def __init__(self, connection: Any) -> None:
        self.greenlet = getcurrent()
        self._socket = connection
        if connection.gettimeout() is None:
            connection.settimeout(_SEND_SECONDS)  # a reader that stops would hold its green thread for ever
        self._watcher = gevent.get_hub().loop.io(connection.fileno(), READ)
        self._watcher.start(self._look)

    def _look(self) -> None:
        try:
            # The flag spares gevent's wait: the hub must not be blocked from within.
            gone = not self._socket._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        self._close()
        if gone and self in _watches:
            self.stop()
            self.greenlet.throw(ClientGone())

    def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def stop(self) -> None:
        """End the watch; idempotent."""
        _watches.discard(self)
        self._close()


def draining() -> bool:
    """Whether the server has been told to stop: readiness says 503 from now on."""
    return bool(_stopping)


def app_deadline(graceful_timeout: float) -> float:
    """Seconds after the signal at which those still being served are told: 2 s are left to say so."""
    return max(graceful_timeout - 2.0, graceful_timeout / 2)


def begin_drain(graceful_timeout: float) -> None:
    """Drain from now on, and tell those still served at the deadline; a second call changes nothing."""
    if not _stopping:
        _stopping.append(True)
        gevent.spawn_later(app_deadline(graceful_timeout), dismiss)


def dismiss() -> None:
    """Raise :class:`~aura.errors.ShuttingDown` in every green thread that serves a watched request."""
    loop = gevent.get_hub().loop
    for found in list(_watches):
        loop.run_callback(_throw, found)


def _throw(found: Watch) -> None:
    if found in _watches:
        _watches.discard(found)
        found.greenlet.throw(ShuttingDown())


def drain_on_sigterm(graceful_timeout: float, delay: float = 0.0) -> None:
    """Begin the drain at SIGTERM, and ``delay`` seconds later what the worker class does itself.

    To be called in the worker.
    """
    before: Any = signal.getsignal(signal.SIGTERM)
    loop = gevent.get_hub().loop

    def begin(number: int) -> None:
        begin_drain(graceful_timeout)
        gevent.spawn_later(delay, before, number, None)

    def handle(number: int, frame: Any) -> None:
        if delay and callable(before) and not draining():
            loop.run_callback_threadsafe(begin, number)
            return
        loop.run_callback_threadsafe(begin_drain, graceful_timeout)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, handle)
    signal.siginterrupt(signal.SIGTERM, False)
