"""Aura's gunicorn worker class: gevent, a strict parser, deadlines, JSON errors, a drain that loses nothing.

Use: ``gunicorn -k aura.worker.GeventWorker``, as aura.gunicorn_conf does. Beyond gunicorn's own gevent worker
  - a full worker answers 503 instead of letting clients wait, after closing connections that are idle;
  - SIGTERM closes idle connections within a second, lets requests finish, tells those that cannot, then ends;
  - ``environ["aura.connection"]`` is there for :mod:`aura.disconnect`.
Not supported: TLS, the PROXY protocol, HTTP/2 (a proxy in front speaks them), and gunicorn's hooks around requests.
"""

from __future__ import annotations

import _socket
import errno
import gc
import logging
import socket
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker as GunicornGeventWorker

from .connection import Connection, Limits
from .disconnect import READ, app_deadline, begin_drain, draining
from .protocol import Environ

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 0.5
# How long idle connections stay open in a drain: a request may be on its way.
_GRACE_SECONDS = 0.5
_DRAIN_SWEEP_SECONDS = 0.1
# What is left between the last word to clients and the end that the master would force.
_CUT_SECONDS = 0.5
_MAX_ACCEPTED = 64
# Where workers share a socket, so many open connections allow one more to be accepted in a turn.
_OPEN_PER_ACCEPTED = 16
# Bytes that the kernel takes for a client beyond what the client takes: it would take megabytes for one that stands
# still, and the provider would be read for it.
_MAX_UNSENT = 64 * 1024
_MAX_BACKLOG = 4096
_MAX_EVICTED = 16
# Objects made beyond those that went, then collections of the young and of the middle-aged. Requests leave no cycles,
# so that every collection goes in vain over what the open streams hold; by Python's own numbers (700, 10, 10) that took
# a fifth of the time at 5,000 streams, and collections of all of it made them late.
_COLLECTED = (10_000, 10, 100)
# Connections that are being told that there is no room.
_MAX_TURNED_AWAY = 256
_NO_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class GeventWorker(GunicornGeventWorker):  # type: ignore[misc]
    """Serves many connections with green threads in one process."""

    limits = Limits()
    drain_delay = 0.0
    """Seconds from SIGTERM until no more connections are accepted; readiness says 503 meanwhile."""
    note_refused: Callable[[int], None] = staticmethod(lambda _status: None)
    """Counts a request, by its status, that is refused before the application sees it; set where there are metrics."""
    _stopping: Event | None = None
    _begun = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker class cannot do. Called by gunicorn's master."""
        if cfg.is_ssl:
            log.error("aura.worker does not speak TLS: end it in a proxy, or use -k gevent.")
            sys.exit(78)

    def run(self) -> None:
        """Serve until told to stop, then drain."""
        self.date = ""
        self.kept_idle = 0
        self._keep_alive = float(self.cfg.keepalive)  # gunicorn looks through all its settings for one
        self._refused = 0
        self._turned_away = 0
        self._full = False
        self._connections: set[Connection] = set()
        self._stopping = Event()
        self._listeners: list[Listener] = []
        # What is here now stays: left out of every later collection, which would hold the loop for 30 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTED)
        self._beat()  # the master counts from the first
        self._listeners = [Listener(self, listener) for listener in self.sockets]
        while self.alive:
            self._stopping.wait(_SWEEP_SECONDS)
            self._beat()
        self._drain()

    def _beat(self) -> None:
        self.notify()
        self._sweep()
        if self._full:
            self._full = False
            for listener in self._listeners:
                listener.start()
        if self._refused:
            log.warning("connections.refused", extra={"count": self._refused, "open": len(self._connections)})
            self._refused = 0

    def _sweep(self) -> None:
        """Wake those whose clients were too slow. One loop over all is cheaper than a timer for each wait."""
        self.date = formatdate(usegmt=True)
        now = time.monotonic()
        for connection in self._connections:
            if connection.deadline < now:
                connection.expire()

    # ---- connections

    def admit(self, accepted: Any, environ: Environ) -> None:
        """Serve an accepted connection, or answer that there is no room."""
        full = len(self._connections) - self._turned_away >= self.worker_connections
        refused = full and not self._evict()
        if refused:
            self._refused += 1
            if self._turned_away >= _MAX_TURNED_AWAY:
                accepted.close()
                return
            self._turned_away += 1
        self._connections.add(Connection(self, accepted, environ, refused))

    def _evict(self) -> int:
        """Close some connections that were kept and wait for no answer. Returns how many."""
        if not self.kept_idle:
            return 0
        chosen = []
        for connection in self._connections:
            if connection.idle and not connection.fresh:
                chosen.append(connection)
                if len(chosen) == _MAX_EVICTED:
                    break
        for connection in chosen:
            connection.expire()
        return len(chosen)

    def no_room(self) -> None:
        """Accept nothing until the next beat: the process has no descriptor left."""
        if not self._full:
            self._full = True
            log.warning("descriptors.exhausted", extra={"open": len(self._connections)})
        for listener in self._listeners:
            listener.stop()
        self._evict()

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._connections)

    def forget(self, connection: Connection) -> None:
        """A connection has closed."""
        self._connections.discard(connection)
        if connection.refused:
            self._turned_away -= 1

    def patience(self) -> float:
        """Seconds that a connection may wait for its next request."""
        return _GRACE_SECONDS if draining() else self._keep_alive

    def count(self) -> None:
        """Count a request, for ``max_requests``."""
        self.nr += 1
        if self.nr == self.max_requests:
            self.log.info("Autorestarting worker after current request.")
            self._stop()

    # ---- the end

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002  (a signal handler's shape)
        """SIGTERM: drain. What follows is done on the loop, not within the signal."""
        gevent.get_hub().loop.run_callback_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._begun:
            return
        self._begun = time.monotonic()
        begin_drain(self.cfg.graceful_timeout)
        self.alive = False
        if self._stopping is not None:
            self._stopping.set()

    def _drain(self) -> None:
        """Let requests finish, tell those that cannot, end."""
        begun = self._begun or time.monotonic()
        graceful = float(self.cfg.graceful_timeout)
        self._wait(begun + self.drain_delay, until_empty=False)
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        soon = time.monotonic() + _GRACE_SECONDS
        for connection in self._connections:
            if connection.idle:
                connection.deadline = min(connection.deadline, soon)
        last = begun + max(graceful - _CUT_SECONDS, app_deadline(graceful))
        self._wait(last, until_empty=True)
        for connection in list(self._connections):
            connection.cut()
        gevent.sleep(0)

    def _wait(self, deadline: float, *, until_empty: bool) -> None:
        while time.monotonic() < deadline and (self._connections or not until_empty):
            gevent.sleep(_DRAIN_SWEEP_SECONDS)
            self._beat()


class Listener:
    """Accepts connections from one listening socket, within the loop."""

    def __init__(self, worker: GeventWorker, listening: Any) -> None:
        self._worker = worker
        self._listening = listening
        self._inet = listening.family in (socket.AF_INET, socket.AF_INET6)
        # One at a time where workers share the socket, so that an eager one does not take all.
        self._shares = worker.cfg.workers > 1
        self._at_once = _MAX_ACCEPTED
        address = listening.getsockname()
        self._environ: Environ = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": address[0] if self._inet else "localhost",
            "SERVER_PORT": str(address[1]) if self._inet else "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": worker.cfg.workers > 1,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        listening.setblocking(False)
        if self._inet:  # accepted sockets inherit it
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MAX_UNSENT)
        self._watcher = gevent.get_hub().loop.io(listening.fileno(), READ)
        self.start()

    def start(self) -> None:
        """Accept from now on; idempotent."""
        if not self._watcher.active:
            self._watcher.start(self._accept)

    def stop(self) -> None:
        """Accept nothing; idempotent."""
        self._watcher.stop()

    def close(self) -> None:
        """Take what has already connected, then accept nothing more."""
        self._at_once = _MAX_BACKLOG
        self._accept()
        self._watcher.stop()
        self._watcher.close()
        self._listening.close()

    def _room(self) -> int:
        """How many to accept in this turn of the loop: few leave the others theirs.

        The more connections there are, the longer a turn takes: one in each would not keep up with those that come.
        """
        if not self._shares or self._at_once > _MAX_ACCEPTED:
            return self._at_once
        return min(self._at_once, 1 + self._worker.open // _OPEN_PER_ACCEPTED)

    def _accept(self) -> None:
        for _ in range(self._room()):
            try:
                descriptor, address = self._listening._sock._accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._worker.no_room()
                else:
                    log.exception("accept.failed")
                return
            self._take(descriptor, address)

    def _take(self, descriptor: int, address: Any) -> None:
        # A bare socket: gevent's own would bring two more watchers that are never used.
        accepted = _socket.socket(fileno=descriptor)
        accepted.setblocking(False)
        environ = self._environ.copy()
        if self._inet:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address[0], str(address[1])
        else:
            environ["REMOTE_ADDR"] = ""
        environ["gunicorn.socket"] = accepted
        self._worker.admit(accepted, environ)
