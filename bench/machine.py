"""What this machine is, and what processes on it use."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def described() -> str:
    """The machine in one line."""
    names = [line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
    kind = names[0] if names else platform.machine()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{len(cores())} cores of {kind}, Linux {platform.release()}, CPython {platform.python_version()}, load {load}"
    )


def tree(pid: int) -> list[int]:
    """A process and all that come from it."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            todo += [int(child) for child in _read(task).split()]
    return found


def cpu_seconds(pid: int) -> float:
    """CPU that a process and all that come from it have taken, user and system."""
    ticks = 0
    for process in tree(pid):
        fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12]) if fields else 0
    return ticks / _TICK


def resident_mb(pid: int) -> float:
    """Memory of a process and all that come from it; what they share counts once."""
    kilobytes = 0
    for process in tree(pid):
        for line in _read(f"/proc/{process}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def started(command: list[str], on: list[int], **options: object) -> subprocess.Popen[bytes]:
    """Start a command on some cores only, in a session of its own."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, on)
    try:
        return subprocess.Popen(command, start_new_session=True, **options)  # type: ignore[call-overload,no-any-return]
    finally:
        os.sched_setaffinity(0, mine)


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here, and all that come from it."""
    for word in ("terminate", "kill"):
        members = tree(process.pid) if process.poll() is None else []
        getattr(process, word)()
        try:
            process.wait(10)
            return
        except subprocess.TimeoutExpired:
            for member in members[1:]:
                os.kill(member, 9)


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
