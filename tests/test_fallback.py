"""gunicorn's own gevent class as Aura's fallback: what its hooks bring, and how it differs where they cannot."""

from __future__ import annotations

import gc
import json
import socket
from weakref import ref

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser

from aura import fallback
from aura.connection import Limits
from tests.classes import CLASSES, GUNICORN, IDS
from tests.security.watched import configured
from tests.server import gateway
from tests.test_worker import APP
from tests.wire import CLOSE, error, everything, get, post, statuses, until

pytestmark = pytest.mark.xdist_group("fallback")

QUICK = "python:tests.quick_conf"


@pytest.fixture(scope="module")
def server():
    """Aura itself, with no provider to ask."""
    with gateway(configured("http://127.0.0.1:1"), args=["-k", GUNICORN], conf=QUICK) as server:
        yield server


def said(server, data: bytes, receive_buffer: int = 0) -> bytes:
    with socket.socket() as link:
        link.settimeout(20)
        if receive_buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        link.connect(("127.0.0.1", server.port))
        link.sendall(data)
        return everything(link)


def test_a_request_is_refused_in_its_clients_grammar_where_its_head_could_be_read(server):
    """Of what gunicorn's parser refuses, not even the path is known: it is told in OpenAI's."""
    read = said(server, post("/v1/messages", b"{}", "Authorization: a", "Authorization: b", "X-Request-Id: mine"))
    unread = said(server, post("/v1/messages", b"{}", "X : y", "X-Request-Id: mine"))

    assert [statuses(read), statuses(unread)] == [[400], [400]]
    assert json.loads(read.partition(b"\r\n\r\n")[2])["type"] == "error"
    assert b"x-request-id: mine\r\n" in read
    assert {"message", "type", "param", "code"} == set(error(unread))
    assert b"x-request-id: req_" in unread


def test_what_was_refused_of_a_request_is_neither_told_nor_logged(server):
    got = said(server, get("/v1/models", "Authorization Bearer a-secret-without-a-colon"))

    assert statuses(got) == [400]
    assert b"a-secret" not in got
    assert "a-secret" not in server.log()


@pytest.mark.parametrize("served_by", CLASSES, ids=IDS)
def test_nobody_says_where_a_request_came_from(served_by):
    """Not even from loopback: no header moves the application, and those that contradict each other are nothing."""
    spoofed = ("Script_Name: /v1", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: off")
    with gateway(configured("http://127.0.0.1:1"), args=["-k", served_by]) as server:
        got = said(server, get("/actuator/health/liveness", *spoofed, CLOSE))

        assert statuses(got) == [200]
        assert b"gunicorn" not in got.lower()


def test_a_refused_head_request_is_answered_without_a_body(server):
    got = said(server, get("/v1/models", "Authorization: a", "Authorization: b").replace(b"GET", b"HEAD"))

    assert statuses(got) == [400]
    assert got.endswith(b"\r\n\r\n")


def test_an_unread_body_ends_the_connection_and_the_answer_says_so(server):
    data = post("/nowhere", b"x" * 100_000)[:-1]

    got = said(server, data)

    assert statuses(got) == [404]
    assert b"connection: close\r\n" in got.lower()


def test_a_reader_that_stops_is_dropped_and_is_no_error():
    with gateway(app=APP, args=["-k", GUNICORN], conf=QUICK) as server:
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.connect(("127.0.0.1", server.port))
            link.sendall(get("/stream?count=1000&gap=0&size=65536"))
            server.wait_for("app: closed")

        assert statuses(said(server, get("/echo", CLOSE))) == [200]
        assert "Traceback" not in server.log()


def test_a_client_behind_a_request_sent_ahead_is_noticed_when_something_is_sent_to_it():
    """Aura's own class notices at once: it takes in what comes while it works."""
    with gateway(app=APP, args=["-k", GUNICORN]) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
            link.sendall(get("/stream?count=100&gap=0.1"))
            until(link, b"data: 0 \n\n\r\n")
            link.sendall(get("/echo"))
            until(link, b"data: 2 \n\n\r\n")
        server.wait_for("app: closed")

        assert "app: gone" not in server.log()


def test_a_full_worker_lets_clients_wait():
    """Aura's own class refuses them at once: nobody waits for what may not come."""
    with (
        gateway(app=APP, args=["-k", GUNICORN, "--worker-connections", "1"]) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as held,
    ):
        held.sendall(post("/sleep?seconds=60", b""))
        server.wait_for("app: sleeping")
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as waiting:
            waiting.sendall(get("/echo", CLOSE))
            waiting.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            held.close()
            waiting.settimeout(20)

            assert statuses(everything(waiting)) == [200]


def test_a_request_leaves_nothing_to_the_garbage_collector():
    config = Config()
    config.set("http_parser", "python")
    near, far = socket.socketpair()
    with near, far:
        far.sendall(post("/v1/chat/completions", b"{}"))
        request = next(get_parser(config, near, ("127.0.0.1", 1)))
        fallback._pre_request(Limits(), None, request)
        assert (request.body.read(), request.should_close()) == (b"{}", False)
        gone = ref(request)
        gc.disable()
        try:
            del request
            assert gone() is None
        finally:
            gc.enable()
