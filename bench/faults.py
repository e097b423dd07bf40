"""What is lost when providers fail: every fault, many times over, through a real worker; and the gates.

::

    python -m bench.faults                  # the short form, under three minutes
    python -m bench.faults --size 500       # 500 calls a fault, and the gates at their full numbers
    python -m bench.faults --only F21 G7    # rows and gates by their names

Prints two tables: row, requests, lost, doubled, crossed, hung, verdict; gate, requests, verdict, what was measured.
Ends with status 1 if anything does not hold.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402  (nothing may be imported before the patch)
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

from . import gates, hardship, serving  # noqa: E402
from .storm import WRONG, Result, storm  # noqa: E402

SHORT, FULL = 6, 500


def show(name: str, result: Result) -> None:
    """Print a row of the storm's table."""
    told = " ".join(f"{result.endings[word]:>7}" for word in WRONG)
    seen = " ".join(f"{word}:{count}" for word, count in sorted(result.endings.items()))
    verdict = "holds" if result.good else f"DOES NOT HOLD ({seen}; odd {result.odd}) {'; '.join(result.notes[:3])}"
    print(f"{name:<48} {result.requests:>8} {told}  {verdict}", flush=True)


def run_gates(full: bool, chosen: Callable[[str], bool]) -> bool:
    """Run the gates and print their table. Returns whether all hold."""
    good = True
    print(f"\n{'gate':<28} {'requests':>8}  verdict")
    for name, gate in {**gates.GATES, **serving.GATES, **hardship.GATES}.items():
        if chosen(name):
            verdict = gate(full)
            good = good and not verdict.wrong
            said = (
                f"DOES NOT HOLD: {'; '.join(verdict.wrong)}" if verdict.wrong else f"holds: {', '.join(verdict.told)}"
            )
            print(f"{name:<28} {verdict.requests:>8}  {said}", flush=True)
    return good


def main() -> int:
    """Run what the options choose."""
    options = argparse.ArgumentParser(description="The storm of faults, and the gates.")
    options.add_argument("--size", type=int, default=SHORT, help=f"calls for each fault; full: {FULL}")
    options.add_argument("--only", nargs="*", default=["F", "G"], help="rows (F01) and gates (G3) to run")
    given = options.parse_args()
    began = time.monotonic()

    def chosen(name: str) -> bool:
        return any(name.startswith(start) for start in given.only)

    print(f"{'row':<48} {'requests':>8} {' '.join(f'{word:>7}' for word in WRONG)}  verdict")
    good = storm(given.size, chosen, show)
    good = run_gates(given.size >= FULL, chosen) and good
    print(f"\n{time.monotonic() - began:.0f} s: {'everything holds' if good else 'NOT EVERYTHING HOLDS'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
