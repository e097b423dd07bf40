"""An answer whose head has come: its body is read whole or as it comes, decoded, and never without a bound."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic
from typing import Any

import gevent
import requests

from ..errors import Failure, Reason
from .connection import Connection
from .kept import Kept

MAX_BODY = 32 * 1024 * 1024
# What is decoded at a time.
_PIECE = 256 * 1024
# From this size on, what grew more than this was not made by compressing an answer of a model.
_BOMB_SIZE = 1024 * 1024
_BOMB_RATIO = 100
# Seconds that the end of an answer may come behind its last event.
_LINGER = 0.5
_GZIP, _DEFLATE = 31, 15


class Response(requests.Response):
    """An answer; to requests a ``Response`` like any other, with lower-case header names.

    It must be closed. Reading past a deadline or a thrown exception loses nothing: it may be read on.

    Args:
        request: what is answered.
        release: takes the connection when the answer needs it no more.
        deadline: monotonic seconds; for reading in requests' own way, which knows no deadline.
        limit: bytes of a whole body, decoded.
    """

    headers: dict[str, str]  # type: ignore[assignment]
    # What requests sets up for every answer, cookies above all, costs as much as the rest of this module. The members
    # that its methods read have their first values here.
    _content: Any = False
    _content_consumed = False
    _next = None
    encoding = None
    reason = ""
    elapsed = timedelta()

    def __init__(
        self,
        request: requests.PreparedRequest,
        connection: Connection,
        release: Callable[[Connection], None],
        deadline: float,
        limit: int = MAX_BODY,
    ) -> None:
        self.request = request
        self.url = request.url or ""
        self.status = self.status_code = connection.status
        self.headers = connection.headers
        self.raw = connection
        self.history = []
        self._connection: Connection | None = connection
        self._release = release
        self._deadline = deadline
        self._limit = limit
        self._inflate = _inflater(self.headers) if "content-encoding" in self.headers else None

    def read(self, deadline: float) -> bytes:
        """Read the whole body.

        Raises:
            Failure: ``BAD_RESPONSE`` if it is cut, too large or not what its head says; ``TIMEOUT``.
        """
        connection = self._held()
        parts = connection.parts
        if connection.complete and len(parts) == 1 and self._inflate is None and not connection.surplus:
            if len(parts[0]) > self._limit:
                raise _too_large()
            return parts.pop()
        if int(self.headers.get("content-length") or 0) > self._limit:
            raise _too_large()
        try:
            body = self.read_some(deadline)
            if connection.complete and not connection.parts and self._inflate is None:
                self._check_end()
                return body
            return self._read_rest(body, deadline)
        except Failure as failure:
            if failure.reason is Reason.INTERRUPTED:
                raise Failure(Reason.BAD_RESPONSE, "the answer is cut") from None
            raise

    def _read_rest(self, begun: bytes, deadline: float) -> bytes:
        kept = Kept(begun)
        try:
            while piece := self.read_some(deadline):
                kept.add(piece)
                if kept.size > self._limit:
                    raise _too_large()
            return kept.whole()
        finally:
            kept.close()

    def read_some(self, deadline: float) -> bytes:
        """Wait for the next bytes of the body: all that have come; no bytes at its end.

        Raises:
            Failure: ``INTERRUPTED`` if it breaks off, ``BAD_RESPONSE`` if it cannot be read, ``TIMEOUT`` (read again).
        """
        connection, inflate = self._connection, self._inflate
        if connection is None:
            raise _closed()
        parts = connection.parts
        while True:
            if inflate is not None:
                if data := inflate.take(parts):
                    return data
            elif parts:
                if len(parts) == 1:
                    return parts.pop()
                data = b"".join(parts)
                parts.clear()
                return data
            if connection.complete:
                self._check_end()
                return b""
            connection.more(deadline)

    def _check_end(self) -> None:
        if self._held().surplus:
            raise Failure(Reason.BAD_RESPONSE, "more came than the head of the answer says")
        if self._inflate is not None and not self._inflate.ended:
            raise Failure(Reason.INTERRUPTED)

    def _held(self) -> Connection:
        if self._connection is None:
            raise _closed()
        return self._connection

    def close(self, over: bool = False) -> None:
        """Let go of the connection: it is kept if the answer was read to its end, else closed at once; idempotent.

        Args:
            over: nothing more is expected, though the end of the framing may still be on its way (behind ``[DONE]``):
                it is awaited for a moment, by nobody, so that the connection can be kept.
        """
        connection, self._connection = self._connection, None
        self.raw = None
        if connection is None:
            return
        if over and not connection.complete and not connection.delimited:
            gevent.spawn(_await_end, connection, self._release)
            return
        if self._inflate is not None and not self._inflate.emptied:
            connection.keep_alive = False
        self._release(connection)

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: ARG002
        """Read the body in requests' way, in pieces as they come."""
        while piece := self.read_some(self._deadline):
            yield piece
        self._content_consumed = True
        self.close()


def _await_end(connection: Connection, release: Callable[[Connection], None]) -> None:
    deadline = monotonic() + _LINGER
    try:
        while not connection.complete and not connection.parts:
            connection.more(deadline)
    except Failure:
        pass
    finally:
        release(connection)


class _Inflater:
    """Decodes gzip or deflate by and by; refuses what grows as no answer does."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._zlib: Any = None
        self._rest = b""
        self._fed = self._grown = 0

    @property
    def ended(self) -> bool:
        """Whether nothing is missing."""
        return self._zlib is None or self._zlib.eof

    @property
    def emptied(self) -> bool:
        """Whether all that came was decoded and delivered."""
        return self.ended and not self._rest

    def take(self, parts: list[bytes]) -> bytes:
        """Decode what has come, a bounded piece of it; no bytes if nothing is complete."""
        data = self._rest + b"".join(parts)
        self._fed += len(data) - len(self._rest)
        parts.clear()
        piece = b""
        while data and not piece:
            if self._zlib is None or self._zlib.eof:  # members follow one another
                self._zlib = zlib.decompressobj(self._window(data))
            try:
                piece = self._zlib.decompress(data, _PIECE)
            except zlib.error:
                raise Failure(Reason.BAD_RESPONSE, "the answer cannot be decompressed") from None
            data = self._rest = self._zlib.unused_data or self._zlib.unconsumed_tail
        self._grown += len(piece)
        if self._grown > _BOMB_SIZE and self._grown > _BOMB_RATIO * self._fed:
            raise Failure(Reason.BAD_RESPONSE, "the answer grows without end")
        if data:
            gevent.sleep(0)  # to decode on is not to wait: others have their turn
        return piece

    def _window(self, data: bytes) -> int:
        # "deflate" means zlib's format; some send it bare (RFC 9110, 8.4.1.2).
        return -self._bits if self._bits == _DEFLATE and data[0] & 0x8F != 8 else self._bits


def _inflater(headers: dict[str, str]) -> _Inflater | None:
    coding = headers["content-encoding"].lower()
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip"):
        return _Inflater(_GZIP)
    if coding == "deflate":
        return _Inflater(_DEFLATE)
    raise Failure(Reason.BAD_RESPONSE, "the answer is compressed in an unknown way")


def _closed() -> ValueError:
    return ValueError("the answer is closed")


def _too_large() -> Failure:
    return Failure(Reason.BAD_RESPONSE, "the answer is too large")
