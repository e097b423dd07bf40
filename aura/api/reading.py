"""Reads the JSON body of a request, counted on the wire.

Facts
  - The body is read from ``wsgi.input`` itself: Flask's ``MAX_CONTENT_LENGTH`` cuts a chunked body off in silence.
  - Without a Content-Length a body ends where the server says so (``wsgi.input_terminated``); a server that does not
    say so may wait for ever, so there is no body then.
  - Gunicorn's own worker classes tell broken chunks by an exception of their own, in the middle of reading.
  - A form of another site may send text/plain or a form's own types without asking first (CORS); JSON it may not. So a
    missing or another Content-Type is refused, whatever the body looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol

from gunicorn.http.errors import ParseException

from .. import strict_json
from ..call import Json, KnownBody
from ..errors import BadRequest, RequestTimeout, TooLarge, UnsupportedMediaType

JSON = "application/json"
_PIECE = 64 * 1024
_REMEMBERED = 16 * 1024  # bytes of a body that is worth remembering
_CHARSETS = {"utf-8", "utf8", "us-ascii"}


Check = Callable[[Json], None]


class HasEnviron(Protocol):
    """A request of Flask's or Werkzeug's."""

    environ: Any


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_json(request: HasEnviron, limit: int, check: Check | None = None) -> Json:
    """Read and parse the body.

    Args:
        limit: bytes that a body may have.
        check: raises what is wrong with a body. What it lets pass may be another request's too: nobody changes it.

    Raises:
        UnsupportedMediaType: it is not sent as plain JSON.
        TooLarge: it is over the limit; a declared length is enough.
        RequestTimeout: it came too slowly.
        BadRequest: it is empty, cut, no strict JSON, or no object.
    """
    environ = request.environ
    if environ.get("CONTENT_TYPE") != JSON:
        _check_type(environ.get("CONTENT_TYPE") or "")
    if environ.get("HTTP_CONTENT_ENCODING"):
        _check_encoding(environ["HTTP_CONTENT_ENCODING"])
    data = _read(environ, limit)
    if check is None:
        return _object(data)
    if len(data) <= _REMEMBERED:
        return _checked(data, check)
    body = _object(data)
    check(body)
    return body


@lru_cache(maxsize=128)
def _checked(data: bytes, check: Check) -> KnownBody:
    """Parse and check a body. What the cache answers is sent again byte for byte, most of the time."""
    body = _object(data)
    check(body)
    return KnownBody(body)


def _object(data: bytes) -> Json:
    body = strict_json.loads(data)
    if body.__class__ is not dict:
        raise BadRequest(f"The body must be a JSON object, not {strict_json.kind(body)}.")
    found: Json = body
    return found


def _check_type(sent: str) -> None:
    media_type, _, parameters = sent.partition(";")
    if media_type.strip().lower() != JSON:
        raise UnsupportedMediaType(f"Send the body as 'Content-Type: {JSON}'.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise UnsupportedMediaType("JSON is sent as UTF-8; another charset is not taken.")


def _check_encoding(sent: str) -> None:
    if sent.strip().lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not taken: send the body without Content-Encoding.")


def _read(environ: Mapping[str, Any], limit: int) -> bytes:
    declared = environ.get("CONTENT_LENGTH")
    if declared:
        if not (declared.isascii() and declared.isdigit()):
            raise BadRequest("Content-Length must be a number of bytes.")
        # A length of very many digits is over any limit; int() would take its time with it.
        if len(declared) > 18 or int(declared) > limit:
            raise _too_large(limit)
        length = int(declared)
        data = _take(environ["wsgi.input"], length)
        if len(data) < length:
            raise BadRequest("The body is shorter than its Content-Length.", code="incomplete_body")
        return data
    if not environ.get("wsgi.input_terminated"):
        return b""
    data = _take(environ["wsgi.input"], limit + 1)
    if len(data) > limit:
        raise _too_large(limit)
    return data


def pieces(environ: Mapping[str, Any], limit: int) -> Iterator[bytes]:
    """Read a body that is not kept in memory, a piece at a time.

    Args:
        limit: bytes that it may have.

    Raises: as of :func:`read_json`.
    """
    declared = environ.get("CONTENT_LENGTH")
    left = int(declared) if declared and declared.isdigit() and len(declared) <= 18 else None
    if (left or 0) > limit or (declared and left is None):
        raise _too_large(limit)
    if left is None and not environ.get("wsgi.input_terminated"):
        return
    total = 0
    while (left is None or left > 0) and (piece := _take(environ["wsgi.input"], min(_PIECE, left or _PIECE))):
        total += len(piece)
        if total > limit:
            raise _too_large(limit)
        left = None if left is None else left - len(piece)
        yield piece
    if left:
        raise BadRequest("The body is shorter than its Content-Length.", code="incomplete_body")


def _take(stream: _Readable, size: int) -> bytes:
    """Read ``size`` bytes, or what there is; a server may give fewer at a time."""
    try:
        data = stream.read(size)
        if len(data) == size or not data:
            return data
        parts, have = [data], len(data)
        while have < size and (data := stream.read(size - have)):
            parts.append(data)
            have += len(data)
    except TimeoutError as exc:
        raise RequestTimeout("The body came too slowly.") from exc
    except OSError as exc:
        raise BadRequest("The body could not be read to its end.", code="incomplete_body") from exc
    except ParseException as exc:
        raise BadRequest("The request is not valid HTTP/1.1: its chunks are broken.", code="bad_framing") from exc
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than the {limit} bytes that are allowed.")
