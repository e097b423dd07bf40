"""The order inside a tier, each strategy on a simulated fleet."""

import random
from collections import Counter

import pytest

from aura.call import Tier
from aura.settings import ModelSettings

from .world import SimulatedFleet, call, judge, names, priced, provider, router, target

ABC = [provider("p", ["a", "b", "c"])]


def order(made, fleet=None, **body):
    return [name[2:] for name in names(made.plan(call(**body), judge(Tier.ECO), fleet or SimulatedFleet()))]


def test_priority_is_the_order_of_the_configuration():
    entries = [provider("p", ["a", "b"]), provider("q", ["a"])]
    plan = router(entries).plan(call(), judge(Tier.ECO), SimulatedFleet())

    assert names(plan) == ["p/a", "p/b", "q/a"]


def test_cost_puts_the_cheapest_for_this_very_call_first():
    """One model is cheap to read, the other cheap to write."""
    made = router([provider("p", [priced("writer", 5, 1), priced("reader", 1, 5)])], strategy="cost")
    long_prompt = [{"role": "user", "content": "word " * 4000}]

    assert order(made, messages=long_prompt, max_tokens=10) == ["reader", "writer"]
    assert order(made, max_tokens=1000) == ["writer", "reader"]


def test_cost_counts_every_answer_that_is_asked_for():
    made = router([provider("p", [priced("reader", 1, 5), priced("writer", 5, 1)])], strategy="cost")
    prompt = [{"role": "user", "content": "word " * 100}]

    assert order(made, messages=prompt, max_tokens=50) == ["reader", "writer"]
    assert order(made, messages=prompt, max_tokens=50, n=10) == ["writer", "reader"]


def test_cost_asks_free_models_first_and_those_of_unknown_price_last():
    entries = [
        provider("p", ["unknown-to-all", priced("dear", 10, 10), priced("cheap", 1, 1)]),
        provider("q", ["llama3"], kind="ollama"),
    ]

    assert order(router(entries, strategy="cost")) == ["llama3", "cheap", "dear", "unknown-to-all"]


def test_latency_asks_the_quickest_first():
    fleet = SimulatedFleet(seconds={target("p/a"): 3.0, target("p/b"): 0.4, target("p/c"): 1.0})

    assert order(router(ABC, strategy="latency"), fleet) == ["b", "c", "a"]


def test_latency_tries_what_was_never_asked():
    fleet = SimulatedFleet(seconds={target("p/a"): 0.2, target("p/b"): 0.1})

    assert order(router(ABC, strategy="latency"), fleet) == ["c", "b", "a"]


def test_latency_explores_now_and_then():
    fleet = SimulatedFleet(seconds={target("p/a"): 0.1, target("p/b"): 2.0, target("p/c"): 3.0})
    made = router(ABC, strategy="latency", random=random.Random(1).random)

    first = Counter(order(made, fleet)[0] for _ in range(2000))

    assert 1800 < first["a"] < 1980
    assert first["b"] > 10
    assert first["c"] > 10


def test_latency_finds_the_target_that_has_become_quick():
    """A fleet that learns as the gateway does: the slowest becomes the quickest, and soon gets the calls."""
    truth = {"a": 1.0, "b": 2.0, "c": 3.0}
    fleet = SimulatedFleet()
    made = router(ABC, strategy="latency", random=random.Random(2).random)

    def ask(times):
        chosen = Counter()
        for _ in range(times):
            name = order(made, fleet)[0]
            chosen[name] += 1
            before = fleet.seconds.get(target(f"p/{name}"))
            fleet.seconds[target(f"p/{name}")] = truth[name] if before is None else 0.8 * before + 0.2 * truth[name]
        return chosen

    before = ask(500)
    truth["c"] = 0.1
    ask(1000)
    after = ask(500)

    assert before.most_common(1)[0][0] == "a"
    assert after.most_common(1)[0][0] == "c"


def test_weighted_shares_the_calls_by_weight():
    entries = [provider("p", [ModelSettings("a", weight=3), ModelSettings("b", weight=1)])]
    made = router(entries, strategy="weighted", random=random.Random(3).random)

    first = Counter(order(made)[0] for _ in range(4000))

    assert 0.72 < first["a"] / 4000 < 0.78


def test_weighted_asks_weight_nothing_only_after_the_others():
    entries = [provider("p", [ModelSettings("spare", weight=0), "a", "b"])]
    made = router(entries, strategy="weighted", random=random.Random(4).random)

    assert {"spare"} == {order(made)[-1] for _ in range(200)}


def test_without_chance_the_greatest_weight_is_first():
    entries = [provider("p", [ModelSettings("a", weight=1), ModelSettings("b", weight=2)])]

    assert order(router(entries, strategy="weighted")) == ["b", "a"]


def test_least_busy_asks_who_has_the_fewest_open_requests():
    fleet = SimulatedFleet(open={target("p/a"): 7, target("p/b"): 2, target("p/c"): 2})

    assert order(router(ABC, strategy="least-busy"), fleet) == ["b", "c", "a"]


def test_least_busy_spreads_calls_that_overlap():
    fleet = SimulatedFleet()
    made = router(ABC, strategy="least-busy")
    for _ in range(9):
        first = target(f"p/{order(made, fleet)[0]}")
        fleet.open[first] = fleet.in_flight(first) + 1

    assert sorted(fleet.open.values()) == [3, 3, 3]


@pytest.mark.parametrize("strategy", ["priority", "cost", "latency", "weighted", "least-busy"])
def test_every_strategy_keeps_all_targets_and_puts_the_unavailable_last(strategy):
    fleet = SimulatedFleet(down={target("p/b")})
    made = router(ABC, strategy=strategy, random=random.Random(5).random)

    for _ in range(50):
        ordered = order(made, fleet)

        assert {"a", "b", "c"} == set(ordered)
        assert ordered[-1] == "b"
