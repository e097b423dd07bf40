"""Instructions that a worker's path in Python takes for a request: what noise does not touch.

::

    python -m bench.instructions                    # all modes, some minutes
    python -m bench.instructions sat stream         # some
    python -m bench.instructions --at-most FILE     # status 1 if a mode takes over 2 % more than FILE says (JSON)

Valgrind counts two runs of ``bench.inside``, one longer than the other; what is between them are requests and nothing
else. The same code gives the same count within 1 %, whatever the machine does meanwhile. System calls count for
nothing. Streams are of 100 chunks; their share for one chunk holds a hundredth of the request, too.
(Debian: ``apt-get install valgrind``.)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

MODES = ("sat", "fresh", "long", "repeat", "stream", "translated", "messages", "messages-stream")
_FEW, _MORE, _STREAMS = 50, 250, 10  # a stream stands for a request of 100 chunks: a tenth of them
_COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
_VALGRIND = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
_TOLERANCE = 1.02


def counted(mode: str, requests: int) -> int:
    """Instructions of a whole process that answers so many requests."""
    command = [*_VALGRIND, sys.executable, "-m", "bench.inside", mode, str(requests)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    found = _COUNTED.search(done.stderr)
    assert found is not None, done.stderr
    return int(found[1].replace(",", ""))


def thousands(mode: str) -> float:
    """Thousand instructions of a request; of a chunk, where the mode is a stream."""
    streams = mode in ("stream", "translated", "messages-stream")
    few, more = (_FEW // _STREAMS, _MORE // _STREAMS) if streams else (_FEW, _MORE)
    each = (counted(mode, more) - counted(mode, few)) / (more - few)
    return each / 1000 / (100 if streams else 1)


def main() -> int:
    """Count, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="*", default=MODES)
    parser.add_argument("--at-most", type=Path, help="earlier counts")
    parser.add_argument("--json", type=Path, help="a file for these")
    options = parser.parse_args()
    before: dict[str, float] = json.loads(options.at_most.read_text()) if options.at_most else {}
    found, worse = {}, []
    for mode in options.modes:
        found[mode] = round(thousands(mode), 1)
        known = before.get(mode)
        print(f"{mode}: {found[mode]:,.1f} thousand" + (f" (was {known:,.1f})" if known else ""), flush=True)
        if known and found[mode] > known * _TOLERANCE:
            worse.append(mode)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if worse:
        print(f"more than before: {', '.join(worse)}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
