"""What a request costs: every figure of ``docs/performance.md`` and the README, with one command.

::

    python -m bench.run                                # all phases, five minutes
    python -m bench.run --phases sat,stream            # some
    python -m bench.run --against litellm,portkey      # the same asked of these, installed here, and the ratios
    python -m bench.run --against nginx                # and of a plain proxy: how fast this machine is now
    python -m bench.run --rounds 3 --json FILE         # each phase three times: the median; and all as JSON

A gateway runs on one core (with ``-2`` behind a phase: two workers on two cores), the fake provider and the load
generator on the last. Phases: sat, fresh (as sat, but no two prompts are the same), long, repeat, c1, d50, stream,
translated, nN (N streams open at once), sat-2, tls (the provider speaks TLS), start, lookups. CPU is that of all
processes of a gateway, user and system.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import gateways, lookups
from .machine import cores, cpu_seconds, described, resident_mb
from .phases import Phase, phase, request
from .tools import Provider, Tools, tools

ALL = "start,sat,fresh,long,repeat,c1,d50,stream,translated,n9900,sat-2,n12000-2,tls,lookups"
COMPARED = ("cpu_us_request", "cpu_us_chunk", "requests_s", "p50_ms", "p99_ms", "peak_mb")
Row = dict[str, Any]
_WARM_SECONDS = 8


class Run:
    """One run over all gateways and phases."""

    def __init__(self, having: Tools, options: argparse.Namespace) -> None:
        self.tools = having
        self.options = options
        self.rows: list[Row] = []
        self._number = int(time.time()) % 10**6

    def tell(self, row: Row) -> None:
        """Keep a row and print it."""
        self.rows.append(row)
        print("  ".join(f"{name} {_short(value)}" for name, value in row.items() if value is not None), flush=True)

    def gateway(self, name: str, starter: gateways.Starter, phases: list[str]) -> None:
        """All phases of one gateway that are the same for all gateways."""
        chosen = [phase(word, self.options.seconds) for word in phases]
        for workers in sorted({one.workers for one in chosen}):
            if len(cores()) < workers:
                print(f"{name}: no room for {workers} workers on {len(cores())} core")
                continue
            with self.tools.provider() as provider, self.started(starter, provider, workers) as running:
                self.warm(running, provider)
                idle = resident_mb(running.pid)
                for one in chosen:
                    if one.workers == workers:
                        self.tell({"gateway": name, **self.median(running, provider, one), "idle_mb": round(idle)})

    def started(self, starter: gateways.Starter, provider: Provider, workers: int = 1) -> Any:
        """A gateway that has a folder of its own."""
        return gateways.running(starter, Path(tempfile.mkdtemp(dir=self.tools.folder)), provider.port, workers)

    def warm(self, running: gateways.Gateway, provider: Provider) -> None:
        """Let a gateway, and what compiles while it runs, come to its best."""
        provider.behave(wait=0)
        command = running.command
        data = request(phase("sat", 1), running.port, command.path, command.headers, "gpt-4o-mini", 0)
        self.tools.load(data, port=running.port, connections=16, seconds=_WARM_SECONDS)

    def median(self, running: gateways.Gateway, provider: Provider, chosen: Phase) -> Row:
        """A phase, as often as is wanted: the median of each figure."""
        rows = [self.once(running, provider, chosen) for _ in range(self.options.rounds)]
        figures = {
            name: statistics.median(row[name] for row in rows) if isinstance(value, float) else value
            for name, value in rows[0].items()
        }
        for name in ("failed", "incomplete", "late_streams"):
            figures[name] = sum(row[name] or 0 for row in rows) or None
        return figures

    def once(self, running: gateways.Gateway, provider: Provider, chosen: Phase) -> Row:
        """A phase, once."""
        provider.behave(**chosen.behave)
        self._number += 1
        command = running.command
        data = request(chosen, running.port, command.path, command.headers, "gpt-4o-mini", self._number)
        provider.behave()
        with _watched(running.pid) as peak:
            before = cpu_seconds(running.pid)
            told = self.tools.load(data, port=running.port, **chosen.load)
            spent = cpu_seconds(running.pid) - before
        return {**figures(chosen, told, spent, peak[0]), "upstream": provider.behave()["connections"] - 1}

    def start(self, name: str, starter: gateways.Starter) -> None:
        """How long a gateway takes to its first answer, and what it holds then."""
        times, memory = [], []
        with self.tools.provider() as provider:
            provider.behave(wait=0)
            for _ in range(3):
                with self.started(starter, provider) as running:
                    times.append(running.start_seconds)
                    memory.append(resident_mb(running.pid))
        self.tell(
            {"gateway": name, "phase": "start", "start_s": statistics.median(times), "idle_mb": round(min(memory))}
        )

    def tls(self) -> None:
        """The same provider with and without TLS: what it adds, and how many connections were opened."""
        bundle, certificate = _certificate(self.tools.folder)
        chosen = phase("sat", self.options.seconds)
        for name, starter, given in (("plain", gateways.aura, ""), ("tls", gateways.aura_tls(bundle), certificate)):
            with self.tools.provider(True, given) as provider, self.started(starter, provider) as running:
                row = self.median(running, provider, chosen)
                self.tell({"gateway": "aura", **row, "phase": name})


def figures(chosen: Phase, told: dict[str, Any], spent: float, peak: float) -> Row:
    """What the load generator tells, as a row."""
    answered, took = told["answered"] + told["warm"], told.get("took_us", {})
    late = told.get("late_us", {})
    return {
        "phase": chosen.name,
        "cpu_us_request": spent * 1e6 / answered if answered else None,
        "cpu_us_chunk": spent * 1e6 / told["events"] if told["events"] else None,
        "requests_s": told["answered"] / told["seconds"],
        "p50_ms": took.get("p50", 0) / 1e3,
        "p99_ms": took.get("p99", 0) / 1e3,
        "late_p99_ms": late["p99"] / 1e3 if late else None,
        "late_max_ms": late["max"] / 1e3 if late else None,
        "late_streams": told["late_streams"] or None,
        "peak_mb": float(round(peak)),
        "open": told["open"],
        "failed": told["failed"] or None,
        "incomplete": told["incomplete"] or None,
    }


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """The most memory that a gateway holds meanwhile, in MiB."""
    peak, stop = [0.0], threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            peak[0] = max(peak[0], resident_mb(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _certificate(folder: Path) -> tuple[str, str]:
    """A bundle that trusts one authority, and a certificate of its for localhost with its key."""
    import trustme

    authority, bundle, file = trustme.CA(), folder / "authority.pem", folder / "localhost.pem"
    authority.cert_pem.write_to_path(bundle)
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(file)
    return str(bundle), str(file)


def _short(value: Any) -> str:
    return (
        f"{value:.2f}" if isinstance(value, float) and value < 10 else f"{value:,.0f}" if _number(value) else str(value)
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def ratios(rows: list[Row]) -> None:
    """Print what the others take, in units of Aura."""
    ours = {row["phase"]: row for row in rows if row["gateway"] == "aura"}
    print("\n| gateway | phase | " + " | ".join(COMPARED) + " |\n|---|---|" + "---|" * len(COMPARED))
    for row in rows:
        own = ours.get(row["phase"], {})
        if row["gateway"] == "aura" or row["phase"] == "start":
            continue
        cells = [_times(row.get(name), own.get(name)) for name in COMPARED]
        broken = f" ({row['failed'] or row['incomplete']} failed)" if row.get("failed") or row.get("incomplete") else ""
        print(f"| {row['gateway']} | {row['phase']}{broken} | {' | '.join(cells)} |")


def _times(theirs: float | None, ours: float | None) -> str:
    return f"{theirs / ours:.2f} x ({_short(theirs)})" if theirs and ours else ""


def main() -> None:
    """Run what the options choose."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", default=ALL)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", default="", help="nginx,litellm,portkey")
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache" / "aura-bench", help="where they are kept")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--python", action="store_true", help="the tools in Python, though there is a C compiler")
    options = parser.parse_args()
    words = options.phases.split(",")
    alike = [word for word in words if word not in ("start", "tls", "lookups")]
    print(f"{described()}\n", flush=True)
    with tools(not options.python) as having:
        run = Run(having, options)
        versions = {}
        competing = [("aura", gateways.aura)]
        for name in filter(None, options.against.split(",")):
            starter, versions[name] = gateways.PEERS[name](options.peers)
            competing.append((name, starter))
        print("".join(f"{name} {version}\n" for name, version in versions.items()), end="", flush=True)
        for name, starter in competing:
            if "start" in words:
                run.start(name, starter)
            run.gateway(name, starter, alike)
        if "tls" in words:
            run.tls()
        if "lookups" in words:
            for row in lookups.rows():
                run.tell(row)
    if len(competing) > 1:
        ratios(run.rows)
    if options.json:
        options.json.write_text(json.dumps({"machine": described(), "peers": versions, "rows": run.rows}, indent=1))


if __name__ == "__main__":
    main()
