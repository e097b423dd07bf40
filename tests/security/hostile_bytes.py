"""Bytes that two readers of HTTP could take differently, or that try to hold, flood or cross a connection.

A case is ``(name, data, status, responses)``: the first status (0: closed without a word), and how many answers there may
be at most. Whatever the status, what is refused ends the connection, and nothing behind it is ever a request.
"""

# ruff: noqa: E501  (tables)

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .hostile import CHAT, GOOD, KEY

AUTHORIZED = f"Host: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n".encode()
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(GOOD)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)


class Bytes(NamedTuple):
    name: str
    data: bytes
    status: int
    responses: int = 1


def post(*headers: bytes, body: bytes = b"", line: bytes = b"POST " + CHAT.encode() + b" HTTP/1.1\r\n") -> bytes:
    return line + AUTHORIZED + b"".join(headers) + b"\r\n" + body


def framing() -> Iterator[Bytes]:
    """Where a body ends."""
    for coding in (
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"Transfer-Encoding:chunked", b"transfer-encoding: chunked",
        b"Transfer-Encoding: chunked ", b"Transfer-Encoding: \tchunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked",
        b" Transfer-Encoding: chunked", b"\tTransfer-Encoding: chunked", b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding:\x0cchunked",
        b"Transfer-Encoding:\x00chunked", b"Transfer-Encoding: \xa0chunked", b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding: \"chunked\"",
        b"Transfer-Encoding: 'chunked'", b"Transfer-Encoding: chunke", b"Transfer-Encoding: chunkedd", b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: chunked,", b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: x",
        b"Transfer-Encoding: identity", b"Transfer-Encoding:", b"Transfer-Encoding", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding: x\r\n chunked",
        b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding\r: chunked",
        b"Transfer\xadEncoding: chunked", b"Transfer-Encoding: \xef\xbb\xbfchunked", b"Transfer-Encoding: chun\xe2\x80\x8bked",
    ):  # fmt: skip
        body = b"0\r\n\r\n" + SMUGGLED
        length = b"Content-Length: %d\r\n" % len(body)
        yield Bytes(f"two framings: {coding!r}", post(length, coding + b"\r\n", body=body), 400)
        yield Bytes(f"two framings, the other way: {coding!r}", post(coding + b"\r\n", length, body=body), 400)
    for length in (
        b"+5", b"-5", b"-0", b"0x5", b"5.0", b"5e0", b"5 5", b"5,5", b"5, 5", b"5;5", b"", b" ", b"five", b"5\x00", b"\xd9\xa5", b"\xb2",
        b"99999999999999999999", b"18446744073709551621", b"1_0", b"5\x0b", b"\"5\"", b"5\xa0", b"0b1", b"5L", b"NaN",
    ):  # fmt: skip
        data = post(b"Content-Length: " + length + b"\r\n", body=GOOD + SMUGGLED)
        yield Bytes(f"length: {length!r}", data, 400)
    for headers in (
        b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: 5\r\ncontent-length: 5\r\n",
        b"Content-Length : 5\r\n", b"Content-Length\t: 5\r\n", b" Content-Length: 5\r\n", b"Content-Length:\r\n 5\r\n", b"Content-Length: 5\r\n 5\r\n",
        b"X: y\nContent-Length: 5\r\n",
    ):  # fmt: skip
        yield Bytes(f"length twice, or beside itself: {headers!r}", post(headers, body=GOOD + SMUGGLED), 400)
    yield Bytes("a length of an underscore", post(LENGTH, b"Content_Length: 5\r\n", body=GOOD), 200)
    yield Bytes("a framing of an underscore", post(LENGTH, b"Transfer_Encoding: chunked\r\n", body=GOOD), 200)
    yield Bytes("a length with zeros in front", post(b"Content-Length: 00%d\r\n" % len(GOOD), body=GOOD), 200)
    yield Bytes(
        "a body of an old client in chunks", post(CHUNKED, body=CHUNKS, line=f"POST {CHAT} HTTP/1.0\r\n".encode()), 400
    )
    yield Bytes(
        "a body of a GET", b"GET /v1/models HTTP/1.1\r\n" + AUTHORIZED + b"Content-Length: 36\r\n\r\n" + SMUGGLED, 200
    )
    yield Bytes(
        "a body behind a 404", post(b"Content-Length: 36\r\n", body=SMUGGLED, line=b"POST /v1/x HTTP/1.1\r\n"), 404
    )
    chunked = b"24\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"
    yield Bytes("a chunked body behind a 404", post(CHUNKED, body=chunked, line=b"POST /v1/x HTTP/1.1\r\n"), 404)
    stranger = post(b"Content-Length: 36\r\n", body=SMUGGLED).replace(KEY.encode(), b"wrong")
    yield Bytes("a body behind a 401", stranger, 401)
    large = post(b"Content-Length: 99999999\r\n", body=SMUGGLED)
    yield Bytes("a body behind a 413", large, 413)


def chunks() -> Iterator[Bytes]:
    """How long a chunk is."""
    size = b"%x" % len(GOOD)
    for name, body in {
        "a sign": b"+" + size + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a minus": b"-1\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a prefix": b"0x" + size + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a suffix": size + b"h\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "no hexadecimal": b"g\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "an underscore": b"4_3\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a blank in front": b" " + size + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a blank behind": size + b" \r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a tab behind": size + b"\t\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a NUL behind": size + b"\0\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "no size": b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "only an extension": b";a=b\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "nine digits": b"000000043\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a size that overflows": b"FFFFFFFFFFFFFFFF1\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a size of 2**64": b"10000000000000000\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a line feed alone": size + b"\n" + GOOD + b"\r\n0\r\n\r\n",
        "a carriage return alone": size + b"\r" + GOOD + b"\r\n0\r\n\r\n",
        "two carriage returns": size + b"\r\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a line feed in an extension": size + b";a\nb\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a control in an extension": size + b";a\x01\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "a long extension": size + b";" + b"a" * 300 + b"\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "an extension without end": size + b";" + b"a" * 100_000,
        "nothing behind a chunk": size + b"\r\n" + GOOD + b"0\r\n\r\n",
        "a line feed behind a chunk": size + b"\r\n" + GOOD + b"\n0\r\n\r\n",
        "more than the size": b"5\r\n" + GOOD + b"\r\n0\r\n\r\n",
        "an arabic size": "\u0664\u0663\r\n".encode() + GOOD + b"\r\n0\r\n\r\n",
        "a fullwidth size": "\uff14\uff13\r\n".encode() + GOOD + b"\r\n0\r\n\r\n",
        "an end with a line feed": size + b"\r\n" + GOOD + b"\r\n0\n\n" + SMUGGLED,
        "a trailer without a colon": size + b"\r\n" + GOOD + b"\r\n0\r\nx\r\n\r\n" + SMUGGLED,
        "a trailer with a blank": size + b"\r\n" + GOOD + b"\r\n0\r\nx : y\r\n\r\n" + SMUGGLED,
        "a folded trailer": size + b"\r\n" + GOOD + b"\r\n0\r\nx: y\r\n z\r\n\r\n" + SMUGGLED,
        "a trailer with a line feed": size + b"\r\n" + GOOD + b"\r\n0\r\nx: y\nGET /smuggled HTTP/1.1\r\n\r\n",
    }.items():
        yield Bytes(f"chunk: {name}", post(CHUNKED, body=body), 400)
    yield Bytes(
        "chunk: many trailers", post(CHUNKED, body=CHUNKS[:-2] + b"x: yyyyyyyyyyyyyyyy\r\n" * 600 + b"\r\n"), 431
    )
    yield Bytes(
        "chunk: over the limit", post(CHUNKED, body=(b"10000\r\n" + b" " * 65536 + b"\r\n") * 17 + b"0\r\n\r\n"), 413
    )
    one_by_one = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n"
    for name, body in {
        "as it should be": CHUNKS,
        "one byte each": one_by_one,
        "zeros in front": b"000" + CHUNKS,
        "capitals": CHUNKS.replace(size, size.upper(), 1),
        "an extension": size + b';a="b c"\r\n' + GOOD + b"\r\n0;x\r\n\r\n",
        "a trailer": CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n",
        "a trailer that would be a framing": CHUNKS[:-2] + b"Content-Length: 99\r\nAuthorization: Bearer x\r\n\r\n",
    }.items():
        yield Bytes(f"chunk accepted: {name}", post(CHUNKED, body=body), 200)


def lines() -> Iterator[Bytes]:
    """The first line."""
    rest = AUTHORIZED + LENGTH + b"\r\n" + GOOD
    chat = CHAT.encode()
    for line, status in (
        (b"POST " + chat, 400), (b"POST " + chat + b" ", 400), (b"POST " + chat + b" HTTP", 400), (b"POST " + chat + b" HTTP/1", 400),
        (b"POST " + chat + b" HTTP/1.1 ", 400), (b"POST " + chat + b" HTTP/1.1 x", 400), (b"POST " + chat + b" http/1.1", 400),
        (b"POST " + chat + b" HTTP/11", 400), (b"POST " + chat + b" HTTP/1.1\0", 400), (b"POST " + chat + b" HTTPS/1.1", 400),
        (b"POST " + chat + b" HTTP/01.1", 400), (b"POST " + chat + b" HTTP/1.10", 400), (b"POST " + chat + b" HTTP/-1.1", 400),
        (b"POST " + chat + b" ICY/1.1", 400), (b"POST " + chat + b" RTSP/1.0", 400),
        (b"POST " + chat + b" HTTP/0.9", 505), (b"POST " + chat + b" HTTP/1.2", 505), (b"POST " + chat + b" HTTP/2.0", 505),
        (b"POST " + chat + b" HTTP/3.0", 505), (b"POST " + chat + b" HTTP/9.9", 505),
        (b"POST  " + chat + b" HTTP/1.1", 400), (b"POST " + chat + b"  HTTP/1.1", 400), (b"POST\t" + chat + b" HTTP/1.1", 400),
        (b"POST " + chat + b"\tHTTP/1.1", 400), (b"POST\x0b" + chat + b" HTTP/1.1", 400), (b" POST " + chat + b" HTTP/1.1", 400),
        (b"\tPOST " + chat + b" HTTP/1.1", 400), (b"\0POST " + chat + b" HTTP/1.1", 400), (b"\xef\xbb\xbfPOST " + chat + b" HTTP/1.1", 400),
        (b"PO ST " + chat + b" HTTP/1.1", 400), (b"PO(ST " + chat + b" HTTP/1.1", 400), (b"PO\xc3\xa9T " + chat + b" HTTP/1.1", 400),
        (b'"POST" ' + chat + b" HTTP/1.1", 400), (b"POST: " + chat + b" HTTP/1.1", 400), (b"P" * 40 + b" / HTTP/1.1", 501),
        (b"POSTX " + chat + b" HTTP/1.1", 501), (b"!#$ " + chat + b" HTTP/1.1", 501), (b"PRI * HTTP/2.0", 505),
        (b"POST v1/chat/completions HTTP/1.1", 400), (b"POST ?x HTTP/1.1", 400), (b"POST # HTTP/1.1", 400), (b"POST * HTTP/1.1", 400),
        (b"OPTIONS * HTTP/1.1", 400), (b"POST x:80 HTTP/1.1", 400), (b"POST ftp://x" + chat + b" HTTP/1.1", 400),
        (b"POST http://evil" + chat + b" HTTP/1.1", 400), (b"POST http://x@evil" + chat + b" HTTP/1.1", 400),
        (b"POST http:///v1/chat/completions HTTP/1.1", 400), (b"POST //evil" + chat + b" HTTP/1.1", 404),
        (b"POST " + chat + b"#x HTTP/1.1", 400), (b"POST " + chat + b"\\ HTTP/1.1", 404), (b"POST " + chat + b"\x7f HTTP/1.1", 400),
        (b"POST " + chat + b"\x00 HTTP/1.1", 400), (b"POST " + chat + b"\x1b[2J HTTP/1.1", 400), (b"POST " + chat + b"\xff HTTP/1.1", 400),
        (b"POST /" + b"a" * 8192 + b" HTTP/1.1", 414), (b"POST " + chat + b"?" + b"a" * 8192 + b" HTTP/1.1", 414),
        (b"CONNECT x:443 HTTP/1.1", 400), (b"CONNECT " + chat + b" HTTP/1.1", 405),
    ):  # fmt: skip
        yield Bytes(f"line: {line[:60]!r}", line + b"\r\n" + rest, status)
    for line in (
        b"POST http://x" + chat + b" HTTP/1.1",
        b"POST HTTP://X" + chat + b" HTTP/1.1",
        b"\r\nPOST " + chat + b" HTTP/1.1",
    ):
        yield Bytes(f"line accepted: {line!r}", line + b"\r\n" + rest, 200)
    for name, data in {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n",
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "SOCKS": b"\x05\x01\x00\r\n\r\n",
        "the PROXY protocol": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + post(LENGTH, body=GOOD),
        "the PROXY protocol, binary": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + post(LENGTH, body=GOOD),
        "memcached": b"stats\r\n",
        "Redis": b"*1\r\n$4\r\nINFO\r\n",
        "IMAP": b"a1 LOGIN x y\r\n",
        "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "a line feed alone": b"GET / HTTP/1.1\nHost: x\n\n",
        "two empty lines": b"\r\n\r\n" + post(LENGTH, body=GOOD),
        "HTTP/0.9": b"GET /\r\n",
    }.items():
        yield Bytes(f"another language: {name}", data, 505 if name == "HTTP/2" else 400)


def fields() -> Iterator[Bytes]:
    """Headers."""
    for header in (
        b"X", b"X y", b": y", b" : y", b"X : y", b"X\t: y", b" X: y", b"\tX: y", b"X: y\r\n z", b"X: y\r\n\tz", b"X: a\rb", b"X: a\nb", b"X: a\0b",
        b"X\0: y", b"X\xc3\xa9: y", b"X(: y", b"X y: z", b"X\x7f: y", b"X: a\x01b", b"X: a\x1b[2Jb", b"X: a\x7fb", b"\"X\": y", b"X@: y", b"X\\: y", b"X/: y",
        b"Host: y", b"Host: x", b"host: x", b"Authorization: Bearer x", b"authorization: Bearer x", b"Content-Type: text/plain",
        b"Content-Type: application/json", b"X-Api-Key: a\r\nX-Api-Key: b", b"\r", b"\n",
    ):  # fmt: skip
        yield Bytes(f"header: {header!r}", post(header + b"\r\n", LENGTH, body=GOOD), 400)
    many = b"".join(b"X-%d: y\r\n" % number for number in range(100))
    for name, data, status in (
        ("too many", post(many, LENGTH, body=GOOD), 431),
        ("too long", post(b"X: " + b"y" * 70_000 + b"\r\n", LENGTH, body=GOOD), 431),
        ("too large together", post(*(b"X-%d: %b\r\n" % (number, b"y" * 1000) for number in range(80)), LENGTH), 431),
        ("a name too long", post(b"X" * 70_000 + b": y\r\n", LENGTH, body=GOOD), 431),
        ("without end", post()[:-2] + b"X: " + b"y" * 300_000, 431),
        ("no host", b"POST " + CHAT.encode() + b" HTTP/1.1\r\n" + LENGTH + b"\r\n" + GOOD, 400),
        ("an empty host", b"GET /actuator/health HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("two hosts", b"GET /actuator/health HTTP/1.1\r\nHost: x,y\r\n\r\n", 200),
        ("a host of bytes", b"GET /actuator/health HTTP/1.1\r\nHost: \xff\r\n\r\n", 400),
        ("no host of an old client", b"GET /actuator/health HTTP/1.0\r\n\r\n", 200),
        ("an empty value", post(b"X:\r\n", LENGTH, body=GOOD), 200),
        ("bytes beyond ASCII", post(b"X: \xe9\xff\r\n", LENGTH, body=GOOD), 200),
        ("a connection that names a header", post(b"Connection: close, Authorization\r\n", LENGTH, body=GOOD), 200),
        ("an upgrade", post(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", LENGTH, body=GOOD), 200),
    ):
        yield Bytes(f"headers: {name}", data, status)


def rows() -> Iterator[Bytes]:
    """Requests sent ahead."""
    good = post(LENGTH, body=GOOD)
    yield Bytes("in a row", good * 3, 200, 3)
    yield Bytes("a bad one behind a good one", good + b"BAD\r\n\r\n" + SMUGGLED, 200, 2)
    yield Bytes("a good one behind a bad one", b"BAD\r\n\r\n" + good, 400)
    yield Bytes("a good one behind a wrong body", post(b"Content-Length: 1\r\n", body=b"{") + good, 400, 2)
    yield Bytes("bytes behind a closed one", post(LENGTH, b"Connection: close\r\n", body=GOOD) + SMUGGLED, 200)
    yield Bytes(
        "bytes behind an old one", post(LENGTH, body=GOOD, line=f"POST {CHAT} HTTP/1.0\r\n".encode()) + SMUGGLED, 200
    )


GROUPS = {made.__name__: list(made()) for made in (framing, chunks, lines, fields, rows)}
