"""The storm: every fault, with a healthy provider beside the faulty one and without, streamed and not."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import gevent
from gevent.pool import Pool

from tests.calls import KEY, Outcome, chat, provider
from tests.faulty import Faulty, blackhole, closed_port, text
from tests.server import Server, gateway

AT_ONCE = 16
SLACK = 1.0  # seconds behind a call's deadline
DEADLINE = 120.0
OFFSETS = 2600  # bytes of a stream, and a little more
_STRIDE = 1009  # few calls are cut all over the stream, OFFSETS calls at every byte
WRONG = ("lost", "doubled", "crossed", "hung")


@dataclass(frozen=True)
class Row:
    """One fault.

    Args:
        fault: what the faulty provider does, or ``@name`` for a provider that fails below HTTP. ``{k}`` is a token at
            random, ``{n}`` a byte of the stream.
        both: how calls end with a healthy provider beside it; words as of :func:`ending`.
        alone: how they end without; ``503`` is always among them, for an open circuit.
        each: every call has a target, and so a circuit, of its own.
        timeout: X-Aura-Timeout.
        part: of the number of calls asked for; alone, a tenth of it where calls wait.
        rescue: the gateway continues streams.
    """

    name: str
    fault: str
    both: str = "ok"
    alone: str = "502"
    streams: tuple[bool, ...] = (True, False)
    each: bool = False
    timeout: float | None = None
    part: float = 1.0
    rescue: bool = True


S, N = (True,), (False,)
ROWS = [
    Row("F01 refused", "@refused"),
    Row("F02 SYN blackhole", "@blackhole", timeout=10, part=0.2),
    Row("F03 accept, then silence", "silence", alone="504", timeout=2, part=0.2),
    Row("F04 reset at accept", "@reset"),
    Row("F05 closed when used again", "stale", alone="ok"),
    Row("F06 half a head, FIN", "half-head"),
    Row("F06 half a head, RST", "half-head:how:rst"),
    Row("F07 not HTTP", "garbage"),
    Row("F07 header of 1 MB", "long-header", part=0.1),
    Row("F07 10,000 headers", "many-headers", part=0.1),
    Row("F08 103 for ever", "interim:code:103", alone="504", timeout=2, part=0.2),
    Row("F08 100-continue flood", "interim:code:100", alone="504", timeout=2, part=0.2),
    *(Row(f"F09 {code} {body}", f"status:code:{code}:body:{body}", alone="503", part=0.3)
      for code in (500, 502, 503, 504) for body in ("json", "html", "empty")),
    Row("F10 529 overloaded", "status:code:529:type:overloaded_error", alone="503"),
    Row("F11 error first under 200", "broken:after:0", alone="503", streams=S),
    *(Row(f"F12 429 Retry-After {wait}", f"status:code:429:retry:{wait}", alone="429", part=0.2)
      for wait in ("2", "0", "-1", "+2", "1e9", "abc")),
    Row("F13 429 quota", "status:code:429:error:insufficient_quota", alone="503"),
    Row("F14 401", "status:code:401"),
    Row("F14 403", "status:code:403"),
    Row("F15 400 invalid", "status:code:400:type:invalid_request_error", both="400", alone="400"),
    Row("F15 400 context length", "status:code:400:error:context_length_exceeded", alone="400"),
    *(Row(f"F16 {code} elsewhere", f"redirect:code:{code}", part=0.3) for code in (301, 302, 307, 308)),
    Row("F17 cut JSON", "truncated"),
    *(Row(f"F17 {kind}", f"shape:kind:{kind}", part=0.3) for kind in ("null", "list", "text", "empty", "no-choices")),
    Row("F18 a byte a second", "drip", alone="504", timeout=2, part=0.2),
    Row("F19 2 GiB announced", "huge", part=0.02),
    Row("F19 256 MiB in chunks", "huge:framing:chunked:size:268435456", part=0.01),
    Row("F19 gzip bomb", "bomb", part=0.02),
    Row("F19 five times gzip", "bomb:times:5", part=0.02),
    Row("F20 length too long", "length:by:10", streams=N),
    Row("F20 length too short", "length:by:-10", streams=N),
    Row("F21 FIN at token k", "cut:after:{k}", alone="cut", streams=S, each=True),
    Row("F21 RST at token k", "cut:after:{k}:how:rst", alone="cut", streams=S, each=True),
    Row("F21 FIN at token k, no rescue", "cut:after:{k}", both="ok cut", alone="cut", streams=S, each=True,
        rescue=False),
    Row("F22 RST at byte n", "cut:byte:{n}:how:rst", alone="cut ok", streams=S, each=True, part=OFFSETS / 500),
    Row("F22 RST at byte n, no rescue", "cut:byte:{n}:how:rst", both="ok cut", alone="cut ok", streams=S, each=True,
        part=OFFSETS / 500, rescue=False),
    Row("F23 end without finish_reason", "cut:after:{k}:how:end", alone="cut", streams=S, each=True),
    Row("F24 silence after k tokens", "stall:after:{k}", alone="cut 504", streams=S, each=True, timeout=3, part=0.2),
    *(Row(f"F25 event: {kind}", f"event:kind:{kind}", alone="ok", streams=S, each=True, part=0.3)
      for kind in ("json", "utf8", "empty", "unknown")),
    Row("F25 event of 10 MB", "event:kind:large", alone="cut", streams=S, each=True, part=0.02),
    Row("F25 10,000 comments", "event:kind:comments", alone="ok", streams=S, each=True, part=0.1),
    *(Row(f"F25 split at every byte, {ends}", f"split:ends:{ends}", alone="ok", streams=S, part=0.1)
      for ends in ("lf", "crlf", "cr")),
    *(Row(f"F26 [DONE] {kind}", f"done:kind:{kind}", alone="ok", streams=S, part=0.3)
      for kind in ("twice", "more", "open", "missing")),
    Row("F26 [DONE] without a finish_reason", "done:kind:alone", alone="cut", streams=S, each=True, part=0.3),
    Row("F27 error in mid-stream", "broken:after:5", alone="cut", streams=S, each=True),
    Row("F28 no such name", "@nowhere", part=0.2),
    Row("F29 plain HTTP on the TLS port", "@plain"),
]  # fmt: skip


@dataclass
class Result:
    """What became of a row's calls. Lost: no ending that is one. Doubled, crossed: text that is too much, or another's.

    Hung: not over at its deadline. Odd: a good ending, but not the row's.
    """

    requests: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    odd: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the row holds."""
        bad = sum(self.endings[word] for word in WRONG)
        return not bad and not self.odd and not self.notes


def ending(outcome: Outcome, nonce: str, limit: float) -> str:
    """How a call ended: ``ok``, a status, ``cut`` (an exact prefix, one error, no ``[DONE]``), or what is wrong."""
    if outcome.seconds > limit or not outcome.whole:
        return "hung" if outcome.seconds > limit else "lost"
    if outcome.status != 200:
        fine = "x-should-retry" in outcome.headers and outcome.errors[0]["message"]
        return str(outcome.status) if fine else "lost"
    said, expected = outcome.text, text(nonce)
    if said and not said.startswith(nonce[: len(said)]):
        return "crossed"
    if len(said) > len(expected) or outcome.done > 1 or len(outcome.errors) > 1:
        return "doubled"
    if said == expected and (outcome.done == 1 or not outcome.streamed) and not outcome.errors:
        return "ok"
    cut = outcome.streamed and expected.startswith(said) and outcome.done == 0 and len(outcome.errors) == 1
    return "cut" if cut and outcome.events[-1].startswith(b'{"error"') else "lost"


class World:
    """Two gateways, one that rescues streams and one that does not, the faulty provider and a healthy one."""

    def __init__(self, rescuing: Server, plain: Server, faulty: Faulty, healthy: Faulty) -> None:
        self.servers = {True: rescuing, False: plain}
        self.faulty, self.healthy = faulty, healthy
        self.numbers = itertools.count()


@contextmanager
def world(workers: int = 1) -> Iterator[World]:
    """Start all of it."""
    with ExitStack() as stack:
        faulty, healthy = stack.enter_context(Faulty()), stack.enter_context(Faulty())
        resetting = stack.enter_context(Faulty(accept="reset"))
        hole = stack.enter_context(blackhole())
        entries = provider("first", faulty.url) + provider("second", healthy.url)
        entries += provider("refused", f"http://127.0.0.1:{closed_port()}") + provider("reset", resetting.url)
        entries += provider("blackhole", f"http://127.0.0.1:{hole}") + provider("nowhere", "https://nowhere.invalid")
        entries += provider("plain", faulty.url.replace("http:", "https:"))
        servers = [
            stack.enter_context(
                gateway(
                    f"aura:\n  log: {{level: ERROR}}\n  router: {{stream-rescue: {rescue}}}\n  providers:\n{entries}",
                    workers=workers,
                )
            )
            for rescue in ("true", "false")
        ]
        yield World(servers[0], servers[1], faulty, healthy)


def run_row(here: World, row: Row, count: int, beside: bool) -> Result:
    """Run one row with (``beside``) or without a healthy provider."""
    result = Result()
    allowed = row.both if beside else f"{row.alone} 503 {'502 ok' if '{' in row.fault else ''}"
    calls = max(2, round(count * row.part * (0.1 if not beside and (row.timeout or "429" in row.fault) else 1)))
    before = here.faulty.canary_connections
    pool = Pool(AT_ONCE)
    for number in range(calls):
        stream = row.streams[number % len(row.streams)]
        pool.spawn(_one, here, row, result, number, stream=stream, beside=beside, allowed=allowed.split())
    pool.join()
    result.endings["lost"] += calls - result.requests  # what could not even be read
    if here.faulty.canary_connections != before:
        result.notes.append("the redirect was followed")
    return result


def _one(here: World, row: Row, result: Result, number: int, *, stream: bool, beside: bool, allowed: list[str]) -> None:
    nonce = f"n{next(here.numbers)}x"
    if row.fault.startswith("@"):
        model = f"{row.fault[1:]}/m"
    else:
        k = random.randint(0, 11)
        model = "first/" + row.fault.format(k=k, n=number * _STRIDE % OFFSETS)
        model += f":call:{nonce}" if row.each else f":{'s' if row.streams == S else 'x'}:{'b' if beside else 'a'}"
    headers = {"X-Aura-Timeout": str(row.timeout)} if row.timeout else {}
    fallbacks = ["second/ok"] if beside else []
    limit = (row.timeout or DEADLINE) + SLACK
    outcome = chat(
        here.servers[row.rescue].port,
        model,
        nonce,
        stream=stream,
        fallbacks=fallbacks,
        headers=headers,
        limit=limit + 5,
    )
    word = ending(outcome, nonce, limit)
    result.requests += 1
    result.endings[word] += 1
    if word not in allowed and word not in WRONG:
        result.odd += 1
    if KEY[-8:].encode() in outcome.body or b"<html" in outcome.body:
        result.notes.append("a key's part or a page came through")


def storm(count: int, chosen: Callable[[str], bool], show: Callable[[str, Result], None]) -> bool:
    """Run the rows; ``show`` is told each result. Returns whether all hold."""
    good, rows = True, [row for row in ROWS if chosen(row.name)]
    if not rows:
        return True
    with world() as here:
        for row in rows:
            for beside in (True, False):
                result = run_row(here, row, count, beside)
                show(f"{row.name}, {'B beside' if beside else 'alone'}", result)
                good = good and result.good
                gevent.sleep(0)
    return good
