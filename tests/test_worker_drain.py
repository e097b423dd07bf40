"""What becomes of requests when the server is told to stop or to reload, and when it is full."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading

import pytest

from tests.classes import IDS
from tests.server import gateway
from tests.test_worker import APP, CLASSES, CONF
from tests.wire import CLOSE, error, everything, get, post, statuses, until

pytestmark = pytest.mark.xdist_group("drain")


@pytest.fixture
def dial():
    """Open connections that are closed at the test's end."""
    opened = []

    def dial_one(server, data: bytes = b"") -> socket.socket:
        link = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        opened.append(link)
        link.sendall(data)
        return link

    yield dial_one
    for link in opened:
        link.close()


@pytest.fixture(params=CLASSES, ids=IDS)
def environment(request):
    """Either worker class."""
    return {"WORKER_CLASS": request.param}


def test_a_stopped_server_finishes_what_it_has_begun(environment, dial):
    with gateway(env=environment, conf=CONF, app=APP) as server:
        answer = dial(server, post("/sleep?seconds=0.5", b""))
        stream = dial(server, get("/stream?count=5&gap=0.1"))
        server.wait_for("app: sleeping")
        until(stream, b"data: 0 \n\n\r\n")
        server.signal(signal.SIGTERM)

        assert everything(answer).endswith(b"slept")
        assert everything(stream).endswith(b"data: 4 \n\n\r\n0\r\n\r\n")
        assert server.wait() == 0
        assert "Traceback" not in server.log()


def test_who_cannot_be_waited_for_is_told(environment, dial):
    """Answers become 503, streams end in-band, before the master would kill the worker."""
    with gateway(env=environment, conf=CONF, app=APP, args=["--graceful-timeout", "2"]) as server:
        answers = [dial(server, get("/sleep?seconds=60")) for _ in range(5)]
        streams = [dial(server, get("/stream?count=2&gap=60")) for _ in range(5)]
        for link in streams:
            until(link, b"data: 0 \n\n\r\n")
        server.wait_for("(?s)(.*app: sleeping){5}")
        server.signal(signal.SIGTERM)

        for link in answers:
            got = everything(link)
            assert statuses(got) == [503]
            assert got.endswith(b"told")
        for link in streams:
            assert everything(link).endswith(b"data: told\n\n\r\n0\r\n\r\n")
        assert server.wait() == 0


def test_an_application_that_does_not_listen_for_the_end_answers_503_all_the_same(environment, dial):
    with gateway(env=environment, conf=CONF, app=APP, args=["--graceful-timeout", "1"]) as server:
        link = dial(server, get("/unwary"))
        server.wait_for("app: sleeping")
        server.signal(signal.SIGTERM)

        got = everything(link)
        assert statuses(got) == [503]
        assert error(got)["code"] == "server_shutting_down"
        assert server.wait() == 0


def test_who_does_not_listen_is_cut(environment, dial):
    with gateway(env=environment, conf=CONF, app=APP, args=["--graceful-timeout", "1"]) as server:
        link = dial(server, get("/afterwards?seconds=60"))
        server.wait_for("app: sleeping")
        server.signal(signal.SIGTERM)

        assert statuses(everything(link)) == []
        assert server.wait() == 0


def test_readiness_says_503_and_connections_are_still_taken_during_the_delay(environment, dial):
    with gateway(env=environment | {"DRAIN_DELAY": "1"}, conf=CONF, app=APP) as server:
        server.signal(signal.SIGTERM)
        server.wait_for("Handling signal: term")
        link = dial(server, get("/sleep?seconds=0.2"))
        server.wait_for("app: sleeping")

        assert everything(link).endswith(b"slept")
        assert statuses(everything(dial(server, get("/actuator/health")))) == [503]
        assert server.wait() == 0


def test_idle_connections_do_not_hold_up_the_end(environment, dial):
    with gateway(env=environment, conf=CONF, app=APP) as server:
        idle = [dial(server, get("/echo")) for _ in range(50)]
        for link in idle:
            until(link, b"\r\n\r\n")
        server.signal(signal.SIGTERM)

        assert {b""} == {everything(link) for link in idle}
        assert server.wait(10) == 0


def test_a_quick_shutdown_waits_for_nobody(environment, dial):
    with gateway(env=environment, conf=CONF, app=APP) as server:
        link = dial(server, get("/sleep?seconds=60"))
        server.wait_for("app: sleeping")
        server.signal(signal.SIGINT)

        assert server.wait(10) == 0
        assert statuses(everything(link)) == []


def test_a_reload_loses_nothing(dial):
    """Clients go on asking, on kept connections, while the workers change under them; a stream outlives its worker."""
    with gateway(conf=CONF, app=APP) as server:
        asked, answered, over = [0], [0], threading.Event()

        def ask():
            link = None
            while not over.is_set():
                link = link or dial(server)
                asked[0] += 1
                link.sendall(post("/echo", b"hello"))
                got = until(link, b"hello")
                answered[0] += 1
                if b"Connection: close" in got:
                    link.close()
                    link = None
            if link:
                link.close()

        stream = dial(server, get("/stream?count=12&gap=0.15"))
        until(stream, b"data: 0 \n\n\r\n")
        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        for times in (2, 3):
            server.signal(signal.SIGHUP)
            server.wait_for("(?s)" + "Booting worker.*" * times)
            server.wait_for("(?s)" + "Handling signal: hup.*" * (times - 1) + "Worker exiting" * (times > 2))
        assert everything(stream).endswith(b"data: 11 \n\n\r\n0\r\n\r\n")
        over.set()
        for client in clients:
            client.join()

        assert answered == asked
        assert asked[0] > 100
        assert "Traceback" not in server.log()


def test_a_full_worker_says_so_at_once(dial):
    with gateway(conf=CONF, app=APP, args=["--worker-connections", "3"]) as server:
        held = [dial(server, get("/sleep?seconds=60")) for _ in range(3)]
        server.wait_for("(?s)(.*app: sleeping){3}")

        for _ in range(3):
            got = everything(dial(server, post("/echo", b"hello")))
            assert statuses(got) == [503]
            assert error(got)["code"] == "overloaded"
            assert b"Retry-After: 1\r\n" in got

        held[0].close()
        server.wait_for("app: gone")
        assert statuses(everything(dial(server, get("/echo", CLOSE)))) == [200]


def test_a_full_worker_gives_up_idle_connections_first(dial):
    with gateway(conf=CONF, app=APP, args=["--worker-connections", "3", "--keep-alive", "60"]) as server:
        idle = [dial(server, get("/echo")) for _ in range(3)]
        for link in idle:
            until(link, b"\r\n\r\n")

        assert statuses(everything(dial(server, get("/echo", CLOSE)))) == [200]
        assert everything(idle[0]) == b""


def test_a_worker_without_descriptors_lives_on(dial):
    with gateway(conf=CONF, app=APP) as server:
        worker = server.workers()[0]
        open_now = len(os.listdir(f"/proc/{worker}/fd"))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (open_now + 5, open_now + 5))
        held = [dial(server, get("/sleep?seconds=60")) for _ in range(10)]
        server.wait_for("(?s)(.*app: sleeping){4}")
        for link in held:
            link.close()

        assert statuses(everything(dial(server, get("/echo", CLOSE)))) == [200]
        assert [worker] == server.workers()
        assert "Traceback" not in server.log()


def test_a_worker_that_has_served_enough_is_replaced_without_loss(dial):
    with gateway(conf=CONF, app=APP, args=["--max-requests", "5"], workers=2) as server:
        for _ in range(30):
            assert statuses(everything(dial(server, get("/echo", CLOSE)))) == [200]

        server.wait_for("Autorestarting")


def test_a_passed_on_socket_refuses_nobody_while_the_server_restarts(dial):
    """As systemd does it: the listening socket lives on, clients queue until the next server takes it."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    bind = ["-b", f"fd://{listening.fileno()}"]
    with listening, gateway(conf=CONF, app=APP, args=bind, pass_fds=[listening.fileno()]) as first:
        assert first.port == listening.getsockname()[1]
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
        waiting = [dial(first, get("/echo", CLOSE)) for _ in range(20)]
        with gateway(conf=CONF, app=APP, args=bind, pass_fds=[listening.fileno()]):
            assert {200} == {statuses(everything(link))[0] for link in waiting}


def test_a_worker_whose_loop_is_blocked_is_replaced(dial):
    with gateway(conf=CONF, app=APP, args=["--timeout", "2"]) as server:
        blocked = dial(server, get("/block"))

        assert everything(blocked) == b""
        assert statuses(everything(dial(server, get("/echo", CLOSE)))) == [200]
        assert "WORKER TIMEOUT" in server.log()


def test_the_worker_class_refuses_tls(tmp_path):
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("")
    arguments = ["--certfile", str(certificate), "--keyfile", str(certificate)]
    with gateway(conf=CONF, app=APP, args=arguments, wait=False) as server:
        assert server.wait() == 78
        assert "does not speak TLS" in server.log()
