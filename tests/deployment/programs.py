"""The programs that read the deployment files, run on loopback for a test."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server import ROOT

_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 5


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing; ``package`` is Debian's that has it."""
    return pytest.mark.skipif(
        found(program) is None, reason=f"{program} is not installed (Debian's package {package} has it)"
    )


def found(program: str) -> str | None:
    """Where a program is; Debian keeps some where only root looks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


class DidNotStart(Exception):
    """A program ended, or does not listen in time."""


@contextmanager
def running(command: Sequence[str | Path], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block, from when it listens on ``port``."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"{command[0]} does not listen:\n{log.read_text()}")
            time.sleep(_POLL_SECONDS)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def on_free_port(command: Callable[[int], list[Any]], log: Path) -> Iterator[int]:
    """Run a program that cannot choose a free port itself: another process may take the one found before it does."""
    with ExitStack() as stack:
        for _ in range(_ATTEMPTS):
            port = free_port()
            try:
                stack.enter_context(running(command(port), port, log))
                break
            except DidNotStart as error:
                if "address already in use" not in str(error).lower():
                    raise
        yield port


def _listens(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


class Nginx:
    """A running nginx with the shipped configuration; ``port`` is where it listens."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it has to say of itself."""
        return (self.folder / "error.log").read_text()


def configured(folder: Path, port: int, instances: Sequence[int], changes: Sequence[tuple[str, str]] = ()) -> Path:
    """Write the shipped configuration with this test's ports, and the main file around it; returns the latter.

    Args:
        changes: further regular expressions and what to put in their place.
    """
    text = (ROOT / "nginx" / "aura.conf").read_text()
    servers = "".join(f"    server 127.0.0.1:{one} max_fails=1 fail_timeout=5s;\n" for one in instances)
    fixed = [
        (r"(    server 127\.0\.0\.1:\d+ .*\n)+", servers),
        (r"listen 80;", f"listen 127.0.0.1:{port};"),
        (r"/var/log/nginx/", f"{folder}/"),
    ]
    for pattern, new in [*changes, *fixed]:
        text, count = re.subn(pattern, new, text)
        assert count, f"the shipped file has no {pattern!r}"
    (folder / "aura.conf").write_text(text)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in names)
    main = folder / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""  # the test's folder is its own
    main.write_text(
        f"{user}daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error.log notice;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{\n{temporary}    include {folder}/aura.conf;\n}}\n"
    )
    return main


@contextmanager
def nginx(folder: Path, instances: Sequence[int], changes: Sequence[tuple[str, str]] = ()) -> Iterator[Nginx]:
    """Run nginx in front of the instances that listen on these ports of 127.0.0.1."""

    def command(port: int) -> list[Any]:
        return [found("nginx"), "-e", folder / "error.log", "-c", configured(folder, port, instances, changes)]

    with on_free_port(command, folder / "nginx.out") as port:
        yield Nginx(port, folder)
