"""``wsgi.input``: the body of one request, read from its connection as the application asks for it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from .errors import BadRequest
from .protocol import Chunks, Head

if TYPE_CHECKING:
    from .connection import Limits

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Link(Protocol):
    """A client connection, as far as bodies are read from it; ``buffer`` is what has come in and nobody has read."""

    buffer: bytes

    @property
    def limits(self) -> Limits:
        """How long the client may take."""

    def receive(self, deadline: float) -> bytes:
        """Wait for bytes until the deadline (monotonic seconds); none means that the client has ended its side."""

    def send(self, data: bytes) -> None:
        """Send all bytes."""


class Body:
    """The body of one request.

    Reading waits for the client, at most as long as the connection's limits say. ``read(limit + 1)`` is how a limit is
    kept: it never reads further, whatever length was declared.

    Raises, from any reading method:
        BadRequest: the framing is broken, or the client ended its side too early.
        RequestTimeout: the body came too slowly.
    """

    __slots__ = ("_chunks", "_connection", "_deadline", "_expects", "_left", "_ready", "_received", "_started")

    def __init__(self, connection: Link, head: Head) -> None:
        self._connection = connection
        self._expects = head.expects
        self._started = 0.0
        self._received = 0
        self._chunks: Chunks | None = None
        length = head.length
        if length is None:
            self._chunks = Chunks()
            self._left = 1
            self._ready = b""
            return
        buffer = connection.buffer
        self._ready = buffer[:length]
        connection.buffer = buffer[length:]
        self._left = length - len(self._ready)

    @property
    def complete(self) -> bool:
        """Whether all of the body has come in."""
        return not self._left

    def read(self, size: int | None = -1) -> bytes:
        """Read ``size`` bytes, or all; fewer only at the end."""
        ready = self._ready
        wanted = -1 if size is None else size
        if not self._left and (wanted < 0 or wanted >= len(ready)):
            self._ready = b""
            return ready
        parts, have = [ready], len(ready)
        while self._left and (wanted < 0 or have < wanted):
            piece = self._more()
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        if 0 <= wanted < have:
            self._ready = data[wanted:]
            return data[:wanted]
        self._ready = b""
        return data

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line; all of the body is read for it."""
        rest = io.BytesIO(self.read())
        line = rest.readline(-1 if size is None else size)
        self._ready = rest.read()
        return line

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Read all lines."""
        return io.BytesIO(self.read()).readlines(-1 if hint is None else hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readlines())

    def _more(self) -> bytes:
        """Bring in the next piece; it may be empty where only framing came."""
        data = self._connection.receive(self._next_deadline())
        if not data:
            raise BadRequest("The request's body ended early.", code="incomplete_body")
        self._received += len(data)
        if self._chunks is not None:
            piece = self._chunks.feed(data)
            if self._chunks.done:
                self._left = 0
                self._connection.buffer = self._chunks.rest
            return piece
        piece = data[: self._left]
        self._left -= len(piece)
        self._connection.buffer = data[len(piece) :]
        return piece

    def _next_deadline(self) -> float:
        """When the body is late as a whole, or has come too slowly if nothing more comes."""
        limits = self._connection.limits
        if not self._started:
            self._started = time.monotonic()
        if self._expects and not self._connection.buffer:
            self._connection.send(_CONTINUE)
        self._expects = False
        return self._started + min(limits.body, max(limits.slack, self._received / limits.rate))
