"""Chat bodies, written to a file as clients send them, for ``aura calibrate`` and ``aura replay``.

Never in the way of a call: lines wait in memory and go out on a thread. What the disk is too slow for, a line that is
too long, and whatever comes after the file is full, is left out and counted.
"""

from __future__ import annotations

import logging
import os

import gevent
import orjson

from .call import Call, Json

log = logging.getLogger("aura.recording")

MAX_LINE = 1024 * 1024  # bytes
MAX_WAITING = 16 * 1024 * 1024
MAX_FILE = 1024 * 1024 * 1024
_TIER = "x-aura-tier"


class Recorder:
    """Appends to one file; the workers of an instance may share it.

    Args:
        path: made if it is not there, for its owner's eyes only.
    """

    def __init__(self, path: str, max_file: int = MAX_FILE) -> None:
        self.left_out = 0
        self._waiting: list[bytes] = []
        self._size = 0
        self._writer: gevent.Greenlet[[], None] | None = None
        self._max_file = max_file
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.error("recording.refused", extra={"reason": error.strerror})

    def record(self, call: Call) -> None:
        """Note a chat; returns at once."""
        if self._fd is None or "messages" not in call.body:
            return
        line = orjson.dumps(_said(call)) + b"\n"
        if len(line) > MAX_LINE or self._size + len(line) > MAX_WAITING:
            self.left_out += 1
            return
        self._waiting.append(line)
        self._size += len(line)
        if self._writer is None or self._writer.dead:
            self._writer = gevent.spawn(self._write)

    def _write(self) -> None:
        while self._waiting and self._fd is not None:
            lines, self._waiting, self._size = self._waiting, [], 0
            try:
                if os.fstat(self._fd).st_size >= self._max_file:
                    self._end("the file is full", len(lines))
                    return
                gevent.get_hub().threadpool.apply(_append, (self._fd, b"".join(lines)))
            except OSError as error:
                self._end(error.strerror or "it cannot be written", len(lines))

    def _end(self, why: str, lost: int) -> None:
        """Record no more; said once."""
        self.left_out += lost
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        log.warning("recording.ended", extra={"reason": why, "left_out": self.left_out})


def _append(fd: int, data: bytes) -> None:
    """Write all of it; one write is one piece also where several workers append."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _said(call: Call) -> Json:
    """The body; a tier that a header named goes into it, so that a replay knows of it."""
    tier, own = call.headers.get(_TIER), call.body.get("aura") or {}
    return call.body if tier is None or "tier" in own else {**call.body, "aura": {**own, "tier": tier}}
