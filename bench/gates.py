"""The gates that providers' failures must pass: a dead provider, recovery, amplification, cuts, clients that leave."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
import openai
from gevent.pool import Pool

from tests.calls import Outcome, chat, provider
from tests.faulty import Faulty, pieces
from tests.server import Server, gateway
from tests.wire import post

from .storm import AT_ONCE, OFFSETS, World, ending, world

Ask = Callable[[int], Outcome]
# For calls that are made over and over, and must be asked every time.
NO_STORE = {"Cache-Control": "no-store"}


@dataclass
class Verdict:
    """What a gate found: how many requests it made, what was measured, and what does not hold."""

    requests: int = 0
    told: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def measure(self, what: str, value: float, most: float) -> None:
        """Note a number that must not be above ``most``."""
        self.told.append(f"{what} {value:.4g}")
        if value > most:
            self.wrong.append(f"{what} is {value:.4g}, at most {most:g} is allowed")

    def count(self, what: str, found: int, expected: int) -> None:
        """Note a count that must be exact."""
        self.told.append(f"{what} {found} of {expected}")
        if found != expected:
            self.wrong.append(f"{what}: {found} of {expected}")


def percentile(values: list[float], share: float) -> float:
    """The value that a share of all does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def volley(rate: float, count: int, ask: Ask) -> list[Outcome]:
    """Make calls at a steady rate, whatever becomes of them."""
    began, running = time.monotonic(), []
    for number in range(count):
        gevent.sleep(max(0.0, began + number / rate - time.monotonic()))
        running.append(gevent.spawn(ask, number))
    gevent.joinall(running)
    return [greenlet.value or Outcome() for greenlet in running]


def at_once(count: int, ask: Ask) -> list[Outcome]:
    """Make calls, some at a time."""
    return list(Pool(AT_ONCE).imap(ask, range(count)))


def config(*entries: str, **sections: str) -> str:
    """A configuration around providers, on defaults where nothing is said."""
    sections = {"log": "{level: ERROR}"} | sections
    lines = "".join(f"  {name}: {value}\n" for name, value in sections.items())
    return f"aura:\n{lines}  providers:\n{''.join(entries)}"


DEAD = {
    "F01": ("refused/m", None),
    "F02": ("blackhole/m", 10),
    "F03": ("first/silence", 2),
    "F04": ("reset/m", None),
    "F09": ("first/status:code:503", None),
    "F10": ("first/status:code:529", None),
    "F12": ("first/status:code:429:retry:30", None),
    "F18": ("first/drip", 2),
}


def one_of_two_dead(full: bool) -> Verdict:
    """G3: all answered, little slower once the circuit is open, and hardly a call to the dead one.

    Every second call goes straight to the healthy target: what the machine does to all is not the dead one's doing.
    """
    verdict, rate, count = Verdict(), 200 if full else 50, 10_000 if full else 200
    with world() as here:
        for name, (model, timeout) in DEAD.items():
            if not full and name not in ("F02", "F03", "F09"):
                continue
            before = len(here.faulty.asked)
            outcomes = _asked_in_turn(here, model, timeout, rate, count)
            verdict.requests += count
            answered = sum(ending(outcome, f"n{number}x", 130) == "ok" for number, outcome in enumerate(outcomes))
            verdict.count(f"{name} answered", answered, count)
            # Once open, the one call of each period, 1 s at least, finds out what is still dead.
            probes = round(count / rate / 0.8) + 1
            late = sorted(outcome.seconds for outcome in outcomes[-count // 4 :: 2])
            late = late if full else late[: -(probes // 4 + 1)]
            healthy = percentile([outcome.seconds for outcome in outcomes[1 - count // 4 :: 2]], 0.99)
            verdict.measure(f"{name} added p99 s", max(0.0, percentile(late, 0.99) - healthy), 0.05)
            meanwhile = 5 + rate * (timeout or 0.1) / 4
            verdict.measure(f"{name} calls to the dead", len(here.faulty.asked) - before, meanwhile + probes)
    return verdict


def _asked_in_turn(here: World, model: str, timeout: float | None, rate: float, count: int) -> list[Outcome]:
    """Calls at a target with a healthy one beside it, in turn with calls at the healthy one; half of them streams."""
    headers = {"X-Aura-Timeout": str(timeout)} if timeout else {}
    port = here.servers[True].port

    def ask(number: int) -> Outcome:
        named, stream = "second/ok" if number % 2 else model, number % 4 < 2
        return chat(port, named, f"n{number}x", stream=stream, fallbacks=["second/ok"], headers=headers)

    return volley(rate, count, ask)


def recovery(full: bool) -> Verdict:
    """G4: after healing the first target is used again, soon and by itself."""
    verdict, targets, outage = Verdict(), 40 if full else 10, 25.0 if full else 5.0
    with Faulty() as first, Faulty() as second:
        first.always = "status:code:503"
        with gateway(config(provider("first", first.url), provider("second", second.url))) as server:
            began = time.monotonic()

            def back(number: int) -> float:
                while True:
                    model, fallbacks = f"first/ok:target:{number}", ["second/ok"]
                    outcome = chat(server.port, model, "n", fallbacks=fallbacks, stream=False, headers=NO_STORE)
                    verdict.requests += 1
                    if outcome.status != 200 or time.monotonic() > began + outage + 20:
                        return 20.0
                    if outcome.headers["x-aura-provider"] == "first":
                        return max(0.0, time.monotonic() - began - outage)
                    gevent.sleep(0.2)

            running = [gevent.spawn(back, number) for number in range(targets)]
            gevent.sleep(outage)
            first.always = ""
            gevent.joinall(running)
            times = [greenlet.value for greenlet in running]
    verdict.measure("p95 s", percentile(times, 0.95), 6)
    verdict.measure("longest s", max(times), 8)
    return verdict


def amplification(full: bool) -> Verdict:
    """G5: with all providers dead, hardly more calls go out than come in, and the refusal is quick."""
    verdict, first, second = (
        Verdict(requests=10_000 if full else 400),
        "first/status:code:503",
        "second/status:code:503",
    )
    with world() as here:

        def ask(number: int) -> Outcome:
            named = "second/ok" if number % 2 else first
            return chat(here.servers[True].port, named, f"n{number}", fallbacks=[second], stream=number % 4 < 2)

        outcomes = volley(100, verdict.requests, ask)
        healthy = [asked for asked in here.healthy.asked if asked.fault == "ok"]
        upstream = len(here.faulty.asked) + len(here.healthy.asked) - len(healthy)
    refused, answered = outcomes[::2], outcomes[1::2]
    verdict.count("told 503", sum(outcome.status == 503 for outcome in refused), len(refused))
    verdict.measure("calls upstream for each", upstream / len(refused), 1.1)
    # A machine that takes longer for a healthy call is not measured by the limit.
    noise = percentile([outcome.seconds for outcome in answered], 0.99)
    verdict.measure("refused in p99 s", percentile([o.seconds for o in refused[25:]], 0.99), max(0.02, noise))
    return verdict


def cuts(full: bool) -> Verdict:
    """G6: cuts at random tokens and at every byte; with rescue the whole answer once, without an exact prefix."""
    verdict, tokens, offsets = Verdict(), 1000 if full else 60, range(0, OFFSETS, 1 if full else 20)
    specs = [f"cut:after:{random.randint(1, 11)}:how:{random.choice(('fin', 'rst', 'end'))}" for _ in range(tokens)]
    specs += [f"cut:byte:{offset}:how:rst" for offset in offsets]
    with world() as here:
        for rescue, word in ((True, {"ok"}), (False, {"cut", "ok"})):
            endings = at_once(len(specs), _cut(here, specs, rescue))
            found = [ending(outcome, f"n{number}x", 30) for number, outcome in enumerate(endings)]
            verdict.requests += len(specs)
            verdict.count("rescued" if rescue else "prefix and one error", sum(e in word for e in found), len(specs))
            if not rescue:
                verdict.count("cut tokens told", found[:tokens].count("cut"), tokens)
        raised = sum(_raises(here.servers[False], number) for number in range(200 if full else 20))
        verdict.count("the SDK raises", raised, 200 if full else 20)
        _nothing_stored(verdict, here.faulty, 100 if full else 20)
    return verdict


def _cut(here: World, specs: list[str], rescue: bool) -> Ask:
    def ask(number: int) -> Outcome:
        model = f"first/{specs[number]}:call:{number}r{rescue:d}"
        return chat(here.servers[rescue].port, model, f"n{number}x", fallbacks=["second/ok"])

    return ask


def _raises(server: Server, number: int) -> bool:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    model, messages = f"first/cut:after:5:sdk:{number}", [{"role": "user", "content": "nonce"}]
    said = ""
    try:
        for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
            said += chunk.choices[0].delta.content or ""
    except openai.APIError as error:
        return said == "".join(pieces("nonce")[:5]) and error.code == "stream_interrupted"
    finally:
        client.close()
    return False


def _nothing_stored(verdict: Verdict, first: Faulty, count: int) -> None:
    settings = config(provider("first", first.url), router="{stream-rescue: false}")
    with gateway(settings) as server:
        twice = [chat(server.port, f"first/cut:after:5:n:{number // 2}", "nonce") for number in range(2 * count)]
    verdict.requests += len(twice)
    verdict.count("not stored", sum(outcome.headers.get("x-aura-cache") == "miss" for outcome in twice), len(twice))


PHASES = {
    "body not sent": ("", True),
    "waiting for the head": ("silence", True),
    "waiting for content": ("stall:after:0", True),
    "in mid-stream": ("stall:after:5", True),
    "whole, waiting": ("silence", False),
    "whole, half sent": ("drip", False),
}


def clients_that_leave(full: bool) -> Verdict:
    """G7: the upstream is let go at once, and nothing is kept."""
    verdict, times = Verdict(), []
    with world() as here:
        server = here.servers[True]
        chat(server.port, "first/ok", "n")
        folder = f"/proc/{server.workers()[0]}/fd"
        before = len(os.listdir(folder))
        for number in range((1000 if full else 60) // len(PHASES)):
            for name, (fault, stream) in PHASES.items():
                times += _leave(here, server, f"first/{fault or 'ok'}:leave:{number}", stream, name == "body not sent")
                verdict.requests += 1
        deadline = time.monotonic() + 5
        while len(os.listdir(folder)) > before + 2 and time.monotonic() < deadline:
            gevent.sleep(0.1)
        verdict.measure("descriptors more", len(os.listdir(folder)) - before, 2)
    verdict.measure("upstream closed p99 s", percentile(times, 0.99), 0.1)
    return verdict


def _leave(here: World, server: Server, model: str, stream: bool, early: bool) -> list[float]:
    """Ask, leave when the provider has begun; how long it took until the provider's connection was closed."""
    asked = len(here.faulty.asked)
    body = f'{{"model": "{model}", "stream": {str(stream).lower()}, "messages": [{{"role": "user", "content": "n"}}]}}'
    data = post("/v1/chat/completions", body.encode(), "Content-Type: application/json")
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        link.sendall(data[:-20] if early else data)
        if early:
            gevent.sleep(0.01)
            return []
        while len(here.faulty.asked) == asked:
            gevent.sleep(0.001)
        gevent.sleep(0.02)
        left = time.monotonic()
    return [here.faulty.ended_at(here.faulty.asked[-1].connection) - left]


def flaps(full: bool) -> Verdict:
    """F31, F33: a provider that comes and goes, one whose probe is never answered: nobody notices, both come back."""
    verdict = Verdict()
    with Faulty() as flapping, Faulty() as stuck, Faulty() as second:
        entries = provider("flapping", flapping.url), provider("stuck", stuck.url), provider("second", second.url)
        with gateway(config(*entries)) as server:

            def ask(number: int) -> Outcome:
                name = ("flapping", "stuck")[number % 2]
                return chat(server.port, f"{name}/ok", "n", fallbacks=["second/ok"], headers=NO_STORE)

            running = gevent.spawn(_flap, flapping, 5.0 if full else 1.0, 120.0 if full else 12.0)
            stuck.next.extend(["status:code:503"] * 5 + ["silence"])
            verdict.requests = 1270 if full else 190
            outcomes = volley(10, verdict.requests, ask)
            running.join()
    verdict.count("answered", sum(ending(outcome, "n", 130) == "ok" for outcome in outcomes), len(outcomes))
    for place, name in enumerate(("flapping", "stuck")):
        last = outcomes[place::2][-1].headers.get("x-aura-provider")
        verdict.count(f"{name} in use again", int(last == name), 1)
    return verdict


def _flap(flapping: Faulty, period: float, seconds: float) -> None:
    for number in range(round(seconds / period)):
        flapping.always = "" if number % 2 else "hangup"
        gevent.sleep(period)
    flapping.always = ""


GATES: dict[str, Callable[[bool], Verdict]] = {
    "G3 one of two dead": one_of_two_dead,
    "G4 recovery": recovery,
    "F31 F33 flaps, stuck probes": flaps,
    "G5 amplification": amplification,
    "G6 cuts": cuts,
    "G7 clients that leave": clients_that_leave,
}
