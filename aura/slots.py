"""Worker slots: the small numbers under which workers keep what they count. Used by gunicorn's master, unpatched."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SLOT = "AURA_WORKER_SLOT"
TABLES = "limits-"  # what the names of the files begin with that workers count against limits in


def prepare_folder() -> str:
    """Make an empty folder for what this instance counts, metrics and limits, and name it in the environment.

    A folder given by ``PROMETHEUS_MULTIPROC_DIR`` is used, emptied of old files; otherwise a new one is made below the
    system's folder for temporary files (``RUNTIME_DIRECTORY`` under systemd).
    """
    given = os.environ.get(FOLDER)
    if given:
        folder = Path(given)
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in ("*.db", f"{TABLES}*", "levels*"):
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="aura-metrics-", dir=os.environ.get("RUNTIME_DIRECTORY") or None))
        os.environ[FOLDER] = str(folder)
        os.environ["AURA_METRICS_FOLDER_OWNED"] = "1"
    return str(folder)


def remove_folder() -> None:
    """Remove the folder at the master's end, if it was made by :func:`prepare_folder`."""
    if os.environ.pop("AURA_METRICS_FOLDER_OWNED", None):
        shutil.rmtree(os.environ.get(FOLDER, ""), ignore_errors=True)


class Slots:
    """Which slots are taken: the lowest free one goes to the next worker."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self) -> int:
        """Take the lowest free slot."""
        slot = 0
        while slot in self._taken:
            slot += 1
        self._taken.add(slot)
        return slot

    def give_back(self, slot: int) -> None:
        """Free a dead worker's slot; its gauges vanish, its counters stay for the slot's next worker."""
        self._taken.discard(slot)
        for file in Path(os.environ.get(FOLDER, "/nonexistent")).glob(f"gauge_live*_{slot}.db"):
            file.unlink(missing_ok=True)
