"""The numbers behind the metrics, in files that all workers of an instance share.

Stands in for ``prometheus_client``'s own value of its multiprocess mode, in the same files and format, so that its
collector reads them. That one takes a lock, looks at the environment and packs bytes for each increment; a request
makes a dozen of them. Here an increment is one addition in the mapped file.

Facts
  - Green threads are not switched within an addition, so there is no lock; other threads only read.
  - A number stands at a multiple of 8 bytes and is written at once, so a scrape never reads half of one.
  - A file that grows is mapped anew; what was mapped before shows the same pages.
"""

from __future__ import annotations

import os
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

from .slots import FOLDER, SLOT

_ROOM = 256 * 1024  # bytes that a new file takes
_files: dict[str, MmapedDict] = {}
_values: list[SlotValue] = []


class SlotValue:
    """One number of this worker's slot; the arguments are those of ``prometheus_client.values``."""

    __slots__ = ("_at", "_key", "_kind", "_numbers")

    _multiprocess = True  # prometheus_client asks

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Any,
        labelvalues: Any,
        help_text: str,
        multiprocess_mode: str = "",
        **_more: Any,
    ) -> None:
        self._kind = f"gauge_{multiprocess_mode}" if typ == "gauge" else typ
        self._key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        self._numbers: Any = None
        self._at = 0
        self._find()
        _values.append(self)

    def _find(self) -> bool:
        """Find the number's place in the file of its kind; a new one begins at what the slot's last worker left.

        Without a descriptor, a folder or room on the disk there is no place: what is counted then is lost, no more.
        """
        file = _files.get(self._kind)
        try:
            if file is None:
                file = _files[self._kind] = _opened(self._kind)
            file.read_value(self._key)  # type: ignore[no-untyped-call]
        except OSError:
            if file is not None:  # half grown, maybe; the numbers that have a place in it keep that
                del _files[self._kind]
                file._f.close()
            return False
        # The entry is there now.
        self._numbers = memoryview(file._m).cast("d")
        self._at = file._positions[self._key] // 8
        return True

    def inc(self, amount: float) -> None:
        """Add to the number."""
        if self._numbers is not None or self._find():
            self._numbers[self._at] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Set the number, and when that was (Unix seconds), where a gauge's mode asks for it."""
        if self._numbers is not None or self._find():
            self._numbers[self._at], self._numbers[self._at + 1] = value, timestamp or 0.0

    def get(self) -> float:
        """The number."""
        found: float = self._numbers[self._at] if self._numbers is not None or self._find() else 0.0
        return found

    def set_exemplar(self, _exemplar: Any) -> None:
        """Forget it: the files have no place for exemplars."""

    def get_exemplar(self) -> None:
        """None."""


def _opened(kind: str) -> MmapedDict:
    """Open the file of a kind. Its room is taken at once: writing to a mapped page that has none ends the process."""
    path = os.path.join(os.environ[FOLDER], f"{kind}_{os.environ.get(SLOT) or os.getpid()}.db")
    if not os.path.exists(path):
        new = f"{path}.new"  # by a name that no scrape reads: one that met the file without its room would fail
        with open(new, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, _ROOM)
        os.replace(new, path)
    return MmapedDict(path)  # type: ignore[no-untyped-call]


def _forked() -> None:
    """A worker that was forked from a process with metrics (gunicorn's ``--preload``) writes files of its own."""
    for value in _values:
        value._numbers = None
    for file in _files.values():
        file.close()  # type: ignore[no-untyped-call]
    _files.clear()


os.register_at_fork(after_in_child=_forked)
