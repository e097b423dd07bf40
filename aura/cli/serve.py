"""``aura serve``."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import TYPE_CHECKING

from .configured import CONFIGURATION_ERROR, FAILED, complain
from .declaring import Commands

if TYPE_CHECKING:
    from ..settings import Settings


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser("serve", parents=[shared], help="serve the API")
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", type=int, help="port to listen on")
    command.add_argument("--workers", type=int, help="worker processes (default: one a core)")
    command.set_defaults(run=run)


def _settings() -> Settings | None:
    """The settings; None if something is wrong in them, which is told later."""
    from ..configuration import ConfigurationError, load

    try:
        return load()
    except ConfigurationError:
        return None


def _unusable(host: str, port: int) -> str | None:
    """Why an address cannot be listened on; None if it can. gunicorn would try for five seconds before it says so."""
    if os.environ.get("LISTEN_FDS"):  # the socket is there already
        return None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
            trial.listen(1)
    except OSError as error:
        return f"cannot listen on {host or 'every address'}, port {port}: {error.strerror or error}"
    return None


def run(options: argparse.Namespace) -> int:
    """Become gunicorn."""
    for name in ("host", "port", "workers"):
        value = getattr(options, name)
        if value is not None:
            os.environ[f"AURA_SERVER_{name.upper()}"] = str(value)
    settings = _settings()
    if settings is not None:
        from ..configuration import may_serve

        if refusal := may_serve(settings):
            complain(refusal)
            return CONFIGURATION_ERROR
        if problem := _unusable(settings.server.host, settings.server.port):
            complain(problem)
            return FAILED
    # The patch comes before anything that holds a socket or a lock.
    from gevent import monkey

    monkey.patch_all()
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = ["aura", "-c", "python:aura.gunicorn_conf", "aura.app:create_app()"]
    WSGIApplication("%(prog)s", prog="aura").run()
    return 0
