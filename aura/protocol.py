"""HTTP/1.1 from bytes: the head of a request, and a chunked body. Pure: no socket, no clock.

Facts
  - llhttp (through httptools) refuses bare LF, folded lines, blanks before a colon, doubled or conflicting lengths and
    control characters; it lets pass a request line without a version or with two blanks, HTTP/0.9 and 2.0, bare line
    ends before the request, codings before ``chunked``. The request line and the coding are therefore read here.
  - llhttp neither bounds chunk extensions nor stops at a request's end: chunks are read here, and only heads go to it.
Source: https://www.rfc-editor.org/rfc/rfc9112 (read 2026-11-20)
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from .errors import AuraError, BadRequest

Environ = dict[str, Any]

MAX_HEAD = 64 * 1024
MAX_LINE = 8 * 1024
MAX_HEADERS = 100
MAX_TRAILERS = 8 * 1024

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d\.\d)\r\n")
_VERSIONS = {b"1.1": "HTTP/1.1", b"1.0": "HTTP/1.0"}
_PART_OF_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: [\x21-\x7e]*(?: [A-Z/.0-9]{0,8}\r?)?)?")
# Numbers: bytes that are looked for with ``in`` are first tried as one, which costs an exception.
_HASH, _PERCENT = b"#%"
_ABSOLUTE = re.compile(rb"(?i:http)s?://([^/?#]+)([/?].*)?")
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e]{1,256})?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n")
_MAX_SIZE_LINE = 280
_MAX_DIGITS = 18  # of a length; a longer one is for the parser to judge
_MAX_KEPT = 4 * 1024  # of a head that its connection keeps, which may be one of very many
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]{1,18})\r\n")

# Said twice, these make two readers of one request disagree.
_ONCE = frozenset(
    ("HTTP_HOST", "HTTP_AUTHORIZATION", "HTTP_X_API_KEY", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
)
# Environ keys by header name as it was sent; "" for names that are left out. Short names only: anyone may send them.
_keys: dict[bytes, str] = {}
_MAX_KEYS = 512
_MAX_KEPT_NAME = 64


def bad_framing(what: str) -> BadRequest:
    """What is told of bytes that are no request."""
    return BadRequest(f"The request is not valid HTTP/1.1: {what}.", code="bad_framing")


def line_too_long() -> BadRequest:
    """What is told of a request line that is over the limit."""
    return BadRequest(f"The request line is longer than {MAX_LINE} bytes.", status=414, code="uri_too_long")


def headers_too_large(message: str) -> BadRequest:
    """What is told of headers that are over a limit."""
    return BadRequest(message, status=431, code="headers_too_large")


def unknown_method() -> BadRequest:
    """What is told of a method that no client has."""
    return BadRequest("There is no such method.", status=501, code="method_not_implemented")


def unknown_version() -> BadRequest:
    """What is told of another HTTP."""
    return BadRequest("Only HTTP/1.1 and 1.0 are spoken here.", status=505, code="http_version_not_supported")


def unknown_expectation() -> BadRequest:
    """What is told of an Expect that cannot be met."""
    return BadRequest("Only 100-continue can be expected.", status=417, code="expectation_failed")


def _key(name: bytes) -> str:
    """The environ key of a header; "" for a name with ``_``, which would pass for another header's."""
    text = name.decode("latin-1").upper()
    if text in ("CONTENT-TYPE", "CONTENT-LENGTH"):
        key = text.replace("-", "_")
    else:
        key = "" if "_" in text else "HTTP_" + text.replace("-", "_")
    if len(name) <= _MAX_KEPT_NAME:
        if len(_keys) >= _MAX_KEYS:
            _keys.clear()
        _keys[name] = key
    return key


class Last:
    """The head that a connection brought last. Most clients send the same again, but for the length of the body.

    What has come twice is not parsed a third time; whatever differs is. Nothing is kept beyond the connection, and no
    head that is unusually long: one that is told stays under all limits, however many digits its length has.
    """

    __slots__ = ("_after", "_before", "_environ", "_expects", "_keep_alive")

    def __init__(self) -> None:
        self._before = self._after = b""  # what stands around the length
        self._environ: Environ | None = None
        self._keep_alive = self._expects = False

    def note(self, data: bytes, head: Head) -> None:
        """Note a head that was read, and its bytes; its environ holds nothing else yet."""
        length = _LENGTH.search(data) if len(data) <= _MAX_KEPT else None
        if length is None:
            return
        before, after = data[: length.start(1)], data[length.end(1) :]
        if before == self._before and after == self._after:
            self._environ = head.environ.copy()
            self._keep_alive, self._expects = head.keep_alive, head.expects
        else:
            self._before, self._after, self._environ = before, after, None

    def tell(self, data: bytes, head: Head) -> bool:
        """Tell a head what it says, if its bytes are those of the last one. Returns whether they are."""
        environ, before, after = self._environ, self._before, self._after
        if environ is None or not data.startswith(before):
            return False
        begin = len(before)
        end = data.find(after, begin, begin + _MAX_DIGITS + len(after))
        length = data[begin:end]
        if end < 0 or not length.isdigit():
            return False
        head.environ = environ = environ.copy()
        environ["CONTENT_LENGTH"] = length.decode()
        head.length, head.rest = int(length), data[end + len(after) :]
        head.keep_alive, head.expects = self._keep_alive, self._expects
        return True


class Head:
    """The head of one request, read piece by piece into a WSGI environ.

    Args:
        environ: what every request of the connection has in common; a copy of it gets the request's own keys.
        last: the connection's head before this one, where it is worth knowing.

    After :meth:`feed` has returned True: ``rest`` are the bytes behind the head, ``length`` is the body's length (None:
    chunked), ``keep_alive`` and ``expects`` are what the client asked for.
    """

    __slots__ = (
        "_complete", "_count", "_error", "_last", "_line", "_parser", "_received", "environ", "expects", "keep_alive",
        "length", "rest",
    )  # fmt: skip

    def __init__(self, environ: Environ, last: Last | None = None) -> None:
        self.environ = environ
        self._last = last
        self.rest = b""
        self.length: int | None = 0
        self.keep_alive = False
        self.expects = False
        self._count = 0
        self._complete = False
        self._line: re.Match[bytes] | None = None
        self._error: AuraError | None = None
        self._received: bytes | bytearray = b""
        self._parser: Any = None

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. Returns whether the head is complete.

        Raises:
            AuraError: 400, 414, 431, 501 or 505; nothing more can be read from the connection.
        """
        last = None if self._received else self._last
        if last is not None and last.tell(data, self):
            return True
        try:
            whole = self._read(data)
        except AuraError:
            self.leave()
            raise
        if not whole:
            return False
        if last is not None:
            last.note(data[: len(data) - len(self.rest)], self)
        return True

    def _read(self, data: bytes) -> bool:
        received = self._received
        known = len(received)
        if not known:
            self.environ = self.environ.copy()
            if data[:2] == b"\r\n":
                data = data[2:]  # one empty line before a request is forgiven (RFC 9112, 2.2)
                if not data:
                    return False
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                received = self._received = bytearray(data)
        else:
            received += data
            end = received.find(b"\r\n\r\n", max(0, known - 3)) + 4 - known
        whole = end > 3 - known
        piece = data[:end] if whole else data
        if self._line is None:
            self._line = self._read_line(received or data)
            if self._line is None:
                return False
            if known:
                piece = bytes(received[:known]) + piece
        self._parse(piece, known + (end if whole else len(data)))
        if not whole:
            return False
        self.rest = data[end:]
        self._finish()
        self.leave()
        return True

    def leave(self) -> None:
        """Read no further. To be called where a head was begun that does not come to its end; idempotent.

        The parser holds this object, and so do the frames of an error: with what was received, all of it would wait for
        the garbage collector.
        """
        self._parser = self._error = None

    def told(self) -> Environ:
        """The environ of a request that is refused, with its path as far as that is known."""
        if self._line is not None:
            self.environ.setdefault("PATH_INFO", self._line[2].partition(b"?")[0].decode("latin-1"))
        return self.environ

    def _read_line(self, received: bytes | bytearray) -> re.Match[bytes] | None:
        """Read the request line; None while it is not all there."""
        line = _LINE.match(received)
        if line is None:
            known = received[: MAX_LINE + 1]
            if b"\n" in known or not _PART_OF_LINE.fullmatch(known):
                raise bad_framing("invalid request line")
            if len(received) <= MAX_LINE:
                return None
        if line is None or line.end() > MAX_LINE:
            raise line_too_long()
        if line[3] not in _VERSIONS:
            raise unknown_version()
        return line

    def _parse(self, piece: bytes, size: int) -> None:
        if size > MAX_HEAD:
            raise headers_too_large(f"The headers are larger than {MAX_HEAD} bytes.")
        if self._parser is None:
            self._parser = HttpRequestParser(self)
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade:
            pass
        except HttpParserInvalidMethodError:
            raise unknown_method() from None
        except HttpParserError as error:
            raise (self._error or bad_framing(_reason(error))) from None
        if self._error is not None:
            raise self._error

    def _finish(self) -> None:
        if not self._complete or self._line is None:
            raise bad_framing("incomplete headers")
        method, target, version = self._line.groups()
        environ = self.environ
        environ["REQUEST_METHOD"] = method.decode()
        environ["SERVER_PROTOCOL"] = _VERSIONS[version]
        self._target(target)
        self._framing(version == b"1.1")

    def _target(self, target: bytes) -> None:
        environ = self.environ
        environ["RAW_URI"] = target.decode()
        if target[:1] != b"/":
            absolute = _ABSOLUTE.fullmatch(target)
            if absolute is None or absolute[1].decode().lower() != environ.get("HTTP_HOST", "").lower():
                raise bad_framing("invalid request target")
            target = absolute[2] or b"/"
        path, _, query = target.partition(b"?")
        if _HASH in target:
            raise bad_framing("invalid request target")
        environ["PATH_INFO"] = (unquote_to_bytes(path) if _PERCENT in path else path).decode("latin-1")
        environ["QUERY_STRING"] = query.decode()

    def _framing(self, modern: bool) -> None:
        environ = self.environ
        host = environ.get("HTTP_HOST")
        if (host is None and modern) or (host is not None and not _HOST.fullmatch(host)):
            raise bad_framing("missing or invalid Host")
        length = environ.get("CONTENT_LENGTH")
        if length is not None:
            self.length = int(length)
        coding = environ.get("HTTP_TRANSFER_ENCODING")
        if coding is not None:
            if not modern or length is not None or coding.lower() != "chunked":
                raise bad_framing("invalid Transfer-Encoding")
            self.length = None
        expect = environ.get("HTTP_EXPECT")
        if expect is not None and modern:
            if expect.lower() != "100-continue":
                raise unknown_expectation()
            self.expects = True

    # What follows is called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Put one header into the environ."""
        self._count = count = self._count + 1
        key = _keys.get(name)
        if key is None:
            key = _key(name)
        text = value.decode("latin-1").strip(" \t")
        environ = self.environ
        if key in environ:
            if key in _ONCE:
                self._error = bad_framing("a header that may stand once is repeated")
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        if key:
            environ[key] = text
        if count > MAX_HEADERS:
            self._error = headers_too_large(f"There are more than {MAX_HEADERS} headers.")

    def on_headers_complete(self) -> None:
        """Note that the parser, too, sees the head's end where it was found."""
        self._complete = True
        self.keep_alive = self._parser.should_keep_alive()


def _reason(error: Exception) -> str:
    return str(error).strip(" .").lower() or "invalid request"


class Chunks:
    """Reads a chunked body, piece by piece.

    ``done`` says that the last chunk and the trailers were seen; ``rest`` are then the bytes behind them.
    """

    __slots__ = ("_left", "_part", "_pending", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._pending = b""
        self._part = Chunks._size
        self._left = 0
        self._trailers = 0

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the connection. Returns those of the body.

        Raises:
            BadRequest: the framing is broken; nothing more can be read from the connection.
        """
        data = self._pending + data
        found: list[bytes] = []
        at = 0
        while not self.done:
            step = self._part(self, data, at, found)
            if step < 0:
                break
            at = step
        self._pending = b"" if self.done else data[at:]
        self.rest = data[at:] if self.done else b""
        return found[0] if len(found) == 1 else b"".join(found)

    def _line_end(self, data: bytes, at: int, limit: int) -> int:
        """Where the line that begins at ``at`` ends; -1 while it is not all there."""
        end = data.find(b"\n", at, at + limit)
        if end < 0 and len(data) - at >= limit:
            raise bad_framing("a line of the chunked body is too long")
        return end + 1 if end >= 0 else -1

    def _size(self, data: bytes, at: int, found: list[bytes]) -> int:  # noqa: ARG002  (the shape of the parts)
        end = self._line_end(data, at, _MAX_SIZE_LINE)
        if end < 0:
            return -1
        line = _SIZE.fullmatch(data, at, end)
        if line is None:
            raise bad_framing("invalid chunk size")
        self._left = int(line[1], 16)
        self._part = Chunks._content if self._left else Chunks._trailer
        return end

    def _content(self, data: bytes, at: int, found: list[bytes]) -> int:
        piece = data[at : at + self._left]
        if not piece:
            return -1
        found.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._part = Chunks._separator
        return at + len(piece)

    def _separator(self, data: bytes, at: int, found: list[bytes]) -> int:  # noqa: ARG002
        if len(data) - at >= 2 and data[at : at + 2] == b"\r\n":
            self._part = Chunks._size
            return at + 2
        if data[at : at + 2] not in (b"", b"\r"):
            raise bad_framing("a chunk is longer than its size")
        return -1

    def _trailer(self, data: bytes, at: int, found: list[bytes]) -> int:  # noqa: ARG002
        end = self._line_end(data, at, MAX_TRAILERS)
        if end < 0:
            return -1
        self._trailers += end - at
        if data[at:end] == b"\r\n":
            self.done = True
        elif self._trailers > MAX_TRAILERS:
            raise headers_too_large(f"The trailers are larger than {MAX_TRAILERS} bytes.")
        elif _TRAILER.fullmatch(data, at, end) is None:
            raise bad_framing("invalid trailer")
        return end
