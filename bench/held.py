"""What an open stream holds in a worker's memory, and where it was allocated.

``python -m bench.held [COUNT]`` opens so many streams in one process without sockets, each of which has sent half its
chunks and waits for more. Printed are resident memory for each, and what tracemalloc knows of it. What tracemalloc does
not see are the stacks of green threads: frames of Python (16 KiB reserved for each, of which the pages used count), and
the part of the C stack that a switch copies away. Sockets cost the kernel, not the process.
"""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402  (nothing may be imported before the patch)
import sys  # noqa: E402
import tracemalloc  # noqa: E402
from collections import Counter  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from gevent.event import Event  # noqa: E402

from . import inside  # noqa: E402

_TOP = 40


class Waiting(inside.Wire):
    """A provider that says half, and the rest when it may."""

    go = Event()

    def receive(self, deadline: float) -> bytes:
        if self._next == inside.CHUNKS // 2:
            self.go.wait()
        return super().receive(deadline)


class Silent(inside.Client):
    """A client that keeps nothing of its answer."""

    def send(self, data: bytes) -> None:
        pass


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def opened(serve: object, count: int, data: bytes) -> list[gevent.Greenlet]:
    """Open streams, as many green threads as connections have."""
    running = [gevent.spawn(Silent(serve).ask, data) for _ in range(count)]  # type: ignore[arg-type]
    for _ in range(400):
        gevent.sleep(0)
    return running


def main() -> None:
    """Open, weigh, list."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    data = inside.asked("stream")
    lines: list[str] = []
    with inside.client(inside.configuration()) as asking:
        inside.settled(asking, data)
        inside.Wire = Waiting  # type: ignore[misc]
        Waiting.go.clear()
        serve = asking._serve
        before = resident()
        running = opened(serve, count, data)
        gc.collect()
        lines.append(f"{(resident() - before) / count / 1024:.1f} KiB resident for each of {count} open streams")
        Waiting.go.set()
        gevent.joinall(running)
        Waiting.go.clear()
        tracemalloc.start(1)
        first = tracemalloc.take_snapshot()
        running = opened(serve, count, data)
        gc.collect()
        found = tracemalloc.take_snapshot().compare_to(first, "lineno")
        kept = [one for one in found if one.size_diff > 0 and "tracemalloc" not in str(one.traceback)]
        total = sum(one.size_diff for one in kept)
        lines.append(f"{total / count:,.0f} bytes of them that tracemalloc sees:")
        by_file: Counter[str] = Counter()
        for one in kept:
            by_file[one.traceback[0].filename] += one.size_diff
        lines += [f"{size / count:>8,.0f}  {_name(file)}" for file, size in by_file.most_common(_TOP // 2)]
        lines.append("")
        for one in sorted(kept, key=lambda one: -one.size_diff)[:_TOP]:
            frame = one.traceback[0]
            lines.append(
                f"{one.size_diff / count:>8,.0f}  {_name(frame.filename)}:{frame.lineno}"
                f"  ({one.count_diff / count:.1f} blocks)"
            )
        Waiting.go.set()
        gevent.joinall(running)
    print("\n".join(lines))


def _name(file: str) -> str:
    return file.partition("site-packages/")[2] or "/".join(Path(file).parts[-3:])


if __name__ == "__main__":
    main()
