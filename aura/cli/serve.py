"""``aura serve``."""

from __future__ import annotations

import argparse
import os
import sys

from .configured import CONFIGURATION_ERROR
from .declaring import Commands


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser("serve", parents=[shared], help="serve the API")
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", type=int, help="port to listen on")
    command.add_argument("--workers", type=int, help="worker processes (default: one a core)")
    command.set_defaults(run=run)


def _refusal() -> str | None:
    """Why these settings are not served, before anything listens; what is wrong in them is told later."""
    from ..configuration import ConfigurationError, load, may_serve

    try:
        return may_serve(load())
    except ConfigurationError:
        return None


def run(options: argparse.Namespace) -> int:
    """Become gunicorn."""
    for name in ("host", "port", "workers"):
        value = getattr(options, name)
        if value is not None:
            os.environ[f"AURA_SERVER_{name.upper()}"] = str(value)
    refusal = _refusal()
    if refusal:
        print(f"aura: {refusal}", file=sys.stderr)
        return CONFIGURATION_ERROR
    # The patch comes before anything that holds a socket or a lock.
    from gevent import monkey

    monkey.patch_all()
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = ["aura", "-c", "python:aura.gunicorn_conf", "aura.app:create_app()"]
    WSGIApplication("%(prog)s", prog="aura").run()
    return 0
