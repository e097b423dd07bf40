"""The ``aura`` command: ``python -m aura`` is the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .cli import parser
from .cli.configured import CONFIGURATION_ERROR, complain


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser().parse_args(argv)
    if options.config:
        if not os.path.isfile(options.config):
            complain(f"--config: there is no file {options.config}")
            return CONFIGURATION_ERROR
        os.environ["AURA_CONFIG"] = options.config
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has had enough; what is left must not be written at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
