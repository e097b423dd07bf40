"""What the subcommands have in common: the settings, or a word on what is wrong with them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import Settings

CONFIGURATION_ERROR = 78  # EX_CONFIG of sysexits.h
FAILED = 1


def loaded(path: str | None = None) -> Settings | None:
    """The settings, or None after the problems were printed."""
    from ..configuration import ConfigurationError, load

    try:
        return load(path)
    except ConfigurationError as error:
        for where, problem in error.problems:
            complain(f"{where}: {problem}")
        return None


def warn_of_demo(settings: Settings, name: str = "the configuration") -> None:
    """Say so where every cost is nothing because no provider is on."""
    if all(provider.type == "demo" for provider in settings.providers.values()):
        complain(f"{name} has no provider that is on, so nothing has a price; 'api-key: none' will do")


def complain(what: str) -> None:
    """Tell a person, beside the output."""
    print(f"aura: {what}", file=sys.stderr)
