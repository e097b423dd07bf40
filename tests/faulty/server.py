"""The server: takes connections, reads requests, commits the faults asked for, and keeps the books."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque

import gevent
from gevent.event import Event

from . import streams  # noqa: F401  (its faults make themselves known)
from .faults import FAULTS, ok
from .grammar import Asked
from .sockets import Gone, listener, reset, watch


class Faulty:
    """The server. ``url`` is where it listens.

    Args:
        accept: what becomes of every connection at once: ``reset``, ``close``, ``silence`` (what comes is read),
            ``stuck`` (it is not), or "" to be served.
        tls: the context of a server that speaks TLS.
    """

    def __init__(self, accept: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.next: deque[str] = deque()
        self.always = ""
        self.says: deque[list[bytes | float | str]] = deque()
        self.asked: list[Asked] = []
        self.ends: dict[int, tuple[str, float]] = {}
        self.connections = 0
        self.received = self.sent = 0
        self.canary_connections = 0
        self._accept, self._tls = accept, tls
        self._changed = Event()
        self._greenlets: list[gevent.Greenlet] = []

    def __enter__(self) -> Faulty:
        self._listener = listener()
        self._canary = listener()
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self.canary = f"http://127.0.0.1:{self._canary.getsockname()[1]}/canary"
        self._greenlets += [gevent.spawn(self._listen), gevent.spawn(self._watch_canary)]
        return self

    def __exit__(self, *error: object) -> None:
        gevent.killall(self._greenlets)
        self._listener.close()
        self._canary.close()

    def faults(self) -> list[str]:
        """The faults of the requests so far, in order; ``ok`` for a good answer."""
        return [asked.fault for asked in self.asked]

    def end(self, connection: int = 0, seconds: float = 5) -> str:
        """How the client ended a connection: ``fin`` or ``reset``; waits for it. ``server``: it was closed here."""
        return self._await_end(connection, seconds)[0]

    def ended_at(self, connection: int = 0, seconds: float = 5) -> float:
        """Monotonic seconds at which a connection ended; waits for it."""
        return self._await_end(connection, seconds)[1]

    def _await_end(self, connection: int, seconds: float) -> tuple[str, float]:
        deadline = time.monotonic() + seconds
        while connection not in self.ends:
            self._changed.clear()
            assert self._changed.wait(max(0.0, deadline - time.monotonic())), f"connection {connection} is still open"
        return self.ends[connection]

    def open_connections(self) -> int:
        return self.connections - len(self.ends)

    def _listen(self) -> None:
        while True:
            link, _ = self._listener.accept()
            self._greenlets.append(gevent.spawn(self._serve, link, self.connections))
            self.connections += 1

    def _watch_canary(self) -> None:
        while True:
            self._canary.accept()[0].close()
            self.canary_connections += 1

    def _serve(self, link: socket.socket, number: int) -> None:
        end = "server"
        try:
            if self._accept == "reset":
                reset(link)
                return
            if self._accept == "silence":
                watch(link)
            elif self._accept == "plain":
                link.sendall(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            elif self._accept == "stuck":
                Event().wait()
            elif not self._accept:
                if self._tls:
                    link = self._tls.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
                    link.do_handshake()
                Conversation(self, link, number).run()
        except Gone as gone:
            end = str(gone)
        except (ssl.SSLError, OSError) as error:
            end = "reset" if isinstance(error, ConnectionError) else "tls"
        finally:
            self.ends[number] = end, time.monotonic()
            self._changed.set()
            link.close()


class Closed(Exception):
    """The server's own doing."""


class Conversation:
    """One connection: reads requests, commits the faults asked for."""

    def __init__(self, server: Faulty, link: socket.socket, number: int) -> None:
        self.server, self.link, self.number = server, link, number
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def run(self) -> None:
        order = 0
        try:
            while True:
                asked = self.read(order)
                self.server.asked.append(asked)
                FAULTS.get(asked.fault, ok)(self, asked)
                order += 1
        except Closed:
            return

    def read(self, order: int) -> Asked:
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.receive()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        asked = Asked(self.number, order, method, path, headers, b"")
        self.choose(asked)
        length = int(headers.get("content-length", 0))
        if asked.fault == "early":
            return asked
        while len(self.rest) < length:
            self.rest += self.receive()
            if asked.fault == "slow-reader":
                gevent.sleep(asked.number("interval", 1))
        asked.body, self.rest = self.rest[:length], self.rest[length:]
        if not asked.fault and b'"model"' in asked.body:
            name_fault(asked, str(asked.json().get("model")))
        asked.fault = asked.fault or "ok"
        return asked

    def choose(self, asked: Asked) -> None:
        if self.server.next or self.server.always:
            name_fault(asked, self.server.next.popleft() if self.server.next else self.server.always)
            return
        for spec in (asked.headers.get("x-fault", ""), asked.path[1:].partition("/")[0]):
            if name_fault(asked, spec):
                return

    def receive(self) -> bytes:
        try:
            data = self.link.recv(65536)
        except OSError:
            raise Gone("reset") from None
        if not data:
            raise Gone("fin")
        self.server.received += len(data)
        return data

    def pause(self, seconds: float) -> None:
        """Wait, but notice the client's end."""
        if not seconds:
            return
        self.link.settimeout(seconds)
        try:
            data = self.link.recv(65536)
        except TimeoutError:
            return
        except OSError:
            raise Gone("reset") from None
        finally:
            self.link.settimeout(None)
        if not data:
            raise Gone("fin")
        self.rest += data

    def send(self, data: bytes) -> None:
        try:
            self.link.sendall(data)
        except OSError:
            raise Gone("reset") from None
        self.server.sent += len(data)

    def head(self, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def answer(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.head(status, kind, content_length=str(len(body)), **headers)
        self.send(body)

    def chunk(self, data: bytes) -> None:
        if data:
            self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        self.send(b"0\r\n\r\n")

    def close(self, how: str = "fin") -> None:
        """Close at once: ``fin`` or ``rst``."""
        if how == "rst":
            reset(self.link)
        else:
            self.link.close()
        raise Closed

    def hang(self) -> None:
        """Say nothing more until the client leaves."""
        while True:
            self.receive()


def name_fault(asked: Asked, spec: str) -> bool:
    name, *options = spec.split(":")
    if name in FAULTS or name == "ok":
        asked.fault = name
        asked.options = dict(zip(options[::2], options[1::2], strict=True))
        return True
    return False
