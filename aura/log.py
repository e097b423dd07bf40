"""Logs: one JSON line (or readable line) a record.

Facts
  - Python asks for the caller's line and the thread's name of every record; a green thread that is new to it is
    registered as a thread for that. No format here shows either, so it is told not to (its HOWTO, "Optimization").
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from .settings import LogSettings
from .sink import Sink

OWN, SERVERS = "aura", "gunicorn.error"
LOGGERS = (OWN, SERVERS)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}


def _nothing() -> None:
    """Nobody counts."""


def setup(settings: LogSettings, lost: Callable[[], None] = _nothing) -> None:
    """Send the records of all ``aura`` loggers where the settings say.

    Args:
        lost: called for every line that is lost because nobody takes it.
    """
    logging._srcfile = None
    logging.logThreads = False
    made = handler(settings, lost)
    for name in (OWN, "opentelemetry"):
        logger = logging.getLogger(name)
        logger.propagate = False
        for old in list(logger.handlers):
            logger.removeHandler(old)
            if isinstance(old, Handler):
                old.close()
        logger.addHandler(made)
    logging.getLogger(OWN).setLevel(settings.level)


def handler(settings: LogSettings, lost: Callable[[], None] = _nothing) -> Handler:
    """Make the handler that the settings describe.

    Raises:
        OSError: the log's file cannot be opened.
    """
    return Handler(JsonFormatter() if settings.format == "json" else TextFormatter(), settings.file, lost)


class Event(logging.LogRecord):
    """A record at INFO that is made of an event and its fields.

    What ``logger.info(event, extra=fields)`` makes, in a tenth of the time: the line that every request ends in.
    """

    fields: dict[str, Any]

    def __init__(self, logger: str, event: str, fields: dict[str, Any]) -> None:
        own = self.__dict__ = _EMPTY.copy()
        own["name"], own["msg"], own["created"], own["fields"] = logger, event, time.time(), fields

    def getMessage(self) -> str:  # noqa: N802  (logging's name)
        """The event."""
        return str(self.msg)


_EMPTY = {**vars(logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO"})), "fields": {}}


def told(logger: logging.Logger | None, event: Event) -> None:
    """Hand an event to who hears a logger that is enabled for it, as ``logger.handle`` does; nothing filters here."""
    while logger is not None:
        for handler in logger.handlers:
            if event.levelno >= handler.level:
                handler.handle(event)
        logger = logger.parent if logger.propagate else None


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
        if isinstance(record, Event):  # its words are our own, so they need no escapes, and none of its fields is one
            head = (
                f'{{"time":"{_time(record.created)}","level":"{record.levelname.lower()}",'
                f'"logger":"{record.name}","event":"{record.msg}",'
            )
            return head.encode() + orjson.dumps(record.fields, default=str)[1:]
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
    """Hands lines to a :class:`~aura.sink.Sink`.

    Args:
        path: a file; empty for standard output.
        lost: called for every line that is lost.
    """

    def __init__(self, formatter: JsonFormatter | TextFormatter, path: str, lost: Callable[[], None]) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._line = formatter.line
        self._sink = Sink(path, lost, self._recovered)

    def createLock(self) -> None:  # noqa: N802  (logging's name)
        """Make none."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Write one line; there are no filters, and no lock is needed."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            line = self._line(record)
        except Exception:  # whatever a record holds: its line must not fail the call
            line = self._line(Event(record.name, "log.unprintable", {"from": record.msg.__class__.__name__}))
        self._sink.write(line + b"\n")

    def _recovered(self, lost: int) -> None:
        event = Event("aura.log", "log.lost", {"lines": lost})
        event.levelno, event.levelname = logging.WARNING, "WARNING"
        self.emit(event)

    def reopen(self) -> None:
        """Open the file again after it was rotated; what cannot be opened stays as it is."""
        try:
            self._sink.reopen()
        except OSError as error:
            self.emit(Event("aura.log", "log.not_reopened", {"reason": error.strerror}))

    def flush(self) -> None:
        """Write what waits, for which it waits a little; called when the process ends."""
        self._sink.finish()

    def close(self) -> None:
        """Let go of the file."""
        self._sink.close()
        super().close()


def reopen() -> None:
    """Open the log files again after they were rotated."""
    for name in LOGGERS:
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, Handler):
                handler.reopen()
