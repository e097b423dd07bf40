"""Reading a body: content type, encoding, length, what the connection does."""

import io

import pytest
from flask import Flask, jsonify, request
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize

from aura.api.reading import read_json
from aura.errors import AuraError, BadRequest, RequestTimeout

LIMIT = 64


class Environ:
    """What reading needs of a request."""

    def __init__(self, **environ: object) -> None:
        self.environ = {"CONTENT_TYPE": "application/json", **environ}


def sized(data: bytes, **environ: object) -> Environ:
    return Environ(CONTENT_LENGTH=str(len(data)), **{"wsgi.input": io.BytesIO(data), **environ})


def chunked(stream: object) -> Environ:
    return Environ(**{"wsgi.input": stream, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"})


def refusal(environ: Environ, limit: int = LIMIT) -> AuraError:
    """The error of a request that must be refused."""
    with pytest.raises(AuraError) as caught:
        read_json(environ, limit)
    return caught.value


class Trickle(io.RawIOBase):
    """Gives at most three bytes at a time, and counts them."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._data = io.BytesIO(data)
        self._error = error
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        piece = self._data.read(min(3, size))
        self.given += len(piece)
        if not piece and self._error:
            raise self._error
        return piece


JSON_TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON; Charset=UTF-8",
    'application/json;charset="utf-8"',
    " application/json ; x=y",
    "application/json;",
    "application/json; charset=utf8; profile=a",
]
OTHER_TYPES = [
    "",
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/json5",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/vnd.api+json",
    "application/x-ndjson",
    "*/*",
    "application/json, text/plain",
    "text/plain; application/json",
    ";" * 60,
    "application/json\u0131",
    "application/json; charset=utf-16",
    "application/json; charset=utf-7",
    "application/json; charset=rot13",
    "application/json; charset=",
    "application/json; charset=utf-8; charset=utf-16",
]


@pytest.mark.parametrize("media_type", JSON_TYPES)
def test_json_is_taken_with_any_parameter(media_type):
    assert read_json(sized(b'{"a": 1}', CONTENT_TYPE=media_type), LIMIT) == {"a": 1}


@pytest.mark.parametrize("media_type", OTHER_TYPES)
def test_another_content_type_or_charset_is_415(media_type):
    error = refusal(sized(b'{"a": 1}', CONTENT_TYPE=media_type))

    assert (error.status, error.code) == (415, "unsupported_media_type")


def test_a_missing_content_type_is_415():
    environ = sized(b"{}")
    del environ.environ["CONTENT_TYPE"]

    assert refusal(environ).status == 415


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "gzip, identity", "x"])
def test_a_compressed_body_is_415_and_never_read(coding):
    stream = Trickle(b"{}")
    environ = Environ(CONTENT_LENGTH="2", HTTP_CONTENT_ENCODING=coding, **{"wsgi.input": stream})

    assert refusal(environ).status == 415
    assert stream.given == 0


@pytest.mark.parametrize("coding", ["identity", " Identity ", ""])
def test_identity_is_no_compression(coding):
    assert read_json(sized(b"{}", HTTP_CONTENT_ENCODING=coding), LIMIT) == {}


def test_a_declared_length_over_the_limit_is_413_before_a_byte_is_read():
    stream = Trickle(b"{" * 100)
    for length in (str(LIMIT + 1), "9" * 5000):
        error = refusal(Environ(CONTENT_LENGTH=length, **{"wsgi.input": stream}))

        assert (error.status, error.code) == (413, "request_too_large")
        assert str(LIMIT) in error.message
    assert stream.given == 0


def test_a_body_as_large_as_the_limit_is_taken():
    data = b'{"a": "' + b"x" * (LIMIT - 9) + b'"}'

    assert len(data) == LIMIT
    assert read_json(sized(data), LIMIT) == read_json(chunked(io.BytesIO(data)), LIMIT) == {"a": "x" * (LIMIT - 9)}


def test_a_chunked_body_is_counted_while_it_is_read():
    stream = Trickle(b" " * 10_000)

    assert refusal(chunked(stream)).status == 413
    assert stream.given <= LIMIT + 3


def test_a_body_that_comes_in_pieces_is_put_together():
    data = b'{"messages": [1, 2, 3]}'

    assert read_json(chunked(Trickle(data)), LIMIT) == {"messages": [1, 2, 3]}
    assert read_json(sized(data, **{"wsgi.input": Trickle(data)}), LIMIT) == {"messages": [1, 2, 3]}


@pytest.mark.parametrize("broken", [InvalidChunkSize(b"-5"), ChunkMissingTerminator(b"XX")])
def test_chunks_that_a_gunicorn_without_our_configuration_finds_broken_are_400(broken):
    error = refusal(chunked(Trickle(b"{", broken)))

    assert (error.status, error.code) == (400, "bad_framing")


def test_no_more_than_the_declared_length_is_read():
    """What follows belongs to the next request."""
    stream = io.BytesIO(b"{}POST / HTTP/1.1")

    assert read_json(Environ(CONTENT_LENGTH="2", **{"wsgi.input": stream}), LIMIT) == {}
    assert stream.read() == b"POST / HTTP/1.1"


def test_a_body_that_ends_early_is_400():
    error = refusal(Environ(CONTENT_LENGTH="10", **{"wsgi.input": io.BytesIO(b"{}")}))

    assert (error.status, error.code) == (400, "incomplete_body")


@pytest.mark.parametrize("length", ["-1", "+2", "2.0", "0x2", "1_0", "\u0662", " 2", "abc"])
def test_a_content_length_that_is_no_number_is_400(length):
    assert refusal(Environ(CONTENT_LENGTH=length, **{"wsgi.input": io.BytesIO(b"{}")})).status == 400


@pytest.mark.parametrize(
    "environ",
    [
        sized(b""),
        sized(b" \n"),
        chunked(io.BytesIO(b"")),
        Environ(**{"wsgi.input": io.BytesIO(b"{}")}),
        Environ(CONTENT_LENGTH="", **{"wsgi.input": io.BytesIO(b"{}")}),
    ],
)
def test_an_empty_body_is_400(environ):
    """Without a length, and from a server that does not end a body itself, there is none."""
    error = refusal(environ)

    assert (error.status, "empty" in error.message) == (400, True)


@pytest.mark.parametrize(
    ("data", "named"),
    [(b"null", "null"), (b"5", "an integer"), (b"1.5", "a decimal"), (b'"x"', "a string"), (b"[]", "an array")],
)
def test_a_body_that_is_no_object_is_400(data, named):
    error = refusal(sized(data))

    assert error.status == 400
    assert error.message.startswith(f"The body must be a JSON object, not {named}")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (TimeoutError("slow"), 408, "request_timeout"),
        (ConnectionResetError("gone"), 400, "incomplete_body"),
        (OSError("bad chunk"), 400, "incomplete_body"),
        (RequestTimeout("slow"), 408, "request_timeout"),
        (BadRequest("framing"), 400, "invalid_request"),
    ],
)
def test_what_goes_wrong_while_reading_is_the_clients_and_says_so(fault, status, code):
    for environ in (
        chunked(Trickle(b'{"a"', fault)),
        Environ(CONTENT_LENGTH="9", **{"wsgi.input": Trickle(b"{", fault)}),
    ):
        error = refusal(environ)

        assert (error.status, error.code) == (status, code)
        assert "gone" not in error.message


def test_a_flask_request_is_read():
    app = Flask("reading")

    @app.post("/")
    def echo():
        return jsonify(read_json(request, LIMIT))

    client = app.test_client()

    assert client.post("/", json={"a": "é"}).get_json() == {"a": "é"}


def test_a_body_that_is_wrong_is_refused_however_often_it_comes():
    checked = []

    def check(body: dict) -> None:
        checked.append(body)
        raise BadRequest("no", param="model")

    for _ in range(3):
        with pytest.raises(BadRequest, match="no"):
            read_json(sized(b'{"again": "wrong"}'), LIMIT, check)

    assert checked == [{"again": "wrong"}] * 3


def test_a_body_that_was_right_for_one_door_is_checked_by_another():
    def refuse(_body: dict) -> None:
        raise BadRequest("not here")

    read_json(sized(b'{"again": "right"}'), LIMIT, lambda _body: None)
    with pytest.raises(BadRequest, match="not here"):
        read_json(sized(b'{"again": "right"}'), LIMIT, refuse)
