"""What is asked of a gateway: the phases of a run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

MARK = "@" * 8
"""In a request, it becomes the number of the request: no two are the same."""
KEY = "sk-bench-0123456789abcdef"
SYSTEM = "Answer in plain words, and name the source of each figure that you give."
SHORT = (
    "Our shop sends parcels with three carriers. Compare what decides between them for a heavy parcel, in three "
    "sentences, and say which of these points a customer notices first."
)
_LONG = "Read the minutes below and list each decision with its owner, its date and what it depends on. " * 85
_STREAM = {"wait": 0, "chunks": 100, "gap": 20_000}
_SLOW = {"wait": 3000, "chunks": 20, "gap": 1_000_000}


@dataclass(frozen=True)
class Phase:
    """A phase.

    Args:
        body: members of the request's body beside the usual; None: not this one.
        behave: how the provider answers (see ``native/provider.c``).
        load: how is asked (see ``native/load.c``).
        repeated: the cache may answer.
        workers: of the gateway.
    """

    name: str
    load: dict[str, Any]
    body: dict[str, Any] = field(default_factory=dict)
    behave: dict[str, int] = field(default_factory=lambda: {"wait": 0})
    repeated: bool = False
    workers: int = 1


def _chat(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]


_SATURATED = {"connections": 64, "seconds": 5, "warm": 1.5}
_ALONE = {"connections": 1, "seconds": 4, "warm": 0.5}
_DELAYED = {"connections": 50, "seconds": 5, "warm": 1}
_STREAMS = {"connections": 50, "requests": 150, "ramp": 1}
_FRESH = f"Parcel {MARK} is lost. {SHORT}"
_CLAUDE = "anthropic/claude-3-haiku-20240307"
_PHASES = [
    Phase("sat", _SATURATED),
    Phase("fresh", _SATURATED, {"messages": _chat(_FRESH)}),
    Phase("long", _SATURATED, {"messages": _chat(_LONG)}),
    Phase("repeat", _SATURATED, repeated=True),
    Phase("c1", _ALONE),
    Phase("d50", _DELAYED, behave={"wait": 100}),
    Phase("stream", _STREAMS, {"stream": True}, _STREAM),
    Phase("translated", _STREAMS, {"stream": True, "model": _CLAUDE}, _STREAM),
]
_TABLE = {phase.name: phase for phase in _PHASES}
_OPEN = re.compile(r"n(\d+)")


def phase(name: str, seconds: float) -> Phase:
    """A phase by its name; ``-2`` behind it: with two workers.

    Raises:
        KeyError: there is none.
    """
    base, _, workers = name.partition("-")
    found = _OPEN.fullmatch(base)
    if found:
        count = int(found[1])
        load = {"connections": count, "requests": count, "ramp": max(1.0, count / 800), "patience": 120, "from": 4}
        chosen = Phase(name, load, {"stream": True}, _SLOW)
    else:
        chosen = _TABLE[base]
        if "seconds" in chosen.load:
            chosen = replace(chosen, load={**chosen.load, "seconds": seconds})
    return replace(chosen, name=name, workers=int(workers or 1))


def request(chosen: Phase, port: int, path: str, headers: dict[str, str], model: str, number: int) -> bytes:
    """The bytes that a phase sends.

    Args:
        number: makes its answer another than that of other phases.
    """
    body = {
        "model": model,
        "messages": _chat(SHORT),
        "temperature": 0.6,
        "max_tokens": 256,
        "user": "customer-17",
        "seed": number,
        **chosen.body,
    }
    data = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
    lines = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "Content-Length": len(data), **headers}
    if not chosen.repeated:
        lines["Cache-Control"] = "no-store"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + data
