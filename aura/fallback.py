"""What gunicorn's own gevent class lacks to serve Aura, given to it by its hooks: ``-k gevent``.

:func:`equip` is for a worker that is not of :mod:`aura.worker`. It then refuses what that class refuses, in the same
words: a head that gunicorn has read is read once more by :class:`aura.protocol.Head`, and bodies are read by
:class:`aura.body.Body`, with its deadlines and its strictness in chunks.

Facts
  - ``pre_request`` runs before an environ is made and before ``100 Continue`` is sent. What it raises comes to
    ``handle_error``, as do all errors of gunicorn's parser; those bring no request along unless its head was read.
  - What gunicorn says of an error repeats what the client sent, keys among it: it is neither told nor logged.
  - Waiting for a request's head has a deadline of gunicorn's own (``keepalive``), which closes without an answer.
    Reading a body has none, nor has sending.
  - ``should_close`` of a request is asked when the head of its answer is written, and again behind the answer.
  - A close with bytes unread is a reset, which may destroy the answer on its way.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import proxy

from gunicorn.http import errors as foreign
from gunicorn.util import close_graceful

from .answer import whole
from .body import Body
from .connection import Limits
from .disconnect import ClientGone, drain_on_sigterm, draining
from .errors import AuraError, Overloaded, RequestTimeout, ShuttingDown
from .protocol import (
    Environ,
    Head,
    bad_framing,
    headers_too_large,
    line_too_long,
    unknown_expectation,
    unknown_method,
    unknown_version,
)
from .request_id import new_request_id

log = logging.getLogger(__name__)

# Of a client that does not stop sending; the time that it is given ends it before.
_MAX_LINGERED = 1 << 30
_RECEIVE = 65536
_AT_ONCE = 0.001
_HTTP_2 = (2, 0)
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{3,}")
_SAID: tuple[tuple[type[Exception], Callable[[], AuraError]], ...] = (
    (foreign.LimitRequestLine, line_too_long),
    (foreign.LimitRequestHeaders, partial(headers_too_large, "The headers are too many, or too large.")),
    (foreign.ExpectationFailed, unknown_expectation),
    (foreign.InvalidRequestLine, partial(bad_framing, "invalid request line")),
    (foreign.InvalidRequestMethod, partial(bad_framing, "invalid method")),
    (foreign.InvalidHTTPVersion, partial(bad_framing, "invalid version")),
    (foreign.InvalidHeader, partial(bad_framing, "invalid header")),
    (foreign.InvalidHeaderName, partial(bad_framing, "invalid header name")),
    (foreign.ObsoleteFolding, partial(bad_framing, "a header goes on in the next line")),
    (foreign.UnsupportedTransferCoding, partial(bad_framing, "invalid Transfer-Encoding")),
    (foreign.ParseException, partial(bad_framing, "it cannot be read")),
)


def equip(worker: Any, limits: Limits, drain_delay: float, note_refused: Callable[[int], None]) -> None:
    """Prepare a worker of gunicorn's own class. To be called in ``post_worker_init``.

    Args:
        drain_delay: seconds from SIGTERM until no more connections are accepted.
        note_refused: counts a request, by its status, that is refused before the application sees it.
    """
    worker.handle_error = partial(_handle_error, limits, note_refused)
    worker.cfg.set("pre_request", partial(_pre_request, limits))
    worker.cfg.set("post_request", partial(_post_request, limits))
    drain_on_sigterm(worker.cfg.graceful_timeout, drain_delay)


def _pre_request(limits: Limits, worker: Any, req: Any) -> None:  # noqa: ARG001  (gunicorn's shape)
    """Refuse what Aura's own class refuses, and read the body of what is left as that class does."""
    if req.version >= _HTTP_2:
        return  # no bytes of ours, and its streams have a flow of their own
    head = Head({})
    head.feed(_written(req))
    req.unreader.sock.settimeout(limits.send)
    req.body = body = Body(_Link(req.unreader, limits), head)
    # A request that held itself would wait for the garbage collector.
    asked = partial(type(req).should_close, proxy(req))
    req.should_close = lambda: draining() or not body.complete or asked()


def _written(req: Any) -> bytes:
    """The head of a request that gunicorn has read, which holds no line end but its own."""
    line = f"{req.method} {req.uri} HTTP/{req.version[0]}.{req.version[1]}\r\n"
    return (line + "".join(f"{name}: {value}\r\n" for name, value in req.headers) + "\r\n").encode("latin-1")


def _post_request(limits: Limits, worker: Any, req: Any, environ: Environ, resp: Any) -> None:  # noqa: ARG001
    """Let the client read the answer to a request whose body is still on its way."""
    if isinstance(req.body, Body) and resp is not None and resp.headers_sent and not req.body.complete:
        close_graceful(environ["gunicorn.socket"], limits.linger, _MAX_LINGERED)


class _Link:
    """A connection of gunicorn's, as :class:`aura.body.Body` reads from one; what is left is gunicorn's again."""

    def __init__(self, unreader: Any, limits: Limits) -> None:
        self.limits = limits
        self._unreader = unreader
        self._socket = unreader.sock

    @property
    def buffer(self) -> bytes:
        """What has come in and nobody has read."""
        data: bytes = self._unreader.take_buffered()
        self._unreader.unread(data)
        return data

    @buffer.setter
    def buffer(self, data: bytes) -> None:
        self._unreader.take_buffered()
        self._unreader.unread(data)

    def receive(self, deadline: float) -> bytes:
        """Wait for bytes; none means that the client has ended its side."""
        data: bytes = self._unreader.take_buffered()
        if data:
            return data
        try:
            self._socket.settimeout(max(_AT_ONCE, deadline - time.monotonic()))
            return self._socket.recv(_RECEIVE)  # type: ignore[no-any-return]
        except TimeoutError:
            raise RequestTimeout("The request did not arrive in time.") from None
        except OSError:
            raise ClientGone from None
        finally:
            self._socket.settimeout(self.limits.send)

    def send(self, data: bytes) -> None:
        """Gunicorn has said ``100 Continue`` by now."""


def _handle_error(
    limits: Limits,
    note_refused: Callable[[int], None],
    req: Any,
    client: Any,
    addr: Any,  # noqa: ARG001  (gunicorn's shape)
    exc: BaseException,
) -> None:
    """Answer what gunicorn or the application could not, in the grammar of the path's clients as far as it is known."""
    error = _told(exc)
    if error is None:
        return
    environ = _environ(req if req is not None else getattr(exc, "req", None))
    request_id = new_request_id(environ)
    if error.__class__ is AuraError:
        log.error("request.failed", extra={"id": request_id}, exc_info=exc)
    elif not isinstance(exc, ShuttingDown):
        note_refused(error.status)
        said = {"id": request_id, "status": error.status, "outcome": error.code, "reason": error.message}
        log.info("request.done", extra=said)
    answer = whole(error, request_id, environ)
    if getattr(req, "method", None) == "HEAD":
        answer = answer[: answer.index(b"\r\n\r\n") + 4]
    try:
        client.settimeout(limits.send)
        client.sendall(answer)
    except OSError:
        return  # nobody is there to read it
    close_graceful(client, limits.linger, _MAX_LINGERED)


def _environ(req: Any) -> Environ:
    """What is known of a request, as far as the answer depends on it."""
    headers = getattr(req, "headers", ())
    return {"PATH_INFO": getattr(req, "path", None) or ""} | {
        "HTTP_" + name.replace("-", "_"): value for name, value in headers
    }


def _told(exc: BaseException) -> AuraError | None:
    """What the client is told; None if nobody listens, or the server ends."""
    if isinstance(exc, AuraError):
        return exc
    if isinstance(exc, ShuttingDown):
        return Overloaded("The server is shutting down.", code="server_shutting_down", retry_after=1)
    if isinstance(exc, OSError) or not isinstance(exc, Exception):
        return None
    ours = isinstance(exc, foreign.InvalidResponseHeader | foreign.InvalidResponseHeaderName)
    if ours or not isinstance(exc, foreign.ParseException):
        return AuraError("The server failed to answer.")
    return _refusal(exc)


def _refusal(exc: foreign.ParseException) -> AuraError:
    """What a client is told whose request gunicorn could not read."""
    if isinstance(exc, foreign.InvalidRequestMethod) and _METHOD.fullmatch(exc.method):
        return unknown_method()
    if isinstance(exc, foreign.InvalidHTTPVersion) and isinstance(exc.version, tuple):
        return unknown_version()
    return next(said() for kind, said in _SAID if isinstance(exc, kind))
