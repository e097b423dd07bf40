"""gunicorn's own lines, in the log's form and place; what its command line says of its log goes before that."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from . import log
from .settings import LogSettings


def logger_class(settings: LogSettings) -> type[GunicornLogger]:
    """Make gunicorn's ``logger_class`` for these settings."""
    return type("Logger", (_Logger,), {"settings": settings})


class _Logger(GunicornLogger):  # type: ignore[misc]
    settings: LogSettings

    def setup(self, cfg: Any) -> None:
        """Send the lines where the configuration says; called again at a reload."""
        super().setup(cfg)
        if cfg.errorlog != "-":
            return  # the command line names a file of its own
        # At a reload this is still the first one's class.
        settings = getattr(cfg.logger_class, "settings", self.settings)
        own = log.handler(settings)
        if settings.file:
            with suppress(OSError):  # it is no file of ours (a pipe, a device), or workers run as the same user
                os.chown(settings.file, cfg.user, cfg.group)
        for handler in list(self.error_log.handlers):
            if isinstance(handler, log.Handler) or getattr(handler, "_gunicorn", False):
                self.error_log.removeHandler(handler)
                handler.close()
        self.error_log.addHandler(own)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Of a client that takes nothing there is nothing to tell; gunicorn's own classes bring a traceback."""
        if not isinstance(sys.exc_info()[1], TimeoutError):
            super().exception(msg, *args, **kwargs)

    def reopen_files(self) -> None:
        """SIGUSR1: the log was rotated."""
        super().reopen_files()
        log.reopen()
