"""Hedging: when a second call goes out beside a late one, as tables; and what becomes of both, over sockets."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import gevent
import pytest
import requests

from aura.call import Hedge, Model, Plan, Planned, Target, Tier
from aura.errors import BadRequest, Failure, Reason
from aura.failover import Attempts, Circuit, RetryBudget, Rules
from aura.hedge import LEAST, MAX_SAVED, Hedging

from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .server import Server, gateway
from .test_streams import leave as leave_call
from .test_streams import one_good_answer

pytestmark = pytest.mark.xdist_group("hedge")

ONE = Target("p", "m")


# --- when a target is late


@pytest.mark.parametrize(
    ("rule", "times", "late_after"),
    [
        (Hedge(), [], None),
        (Hedge(), [0.1] * (LEAST - 1), None),
        (Hedge(), [0.1] * LEAST, 0.1),
        (Hedge(), [number / 100 for number in range(100)], 0.95),
        (Hedge(0.5), [number / 100 for number in range(100)], 0.5),
        (Hedge(0.99), [1.0] * 99 + [9.0], 9.0),
        (Hedge(), [9.0] * 200 + [0.1] * 200, 0.1),
        (Hedge(seconds=2.0), [], 2.0),
        (Hedge(seconds=2.0), [0.1] * LEAST, 2.0),
    ],
)
def test_a_target_is_late_by_its_own_recent_times_or_after_a_fixed_one(rule, times, late_after):
    hedging = Hedging(rule)
    for seconds in times:
        hedging.note(ONE, True, seconds)

    assert hedging.delay(ONE, True) == late_after


def test_streams_and_whole_answers_are_measured_apart_and_so_are_targets():
    hedging = Hedging(Hedge())
    for _ in range(LEAST):
        hedging.note(ONE, True, 0.1)

    assert hedging.delay(ONE, False) is None
    assert hedging.delay(Target("p", "other"), True) is None


@pytest.mark.parametrize(
    ("at_most", "calls", "leaves"),
    [(0.05, 19, 0), (0.05, 20, 1), (0.05, 39, 1), (0.05, 100, 5), (1.0, 1, 1), (0.5, 3, 1), (0.05, 10_000, MAX_SAVED)],
)
def test_second_calls_are_a_share_of_all(at_most, calls, leaves):
    hedging = Hedging(Hedge(at_most=at_most))
    for _ in range(calls):
        hedging.call()

    assert [hedging.take() for _ in range(20)] == [number < leaves for number in range(20)]


# --- who is asked beside


def planned(name: str, tier: Tier | None = Tier.ECO) -> Planned:
    return Planned(Target(name, "m"), Model("m"), tier)


def attempts_of(targets: list[Planned], opened: str = "", pinned: bool = False, most: int = 3) -> Attempts:
    circuits = {p.target: Circuit(lambda: 1.0, lambda: 0.5, lambda before, after: None) for p in targets}
    for target, circuit in circuits.items():
        for _ in range(5 if target.provider in opened.split() else 0):
            circuit.settle(circuit.admit(), Failure(Reason.UNREACHABLE).rule.circuit)
    plan = Plan(targets, Tier.ECO, pinned)
    return Attempts(plan, circuits.__getitem__, RetryBudget(lambda: 1.0), Rules(most), 100.0, lambda: 1.0, lambda: 0.5)


@pytest.mark.parametrize(
    ("targets", "more", "second"),
    [
        ([planned("a"), planned("b")], {}, "b"),
        ([planned("a")], {}, None),
        ([planned("a")], {"pinned": True}, None),
        ([planned("a"), planned("b", None)], {"pinned": True}, "b"),
        ([planned("a"), planned("b", Tier.PREMIUM)], {}, None),
        ([planned("a"), planned("b", Tier.PREMIUM), planned("c")], {}, "c"),
        ([planned("a"), planned("b")], {"opened": "b"}, None),
        ([planned("a"), planned("b"), planned("c")], {"opened": "b"}, "c"),
        ([planned("a"), planned("b")], {"most": 1}, None),
    ],
)
def test_the_second_call_goes_to_the_next_target_that_is_as_good_and_well(targets, more, second):
    attempts = attempts_of(targets, **more)
    first = attempts.next()
    step = attempts.hedge(first)

    assert second == (step.planned.target.provider if step else None)
    assert attempts.made == (2 if step else 1)


def test_a_target_that_was_asked_beside_another_is_not_asked_as_the_next():
    attempts = attempts_of([planned("a"), planned("b")])
    first = attempts.next()
    second = attempts.hedge(first)
    attempts.failed(first, Failure(Reason.TIMEOUT))
    attempts.failed(second, Failure(Reason.TIMEOUT))

    assert second.hedge
    assert second.last
    assert attempts.next() is None


def test_what_a_failure_would_have_led_to_is_forgotten_when_another_answers():
    attempts = attempts_of([planned("a"), planned("b")], pinned=True)
    first = attempts.next()
    attempts.hedge(first)
    attempts.failed(first, Failure(Reason.SERVER_ERROR))
    attempts.won()

    assert attempts.next() is None


def test_a_target_whose_grammar_cannot_carry_the_call_is_no_attempt():
    attempts = attempts_of([planned("a"), planned("b"), planned("c")], most=1)
    attempts.next()
    attempts.refused(BadRequest("No."))

    assert attempts.made == 0
    assert attempts.next().planned.target.provider == "b"


# --- over sockets


@dataclass
class World:
    server: Server
    first: Faulty
    second: Faulty
    names: Iterator[int]

    def ask(self, fault: str, second: str = "ok", stream: bool = True, **more) -> Outcome:
        """A call whose target is pinned, and late if the fault is; models of their own share no circuit and no time."""
        self.first.next.append(fault)
        name = next(self.names)
        self.second.next.append(second)
        return chat(self.server.port, f"first/m{name}", "nonce", stream=stream, fallbacks=[f"second/n{name}"], **more)

    def line(self) -> dict:
        """The log's line of the last call."""
        self.server.wait_for(r"request\.done")
        return [json.loads(line) for line in self.server.log().splitlines() if '"request.done"' in line][-1]

    def counted(self, name: str) -> float:
        """A metric, summed over its series that match."""
        told = requests.get(f"{self.server.url}/actuator/prometheus", timeout=10).text
        return sum(float(value) for value in re.findall(rf"^{name} (\S+)$", told, re.MULTILINE))

    def clear(self) -> None:
        for asked in (self.first, self.second):
            asked.asked.clear()
            asked.next.clear()


def opened(hedge: str) -> Iterator[World]:
    prices = "price: {input: 10, output: 10}"
    with Faulty() as first, Faulty() as second:
        config = (
            f"aura:\n  cache: {{enabled: false}}\n  actuator: {{public: [health, prometheus]}}\n  router: {hedge}\n"
        )
        config += "  providers:\n" + provider("first", first.url) + provider("second", second.url)
        config += (
            f'    priced: {{type: openai, base-url: "{first.url}/v1", api-key: k, '
            f"models: {{eco: [{{name: p, {prices}}}]}}}}\n"
            f'    dear: {{type: openai, base-url: "{second.url}/v1", api-key: k, '
            f"models: {{eco: [{{name: p, {prices}}}]}}}}\n"
        )
        with gateway(config) as server:
            yield World(server, first, second, itertools.count())


@pytest.fixture(scope="module")
def _fixed():
    yield from opened("{hedge: {after: 200ms, at-most: 100%}}")


@pytest.fixture
def world(_fixed):
    """A second call after 0.2 s, always."""
    _fixed.clear()
    return _fixed


BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@BOTH
def test_the_second_answers_for_one_that_is_late_and_the_late_one_is_cancelled(world, stream):
    won = world.counted(r'aura_hedges_total\{outcome="won"\}')
    outcome = world.ask("silence", stream=stream)

    assert outcome.text == text("nonce")
    assert outcome.headers["x-aura-provider"] == "second"
    assert outcome.headers["x-aura-attempts"] == "2"
    assert world.first.end(world.first.asked[0].connection) == "fin"
    assert outcome.seconds < 5
    assert world.line()["hedge"] == "won"
    assert world.line()["attempts"] == 2
    assert world.counted(r'aura_hedges_total\{outcome="won"\}') == won + 1


@BOTH
def test_the_first_may_still_answer_first(world, stream):
    lost = world.counted(r'aura_hedges_total\{outcome="lost"\}')
    outcome = world.ask("late:by:0.6", "silence", stream=stream)

    assert outcome.text == text("nonce")
    assert outcome.headers["x-aura-provider"] == "first"
    assert outcome.headers["x-aura-attempts"] == "2"
    assert world.second.end(world.second.asked[0].connection) == "fin"
    assert world.line()["hedge"] == "lost"
    assert world.counted(r'aura_hedges_total\{outcome="lost"\}') == lost + 1


def test_a_stream_whose_head_has_come_is_late_all_the_same(world):
    outcome = world.ask("stall:after:0")

    one_good_answer(outcome)
    assert outcome.headers["x-aura-provider"] == "second"
    assert world.first.end(world.first.asked[0].connection) == "fin"


@BOTH
def test_a_quick_answer_has_no_second_beside_it(world, stream):
    outcome = world.ask("ok", stream=stream)

    assert outcome.headers["x-aura-attempts"] == "1"
    assert world.second.asked == []
    assert world.line()["hedge"] is None


@BOTH
@pytest.mark.parametrize("fault", ["status:code:500", "hangup", "status:code:429", "truncated", "cut:after:0"])
def test_a_second_that_fails_leaves_the_answer_to_the_first(world, stream, fault):
    outcome = world.ask("late:by:0.6", fault, stream=stream)

    assert outcome.text == text("nonce")
    assert outcome.headers["x-aura-provider"] == "first"


@BOTH
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_first_that_fails_at_last_leaves_the_answer_to_the_second(world, stream, how):
    world.first.says.append([0.4, how])
    outcome = world.ask("says", "late:by:0.6", stream=stream)

    assert outcome.text == text("nonce")
    assert outcome.headers["x-aura-provider"] == "second"
    assert len(world.first.asked) == 1


@BOTH
def test_a_refused_request_ends_both(world, stream):
    world.first.next.append("late-refusal:by:0.4")
    world.second.next.append("silence")
    name = next(world.names)
    outcome = chat(world.server.port, f"first/m{name}", "nonce", stream=stream, fallbacks=[f"second/n{name}"])

    assert outcome.status == 400
    assert world.second.end(world.second.asked[0].connection) == "fin"


@BOTH
def test_both_costs_are_counted(world, stream):
    """The prompt of the call that was given up is billed by its provider all the same."""
    spent = world.counted(r"aura_cost_usd_total\{.*\}")
    world.first.next.append("silence")
    options = {"stream_options": {"include_usage": True}} if stream else {}
    outcome = chat(world.server.port, "priced/p", "nonce " * 500, stream=stream, fallbacks=["dear/p"], **options)
    line = world.line()

    assert outcome.headers["x-aura-provider"] == "dear"
    assert line["cost_usd"] > (7 + 12) * 10 / 1e6 + 500 * 10 / 1e6
    assert world.counted(r"aura_cost_usd_total\{.*\}") - spent == pytest.approx(line["cost_usd"], abs=1e-7)
    if not stream:
        assert float(outcome.headers["x-aura-cost-usd"]) == pytest.approx(line["cost_usd"], abs=1e-7)


@BOTH
def test_a_client_that_leaves_cancels_both(world, stream):
    world.first.next.append("silence")
    world.second.next.append("silence")
    left = leave_call(world, world.second, stream, "fin")

    for asked in (world.first.asked[-1], world.second.asked[-1]):
        server = world.first if asked is world.first.asked[-1] else world.second
        assert left.to(server.ended_at(asked.connection)) < 0.1


def test_an_answer_of_the_second_may_be_rescued(world):
    world.second.next.append("cut:after:4")
    world.first.next.append("silence")
    outcome = chat(world.server.port, f"first/m{next(world.names)}", "nonce", fallbacks=["second/m"])

    one_good_answer(outcome, text("nonce"))


def test_a_single_pinned_target_is_never_hedged(world):
    world.first.next.append("late:by:0.5")
    outcome = chat(world.server.port, f"first/m{next(world.names)}", "nonce")

    assert outcome.headers["x-aura-attempts"] == "1"
    assert len(world.first.asked) == 1


def test_a_target_that_is_not_well_is_not_asked_beside(world):
    for _ in range(5):
        world.second.next.append("status:code:503")
        chat(world.server.port, "second/ill", "nonce", headers={"X-Aura-Timeout": "0.15"})
    world.second.asked.clear()
    world.first.next.append("late:by:0.5")
    outcome = chat(world.server.port, f"first/m{next(world.names)}", "nonce", fallbacks=["second/ill"])

    assert outcome.headers["x-aura-provider"] == "first"
    assert world.second.asked == []


def test_nothing_is_held_when_all_has_ended(world):
    """Green threads, connections and places in the budget come back."""
    for fault, second in itertools.product(("silence", "late:by:0.3", "cut:after:0"), ("ok", "status:code:500")):
        for stream in (True, False):
            world.ask(fault, second, stream, headers={"X-Aura-Timeout": "2"})
    deadline = time.monotonic() + 30
    while world.first.open_connections() > 2 and time.monotonic() < deadline:
        gevent.sleep(0.05)

    assert world.first.open_connections() <= 2
    assert world.counted("aura_streams_open") == 0


def test_by_percentile_a_target_is_late_by_its_own_times_and_few_calls_are_doubled():
    for world in opened("{hedge: {after: p95, at-most: 5%}}"):
        quick = [chat(world.server.port, "first/m", f"n{number}", fallbacks=["second/m"]) for number in range(30)]
        world.first.always = "late:by:0.5"
        late = chat(world.server.port, "first/m", "late", fallbacks=["second/m"])
        crowd = [gevent.spawn(chat, world.server.port, "first/m", f"l{n}", fallbacks=["second/m"]) for n in range(29)]
        gevent.joinall(crowd, raise_error=True)

        assert [call.headers["x-aura-provider"] for call in quick] == ["first"] * 30
        assert late.headers["x-aura-provider"] == "second"
        assert 1 <= len(world.second.asked) <= 3


def test_without_the_setting_nobody_is_asked_beside():
    for world in opened("{}"):
        outcome = world.ask("late:by:1")

        assert outcome.headers["x-aura-provider"] == "first"
        assert world.second.asked == []
