"""``aura models``."""

from __future__ import annotations

import argparse

from .configured import CONFIGURATION_ERROR, loaded
from .declaring import Commands


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser("models", parents=[shared], help="list tiers and targets")
    command.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """List what can be asked for, one a line."""
    from .. import catalogue
    from ..router import Router

    settings = loaded()
    if settings is None:
        return CONFIGURATION_ERROR
    for name, _model, provider in Router(settings, catalogue.load()).models():
        print(f"{name:48} {provider}")
    return 0
