"""``aura check``."""

from __future__ import annotations

import argparse

from .configured import CONFIGURATION_ERROR, complain, loaded
from .declaring import Commands


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser("check", parents=[shared], help="validate the configuration; exit 78 if it is wrong")
    command.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """Say what is wrong, or what is on."""
    from ..configuration import may_serve, who_answers

    settings = loaded()
    if settings is None:
        return CONFIGURATION_ERROR
    refusal = may_serve(settings)
    if refusal:
        complain(refusal)
        return CONFIGURATION_ERROR
    for note in (*settings.notes, *who_answers(settings)):
        print(note)
    on = [name for name, provider in settings.providers.items() if provider.enabled]
    print(f"The configuration is right. Providers that are on: {', '.join(on)}.")
    return 0
