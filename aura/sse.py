"""Bytes to events and back: server-sent events and NDJSON, both capped.

Facts
  - A line ends in LF, CRLF or CR, and nothing else: U+2028 inside JSON is text (WHATWG HTML, "Server-sent events").
  - A CR at the end of a read may be half of a CRLF whose LF is in the next read.
  - An event without ``data`` is not dispatched; a line that begins with a colon is a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_EVENT = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_CR = 13  # bytes that are looked for with ``in`` are first tried as a number, which costs an exception
# The names of events by their lines. A cache of bounded size: grammars have some dozens.
_names: dict[bytes, str] = {}
_MAX_NAMES, _MAX_NAME = 256, 256
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(ValueError):
    """An event is over the cap; the stream cannot be followed any more."""


@dataclass(slots=True)
class Event:
    """One event: its name (empty if none was given) and its data, several lines joined by LF."""

    name: str
    data: bytes


def encode(data: bytes, name: str = "") -> bytes:
    """Frame one event. ``data`` is JSON as orjson writes it: without line ends."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """Frame a comment, which clients skip."""
    return b": " + text.encode() + b"\n\n"


class Decoder:
    """Cuts a byte stream of server-sent events into events, however it was split."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._begun = False
        self._clean = False  # between two events: nothing of the next has come

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events that they complete."""
        # Most reads are whole events, of one line of data each: these are cut at once.
        if self._clean and data[-2:] == b"\n\n" and _CR not in data and len(data) <= self._limit:
            events = _nameless(data) if data[:6] == b"data: " else _named(data)
            if events:
                return events
        if not data:
            return []
        events = self._lines(data)
        self._clean = self._begun and not (self._rest or self._data or self._name or self._after_cr)
        return events

    def _lines(self, data: bytes) -> list[Event]:
        if self._after_cr:
            self._after_cr = False
            if data[:1] == b"\n":
                data = data[1:]
        data = self._rest + data
        if not self._begun:
            if _BOM.startswith(data):
                self._rest = data
                return []
            self._begun, data = True, data.removeprefix(_BOM)
        lines = data.split(b"\n") if _CR not in data else _LINE_END.split(data)
        self._rest = lines.pop()
        self._after_cr = not self._rest and data[-1:] == b"\r"
        if len(self._rest) + self._size > self._limit:
            raise EventTooLarge(f"an event is over {self._limit} bytes")
        events: list[Event] = []
        for line in lines:
            self._line(line, events)
        return events

    def finish(self) -> list[Event]:
        """Take the end of the stream. What stands without a closing blank line still counts: vendors forget it."""
        events: list[Event] = []
        if self._rest:
            self._line(self._rest, events)
            self._rest = b""
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                events.append(Event(self._name, b"\n".join(self._data)))
                self._data = []
            self._name, self._size = "", 0
            return
        if line[:5] == b"data:":
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._size += len(value)
            if self._size > self._limit:
                raise EventTooLarge(f"an event is over {self._limit} bytes")
            self._data.append(value)
        elif line == b"data":
            self._data.append(b"")
        elif line[:6] == b"event:":
            self._name = _name(line)


def _nameless(data: bytes) -> list[Event]:
    """The events that some bytes are, if they are events of one line of data each and nothing else."""
    lines = data.count(b"\n")
    if lines == 2:
        return [Event("", data[6:-2])]
    parts = data[6:-2].split(b"\n\ndata: ")
    return [Event("", part) for part in parts] if lines == 2 * len(parts) else []


def _named(data: bytes) -> list[Event]:
    """The same, where each has a line with its name first."""
    events = []
    for part in data[:-2].split(b"\n\n"):
        line, found, said = part.partition(b"\ndata: ")
        if not found or line[:7] != b"event: " or b"\n" in said or b"\n" in line:
            return []
        events.append(Event(_names.get(line) or _name(line), said))
    return events


def _name(line: bytes) -> str:
    name = line[6:].strip().decode("utf-8", "replace")
    if len(_names) < _MAX_NAMES and len(line) <= _MAX_NAME:
        _names[line] = name
    return name


class LineDecoder:
    """Cuts NDJSON into events without a name; blank lines are skipped."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the lines that they complete."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self._limit:
            raise EventTooLarge(f"a line is over {self._limit} bytes")
        return [Event("", line) for line in lines if line.strip()]

    def finish(self) -> list[Event]:
        """Take the end of the stream: a last line needs no line end."""
        rest, self._rest = self._rest, b""
        return [Event("", rest)] if rest.strip() else []
