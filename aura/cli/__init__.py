"""The subcommands, each in a module that declares its arguments and runs. Nothing heavy is imported before one runs."""

from __future__ import annotations

import argparse

from .. import __version__
from . import calibrate, chat, check, completion, explain, models, replay, serve, top

_COMMANDS = (serve, check, chat, top, models, explain, calibrate, replay, completion)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; ``run`` of what it gives is the function to call."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", metavar="FILE", help="the configuration (default: AURA_CONFIG, ./aura.yml, …)")
    made = argparse.ArgumentParser(
        prog="aura",
        description="An LLM gateway with OpenAI's API.",
        epilog="`aura COMMAND --help` tells more of a command.",
    )
    made.add_argument("--version", action="version", version=f"aura {__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.declare(commands, shared)
    return made
