"""A socket to a provider, plain or TLS: every wait on it ends at a deadline, or when something is thrown in.

Facts
  - libev reports a readable socket at every turn of the loop: a watcher that nobody waits for has to pause.
  - Started and stopped for every wait, a watcher costs a system call each time; one that stays on costs none, and
    notices that an idle connection was closed.
  - A timer for every wait costs as much as the wait. Deadlines mostly move on, so one timer stays on too: when it
    rings too early, it is set anew for what is left.
  - Whether there is anything to read costs a third if it is asked of ``poll``, which makes no exception of a "no".
  - What came before a reset can still be read (Linux).
  - TLS 1.3 sends tickets after the handshake: bytes on an idle TLS connection need not be its end.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import socket
import ssl
from contextlib import suppress
from time import monotonic
from typing import Any

from gevent import get_hub, getcurrent
from gevent.monkey import get_original

from ..errors import Failure, Reason

_poll = get_original("select", "poll")  # gevent's own waits by its loop, even for no time
_READ, _WRITE = 1, 2
_NEVER = float("inf")
# What is read at a time, and so what others wait for while it is worked through: 1 ms of a stream's events.
_RECEIVE = 16 * 1024
# What is encrypted at a time: a large body is never held twice.
_RECORDS = 65536
# Seconds after which a silent peer is asked whether it is still there, and how often.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


class Wire:
    """A connected socket, used by one green thread at a time.

    Errors of the connection are ``OSError``, a deadline is a :class:`~aura.errors.Failure` for ``TIMEOUT``.

    Args:
        family: of the address.
    """

    __slots__ = (
        "_deadline", "_early", "_expired", "_greenlet", "_hub", "_incoming", "_outgoing", "_paused", "_poll", "_ready",
        "_rings", "_socket", "_timer", "_tls", "_watcher", "closed", "idle",
    )  # fmt: skip

    def __init__(self, family: int) -> None:
        self.closed = False
        self.idle = False
        self._hub: Any = get_hub()
        self._socket = _socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._poll = _poll()
        self._poll.register(self._socket.fileno(), select.POLLIN)
        self._watcher: Any = None
        self._timer: Any = None
        self._rings = _NEVER
        self._deadline = 0.0
        self._greenlet: Any = None
        self._tls: ssl.SSLObject | None = None
        self._early = b""
        self._ready = self._paused = self._expired = False

    # ---- opening

    def connect(self, address: Any, deadline: float) -> None:
        """Connect. The deadline is a ``TimeoutError`` here."""
        code = self._socket.connect_ex(address)
        if code == errno.EINPROGRESS:
            watcher = self._hub.loop.io(self._socket.fileno(), _WRITE)
            watcher.start(self._wake)
            try:
                # A busy loop may see the deadline before it sees what came in time: the socket knows.
                if not self._wait(deadline) and self._socket.connect_ex(address) == errno.EALREADY:
                    raise TimeoutError("not connected in time")
            finally:
                watcher.close()
            self._ready = False
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, value in _KEEPALIVE:
            self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self._watcher = self._hub.loop.io(self._socket.fileno(), _READ)
        self._watcher.start(self._readable)

    def start_tls(
        self, context: ssl.SSLContext, host: str, deadline: float, session: ssl.SSLSession | None = None
    ) -> None:
        """Shake hands and verify who answers. The deadline is a ``TimeoutError`` here.

        Args:
            session: of an earlier connection to the same host, verified then; it spares both sides the costly part.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)
        try:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self._flush(deadline)
                if not self._fill(deadline):
                    raise ConnectionResetError(errno.ECONNRESET, "closed during the handshake")
            self._flush(deadline)
        except ssl.SSLError:
            self._say_farewell()
            raise
        except Failure:
            raise TimeoutError("no handshake in time") from None
        self._tls = tls

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection to the same host can resume; None without TLS."""
        return self._tls.session if self._tls is not None else None

    def _say_farewell(self) -> None:
        """Send the alert that tells the peer why."""
        with suppress(OSError):
            self._socket.send(self._outgoing.read())

    # ---- using

    def send(self, data: bytes, deadline: float) -> bool:
        """Send all bytes. Returns False if the peer answered before it had taken them."""
        if self._tls is None:
            return self._send(data, deadline)
        for start in range(0, len(data), _RECORDS):
            self._tls.write(memoryview(data)[start : start + _RECORDS])
            if not self._send(self._outgoing.read(), deadline):
                return False
        return True

    def _send(self, data: bytes, deadline: float) -> bool:
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        return sent == len(data) or self._send_rest(memoryview(data)[sent:], deadline)

    def _send_rest(self, data: memoryview, deadline: float) -> bool:
        writable = self._hub.loop.io(self._socket.fileno(), _WRITE)
        writable.start(self._wake)
        try:
            while data:
                if not self._wait(deadline):
                    raise Failure(Reason.TIMEOUT)
                # Both watchers say "ready"; which of them it was, the socket knows.
                self._ready = False
                try:
                    data = data[self._socket.send(data) :]
                except BlockingIOError:
                    if self._answered():
                        return False
        finally:
            writable.close()
        return True

    def _answered(self) -> bool:
        """Whether an answer, or an end, has come while the request is still being sent."""
        try:
            if self._tls is None:
                self._socket.recv(1, socket.MSG_PEEK)
                return True
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if self._paused:
            self._resume()
        self._incoming.write(data)
        self._early += self._decrypt()
        return not data or bool(self._early)

    def receive(self, deadline: float) -> bytes:
        """Wait for the next bytes: all that have come, up to 16 KiB; no bytes at the end."""
        if self._tls is None:
            return self._receive(deadline)
        data = self._early or self._decrypt()
        self._early = b""
        while not data:
            if not self._fill(deadline):
                return b""
            try:
                data = self._decrypt()
            except ssl.SSLZeroReturnError:
                return b""
            if self._outgoing.pending:
                self._flush(deadline)
        return data

    def _receive(self, deadline: float) -> bytes:
        while True:
            awake = self._ready or self._wait(deadline)
            self._ready = False
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                if not awake:
                    raise Failure(Reason.TIMEOUT) from None
                data = None
            if self._paused:
                self._resume()
            if data is not None:
                return data

    def _resume(self) -> None:
        self._paused = False
        self._watcher.start(self._readable)

    def _decrypt(self) -> bytes:
        """What the records that have come hold; no bytes if none is complete."""
        assert self._tls is not None
        parts: list[bytes] = []
        try:
            while True:
                part = self._tls.read(_RECEIVE)
                if not part:
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            if not parts:
                raise
        return b"".join(parts)

    def _fill(self, deadline: float) -> bool:
        """Wait for bytes of TLS. Returns False at the end."""
        data = self._receive(deadline)
        if data:
            self._incoming.write(data)
        return bool(data)

    def _flush(self, deadline: float) -> None:
        if self._outgoing.pending:
            self._send(self._outgoing.read(), deadline)

    # ---- idle

    def silent(self) -> bool:
        """Whether nothing has come that nobody asked for: neither an end nor bytes."""
        if self.closed or not self._poll.poll(0):
            return not self.closed
        if self._tls is None:
            return False
        try:
            data = self._socket.recv(_RECEIVE)
            self._incoming.write(data)
            return bool(data) and not self._decrypt()
        except OSError:  # TLS's own are such
            return False

    def close(self) -> None:
        """Close the socket at once; idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        self._stop_timer()
        self._socket.close()

    # ---- waiting, and what the loop calls

    def _wait(self, deadline: float) -> bool:
        """Wait until the socket is ready. Returns False at the deadline."""
        if deadline < self._rings:
            seconds = deadline - monotonic()
            if seconds <= 0:
                return False
            self._ring(deadline, seconds)
        self._deadline = deadline
        self._expired = False
        self._greenlet = getcurrent()
        try:
            # Whoever else wakes this green thread does not end the wait.
            while not (self._ready or self._expired):
                self._hub.switch()
        finally:
            self._greenlet = None
        return self._ready

    def _ring(self, deadline: float, seconds: float) -> None:
        """Set the timer."""
        self._stop_timer()
        self._rings = deadline
        self._timer = self._hub.loop.timer(seconds)
        self._timer.start(self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
            self._rings = _NEVER

    def _readable(self) -> None:
        if self._greenlet is not None:
            self._ready = True
            self._greenlet.switch()
        elif self.idle and not self.silent():
            self.close()
        elif not self.idle:
            self._ready = self._paused = True
            self._watcher.stop()

    def _wake(self) -> None:
        self._ready = True
        if self._greenlet is not None:
            self._greenlet.switch()

    def _expire(self) -> None:
        self._stop_timer()
        if self._greenlet is None:
            return
        seconds = self._deadline - monotonic()
        if seconds > 0:
            self._ring(self._deadline, seconds)
            return
        self._expired = True
        self._greenlet.switch()
