"""Clients that leave, under Aura's worker class and under gunicorn's own: whoever serves them learns it at once."""

from __future__ import annotations

import os
import signal
import socket
import struct

import pytest

from tests.classes import IDS
from tests.server import gateway
from tests.test_worker import APP, CLASSES, CONF
from tests.wire import CLOSE, everything, get, post, statuses, until

pytestmark = pytest.mark.xdist_group("disconnect")


@pytest.fixture(scope="module", params=CLASSES, ids=IDS)
def server(request):
    """A worker of either class."""
    with gateway(env={"WORKER_CLASS": request.param}, conf=CONF, app=APP) as server:
        yield server


@pytest.fixture
def connect(server):
    """Open a connection, and wait until the application has taken its request up."""
    opened = []

    def open_one(data: bytes, seen: str = "") -> socket.socket:
        before = server.log().count(seen)
        link = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        opened.append(link)
        link.sendall(data)
        if seen:
            server.wait_for(f"(?s)(.*{seen}){{{before + 1}}}")
        return link

    yield open_one
    for link in opened:
        link.close()


def fin(link: socket.socket) -> None:
    link.close()


def half(link: socket.socket) -> None:
    link.shutdown(socket.SHUT_WR)


def rst(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


@pytest.mark.parametrize("leave", [fin, half, rst])
def test_a_client_that_leaves_while_an_answer_is_made_is_noticed(server, connect, leave):
    """The application sleeps for a minute: only the watch can end it."""
    link = connect(post("/sleep?seconds=60", b"hello"), "app: sleeping")
    gone = server.log().count("app: gone")
    leave(link)

    server.wait_for(f"(?s)(.*app: gone){{{gone + 1}}}")


@pytest.mark.parametrize("leave", [fin, half, rst])
def test_a_client_that_leaves_in_the_middle_of_a_stream_is_noticed(server, connect, leave):
    link = connect(get("/stream?count=2&gap=60"))
    until(link, b"data: 0 \n\n\r\n")
    gone = server.log().count("app: gone")
    leave(link)

    server.wait_for(f"(?s)(.*app: gone){{{gone + 1}}}")


def test_a_request_sent_ahead_is_not_taken_for_an_end(connect):
    link = connect(get("/sleep?seconds=0.3"), "app: sleeping")
    link.sendall(get("/echo", CLOSE))

    assert statuses(everything(link)) == [200, 200]


def test_work_goes_on_when_the_watch_has_ended(server, connect):
    link = connect(get("/afterwards?seconds=0.3"), "app: sleeping")
    link.close()

    server.wait_for("app: finished")


def test_a_client_that_leaves_is_no_error(server, connect):
    link = connect(get("/sleep?seconds=60"), "app: sleeping")
    gone = server.log().count("app: gone")
    rst(link)
    server.wait_for(f"(?s)(.*app: gone){{{gone + 1}}}")

    assert statuses(everything(connect(get("/echo", CLOSE)))) == [200]
    assert "Traceback" not in server.log()


def test_a_client_behind_a_request_sent_ahead_is_noticed_by_the_own_class():
    with gateway(conf=CONF, app=APP) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
            link.sendall(get("/sleep?seconds=60"))
            server.wait_for("app: sleeping")
            link.sendall(get("/echo"))

        server.wait_for("app: gone")


def test_descriptors_and_watches_do_not_pile_up(server, connect):
    worker = server.workers()[0]
    everything(connect(get("/echo", CLOSE)))
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for leave in (fin, rst) * 10:
        leave(connect(get("/sleep?seconds=60")))
        leave(connect(get("/stream?count=2&gap=60")))
    everything(connect(get("/echo", CLOSE)))
    link = connect(get("/sleep?seconds=0.5"))
    everything_seen = link.recv(65536)

    assert everything_seen.startswith(b"HTTP/1.1 200")
    assert before + 1 >= len(os.listdir(f"/proc/{worker}/fd"))


def test_a_killed_worker_is_replaced():
    with gateway(conf=CONF, app=APP) as server:
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for("(?s)Booting worker.*Booting worker")
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
            link.sendall(get("/echo", CLOSE))

            assert statuses(everything(link)) == [200]
