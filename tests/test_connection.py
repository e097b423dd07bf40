"""A client connection in the process: what it leaves behind."""

from __future__ import annotations

import gc
import socket
import weakref
from typing import Any

import gevent
import pytest

from aura.connection import Connection, Limits

ASKED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class Worker:
    """A worker with one connection."""

    limits, kept_idle, date = Limits(), 0, "Tue, 24 Nov 2026 12:00:00 GMT"

    def __init__(self) -> None:
        self.served = 0

    def wsgi(self, _environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Length", "0")])
        return []

    def count(self) -> None:
        self.served += 1

    def patience(self) -> float:
        return 5.0

    def forget(self, connection: Connection) -> None:
        pass


class Mark:
    """An object that lives as long as an environ."""


@pytest.mark.parametrize("requests", [1, 2, 5])
def test_a_connection_leaves_nothing_for_the_garbage_collector(requests: int) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    worker, mark = Worker(), Mark()
    left = weakref.ref(mark)
    gc.collect()
    gc.disable()
    try:
        connection = Connection(worker, ours, {"mark": mark}, refused=False)  # type: ignore[arg-type]
        served = connection.greenlet
        theirs.sendall(ASKED * requests)
        theirs.shutdown(socket.SHUT_WR)
        with gevent.Timeout(5):
            while not served.dead:
                gevent.sleep(0)
        del connection, served, mark

        assert worker.served == requests
        assert left() is None
    finally:
        gc.enable()
        theirs.close()
