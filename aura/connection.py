"""One client connection: heads are awaited, requests handed to the application, answers sent, all under deadlines.

Reading and writing wait in the connection's own green thread. One libev watcher stays on the socket all the time: it
wakes the green thread that waits for bytes, and while the application works it notices the client's end.
"""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
from gevent import get_hub

from .answer import Reply, error_reply, overloaded
from .body import Body
from .disconnect import CONNECTION, READ, ClientGone, forget
from .errors import AuraError, Overloaded, RequestTimeout, ShuttingDown
from .protocol import Environ, Head, Last
from .request_id import new_request_id

if TYPE_CHECKING:
    from .worker import GeventWorker

log = logging.getLogger(__name__)

NEVER = float("inf")
_WRITE = 2
_RECEIVE = 65536
# Bytes taken in while the application works: the next requests of a client that does not wait for answers.
_MAX_AHEAD = 65536


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a client may take.

    Args:
        head: from a request's first byte (or the connection's beginning) to the end of its headers.
        body: for the whole body.
        slack: from here on a body must have come at ``rate`` bytes a second.
        send: without taking a single byte of its answer.
        linger: that a closing connection still takes what the client sends, so that it can read the answer.
    """

    head: float = 10.0
    body: float = 30.0
    slack: float = 5.0
    rate: float = 1000.0
    send: float = 60.0
    linger: float = 2.0


class Connection:
    """A client connection and the green thread that serves it.

    Args:
        environ: what all requests of the connection have in common.
        refused: the worker is full: the first request is answered 503.
    """

    __slots__ = (
        "_hub", "_last", "_paused", "_waiting", "_watcher", "_watching", "buffer", "deadline", "ended", "environ",
        "fresh", "greenlet", "idle", "limits", "refused", "socket", "worker",
    )  # fmt: skip

    def __init__(self, worker: GeventWorker, connection: Any, environ: Environ, refused: bool) -> None:
        self.worker = worker
        self.socket = connection
        self.environ = environ
        environ[CONNECTION] = self
        self.limits = worker.limits
        self.refused = refused
        self.buffer = b""
        self.deadline = NEVER
        self.idle = False
        self.ended = False
        self.fresh = True
        self._last: Last | None = None
        self._hub = get_hub()
        self._waiting = self._watching = self._paused = False
        self._watcher = self._hub.loop.io(connection.fileno(), READ)
        self._watcher.start(self._readable)
        self.greenlet = gevent.spawn_raw(self._run)

    # ---- the green thread

    def _run(self) -> None:
        try:
            if self.refused:
                self._refuse()
            else:
                while self._serve():
                    pass
        except gevent.GreenletExit:  # ClientGone among them
            pass
        except Exception:
            log.exception("connection.failed")
        finally:
            self._close()

    def _serve(self) -> bool:
        """Serve one request. Returns whether another may follow."""
        head = Head(self.environ, self._last)
        try:
            if not self._read_head(head):
                return False
        except AuraError as error:
            self._reject(head, error)
            return False
        finally:
            head.leave()
        body = Body(self, head)
        head.environ["wsgi.input"] = body
        reply = Reply(self, head, body)
        self.worker.count()
        try:
            self._answer(reply, head.environ)
        finally:
            self.stop()
        if reply.keep_alive:
            if self.fresh:
                self.fresh, self._last = False, Last()  # many connections bring one request, which leaves nothing
            return True
        if self.buffer or not body.complete:
            self._linger()
        return False

    def _read_head(self, head: Head) -> bool:
        """Read a request's head. Returns False if the client sent none."""
        if self.buffer:
            gevent.sleep(0)  # requests sent ahead take turns with other clients
        data = self._first_bytes()
        if not data:
            return False
        deadline = time.monotonic() + self.limits.head
        while not head.feed(data):
            data = self.receive(deadline)
            if not data:
                return False
        self.buffer = head.rest
        return True

    def _first_bytes(self) -> bytes:
        """Wait for a request to begin; no bytes if none does."""
        worker, kept = self.worker, not self.fresh
        self.idle = True
        worker.kept_idle += kept
        try:
            return self.receive(time.monotonic() + (worker.patience() if kept else self.limits.head))
        except RequestTimeout:
            return b""
        finally:
            worker.kept_idle -= kept
            self.idle = False

    def _answer(self, reply: Reply, environ: Environ) -> None:
        """Run the application; what it lets escape becomes an answer if none has begun."""
        try:
            reply.send(self.worker.wsgi(environ, reply.start))
            return
        except gevent.GreenletExit as leaving:
            # The frames that it came through hold it, Flask's own among them: with the body that was being read, all
            # would wait for the garbage collector.
            leaving.__context__ = None
            raise leaving.with_traceback(None) from None
        except AuraError as error:
            failure = error.with_traceback(None)
        except ShuttingDown:
            failure = Overloaded("The server is shutting down.", code="server_shutting_down", retry_after=1)
        except Exception:
            environ["HTTP_X_REQUEST_ID"] = request_id = new_request_id(environ)
            log.exception("request.failed", extra={"id": request_id})
            failure = AuraError("The server failed to answer.")
        if reply.begun:
            raise gevent.GreenletExit  # half an answer must not look like a whole one
        error_reply(reply, failure, new_request_id(environ), environ)

    def _reject(self, head: Head, error: AuraError) -> None:
        """Answer a request that is none, and let the client read the answer."""
        environ = head.told()
        request_id = new_request_id(environ)
        self.worker.note_refused(error.status)
        said = {"id": request_id, "status": error.status, "outcome": error.code, "reason": error.message}
        log.info("request.done", extra=said)
        error_reply(Reply(self, head, None), error, request_id, environ)
        self._linger()

    def _refuse(self) -> None:
        try:
            head = Head({})
            data = self.receive(time.monotonic() + self.limits.linger)
            if not data:
                return
            with suppress(AuraError):  # what is asked does not matter, but for the grammar of the answer
                head.feed(data)
            head.leave()
        except RequestTimeout:
            return
        self.worker.note_refused(Overloaded.status)
        self.send(overloaded(new_request_id({}), head.told()))
        self._linger()

    def _linger(self) -> None:
        """Close this side, and drop what still comes: a reset would destroy the answer on its way."""
        self.buffer = b""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + self.limits.linger
            while self.receive(deadline):
                pass
        except (OSError, RequestTimeout):
            pass

    def _close(self) -> None:
        self.stop()
        self._watcher.stop()
        self._watcher.close()
        self.socket.close()
        self.environ.clear()  # it holds this connection, and so does the last head: nothing waits for a collection
        self._last = None
        self.worker.forget(self)

    # ---- waiting

    def receive(self, deadline: float) -> bytes:
        """Wait for bytes; none means that the client has ended its side.

        Raises:
            RequestTimeout: none came before the deadline (monotonic seconds).
            ClientGone: the connection was reset.
        """
        while not self.buffer:
            if self.ended:
                return b""
            if self._paused:
                self._paused = False
                self._watcher.start(self._readable)
            if not self._wait(deadline):
                raise RequestTimeout("The request did not arrive in time.")
            try:
                return self.socket.recv(_RECEIVE)  # type: ignore[no-any-return]
            except BlockingIOError:
                continue
            except OSError:
                raise ClientGone from None
        data, self.buffer = self.buffer, b""
        return data

    def _wait(self, deadline: float) -> bool:
        """Wait until the socket is readable. Returns False if it is not before the deadline."""
        self._waiting = True
        self.deadline = deadline
        try:
            return self._hub.switch()  # type: ignore[no-any-return]
        finally:
            self._waiting = False
            self.deadline = NEVER

    def send(self, data: bytes) -> None:
        """Send all bytes.

        Raises:
            ClientGone: the client has left, or took nothing for too long.
        """
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            raise ClientGone from None
        if sent != len(data):
            self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, data: memoryview) -> None:
        watcher = self._hub.loop.io(self.socket.fileno(), _WRITE)
        watcher.start(self._writable)
        try:
            while data:
                self.deadline = time.monotonic() + self.limits.send
                if not self._hub.switch():
                    raise ClientGone
                try:
                    data = data[self.socket.send(data) :]
                except BlockingIOError:
                    continue
        except OSError:
            raise ClientGone from None
        finally:
            self.deadline = NEVER
            watcher.stop()
            watcher.close()

    def expire(self) -> None:
        """Wake the green thread: what it waits for has not come in time."""
        self.deadline = 0.0
        self._hub.loop.run_callback(self._expire)

    def _expire(self) -> None:
        if self.deadline == 0.0:  # still waiting
            self.greenlet.switch(False)

    def cut(self) -> None:
        """End the green thread, whatever it does. From another green thread."""
        self._hub.loop.run_callback(self.greenlet.throw, gevent.GreenletExit)

    # ---- what the loop calls

    def _writable(self) -> None:
        self.greenlet.switch(True)

    def _readable(self) -> None:
        if self._waiting:
            self.greenlet.switch(True)
            return
        # The application works: take in what comes, to see the end behind it.
        if len(self.buffer) >= _MAX_AHEAD:
            self._pause()
            return
        try:
            data = self.socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.buffer += data
            return
        self.ended = True
        self._pause()
        self._leave()

    def _pause(self) -> None:
        self._paused = True
        self._watcher.stop()

    def _leave(self) -> None:
        if self._watching:
            self.stop()
            self.greenlet.throw(ClientGone())

    # ---- the watch over the request being served (see aura.disconnect)

    def watch(self) -> None:
        """Raise ClientGone in the green thread when the client leaves."""
        self._watching = True
        if self.ended:
            self._hub.loop.run_callback(self._leave)

    def stop(self) -> None:
        """End the watch; idempotent."""
        self._watching = False
        forget(self)
