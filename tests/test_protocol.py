"""Heads and chunked bodies, from bytes: what is read, and what is refused with which status."""

from __future__ import annotations

import pytest

from aura.errors import AuraError
from aura.protocol import MAX_HEAD, MAX_HEADERS, MAX_LINE, Chunks, Head, Last

GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"


def read(data: bytes, step: int = 0, last: Last | None = None) -> Head | int:
    """Feed a head whole, or in pieces. Returns it, or the status that refuses it."""
    head = Head({}, last)
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    try:
        for index, piece in enumerate(pieces):
            if head.feed(piece):
                head.rest += b"".join(pieces[index + 1 :])
                return head
    except AuraError as error:
        return error.status
    return 0


def unchunk(data: bytes, step: int = 0) -> tuple[bytes, bytes] | int:
    """Feed a chunked body. Returns it with what is behind it; a status where it is refused; 0 if it does not end."""
    chunks = Chunks()
    found = b""
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    try:
        for index, piece in enumerate(pieces):
            found += chunks.feed(piece)
            if chunks.done:
                return found, chunks.rest + b"".join(pieces[index + 1 :])
    except AuraError as error:
        return error.status
    return 0


REFUSED = {
    "a folded line": (GET + b"A: b\r\n c\r\n\r\n", 400),
    "a folded line before any header": (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    "a bare line feed behind a header": (GET + b"A: b\n\r\n", 400),
    "a bare line feed at the end": (GET + b"A: b\r\n\n", 400),
    "a bare line feed behind the request line": (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    "a bare carriage return in a value": (GET + b"A: b\rC: d\r\n\r\n", 400),
    "a blank before the colon": (GET + b"A : b\r\n\r\n", 400),
    "no colon": (GET + b"JustAWord\r\n\r\n", 400),
    "an empty name": (GET + b": b\r\n\r\n", 400),
    "a name beyond ASCII": (GET + b"X-\xc3\xa9: b\r\n\r\n", 400),
    "NUL in a value": (GET + b"A: b\x00\r\n\r\n", 400),
    "DEL in a value": (GET + b"A: b\x7f\r\n\r\n", 400),
    "a control character in a value": (GET + b"A: b\x01c\r\n\r\n", 400),
    "two hosts": (GET + b"Host: y\r\n\r\n", 400),
    "two keys": (GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
    "two content types": (POST + b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n", 400),
    "two equal lengths": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "two lengths in one": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "a signed length": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "a negative length": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "an underscored length": (POST + b"Content-Length: 1_0\r\n\r\nabc", 400),
    "an empty length": (POST + b"Content-Length:\r\n\r\nabc", 400),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
    "a length in other digits": (POST + "Content-Length: ٣\r\n\r\nabc".encode(), 400),
    "length and chunked": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
    "chunked and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400),
    "an unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
    "a coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunked with a parameter": (POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n", 400),
    "chunked behind a vertical tab": (POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n", 400),
    "chunked in quotes": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n', 400),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "an empty coding": (POST + b"Transfer-Encoding:\r\n\r\n", 400),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "an empty host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "a host with a user": (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    "a host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "two blanks": (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a blank at the end": (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    "tabs": (b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "no version": (b"GET /\r\nHost: x\r\n\r\n", 400),
    "a version of another protocol": (b"GET / RTSP/1.0\r\nHost: x\r\n\r\n", 400),
    "a version in small letters": (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a symbol in the method": (b"P{ST / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "a method in small letters": (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    "NUL in the path": (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "bytes beyond ASCII in the path": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a fragment": (b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an asterisk": (b"POST * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an authority": (b"GET evil:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a tunnel": (b"CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\n\r\n", 400),
    "another host in the target": (b"GET http://evil/v1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "another scheme": (b"GET ftp://x/v1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "an unknown expectation": (POST + b"Expect: 200-ok\r\n\r\n", 417),
    "many empty lines first": (b"\r\n" * 900 + GET + b"\r\n", 400),
    "line feeds first": (b"\n\n" + GET + b"\r\n", 400),
    "TLS": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400),
    "another protocol's greeting": (b"EHLO x\r\n", 400),
    "all bytes": (bytes(range(256)), 400),
    "a long request line": (b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "an endless request line": (b"GET /" + b"a" * (MAX_LINE + 1), 414),
    "many headers": (GET + b"A: b\r\n" * MAX_HEADERS + b"\r\n", 431),
    "large headers": (GET + b"A: " + b"b" * MAX_HEAD + b"\r\n\r\n", 431),
    "endless headers": (GET + b"A: " + b"b" * MAX_HEAD, 431),
}


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("case", REFUSED)
def test_a_head_that_two_readers_could_take_differently_is_refused(case, step):
    data, status = REFUSED[case]

    assert status == read(data, step)


@pytest.mark.parametrize("step", [0, 1, 3, 64])
def test_a_head_becomes_an_environ_however_it_arrives(step):
    data = (
        b"POST /v1/chat%20x/completions?a=b&c=%20 HTTP/1.1\r\nHost: h:80\r\nContent-Type: application/json\r\n"
        b"X-Many: 1\r\nx-many:  2 \r\nCookie: a\r\nCookie: b\r\nX-Empty:\r\nX-Latin: \xe9\r\n"
        b"Content-Length: 5\r\n\r\nhello!"
    )
    head = read(data, step)

    assert isinstance(head, Head)
    assert head.environ == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/chat x/completions",
        "QUERY_STRING": "a=b&c=%20",
        "RAW_URI": "/v1/chat%20x/completions?a=b&c=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "h:80",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "5",
        "HTTP_X_MANY": "1,2",
        "HTTP_COOKIE": "a; b",
        "HTTP_X_EMPTY": "",
        "HTTP_X_LATIN": "\xe9",
    }
    assert head.length == 5
    assert head.rest == b"hello!"
    assert head.keep_alive


def test_a_header_with_an_underscore_cannot_pass_for_another():
    head = read(POST + b"Transfer_Encoding: chunked\r\nX_Api_Key: k\r\nSCRIPT_NAME: /x\r\nContent_Length: 9\r\n\r\n")

    assert isinstance(head, Head)
    assert {"HTTP_HOST"} == {key for key in head.environ if key.startswith(("HTTP_", "CONTENT", "SCRIPT"))}
    assert head.length == 0


@pytest.mark.parametrize(
    ("line", "headers", "kept"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"Connection: close\r\n", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_a_connection_is_kept_as_the_client_says(line, headers, kept):
    head = read(line + b"\r\nHost: x\r\n" + headers + b"\r\n")

    assert isinstance(head, Head)
    assert kept == head.keep_alive


def test_the_absolute_form_of_the_own_host_is_served():
    head = read(b"GET http://Gateway:8080/v1/models?x=1 HTTP/1.1\r\nHost: gateway:8080\r\n\r\n")

    assert isinstance(head, Head)
    assert (head.environ["PATH_INFO"], head.environ["QUERY_STRING"]) == ("/v1/models", "x=1")


def test_an_offer_to_change_the_protocol_is_not_taken_up():
    head = read(POST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc")

    assert isinstance(head, Head)
    assert (head.length, head.rest) == (3, b"abc")


def test_an_expectation_is_noted_for_the_one_who_reads_the_body():
    head = read(POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")

    assert isinstance(head, Head)
    assert head.expects


def test_one_empty_line_before_a_request_is_forgiven():
    assert isinstance(read(b"\r\n" + GET + b"\r\n"), Head)


KNOWN = POST + b"Content-Type: application/json\r\nContent-Length: 12\r\nAuthorization: Bearer k\r\n\r\n"
NEXT = {
    "the same": KNOWN,
    "with a body": KNOWN + b'{"a": "bcd"}',
    "with the next request behind it": KNOWN + b'{"a": "bcd"}' + KNOWN,
    "another length": KNOWN.replace(b"12", b"4096"),
    "a length of one digit": KNOWN.replace(b"12", b"0"),
    "no length": KNOWN.replace(b"12", b""),
    "a length with a sign": KNOWN.replace(b"12", b"+12"),
    "a length that is no number": KNOWN.replace(b"12", b"1_2"),
    "a length in two parts": KNOWN.replace(b"12", b"1 2"),
    "a length with a blank behind it": KNOWN.replace(b"12", b"12 "),
    "a length in digits of another script": KNOWN.replace(b"12", "\u0661".encode()),
    "the longest length that is told again": KNOWN.replace(b"12", b"9" * 18),
    "a longer one": KNOWN.replace(b"12", b"1" + b"0" * 18),
    "a length beyond all": KNOWN.replace(b"12", b"9" * 30),
    "a second length": KNOWN.replace(b"12\r\n", b"12\r\nContent-Length: 12\r\n"),
    "a second length behind": KNOWN[:-2] + b"Content-Length: 12\r\n\r\n",
    "chunked as well": KNOWN.replace(b"12\r\n", b"12\r\nTransfer-Encoding: chunked\r\n"),
    "a header more": KNOWN[:-2] + b"X-Request-Id: a\r\n\r\n",
    "another key": KNOWN.replace(b"Bearer k", b"Bearer l"),
    "another path": KNOWN.replace(b"/v1/chat/completions", b"/v1/completions"),
    "another version": KNOWN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "the connection's end": KNOWN[:-2] + b"Connection: close\r\n\r\n",
    "a bare line feed": KNOWN.replace(b"12\r\n", b"12\n"),
    "a folded line": KNOWN.replace(b"12\r\n", b"12\r\n 3\r\n"),
    "an empty line before it": b"\r\n" + KNOWN,
    "a part": KNOWN[:-1],
    "nothing but its beginning": KNOWN[:9],
}


def told(head: Head | int) -> object:
    if isinstance(head, int):
        return head
    return head.environ, head.length, head.keep_alive, head.expects, head.rest


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("step", [0, 1, 50])
@pytest.mark.parametrize("case", NEXT)
def test_a_head_says_the_same_whatever_came_before_it_on_its_connection(case, step, before):
    last = Last()
    for _ in range(before):
        read(KNOWN, last=last)

    assert told(read(NEXT[case], step, last)) == told(read(NEXT[case], step))


def test_a_head_that_came_twice_has_the_limits_of_any_other():
    last = Last()
    for _ in range(2):
        shorter = POST + b"X-Long: %b\r\nContent-Length: 1\r\n\r\n"
        shorter %= b"x" * (MAX_HEAD - len(shorter) + 2)
        assert len(shorter) == MAX_HEAD
        assert isinstance(read(shorter, 0, last), Head)

    assert read(shorter.replace(b": 1\r", b": 10\r"), 0, last) == 431


def test_what_is_done_with_one_environ_is_not_seen_in_the_next():
    last = Last()
    for number in range(5):
        head = read(KNOWN, last=last)

        assert isinstance(head, Head)
        assert "mine" not in head.environ

        head.environ["mine"] = number


def test_a_head_that_came_twice_is_told_again_without_the_parser(monkeypatch):
    last = Last()
    read(KNOWN, last=last)
    read(KNOWN.replace(b"12", b"7"), last=last)
    monkeypatch.setattr("aura.protocol.HttpRequestParser", None)

    head = read(KNOWN.replace(b"12", b"345") + b"body", last=last)

    assert isinstance(head, Head)
    assert (head.length, head.environ["CONTENT_LENGTH"], head.rest) == (345, "345", b"body")


CHUNKED = {
    "one chunk": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "several": (b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", b"hello"),
    "hexadecimal in both cases": (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    "leading zeros": (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "an extension": (b"5;name=val\r\nhello\r\n0\r\n\r\n", b"hello"),
    "trailers": (b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: \r\n\r\n", b"hello"),
    "line ends inside": (b"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", b"\r\n0\r\n\r"),
    "nothing": (b"0\r\n\r\n", b""),
}


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("case", CHUNKED)
def test_a_chunked_body_is_read_however_it_arrives(case, step):
    data, body = CHUNKED[case]

    assert (body, b"GET /next") == unchunk(data + b"GET /next", step)


BROKEN = {
    "a negative size": b"-5\r\nhello\r\n",
    "a signed size": b"+5\r\nhello\r\n",
    "an underscored size": b"0_5\r\nhello\r\n",
    "a prefixed size": b"0x5\r\nhello\r\n",
    "a blank before the size": b" 5\r\nhello\r\n",
    "a blank behind the size": b"5 \r\nhello\r\n",
    "no size": b"\r\nhello\r\n",
    "a size in other digits": "٥\r\nhello\r\n".encode(),
    "a size with NUL": b"5\x00\r\nhello\r\n",
    "a size of 64 bits": b"FFFFFFFFFFFFFFFF\r\nhello",
    "a size that overflows": b"10000000000000005\r\nhello\r\n",
    "a bare line feed behind the size": b"5\nhello\n0\n\n",
    "two carriage returns": b"5\r\r\nhello\r\n",
    "data longer than the size": b"4\r\nhello\r\n0\r\n\r\n",
    "no line end behind the data": b"5\r\nhello0\r\n\r\n",
    "a bare line feed behind the data": b"5\r\nhello\n0\r\n\r\n",
    "an endless extension": b"5;" + b"a" * 1000,
    "a control character in the extension": b"5;a\x01\r\nhello\r\n",
    "an empty extension": b"5;\r\nhello\r\n",
    "a trailer without a colon": b"0\r\nJustAWord\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a bare line feed at the end": b"0\r\n\n",
}


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize("case", BROKEN)
def test_broken_chunks_are_refused(case, step):
    assert unchunk(BROKEN[case] + b"GET /smuggled HTTP/1.1\r\n\r\n", step) == 400


@pytest.mark.parametrize("step", [0, 4096])
def test_trailers_are_bounded(step):
    assert unchunk(b"0\r\n" + b"X-A: bbbbbbbbbbbbbbbb\r\n" * 1000, step) == 431


@pytest.mark.parametrize("end", range(len(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n")))
def test_a_chunked_body_that_stops_anywhere_is_not_complete(end):
    assert unchunk(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"[:end]) == 0
