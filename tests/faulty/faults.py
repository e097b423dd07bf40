"""The faults, by name. Each takes the conversation and what was asked, and answers as badly as its options say."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING

import gevent

from .grammar import Asked, dump, error, frames, stream_kind, whole

if TYPE_CHECKING:
    from .server import Conversation

Fault = Callable[["Conversation", Asked], None]
FAULTS: dict[str, Fault] = {}
_HTML = b"<html><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>"
_FLOOD = 64 * 1024


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__.replace("_", "-")] = function
    return function


def ok(link: Conversation, asked: Asked) -> None:
    """A good answer, whole or as a stream."""
    if not asked.stream:
        link.answer(whole(asked))
        return
    opening, tokens, end = frames(asked)
    stream(link, asked, [*opening, *tokens, *end])


def stream(link: Conversation, asked: Asked, events: list[bytes], finish: bool = True) -> None:
    link.head(kind=stream_kind(asked), transfer_encoding="chunked")
    interval = asked.number("interval", 0)
    for event in events:
        link.chunk(event)
        if interval:
            link.pause(interval)
    if finish:
        link.finish()


# ---- before an answer


@fault
def silence(link: Conversation, asked: Asked) -> None:
    """Never answer."""
    link.hang()


@fault
def late(link: Conversation, asked: Asked) -> None:
    """Answer well after ``by`` seconds."""
    link.pause(asked.number("by", 1))
    ok(link, asked)


@fault
def hangup(link: Conversation, asked: Asked) -> None:
    """Close without an answer, ``how``: fin or rst."""
    link.close(asked.options.get("how", "fin"))


@fault
def stale(link: Conversation, asked: Asked) -> None:
    """The same, but only on a connection that carried a request before."""
    if asked.order:
        hangup(link, asked)
    ok(link, asked)


@fault
def closing(link: Conversation, asked: Asked) -> None:
    """Answer well, promise to keep the connection, and close it."""
    ok(link, asked)
    link.close()


@fault
def last(link: Conversation, asked: Asked) -> None:
    """Answer well, say that the connection ends here, and leave that to the client."""
    link.answer(whole(asked), connection="close")
    link.hang()


@fault
def trailers(link: Conversation, asked: Asked) -> None:
    """A good answer in chunks with ``count`` trailers (1) behind it, each the same."""
    link.head(transfer_encoding="chunked")
    link.chunk(whole(asked))
    link.send(b"0\r\n" + b"content-type: text/html\r\n" * int(asked.number("count", 1)) + b"\r\n")


@fault
def half_head(link: Conversation, asked: Asked) -> None:
    """Close in the middle of the head, ``how``: fin or rst."""
    link.send(b"HTTP/1.1 200 OK\r\ncontent-type: applica")
    link.close(asked.options.get("how", "fin"))


@fault
def trickle(link: Conversation, asked: Asked) -> None:
    """A good answer whose head, too, comes in pieces of ``by`` bytes (1)."""
    body = whole(asked)
    head = b"HTTP/1.1 200 OK\r\nX-A:\r\nX-B: 1\r\nx-b:  2 \r\nContent-Length: %d\r\n\r\n" % len(body)
    for piece in slices(head + body, int(asked.number("by", 1))):
        link.send(piece)
        gevent.sleep(0)


@fault
def garbage(link: Conversation, asked: Asked) -> None:
    """Bytes that are not HTTP."""
    link.send(b"\x16\x03\x01\x00SSH-2.0-OpenSSH_9.9\r\n" * 3)
    link.hang()


@fault
def long_header(link: Conversation, asked: Asked) -> None:
    """One header of ``size`` bytes."""
    link.send(b"HTTP/1.1 200 OK\r\nx-long: ")
    flood(link, int(asked.number("size", 1 << 20)), b"a")
    link.send(b"\r\ncontent-length: 2\r\n\r\n{}")
    link.hang()


@fault
def many_headers(link: Conversation, asked: Asked) -> None:
    """``count`` headers."""
    lines = b"".join(b"x-%d: y\r\n" % number for number in range(int(asked.number("count", 10_000))))
    link.send(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 2\r\n\r\n{}")
    link.hang()


@fault
def interim(link: Conversation, asked: Asked) -> None:
    """``count`` answers with status ``code``, then silence or (``then``: ok) a good answer."""
    code = int(asked.number("code", 103))
    link.send(b"HTTP/1.1 %d Wait\r\nlink: </x>\r\n\r\n" % code * int(asked.number("count", 1000)))
    if asked.options.get("then") == "ok":
        ok(link, asked)
    else:
        link.hang()


@fault
def slow_reader(link: Conversation, asked: Asked) -> None:
    """Read a body with pauses of ``interval`` seconds, then answer well."""
    ok(link, asked)


@fault
def early(link: Conversation, asked: Asked) -> None:
    """Answer 413 without reading the body, then (``how``) fin, rst or leave it open."""
    link.answer(error(asked, "invalid_request_error", "Too large."), 413)
    how = asked.options.get("how", "open")
    if how == "open":
        gevent.sleep(asked.number("open", 1))
    link.close("rst" if how == "rst" else "fin")


# ---- an answer that is an error


@fault
def status(link: Conversation, asked: Asked) -> None:
    """Status ``code`` with ``body``: json, html or empty; ``type`` and ``error`` (its code); ``message``
    (``echo``: the prompt); ``retry``, ``retry-ms``; ``limit``: so many requests, of which none is left.

    ``retry`` is sent as it is; ``+N`` becomes the date in N seconds.
    """
    code, kind = int(asked.number("code", 500)), asked.options.get("body", "json")
    key = asked.headers.get("authorization", "")[-8:]
    message = f"It failed (key {key})." if code in (401, 403) else asked.options.get("message", "It failed.")
    if message == "echo":
        message = asked.json()["messages"][-1]["content"]
    body = error(asked, asked.options.get("type", "server_error"), message, asked.options.get("error"))
    headers = {}
    if "retry" in asked.options:
        wait = asked.options["retry"]
        headers["retry_after"] = formatdate(time.time() + float(wait[1:]), usegmt=True) if wait[0] == "+" else wait
    if "retry-ms" in asked.options:
        headers["retry_after_ms"] = asked.options["retry-ms"]
    if "limit" in asked.options:
        headers |= {"x_ratelimit_limit_requests": asked.options["limit"], "x_ratelimit_remaining_requests": "0"}
    if kind == "html":
        link.answer(_HTML, code, "text/html", **headers)
    else:
        link.answer(body if kind == "json" else b"", code, **headers)


@fault
def late_refusal(link: Conversation, asked: Asked) -> None:
    """Status 400 after ``by`` seconds."""
    link.pause(asked.number("by", 1))
    link.answer(error(asked, "invalid_request_error", "It is refused."), 400)


@fault
def no_prefill(link: Conversation, asked: Asked) -> None:
    """Status ``code`` (400) for a conversation that ends with an assistant's turn, a good answer otherwise."""
    if asked.json()["messages"][-1]["role"] != "assistant":
        ok(link, asked)
        return
    words = "The conversation must end with a user message."
    link.answer(error(asked, "invalid_request_error", words), int(asked.number("code", 400)))


@fault
def redirect(link: Conversation, asked: Asked) -> None:
    """Status ``code`` with the canary's address."""
    link.answer(b"", int(asked.number("code", 302)), location=link.server.canary)


# ---- a body that is wrong


@fault
def broken_sound(link: Conversation, asked: Asked) -> None:
    """Sound that breaks off after ``after`` pieces, ``how``: fin, rst."""
    link.head(kind="audio/mpeg", transfer_encoding="chunked")
    for _ in range(int(asked.number("after", 1))):
        link.chunk(b"\xff\xfb sound")
    link.pause(0.05)
    link.close(asked.options.get("how", "fin"))


@fault
def html(link: Conversation, asked: Asked) -> None:
    """200 with a page."""
    link.answer(_HTML, 200, "text/html")


@fault
def truncated(link: Conversation, asked: Asked) -> None:
    """A whole message whose JSON ends in the middle."""
    link.answer(whole(asked)[:-20])


@fault
def shape(link: Conversation, asked: Asked) -> None:
    """JSON of a wrong shape, ``kind``: null, list, text, empty, no-choices."""
    bodies: dict[str, object] = {"null": None, "list": [1], "text": "hello", "empty": {}, "no-choices": {"choices": []}}
    link.answer(dump(bodies[asked.options.get("kind", "null")]))


@fault
def drip(link: Conversation, asked: Asked) -> None:
    """A byte every ``interval`` seconds."""
    body = whole(asked)
    link.head(content_length=str(len(body)))
    for number in range(len(body)):
        link.send(body[number : number + 1])
        link.pause(asked.number("interval", 1))


@fault
def huge(link: Conversation, asked: Asked) -> None:
    """``size`` bytes (2 GiB); ``framing``: length, chunked or close."""
    size, framing = int(asked.number("size", 2 << 30)), asked.options.get("framing", "length")
    if framing == "length":
        link.head(content_length=str(size))
        flood(link, size, b" ")
    elif framing == "close":
        link.head(connection="close")
        flood(link, size, b" ")
        link.close()
    else:
        link.head(transfer_encoding="chunked")
        block = b" " * _FLOOD
        for _ in range(size // _FLOOD):
            link.chunk(block)
        link.finish()


def flood(link: Conversation, size: int, byte: bytes) -> None:
    block = byte * _FLOOD
    for _ in range(size // _FLOOD):
        link.send(block)
    link.send(byte * (size % _FLOOD))


@fault
def bomb(link: Conversation, asked: Asked) -> None:
    """``size`` bytes (64 MiB) of nothing, compressed; ``times`` over."""
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    body = b"".join(packer.compress(zeros) for _ in range(int(asked.number("size", 64 << 20)) >> 20)) + packer.flush()
    times = int(asked.number("times", 1))
    for _ in range(times - 1):
        body = gzip.compress(body)
    kind = stream_kind(asked) if asked.stream else "application/json"
    link.answer(body, 200, kind, content_encoding=", ".join(["gzip"] * times))


@fault
def packed(link: Conversation, asked: Asked) -> None:
    """A good answer that is compressed though nobody asked, ``coding``: gzip, deflate, raw, br; ``cut`` bytes short.

    ``members`` is gzip in two parts.
    """
    coding = asked.options.get("coding", "gzip")
    packer = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw": -15}.get(coding, 15))
    named = "deflate" if coding == "raw" else coding
    if not asked.stream:
        body = packer.compress(whole(asked)) + packer.flush()
        if coding == "members":
            body, named = b"".join(gzip.compress(part) for part in slices(whole(asked), 200)), "gzip"
        link.answer(body[: len(body) - int(asked.number("cut", 0))], content_encoding=named)
        return
    opening, tokens, end = frames(asked)
    link.head(kind=stream_kind(asked), transfer_encoding="chunked", content_encoding=named)
    for event in [*opening, *tokens, *end]:
        link.chunk(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH))
    link.chunk(packer.flush())
    link.finish()


@fault
def length(link: Conversation, asked: Asked) -> None:
    """A Content-Length that is wrong ``by`` so much, then FIN."""
    body = b"".join(part for parts in frames(asked) for part in parts) if asked.stream else whole(asked)
    kind = stream_kind(asked) if asked.stream else "application/json"
    link.head(200, kind, content_length=str(len(body) + int(asked.number("by", 10))))
    link.send(body)
    link.close()


@fault
def unframed(link: Conversation, asked: Asked) -> None:
    """A good answer without a length; it ends with the connection."""
    body = b"".join(part for parts in frames(asked) for part in parts) if asked.stream else whole(asked)
    link.head(200, stream_kind(asked) if asked.stream else "application/json")
    link.send(body)
    link.close()


@fault
def doubled(link: Conversation, asked: Asked) -> None:
    """A good answer and, right behind it or ``after`` seconds, one that nobody asked for."""
    body = whole(asked)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    another = head + body.replace(asked.nonce.encode(), b"another's")
    if "after" in asked.options:
        link.send(head + body)
        link.pause(asked.number("after"))
        link.send(another)
    else:
        link.send(head + body + another)


def slices(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
