"""Ports that nobody serves, and connections that end badly."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager


class Gone(Exception):
    """The client ended the connection, by ``fin`` or ``reset``."""


def listener(backlog: int = 1024) -> socket.socket:
    link = socket.socket()
    link.bind(("127.0.0.1", 0))
    link.listen(backlog)
    return link


def reset(link: socket.socket) -> None:
    """Close so that the client sees a reset."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.close()


def watch(link: socket.socket) -> None:
    try:
        while link.recv(65536):
            pass
    except OSError:
        raise Gone("reset") from None
    raise Gone("fin")


def closed_port() -> int:
    """A port that refuses connections."""
    with listener() as link:
        return link.getsockname()[1]


@contextmanager
def blackhole() -> Iterator[int]:
    """A port that swallows connections: nobody accepts, and there is no room left to wait in."""
    with listener(0) as link:
        port = link.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()
