"""A connection to a provider that carries one exchange after another: requests as bytes, answers read by llhttp.

Facts
  - An answer to an interim status (100, 103) is not the answer; any number may come before it (RFC 9110, 15.2).
  - An answer with neither length nor chunks ends with the connection (RFC 9112, 6.3).
  - A second message that nobody asked for is another's answer, or a forged one: such a connection is not used again.
"""

from __future__ import annotations

from typing import IO, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ..errors import Failure, Reason
from .wire import Wire

MAX_HEAD = 100 * 1024
MAX_HEADERS = 200
MAX_INTERIM = 10_000
_BODILESS = (204, 304)
_PIECE = 64 * 1024
_MAX_KEYS = 512


class _Keys(dict[bytes, str]):
    """Lower-case names of headers by what was sent. A cache of bounded size."""

    def __missing__(self, name: bytes) -> str:
        key = name.decode("latin-1").lower()
        if len(self) < _MAX_KEYS:
            self[name] = key
        return key


_keys = _Keys()


class Connection:
    """A connection and the answer that is coming in over it.

    Args:
        origin: scheme, host and port: what the pool keeps it under.
    """

    __slots__ = (
        "_head_count", "_head_size", "_headless", "_interim", "_parser", "_sent_all", "begun", "complete", "delimited",
        "head", "headers", "keep_alive", "kept_since", "on_body", "origin", "parts", "status", "surplus", "used",
        "wire",
    )  # fmt: skip

    def __init__(self, wire: Wire, origin: tuple[str, str, int]) -> None:
        self.wire = wire
        self.origin = origin
        self.used = False
        self.kept_since = 0.0
        self.parts: list[bytes] = []
        self.on_body = self.parts.append  # llhttp calls it for each chunk: one call of Python's less
        self._parser: Any = HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = self.head = self.complete = self.surplus = self.keep_alive = self.delimited = False
        self._head_size = self._head_count = self._headless = self._interim = 0
        self._sent_all = False

    # ---- one exchange

    def exchange(self, request: bytes, deadline: float, upload: IO[bytes] | None = None) -> None:
        """Send a request and read the head of its answer.

        Args:
            upload: what follows the request's bytes; read to its end, a piece at a time.

        Raises:
            Failure: the connection broke, the deadline passed, or what came is no answer.
        """
        self._reset()
        wire = self.wire
        try:
            self._sent_all = wire.send(request, deadline)
            while upload is not None and self._sent_all and (piece := upload.read(_PIECE)):
                self._sent_all = wire.send(piece, deadline)
        except OSError:
            pass  # what the provider said before it hung up may still be there: a 413, say
        try:
            while not self.head and (data := wire.receive(deadline)):
                self._begin(data)
        except OSError:
            pass
        if not self.head:
            raise self._broken()

    def _broken(self) -> Failure:
        if self.begun:
            return Failure(Reason.UNREACHABLE, "the connection broke in the head of the answer")
        if self.used:
            return Failure(Reason.STALE)
        return Failure(Reason.UNREACHABLE, "the connection was closed before an answer")

    def more(self, deadline: float) -> None:
        """Wait for bytes of the body and read them; they are in ``parts``, or ``complete`` is set.

        Raises:
            Failure: the connection broke (``INTERRUPTED``), the deadline passed, or the framing is wrong.
        """
        try:
            data = self.wire.receive(deadline)
            if data:
                self._parser.feed_data(data)
                return
        except OSError:
            raise Failure(Reason.INTERRUPTED) from None
        except (HttpParserError, HttpParserUpgrade) as error:
            self._misread(error)
            return
        if self.delimited:
            self.complete = True
        else:
            raise Failure(Reason.INTERRUPTED)

    def _misread(self, error: Exception) -> None:
        if not self.complete:
            cause = error.__context__
            raise cause if isinstance(cause, Failure) else _bad("what came is not HTTP") from None
        self.surplus = True

    def _begin(self, data: bytes) -> None:
        """Read bytes of the head."""
        self.begun = True
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._misread(error)
        if not self.head:
            # A line without an end is never reported as a header.
            self._headless += len(data)
            if self._headless > 2 * MAX_HEAD:
                raise _too_long()

    @property
    def reusable(self) -> bool:
        """Whether the next request may go over this connection."""
        return self.complete and self.keep_alive and self._sent_all and not self.surplus and not self.parts

    def close(self) -> None:
        """Close it at once; idempotent."""
        self.wire.close()
        self._parser = None

    # ---- what llhttp calls

    def on_message_begin(self) -> None:
        if self.complete:
            raise _bad("more came than was asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_count = count = self._head_count + 1
        if count > MAX_HEADERS:
            raise _too_long()
        if self.head:
            self._bound(len(name) + len(value))  # a trailer
            return
        headers, key = self.headers, _keys[name]
        text = value.decode("latin-1").strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def _bound(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            raise _too_long()

    def on_headers_complete(self) -> None:
        if self._headless:  # what came in one read is not too long
            self._bound(sum(map(len, self.headers)) + sum(map(len, self.headers.values())))
        status = self._parser.get_status_code()
        if status < 200:
            return
        self.status = status
        self.head = True
        headers = self.headers
        coding = headers.get("transfer-encoding")
        if coding is None:
            self.delimited = "content-length" not in headers and status not in _BODILESS
        elif coding.lower() != "chunked":
            raise _bad("the transfer coding is unknown")

    def on_message_complete(self) -> None:
        if self.head:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()
            return
        self._interim += 1
        self._head_size = self._head_count = self._headless = 0
        self.headers = {}
        if self._interim > MAX_INTERIM:
            raise _bad("interim answers without end")


def _too_long() -> Failure:
    return _bad("the head of the answer is too large")


def _bad(message: str) -> Failure:
    return Failure(Reason.BAD_RESPONSE, message)
