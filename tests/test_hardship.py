"""What the whole server does when its host lets it down, or its clients do."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import gevent
import pytest

from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .server import Server, gateway
from .wire import everything, get, post, statuses

pytestmark = pytest.mark.xdist_group("hardship")

NO_STORE = {"Cache-Control": "no-store"}


@pytest.fixture
def first():
    with Faulty() as first:
        yield first


def config(first: Faulty, more: str = "") -> str:
    return f"aura:\n{more}  providers:\n{provider('first', first.url)}"


def ask(server: Server, fault: str = "ok", stream: bool = True) -> Outcome:
    return chat(server.port, f"first/{fault}", stream=stream, headers=NO_STORE, limit=40)


def body(model: str, stream: bool = True) -> bytes:
    asked = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "nonce"}]}
    return post("/v1/chat/completions", json.dumps(asked).encode(), "Content-Type: application/json")


@pytest.fixture
def crowd():
    """Opens connections that say what they are told, and closes them in the end."""
    links: list[socket.socket] = []

    def dial(server: Server, count: int, said: bytes = b"", buffer: int = 0) -> list[socket.socket]:
        for _ in range(count):
            link = socket.socket()
            links.append(link)
            if buffer:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            link.connect(("127.0.0.1", server.port))
            link.sendall(said)
        return links[-count:]

    yield dial
    for link in links:
        link.close()


def established(pid: int, port: int) -> int:
    """How many client connections a process has."""
    own = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            own.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    local = f":{port:04X}"
    return sum(1 for line in lines if line[1].endswith(local) and line[3] == "01" and f"socket:[{line[9]}]" in own)


def unsent(port: int) -> list[int]:
    """Bytes that the kernel holds for each client of a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(line[4].partition(":")[0], 16) for line in lines if line[1].endswith(f":{port:04X}")]


def limit_descriptors(worker: int, more: int) -> None:
    """Let a worker open so many more than it has now."""
    lasting = len(os.listdir(f"/proc/{worker}/fd")) + more
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (lasting, resource.RLIM_INFINITY if more > 1000 else 4096))


@pytest.mark.parametrize("stream", [True, False])
def test_a_gateway_that_can_open_no_connection_says_so_and_blames_no_provider(first, stream):
    with Faulty() as second, gateway(config(first) + provider("second", second.url)) as server:
        worker = server.workers()[0]
        ask(server, stream=stream)
        while established(worker, server.port):
            gevent.sleep(0.01)
        for _ in range(10):  # what the worker lets go meanwhile makes room, for a call or two
            limit_descriptors(worker, 1)
            short = [chat(server.port, "second/ok", stream=stream, headers=NO_STORE) for _ in range(8)]
            if short[0].status == short[-1].status == 503:
                break
        limit_descriptors(worker, 100)

        assert [outcome.status for outcome in short] == [503] * 8
        assert {outcome.errors[0]["code"] for outcome in short} == {"overloaded"}
        assert {outcome.headers["retry-after"] for outcome in short} == {"1"}
        assert "circuit.changed" not in server.log()
        assert chat(server.port, "second/ok", stream=stream).text == text("nonce")


def test_a_crowd_beyond_all_descriptors_harms_nobody_for_longer_than_it_lasts(first, crowd):
    with gateway(config(first)) as server:
        worker = server.workers()[0]
        streams = [gevent.spawn(ask, server, "ok:interval:0.2") for _ in range(5)]
        while len(first.asked) < 5:
            gevent.sleep(0.01)
        limit_descriptors(worker, 20)
        links = crowd(server, 100)
        server.wait_for("descriptors.exhausted")

        assert [stream.get().text for stream in streams] == [text("nonce")] * 5

        for link in links:
            link.close()
        assert ask(server).text == text("nonce")
        assert [worker] == server.workers()
        assert "Traceback" not in server.log()


def test_a_killed_worker_takes_its_own_streams_with_it_and_no_others(first, crowd):
    with gateway(config(first), workers=2) as server:
        while not all(established(pid, server.port) for pid in server.workers()):
            crowd(server, 1)
            gevent.sleep(0.05)
        running = [gevent.spawn(ask, server, "ok:interval:0.2") for _ in range(20)]
        while len(first.asked) < 20:
            gevent.sleep(0.01)
        os.kill(server.workers()[0], signal.SIGKILL)
        outcomes = [stream.get() for stream in running]
        answered = ask(server)

        cut = [outcome for outcome in outcomes if not outcome.whole]
        assert all(outcome.text == text("nonce") for outcome in outcomes if outcome.whole)
        assert 0 < len(cut) < 20
        assert not any(outcome.done for outcome in cut)
        assert answered.text == text("nonce")


def test_a_worker_that_stands_still_is_replaced_and_the_other_serves_on(first):
    """SIGSTOP stands for a loop that is blocked: nothing of the worker runs, the master must notice by itself."""
    with gateway(config(first), workers=2, args=["--timeout", "3"]) as server:
        before = server.workers()
        os.kill(before[0], signal.SIGSTOP)
        answers = []
        while "WORKER TIMEOUT" not in server.log():
            answers.append(ask(server).text)
            gevent.sleep(0.05)
        server.wait_for(r"(?s)WORKER TIMEOUT.*Booting worker")

        assert set(answers) == {text("nonce")}
        assert ask(server).text == text("nonce")


def test_a_worker_that_stands_still_while_it_boots_is_replaced(first, tmp_path):
    """The first one's application never comes."""
    (tmp_path / "stuck.py").write_text(
        "import os, time\nfrom aura.app import create_app\n"
        "try:\n    os.close(os.open('stuck', os.O_CREAT | os.O_EXCL))\n    time.sleep(600)\n"
        "except FileExistsError:\n    app = create_app()\n"
    )
    with gateway(config(first), app="stuck:app", args=["--timeout", "3", "--chdir", str(tmp_path)]) as server:
        server.wait_for(r"(?s)WORKER TIMEOUT.*Booting worker")

        assert ask(server).text == text("nonce")


def test_a_full_worker_refuses_at_once_in_the_clients_grammar(first, crowd):
    with gateway(config(first, "  server: {worker-connections: 3}\n")) as server:
        for number in range(3):
            crowd(server, 1, body(f"first/silence:number:{number}"))
        while len(first.asked) < 3:
            gevent.sleep(0.01)
        refused = ask(server, stream=False)

        assert refused.status == 503
        assert (refused.errors[0]["code"], refused.headers["retry-after"]) == ("overloaded", "1")


def test_what_a_reader_does_not_take_is_held_back_at_the_provider(first, crowd):
    """It would pile up in memory otherwise; nobody else waits for it."""
    with gateway(config(first)) as server:
        ask(server)
        links = [crowd(server, 1, body(f"first/torrent:reader:{number}"), 2048)[0] for number in range(8)]
        while len(first.asked) < 9:
            gevent.sleep(0.01)
        quick = [ask(server) for _ in range(20)]
        held = [asked.connection for asked in first.asked if "reader" in asked.options]

        assert {outcome.text for outcome in quick} == {text("nonce")}
        assert not set(held) & set(first.ends)
        assert 0 < max(unsent(server.port)) < 200 * 1024

        left = time.monotonic()
        for link in links:
            link.close()
        assert max(first.ended_at(connection) for connection in held) - left < 2


@pytest.mark.parametrize(
    "half",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        body("first/ok")[:-20],
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
    ],
    ids=["head", "body", "chunk"],
)
def test_slow_senders_are_put_out_and_honest_calls_answered_meanwhile(first, crowd, half):
    limits = {"LIMITS": json.dumps({"head": 1.0, "body": 1.5, "slack": 1.0})}
    with gateway(config(first), env=limits, args=["-k", "tests.worker_conf.Worker"]) as server:
        links = crowd(server, 50, half)
        honest = [ask(server) for _ in range(10)]

        assert {outcome.text for outcome in honest} == {text("nonce")}
        assert {tuple(statuses(everything(link))) for link in links} == {(408,)}
        assert not any(asked.fault == "" for asked in first.asked)


def test_a_server_whose_log_is_full_serves_on(first):
    """A full disk is a file that takes nothing."""
    with gateway(config(first, "  log: {file: /dev/full}\n"), args=["--error-logfile", "/dev/stderr"]) as server:
        assert ask(server).text == text("nonce")
        assert ask(server, "hangup").status == 502


def test_a_server_whose_metrics_have_no_room_serves_on(first, crowd, tmp_path):
    folder = tmp_path / "metrics"
    with gateway(config(first), env={"PROMETHEUS_MULTIPROC_DIR": str(folder)}) as server:
        ask(server)
        shutil.rmtree(folder)
        answers = [ask(server, fault).status for fault in ("ok", "hangup", "ok:other:1")]
        health = crowd(server, 1, get("/actuator/health", "Connection: close"))[0]

        assert answers == [200, 502, 200]
        assert statuses(everything(health)) == [200]
