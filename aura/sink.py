"""Where log lines go: standard output or a file, written without ever waiting for who reads them.

What cannot be written now (a full pipe, a full disk, a terminal that was stopped, a reader that has gone) waits in
memory and is tried again; beyond ``MAX_WAITING`` bytes the newest lines are lost and counted.

Facts
  - A pipe or terminal is opened anew through ``/proc``, so that "do not wait" is not set for others who hold it.
    Where that is refused (it belongs to another user), ``poll`` is asked before each write: a pipe that it calls
    writable takes ``PIPE_BUF`` bytes without waiting.
  - A write of at most ``PIPE_BUF`` bytes to a pipe, or of one line to a file that is appended to, is not mixed with
    those of other workers, so no lock is needed, which under gevent takes longer than the call.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.monkey import get_original

MAX_WAITING = 4 * 1024 * 1024
AGAIN = 0.05  # seconds between two tries
_PIPE_BUF = 4096
_LAST = 1.0  # seconds that a process which ends waits for its reader
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Sink:
    """One destination.

    Args:
        path: a file, opened for appending; empty for standard output.
        lost: called for every line that is lost.
        recovered: told how many were lost since the last time, once everything that waited has been written.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str, lost: Callable[[], None], recovered: Callable[[int], None]) -> None:
        self._path, self._told_lost, self._told_recovered = path, lost, recovered
        self._waiting: deque[bytes] = deque()
        self._size = 0  # bytes that wait
        self._sent = 0  # bytes of the first line that are written
        self._lost = 0
        self._socket: socket.socket | None = None
        self._wary = False
        self._loop: Any = gevent.get_hub().loop
        self._timer: Any = self._loop.timer(AGAIN, AGAIN, ref=False)
        self._fd = self._open()
        _sinks.add(self)

    def _open(self) -> int:
        if not self._path:
            return self._open_output()
        try:
            return os.open(self._path, _FLAGS, 0o640)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return -1  # a named pipe that nobody reads yet

    def _open_output(self) -> int:
        try:
            fd = sys.stdout.fileno()
            mode = os.fstat(fd).st_mode
        except (OSError, ValueError, AttributeError):
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            try:
                return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                self._wary = True
        return fd

    def reopen(self) -> None:
        """Open the file again after it was rotated; a line of which a part was written is written whole."""
        if not self._path:
            return
        fd, old = self._open(), self._fd
        self._fd, self._sent = fd, 0
        if old >= 0:
            os.close(old)

    def write(self, line: bytes) -> None:
        """Write one line, end included, or keep it until it can be written."""
        if self._waiting:
            self._keep(line)
            return
        sent = self._put(line)
        if sent < len(line):
            self._keep(line)
            self._sent = sent
            # From whatever thread: the loop is that of the thread that made the sink.
            self._loop.run_callback_threadsafe(self._arm)

    def _keep(self, line: bytes) -> None:
        if self._size + len(line) > MAX_WAITING:
            self._lost += 1
            self._told_lost()
            return
        self._waiting.append(line)
        self._size += len(line)

    def _put(self, data: bytes) -> int:
        """Write what is taken now; returns how many bytes that were."""
        try:
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT)
            if self._fd < 0:
                self._fd = self._open()
            if self._wary:
                if not _writable(self._fd):
                    return 0
                data = data[:_PIPE_BUF]
            return os.write(self._fd, data)
        except OSError:
            return 0

    def _arm(self) -> None:
        if self._waiting and not self._timer.active:
            self._timer.start(self._again)

    def _again(self) -> None:
        if not self._flush():
            return  # the timer repeats itself: one that is stopped and started again rings at once
        self._timer.stop()
        if self._lost:
            lost, self._lost = self._lost, 0
            self._told_recovered(lost)

    def _flush(self) -> bool:
        """Write what waits, as far as it is taken; returns whether nothing is left."""
        while self._waiting:
            line = self._waiting[0]
            put = self._put(line[self._sent :] if self._sent else line)
            if not put:
                return False
            self._sent += put
            if self._sent >= len(line):
                self._waiting.popleft()
                self._size -= len(line)
                self._sent = 0
        return True

    def finish(self) -> None:
        """Write what waits before the process ends, for which it waits a little."""
        deadline = time.monotonic() + _LAST
        while not self._flush() and time.monotonic() < deadline:
            time.sleep(AGAIN)

    def close(self) -> None:
        """Let go of the file, and of what waits; standard output stays open."""
        self._timer.stop()
        self.forget()
        _sinks.discard(self)
        if self._path and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def forget(self) -> None:
        """Forget what waits; in a child process the parent writes it."""
        self._waiting.clear()
        self._size = self._sent = self._lost = 0


def _writable(fd: int) -> bool:
    poll = get_original("select", "poll")()
    poll.register(fd, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


_sinks: weakref.WeakSet[Sink] = weakref.WeakSet()


def _forked() -> None:
    for sink in list(_sinks):
        sink.forget()


os.register_at_fork(after_in_child=_forked)
