"""Logs: one JSON line (or readable line) a record, on standard output or in a file, never blocking the loop.

Facts
  - Python asks for the caller's line and the thread's name of every record; a green thread that is new to it is
    registered as a thread for that. No format here shows either, so it is told not to (its HOWTO, "Optimization").
  - A record is written by one system call: it needs no lock, which under gevent takes longer than the call.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import sys
import time
from functools import lru_cache
from typing import Any

import orjson

from .settings import LogSettings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}


def setup(settings: LogSettings) -> None:
    """Send the records of all ``aura`` loggers where the settings say."""
    logging._srcfile = None
    logging.logThreads = False
    logger = logging.getLogger("aura")
    logger.setLevel(settings.level)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    formatter = JsonFormatter() if settings.format == "json" else TextFormatter()
    logger.addHandler(Handler(formatter, settings.file))


class Event(logging.LogRecord):
    """A record at INFO that is made of an event and its fields.

    What ``logger.info(event, extra=fields)`` makes, in a tenth of the time: the line that every request ends in.
    """

    def __init__(self, logger: str, event: str, fields: dict[str, Any]) -> None:
        vars(self).update(_EMPTY)
        self.name, self.msg, self.created = logger, event, time.time()
        self.fields = fields


_EMPTY = vars(logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO"}))


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a record was given by ``extra``."""
    if isinstance(record, Event):
        return record.fields
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; a traceback becomes one string."""
        return self.line(record).decode()

    def line(self, record: logging.LogRecord) -> bytes:
        """Render a record as bytes."""
        line = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A line for people: time, level, event, then ``key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record on one line, without control characters."""
        pairs = " ".join(f"{key}={value}" for key, value in fields(record).items() if value not in (None, ""))
        line = f"{_time(record.created)} {record.levelname:7} {record.getMessage()} {pairs}".rstrip()
        if record.exc_info:
            line += " traceback=" + self.formatException(record.exc_info)
        return line.translate(_CONTROL)

    def line(self, record: logging.LogRecord) -> bytes:
        """Render a record as bytes."""
        return self.format(record).encode("utf-8", "backslashreplace")


def _time(created: float) -> str:
    return f"{_second(int(created))}.{int(created % 1 * 1000):03d}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class Handler(logging.Handler):
    """Writes lines without ever waiting: what a full pipe does not take is dropped and counted.

    Args:
        path: a file, opened for appending; empty for standard output.
    """

    def __init__(self, formatter: JsonFormatter | TextFormatter, path: str = "") -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.dropped = 0
        self._line = formatter.line
        self._path = path
        self._open()

    def createLock(self) -> None:  # noqa: N802  (logging's name)
        """Make none."""
        self.lock = None

    def _open(self) -> None:
        self._socket: socket.socket | None = None
        if self._path:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            return
        try:
            self._fd = sys.stdout.fileno()
            mode = os.fstat(self._fd).st_mode
        except (OSError, ValueError):
            self._fd = os.open(os.devnull, os.O_WRONLY)
            return
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(self._fd))
        elif stat.S_ISFIFO(mode):
            # Opened anew, so that "do not wait" is not set for the others who hold the same pipe.
            self._fd = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK)

    def reopen(self) -> None:
        """Open the file again after it was rotated."""
        if self._path:
            old = self._fd
            self._open()
            os.close(old)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or drop it."""
        try:
            line = self._line(record) + b"\n"
            if self._socket is not None:
                sent = self._socket.send(line, socket.MSG_DONTWAIT)
            else:
                sent = os.write(self._fd, line)
            if sent < len(line):
                self.dropped += 1
        except OSError:
            self.dropped += 1
