"""The answer to one request: WSGI's ``start_response`` and iterable, turned into HTTP/1.1 with few sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from .body import Body
from .dialects import anthropic
from .disconnect import draining
from .errors import AuraError, Overloaded
from .fronts import FRONTS, grammar_of
from .protocol import Environ, Head

if TYPE_CHECKING:
    from .connection import Connection

Headers = list[tuple[str, str]]

# Up to here head and body are copied into one send.
_MAX_JOINED = 65536
# What belongs to one connection is the worker's to say, not the application's.
_HOP = frozenset(("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))


class _Form(NamedTuple):
    """How the headers of answers are written that have the same names in the same order.

    Args:
        lines: the pieces around each value that is sent, with a place between them for it.
        many: how many lines that are.
        length: the place of Content-Length among all values; -1 where there is none.
        kept: the places of the values that are sent; None: all are.
    """

    lines: list[str]
    many: int
    length: int
    kept: tuple[int, ...] | None


# By the names. A cache of bounded size: a gateway's answers come in some dozens of forms.
_forms: dict[tuple[str, ...], _Form] = {}
_MAX_FORMS = 512


def _form(names: tuple[str, ...]) -> _Form:
    lower = [name.lower() for name in names]
    kept = tuple(place for place, name in enumerate(lower) if name not in _HOP)
    lines = [piece for place in kept for piece in (f"\r\n{names[place]}: ", "")]
    length = max((place for place, name in enumerate(lower) if name == "content-length"), default=-1)
    form = _Form(lines, len(kept), length, None if len(kept) == len(names) else kept)
    if len(_forms) < _MAX_FORMS:
        _forms[names] = form
    return form


class Reply:
    """One answer.

    ``begun`` says that bytes of it have gone out, ``keep_alive`` that the connection can take another request.

    Args:
        body: the request's; None where the request could not be read.
    """

    __slots__ = (
        "_body", "_chunked", "_connection", "_count", "_left", "_lines", "_modern", "_sends_body", "_status", "begun",
        "keep_alive",
    )  # fmt: skip

    def __init__(self, connection: Connection, head: Head, body: Body | None) -> None:
        self._connection = connection
        self._body = body
        self._status = ""
        self._lines, self._count = "", 0
        self._modern = head.environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
        self._sends_body = head.environ.get("REQUEST_METHOD") != "HEAD"
        self._chunked = False
        self._left: int | None = None
        self.begun = False
        self.keep_alive = head.keep_alive

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's ``start_response``."""
        if exc_info is not None and self.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._status:
            raise AssertionError("start_response was called twice")
        self._status = status
        names, values = zip(*headers, strict=True) if headers else ((), ())
        pieces, self._count, length, kept = _forms.get(names) or _form(names)
        self._left = int(values[length]) if length >= 0 else None
        if kept is not None:
            values = tuple(values[place] for place in kept)
        lines = pieces.copy()
        lines[1::2] = values
        self._lines = "".join(lines)
        return self.write

    def restart(self) -> None:
        """Take back a start that has not gone out."""
        self._status = ""

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send all of the answer, each piece as soon as the application yields it, and close the iterable."""
        try:
            for piece in pieces:
                if piece:
                    self.write(piece)
            self._finish()
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def write(self, piece: bytes) -> None:
        """Send a piece of the body, behind the head if it is the first."""
        if self.begun and self._chunked:
            self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            return
        head = b"" if self.begun else self._head()
        if not self._sends_body:
            piece = b""
        elif self._left is not None:
            piece = piece[: self._left]
            self._left -= len(piece)
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self.begun = True
        if len(piece) <= _MAX_JOINED:
            piece = head + piece
        elif head:
            self._connection.send(head)
        if piece:
            self._connection.send(piece)

    def _finish(self) -> None:
        if not self.begun:
            if self._left is None and self._sends_body:
                self._left = 0
                self._add("\r\nContent-Length: 0")
            self.write(b"")
        if self._sends_body:
            if self._chunked:
                self._connection.send(b"0\r\n\r\n")
            elif self._left:
                self.keep_alive = False  # less than was announced

    def _head(self) -> bytes:
        if not self._status:
            raise AssertionError("start_response was not called")
        if self._status[:3] in ("204", "304"):
            self._sends_body = False
        self.keep_alive = self.keep_alive and self._body is not None and self._body.complete and not draining()
        if self._left is None and self._sends_body:
            self._chunked = self._modern
            self.keep_alive = self.keep_alive and self._modern
            if self._chunked:
                self._add("\r\nTransfer-Encoding: chunked")
        if not self.keep_alive:
            self._add("\r\nConnection: close")
        elif not self._modern:
            self._add("\r\nConnection: keep-alive")
        text = f"HTTP/1.1 {self._status}\r\nDate: {self._connection.worker.date}{self._lines}\r\n\r\n"
        ends = self._count + 3
        if text.count("\n") != ends or text.count("\r") != ends:
            raise ValueError("a header of the answer holds a line break")
        return text.encode("latin-1")

    def _add(self, line: str) -> None:
        self._lines += line
        self._count += 1


def error_parts(error: AuraError, request_id: str, environ: Environ) -> tuple[str, Headers, bytes]:
    """Status, headers and body of an error, in the grammar of the path's clients."""
    grammar = grammar_of(environ)
    body = orjson.dumps(FRONTS[grammar].error_out(error, request_id))
    try:
        phrase = HTTPStatus(error.status).phrase
    except ValueError:
        phrase = "Error"
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("x-request-id", request_id),
        ("x-should-retry", "true" if error.should_retry else "false"),
    ]
    if grammar == anthropic.name:
        headers.append(("request-id", request_id))
    if error.retry_after is not None:
        headers.append(("Retry-After", str(max(1, round(error.retry_after)))))
    return f"{error.status} {phrase}", headers, body


def error_reply(reply: Reply, error: AuraError, request_id: str, environ: Environ) -> None:
    """Answer with an error; the answer must not have begun."""
    status, headers, body = error_parts(error, request_id, environ)
    reply.restart()
    reply.start(status, headers)
    reply.send([body])


def whole(error: AuraError, request_id: str, environ: Environ) -> bytes:
    """The whole answer to a connection that ends with an error."""
    status, headers, body = error_parts(error, request_id, environ)
    lines = "".join(f"{name}: {value}\r\n" for name, value in [*headers, ("Connection", "close")])
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def overloaded(request_id: str, environ: Environ) -> bytes:
    """The whole answer to a connection for which there is no room."""
    return whole(Overloaded("The server has no room for another connection now.", retry_after=1), request_id, environ)
