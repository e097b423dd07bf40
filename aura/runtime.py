"""What the workers of one instance share: their cache's folder, and memory. Used by gunicorn's master, unpatched."""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import tempfile
import time
from pathlib import Path

CACHE_FOLDER = "AURA_CACHE_FOLDER"
_OWNED = "AURA_CACHE_FOLDER_OWNED"
_PREFIX = "aura-cache-"
_OWNER = "owner"
_YOUNG = 60.0  # seconds in which a folder may still have no owner


def prepare_cache_folder(size: int) -> str | None:
    """Make an empty folder for the cache of this instance and name it in the environment.

    A folder that the environment names already is used, emptied. Otherwise it is made where files are memory
    (``RUNTIME_DIRECTORY`` under systemd; ``/dev/shm`` unless ``TMPDIR`` names another place), or below the system's
    folder for temporary files: wherever there is room. What instances left behind that were killed is removed.

    Args:
        size: bytes that the cache may take.

    Returns:
        The folder; None where there is no room for one, so that each worker keeps a cache of its own.
    """
    given = os.environ.get(CACHE_FOLDER)
    if given and not os.environ.pop(_OWNED, None):
        folder = Path(given)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in folder.iterdir():
            if file.is_file():
                file.unlink(missing_ok=True)
        return given
    os.environ.pop(CACHE_FOLDER, None)  # that of the master which this one is to follow
    named = (os.environ.get("RUNTIME_DIRECTORY"), os.environ.get("TMPDIR"))
    for place in filter(None, (*named, "/dev/shm", tempfile.gettempdir())):  # noqa: S108
        try:
            _remove_abandoned(Path(place))
            if shutil.disk_usage(place).free < 2 * size:
                continue
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            _own(folder)
        except OSError:
            continue
        os.environ[CACHE_FOLDER], os.environ[_OWNED] = str(folder), "1"
        return str(folder)
    return None


def remove_cache_folder() -> None:
    """Remove the folder at the master's end, if it was made by :func:`prepare_cache_folder`."""
    if os.environ.pop(_OWNED, None):
        shutil.rmtree(os.environ.get(CACHE_FOLDER, ""), ignore_errors=True)


def _own(folder: Path) -> None:
    """Lock the folder for as long as this process or one forked from it lives."""
    file = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < _YOUNG or folder.stat().st_uid != os.getuid():
                continue
            file = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # its owner lives
        finally:
            os.close(file)


def mapped(folder: Path, name: str, size: int) -> mmap.mmap:
    """Bytes of a file that the workers share, noughts at first.

    Raises:
        OSError: there is no room for them.
    """
    file = os.open(folder / f"{name}-{size}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)
        return mmap.mmap(file, size)
    finally:
        os.close(file)
