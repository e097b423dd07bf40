"""A real redis-server, started for a test (Debian: ``apt-get install redis-server``)."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time

import gevent
import pytest
import redis

NEEDS_REDIS = [
    pytest.mark.xdist_group("redis"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server here"),
    # A connection that was being made when a call's patience ended is closed when nobody holds it any more.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


class Redis:
    """A redis-server on a port of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aura-redis-")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._clients: list[redis.Redis] = []
        self.start()

    def start(self, *options: str) -> None:
        """Start it, and wait until it listens."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", *options]
        self.process = subprocess.Popen(command, cwd=self._folder.name, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=20).close()
                return
            except OSError:
                assert time.monotonic() < until
                gevent.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self, *options: str) -> None:
        self.kill()
        self.start(*options)

    def client(self, **more: object) -> redis.Redis:
        self._clients.append(redis.Redis(port=self.port, **more))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.process.send_signal(signal.SIGCONT)
        self.kill()
        self._folder.cleanup()
