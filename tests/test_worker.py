"""Aura's worker class over real sockets: requests, answers, and what slow or broken clients get."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.classes import GUNICORN, IDS
from tests.server import gateway
from tests.wire import CLOSE, error, everything, get, post, statuses, until

pytestmark = pytest.mark.xdist_group("worker")

CONF = "python:tests.worker_conf"
APP = "tests.worker_app:app"
CLASSES = ["tests.worker_conf.Worker", GUNICORN]
CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
# This application knows neither keys nor JSON nor methods.
BEYOND = (
    "hdr-expect-100-401",
    "pipe-bad-then",
    "pipe-good-then-bad",
    "smuggle-unread-chunked-405",
    "smuggle-cl-on-get",
)
# Short enough to be waited for, long enough for a machine that is busy with other things.
QUICK = {"head": 1.0, "body": 2.0, "slack": 1.0, "send": 1.0, "linger": 1.0}


@pytest.fixture(scope="module", params=CLASSES, ids=IDS)
def server(request):
    """A worker with short limits."""
    environment = {"LIMITS": json.dumps(QUICK), "WORKER_CLASS": request.param}
    with gateway(env=environment, conf=CONF, app=APP, args=["--worker-connections", "200"]) as server:
        yield server


@pytest.fixture
def connect(server):
    """Open connections that are closed at the test's end."""
    opened = []

    def open_one(data: bytes = b"", receive_buffer: int = 0) -> socket.socket:
        link = socket.socket()
        link.settimeout(20)
        if receive_buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        link.connect(("127.0.0.1", server.port))
        opened.append(link)
        link.sendall(data)
        return link

    yield open_one
    for link in opened:
        link.close()


def test_a_connection_takes_one_request_after_the_other(connect):
    link = connect()
    for body in (b"one", b"two", b""):
        link.sendall(post("/echo", body))

        assert until(link, b"\r\n\r\n" + body).startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_sent_ahead_are_answered_in_order(connect):
    link = connect(b"".join(post("/echo", b"<%d>" % index) for index in range(50)) + get("/echo", CLOSE))

    assert [b"<%d>" % index for index in range(50)] == re.findall(rb"<\d+>", everything(link))


def test_a_bad_request_behind_a_good_one_takes_nothing_from_it(connect):
    link = connect(post("/echo", b"good") + b"BAD\r\n\r\n" + post("/echo", b"never"))

    got = everything(link)

    assert statuses(got) == [200, 400]
    assert b"good" in got
    assert b"never" not in got


def test_a_request_may_come_byte_by_byte(connect):
    link = connect()
    for byte in post("/echo", b"drip", CLOSE):
        link.sendall(bytes((byte,)))

    assert everything(link).endswith(b"\r\n\r\ndrip")


def test_a_body_larger_than_any_buffer_arrives_whole(connect):
    body = bytes(range(256)) * 4000

    assert everything(connect(post("/echo", body, CLOSE))).endswith(b"\r\n\r\n" + body)


def test_a_chunked_body_is_handed_over_like_any_other(connect):
    head = get("/echo", "Transfer-Encoding: chunked", CLOSE).replace(b"GET", b"POST")
    link = connect(head + b"5\r\nhello\r\n")
    link.sendall(b"6;a=b\r\n world\r\n0\r\n")
    link.sendall(b"\r\n")

    assert everything(link).endswith(b"\r\n\r\nhello world")


def test_a_request_sent_ahead_begins_where_a_chunked_body_ends(connect):
    head = get("/echo", "Transfer-Encoding: chunked").replace(b"GET", b"POST")
    link = connect(head + b"5\r\nhello\r\n0\r\n")
    link.sendall(b"\r\n" + post("/echo", b"next") + get("/echo", CLOSE))

    got = everything(link)

    assert statuses(got) == [200, 200, 200]
    assert b"hello" in got
    assert b"next" in got


def test_a_body_can_be_read_like_a_file(connect):
    assert everything(connect(post("/lines", b"abcde\nf\ng\nh", CLOSE))).endswith(b"\r\n\r\nabc|de\n|f\n|g\n|h")


def test_broken_chunks_are_a_400_for_whoever_reads_the_body(connect):
    head = get("/echo", "Transfer-Encoding: chunked").replace(b"GET", b"POST")

    got = everything(connect(head + b"5\r\nhello!\r\n0\r\n\r\n" + get("/echo")))

    assert statuses(got) == [400]
    assert error(got)["code"] == "bad_framing"


def test_a_limit_holds_for_chunks_that_declare_no_length(connect):
    head = get("/echo", "Transfer-Encoding: chunked").replace(b"GET", b"POST")
    link = connect(head + b"10000\r\n" + b"x" * 65536 + b"\r\n")
    for _ in range(40):
        link.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    assert statuses(everything(link)) == [413]


def test_an_answer_before_the_body_does_not_wait_for_it_and_closes(connect):
    link = connect(post("/early", b"x" * 100000)[:200])

    assert statuses(until(link, b"no")) == [401]
    link.sendall(get("/echo"))  # what would have been body is not taken for a request
    assert everything(link) == b""


def test_an_unread_body_that_is_there_is_no_request(connect):
    smuggled = get("/fail")

    assert statuses(everything(connect(post("/early", smuggled) + get("/echo", CLOSE)))) == [401, 200]


def test_continue_is_said_when_the_body_is_wanted(connect):
    link = connect(post("/echo", b"hello", "Expect: 100-continue", CLOSE)[:-5])

    assert until(link, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    link.sendall(b"hello")
    assert statuses(everything(link)) == [200]


def test_continue_is_not_said_when_the_body_is_not_wanted(connect):
    assert statuses(everything(connect(post("/early", b"hello", "Expect: 100-continue")[:-5]))) == [401]


def test_a_stream_is_sent_piece_by_piece(connect):
    """Each piece is a chunk of its own, and is there before the next is made."""
    link = connect(get("/stream?count=2&gap=60"))

    assert until(link, b"data: 0 \n\n\r\n").lower().endswith(b"\r\n\r\na\r\ndata: 0 \n\n\r\n")


def test_a_stream_ends_with_the_last_chunk_and_the_connection_stays(connect):
    link = connect(get("/stream?count=3&gap=0"))

    assert until(link, b"0\r\n\r\n").lower().endswith(b"a\r\ndata: 2 \n\n\r\n0\r\n\r\n")
    link.sendall(get("/echo", CLOSE))
    assert statuses(everything(link)) == [200]


def test_an_old_client_gets_a_stream_that_ends_with_the_connection(connect):
    got = everything(connect(get("/stream?count=2&gap=0", version="1.0")))

    assert got.endswith(b"\r\n\r\ndata: 0 \n\ndata: 1 \n\n")
    assert b"chunked" not in got


def test_an_old_client_may_keep_its_connection(connect):
    link = connect(get("/echo", "Connection: keep-alive", version="1.0") + get("/echo", version="1.0"))

    got = everything(link)

    assert statuses(got) == [200, 200]
    assert b"Connection: keep-alive" in got


def test_head_is_answered_without_a_body(connect):
    link = connect(get("/blob?size=5").replace(b"GET", b"HEAD") + get("/echo", CLOSE))

    head, rest = everything(link).split(b"\r\n\r\n", 1)

    assert b"Content-Length: 5" in head
    assert rest.startswith(b"HTTP/1.1 200 OK")


def test_a_large_answer_arrives_whole(connect):
    assert everything(connect(get("/blob?size=5000000", CLOSE))).endswith(b"\r\n\r\n" + b"b" * 5000000)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/fail", 500, "internal_error"), ("/bad", 400, "invalid_request"), ("/inject", 500, "internal_error")],
)
def test_what_escapes_from_the_application_is_answered_as_json(connect, path, status, code):
    got = everything(connect(get(path, CLOSE)))

    assert [status] == statuses(got)
    assert code == error(got)["code"]
    assert b"Injected" not in got


@pytest.mark.parametrize("path", ["/fail_late", "/short"])
def test_half_an_answer_is_not_presented_as_a_whole_one(connect, path):
    got = everything(connect(get(path)))

    assert statuses(got) == [200]
    assert not got.endswith(b"0\r\n\r\n")


def test_a_refused_request_is_told_in_json_and_the_connection_closed(connect):
    got = everything(connect(b"GET / HTTP/1.1\r\n\r\n" + get("/echo")))

    assert statuses(got) == [400]
    assert {"message", "type", "param", "code"} == set(error(got))
    assert b"x-should-retry: false" in got


def test_a_client_that_still_sends_can_read_why_it_was_refused(connect):
    link = connect(get("/echo", "X: " + "a" * 70000)[:-4])
    for _ in range(30):
        link.sendall(b"a" * 65536)

    assert statuses(everything(link)) == [431]


@pytest.fixture
def heads(connect):
    """Connections whose requests stop in the head, and many of them."""
    return [
        connect(b"GET /ec"),
        connect(get("/echo")[:-2]),
        connect(post("/echo", b"")[:-4] + b"\r\nTransfer-Enc"),
        connect(get("/echo") + b"G"),
        *(connect(b"GET /") for _ in range(100)),
    ]


def test_a_head_that_stops_is_told_408(heads):
    for link in heads:
        assert b'"code":"request_timeout"' in everything(link)


def test_a_request_that_stops_holds_nobody_up_and_is_closed(connect, heads):
    """Wherever it stops, and however many do; where a body does, it is told."""
    chunked = get("/echo", "Transfer-Encoding: chunked").replace(b"GET", b"POST")
    bodies = [connect(post("/echo", b"hello")[:-1]), connect(chunked + b"5\r\nhel"), connect(chunked + b"5")]

    assert statuses(everything(connect(get("/echo", CLOSE)))) == [200]
    for link in bodies:
        got = everything(link)
        assert statuses(got) == [408]
        assert error(got)["code"] == "request_timeout"
    for link in heads:
        assert set(statuses(everything(link))) <= {200, 408}


def test_a_body_that_only_drips_is_told_408(connect):
    link = connect(post("/echo", b"x" * 1000)[:-1000])
    link.settimeout(0.1)
    got = b""
    while not got:
        link.sendall(b"x")
        with suppress(TimeoutError):
            got = link.recv(65536)

    assert statuses(got) == [408]


def test_a_body_that_ends_early_is_told_400(connect):
    link = connect(post("/echo", b"hello")[:-1])
    link.shutdown(socket.SHUT_WR)

    got = everything(link)

    assert statuses(got) == [400]
    assert error(got)["code"] == "incomplete_body"


def test_a_connection_without_requests_is_closed_without_a_word(connect):
    never, after = connect(), connect(get("/echo"))

    assert everything(never) == b""
    assert statuses(everything(after)) == [200]


def test_a_reader_that_stops_is_dropped(server, connect):
    connect(get("/stream?count=1000&gap=0&size=65536"), receive_buffer=4096)

    server.wait_for("app: closed")


def test_a_reset_in_the_middle_of_anything_harms_nobody(server, connect):
    for data in (b"", b"GET", post("/echo", b"hello")[:-1], get("/stream?count=9&gap=0.1"), get("/blob?size=5000000")):
        link = connect(data)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()

    assert statuses(everything(connect(get("/echo", CLOSE)))) == [200]
    assert "connection.failed" not in server.log()


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of hostile requests are not beside the checkout")
def test_every_byte_level_case_of_the_corpora_is_right(server):
    kinds = "smuggle,chunk,line,hdr,pipe"
    command = [sys.executable, CORPORA / "run.py", "raw", f"127.0.0.1:{server.port}", "--only", kinds]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = [line for line in ran.stdout.splitlines()[:-1] if not line.startswith(BEYOND)]

    assert wrong == []
    assert re.search(r"\d+ of \d\d right", ran.stdout)


def test_a_refused_request_has_an_id_the_clients_own_where_it_was_read(connect):
    unread = everything(connect(b"BAD\r\n\r\n"))
    read = everything(connect(get("/echo", "X-Request-Id: my-own-id", "X-Api-Key: a", "X-Api-Key: b")))
    escaped = everything(connect(get("/fail", "X-Request-Id: my-own-id", CLOSE)))

    assert re.search(rb"x-request-id: req_[0-9a-f]{32}\r\n", unread)
    assert b"x-request-id: my-own-id\r\n" in read
    assert b"x-request-id: my-own-id\r\n" in escaped
