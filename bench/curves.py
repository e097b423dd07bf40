"""How costs grow: a curve each for messages, prompt, body, tools, targets, keys, entries, chunks a second, streams.

::

    python -m bench.curves                     # all, some ten minutes; draws docs/performance/*.svg
    python -m bench.curves messages tools      # some
    python -m bench.curves --profile tools     # what takes the time at the largest amount

Printed behind each curve: what one more costs at the end of it, in units of what one more costs before: 1 is a straight
line, 2 would double. The last two curves go over sockets (``bench.run`` says how); the others are the path of one
process without (``bench.inside``), the best of five rounds.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import pstats
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import chart

_FOLDER = Path(__file__).resolve().parent.parent / "docs" / "performance"
_KIB = 1024
_SENTENCE = "The parcel arrived late and the box was wet. "
Ask = Callable[[], Any]


@dataclass(frozen=True)
class Curve:
    """A curve.

    Args:
        ready: makes ready for an amount; what it yields is measured. None: measured over sockets.
    """

    title: str
    amount: str
    amounts: tuple[int, ...]
    cost: str = "CPU of a request, µs"
    ready: Callable[[int], Any] | None = None


@contextmanager
def _asking(mode: str = "sat", settings: dict[str, Any] | None = None, **body: Any) -> Iterator[Ask]:
    from . import inside

    data = inside.asked(mode, **body)
    with inside.client(settings or inside.configuration()) as asking:
        inside.settled(asking, data, 3)
        yield lambda: asking.ask(data)


def _one_grammar() -> dict[str, Any]:
    """With one provider: a longer conversation goes to another model, but not into another grammar."""
    from .inside import configuration

    settings = configuration()
    del settings["providers"]["anthropic"]
    return settings


def _messages(count: int) -> Any:
    roles = itertools.cycle(("user", "assistant"))
    before = [{"role": next(roles), "content": _SENTENCE} for _ in range(count - 1)]
    return _asking(settings=_one_grammar(), messages=before + _user(_SENTENCE))


def _prompt(kilobytes: int) -> Any:
    text = _SENTENCE * max(1, kilobytes * _KIB // len(_SENTENCE))
    return _asking(settings=_one_grammar(), messages=_user(text))


def _body(kilobytes: int) -> Any:
    """More text than a model can read is refused, so what is large is a picture."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBO" * (kilobytes * _KIB // 4)}}
    return _asking(settings=_one_grammar(), messages=_user([{"type": "text", "text": _SENTENCE}, picture]))


def _user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def _tools(count: int) -> Any:
    return _asking(settings=_one_grammar(), tools=[_tool(number) for number in range(count)])


def _tool(number: int) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": f"The {name} of the parcel."} for name in ("place", "date")}
    parameters = {"type": "object", "properties": properties, "required": ["place"], "additionalProperties": False}
    said = {"name": f"look_up_{number}", "description": "Look up where a parcel is.", "parameters": parameters}
    return {"type": "function", "function": said}


def _targets(count: int) -> Any:
    from .inside import configuration

    entry = {"type": "openai", "base-url": "http://127.0.0.1:9/v1", "api-key": "sk-p"}
    tiers = ("eco", "balanced", "premium")
    providers = {f"p{number}": {**entry, "models": {tiers[number % 3]: f"m{number}"}} for number in range(count)}
    return _asking(settings=configuration(providers=providers), model="auto")


@contextmanager
def _keys(count: int) -> Iterator[Ask]:
    """Every call is of another key, and each key has a limit."""
    from . import inside

    keys = [{"name": f"team-{number}", "key": f"sk-team-{number:012}"} for number in range(count)]
    settings = inside.configuration(auth={"keys": keys}, limits={"requests-per-minute": 10**9})
    data = [inside.asked("sat", key["key"]) for key in keys]
    with inside.client(settings) as asking:
        for each in data:
            asking.ask(each)
        inside.settled(asking, data[0])
        turn = itertools.cycle(data)
        yield lambda: asking.ask(next(turn))


@contextmanager
def _entries(count: int) -> Iterator[Ask]:
    """Every call repeats another of so many that were answered before."""
    from . import inside

    data = [inside.asked("repeat", seed=number) for number in range(count)]
    with inside.client(inside.configuration(cache={"type": "local", "spec": "maximumSize=100000"})) as asking:
        for each in data:
            asking.ask(each)
        inside.settled(asking, data[0])
        turn = itertools.cycle(data)
        yield lambda: asking.ask(next(turn))


CURVES = {
    "messages": Curve(
        "Messages", "messages of a conversation", (1, 10, 50, 100, 200, 500, 1000, 2000), ready=_messages
    ),
    "prompt": Curve("Prompt", "size of the prompt, KiB", (1, 4, 16, 64, 128, 256, 400), ready=_prompt),
    "body": Curve("Body", "size of a picture in the request, KiB", (1, 16, 256, 1024, 4096, 10240, 20400), ready=_body),
    "tools": Curve("Tools", "tools", (1, 8, 16, 32, 64, 96, 128), ready=_tools),
    "targets": Curve("Targets", "configured targets", (1, 3, 10, 30, 100, 250, 500), ready=_targets),
    "keys": Curve("Keys", "client keys, each with a limit, asking in turn", (1, 10, 100, 1000, 10_000), ready=_keys),
    "entries": Curve("Cache", "entries, repeated in turn", (10, 100, 1000, 10_000, 30_000), ready=_entries),
    "chunks": Curve("Chunks", "chunks a second", (50, 250, 1000, 2500, 5000, 10_000), "CPU of a chunk, µs"),
    "streams": Curve("Streams", "streams open at once", (100, 500, 1000, 2500, 5000, 9900), "memory, MiB"),
}


def in_process(name: str, amounts: tuple[int, ...]) -> chart.Points:
    """Points of a curve, each in a process of its own."""
    points = []
    for amount in amounts:
        command = [sys.executable, "-m", "bench.curves", name, "--at", str(amount)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        points.append((float(amount), float(json.loads(done.stdout))))
        print(f"  {amount:>8,} {points[-1][1]:>12,.1f}", flush=True)
    return points


def over_sockets(name: str, amounts: tuple[int, ...]) -> chart.Points:
    """Points of a curve that needs connections."""
    from . import gateways
    from .phases import phase
    from .run import Run
    from .tools import tools

    options = argparse.Namespace(rounds=1, seconds=5)
    points = []
    with tools() as having:
        run = Run(having, options)
        for amount in amounts:
            if name == "chunks":
                count = amount // 50
                chosen = phase("stream", 5)
                load = {"connections": count, "requests": 3 * count, "ramp": 1}
            else:
                chosen = phase(f"n{amount}", 5)
                load = chosen.load
            with having.provider() as provider, run.started(gateways.aura, provider) as running:
                row = run.median(running, provider, replace(chosen, load=load))
            points.append((float(amount), row["cpu_us_chunk" if name == "chunks" else "peak_mb"]))
            print(f"  {amount:>8,} {points[-1][1]:>12,.1f}  {_told(row)}", flush=True)
    return points


def _told(row: dict[str, Any]) -> str:
    names = ("late_p99_ms", "late_max_ms", "late_streams", "failed", "incomplete")
    return "  ".join(f"{name} {row[name]:,.1f}" for name in names if row[name] is not None)


def bend(points: chart.Points) -> float:
    """What one more costs over the last part of a curve, in units of what it costs over the part before."""
    (x1, y1), (x2, y2), (x3, y3) = points[-5] if len(points) > 5 else points[0], points[-2], points[-1]
    before = (y2 - y1) / (x2 - x1)
    return (y3 - y2) / (x3 - x2) / before if before > 0 else 0.0


def measured(curve: Curve, amount: int) -> float:
    """The cost at one amount, in this process."""
    from .inside import cpu_us

    assert curve.ready is not None
    with curve.ready(amount) as ask:
        return cpu_us(ask, 1.0)


def profiled(curve: Curve, amount: int) -> None:
    """Print what takes the time at one amount."""
    assert curve.ready is not None
    profile = cProfile.Profile()
    with curve.ready(amount) as ask:
        profile.enable()
        for _ in range(20):
            ask()
        profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


def main() -> None:
    """Measure and draw what the options choose."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="*", default=list(CURVES))
    parser.add_argument("--at", type=int, help="print the cost at this amount only")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the charts go")
    options = parser.parse_args()
    for name in options.curves:
        curve = CURVES[name]
        if options.at:
            print(json.dumps(measured(curve, options.at)))
            continue
        if options.profile:
            profiled(curve, curve.amounts[-1])
            continue
        print(f"{name}: {curve.cost}, by {curve.amount}", flush=True)
        points = (in_process if curve.ready else over_sockets)(name, curve.amounts)
        print(f"  one more costs {bend(points):.2f} times what it costs before")
        options.folder.mkdir(parents=True, exist_ok=True)
        (options.folder / f"{name}.svg").write_text(chart.drawn(curve.title, curve.amount, curve.cost, points))


if __name__ == "__main__":
    main()
