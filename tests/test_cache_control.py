"""What calls ask of the cache, and what is kept of answers."""

from __future__ import annotations

from typing import Any

import pytest

from aura.cache import AnswerCache, LocalCache
from aura.cache.control import control_of
from aura.cache.local import Memory
from aura.call import Call, Plan, Target, Tier
from aura.errors import AuraError, BadRequest
from aura.settings import CacheSettings

TARGET = Target("openai", "gpt-4o")
ANSWER = {
    "id": "x",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


class World:
    """A cache whose clock is set by hand."""

    def __init__(self, ttls: dict[str, float] | None = None, **settings: Any) -> None:
        self.now = 1000.0
        self.store = LocalCache(Memory(100, 10**6))
        self.cache = AnswerCache(self.store, CacheSettings(**settings), lambda: self.now, ttls)

    def key(self, call: Call) -> str | None:
        return self.cache.key(call, Plan([], None, signature="plan"))

    def put(self, call: Call, answer: dict[str, Any] = ANSWER) -> None:
        key = self.key(call)
        if key:
            self.cache.put(key, TARGET, answer, call)

    def get(self, call: Call) -> float | None:
        """The age of the answer that the call gets."""
        key = self.key(call)
        stored = self.cache.get(key, call) if key else None
        return stored.age if stored else None


def call(control: str = "", caller: str = "", tier: Tier | None = None, **body: Any) -> Call:
    headers = {"cache-control": control} if control else {}
    return Call(
        "id", {"messages": [{"role": "user", "content": "Hello"}], **body}, caller=caller, headers=headers, tier=tier
    )


def cache(**option: Any) -> dict[str, Any]:
    return {"aura": {"cache": option}}


def test_a_stored_answer_says_how_old_it_is_and_who_gave_it():
    world = World()
    world.put(call())
    world.now += 7
    asked = call()
    stored = world.cache.get(world.key(asked) or "", asked)

    assert stored is not None
    assert (stored.age, stored.target, stored.body) == (7, TARGET, ANSWER)
    assert asked.cache == "hit"


@pytest.mark.parametrize(
    ("asked", "age"),
    [
        (call(), 5),
        (call("max-age=5"), 5),
        (call("Max-Age = 5"), 5),
        (call("max-age=4"), None),
        (call("max-age=0"), None),
        (call('max-age="99999999999999999999999"'), 5),
        (call("no-cache"), None),
        (call("no-store"), None),
        (call("private, NO-CACHE, x=y"), None),
        (call("only-if-cached"), 5),
        (call("unknown=1,,="), 5),
        (call(aura={"cache": True}), 5),
        (call(aura={"cache": False}), None),
        (call(aura={"cache": None}), 5),
        (call(**cache()), 5),
        (call(**cache(mode=None, ttl=None, namespace=None)), 5),
        (call(**cache(mode="refresh")), None),
        (call(**cache(mode="off")), None),
        (call(**cache(mode="read-only")), 5),
        (call(**cache(mode="only-if-cached")), 5),
        (call(**cache(namespace="other")), None),
        (call(**cache(namespace="")), 5),
        (call(**cache(ttl=1)), 5),
        (call("no-cache", **cache(mode="read-only")), None),
        (call(store=False), 5),
        (call(caller="another"), None),
    ],
)
def test_a_call_says_whether_it_takes_a_stored_answer(asked, age):
    world = World()
    world.put(call())
    world.now += 5

    assert world.get(asked) == age


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (call(), True),
        (call("no-cache"), True),
        (call("max-age=0"), True),
        (call("no-store"), False),
        (call(store=False), False),
        (call(store=True), True),
        (call(aura={"cache": False}), False),
        (call(**cache(mode="read-only")), False),
        (call(**cache(mode="refresh")), True),
        (call(**cache(ttl=0)), False),
    ],
)
def test_a_call_says_whether_its_answer_is_kept(asked, kept):
    world = World()
    world.put(asked)

    assert (world.get(call()) is not None) is kept


@pytest.mark.parametrize(
    ("settings", "choice", "kept"),
    [
        ({}, {}, True),
        ({}, {"finish_reason": "length"}, True),
        ({"store_truncated": False}, {"finish_reason": "length"}, False),
        ({"store_truncated": False}, {}, True),
        ({}, {"finish_reason": "tool_calls"}, True),
        ({}, {"finish_reason": "content_filter"}, False),
        ({}, {"finish_reason": "error"}, False),
        ({}, {"finish_reason": None}, False),
        ({}, {"message": {"role": "assistant", "content": None, "refusal": "I cannot."}}, False),
        ({}, {"message": {"role": "assistant", "content": "Hi", "refusal": None}}, True),
        ({"max_entry": 200}, {"message": {"role": "assistant", "content": "x" * 600}}, True),
        ({"max_entry": 200}, {"message": {"role": "assistant", "content": "x" * 900}}, False),
        ({"max_entry": 20}, {}, False),
    ],
)
def test_only_good_answers_are_kept(settings, choice, kept):
    world = World(**settings)
    world.put(call(), {**ANSWER, "choices": [{**ANSWER["choices"][0], **choice}]})

    assert (world.get(call()) is not None) is kept


@pytest.mark.parametrize(
    ("asked", "settings", "seconds"),
    [
        (call(), {}, 3600),
        (call(), {"ttl": 60}, 60),
        (call(tier=Tier.ECO), {"ttl": 60, "eco_ttl": 30}, 30),
        (call(tier=Tier.PREMIUM), {"ttl": 60, "eco_ttl": 30}, 60),
        (call(tier=Tier.PREMIUM), {"premium_ttl": 0}, 0),
        (call(tier=Tier.BALANCED), {"balanced_ttl": 20}, 20),
        (call(caller="acme", tier=Tier.ECO), {"eco_ttl": 30}, 10),
        (call(caller="other", tier=Tier.ECO), {"eco_ttl": 30}, 30),
        (call(caller="acme", **cache(ttl=5.5)), {}, 5.5),
        (call(**cache(ttl=1e9)), {}, 86400),
        (call(**cache(ttl=1e9)), {"max_ttl": 50, "ttl": 40}, 50),
        (call(**cache(ttl=1e9)), {"max_ttl": 50}, 3600),
    ],
)
def test_an_answer_is_kept_for_its_calls_its_tenants_its_tiers_or_the_usual_time(asked, settings, seconds):
    world = World({"acme": 10}, **settings)
    world.put(asked)
    again = call(caller=asked.caller)
    world.now += seconds
    last = world.get(again)
    world.now += 0.001

    assert last == (seconds or None)
    assert world.get(again) is None


@pytest.mark.parametrize(
    "settings", [{"enabled": False}, {"type": "none"}, {"deterministic_only": True}, {"max_entries": 10, "ttl": 0}]
)
def test_nothing_is_kept_where_the_settings_say_so(settings):
    world = World(**settings)
    world.put(call())

    assert world.get(call()) is None


def test_only_calls_of_temperature_0_are_kept_if_that_is_set():
    world = World(deterministic_only=True)
    world.put(call(temperature=0))

    assert world.get(call(temperature=0.0)) is not None
    assert world.key(call(temperature=0.1)) is None


@pytest.mark.parametrize(
    "asked",
    [
        call("only-if-cached"),
        call("only-if-cached, no-cache"),
        call("only-if-cached, no-store"),
        call(**cache(mode="only-if-cached", namespace="n")),
    ],
)
def test_a_call_that_wants_a_stored_answer_only_is_told_that_there_is_none(asked):
    world = World()
    with pytest.raises(AuraError) as told:
        world.get(asked)

    assert (told.value.status, told.value.code, told.value.should_retry) == (504, "not_cached", False)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (call("max-age=soon"), "Cache-Control"),
        (call("max-age=-1"), "Cache-Control"),
        (call("max-age=²"), "Cache-Control"),
        (call("max-age"), "Cache-Control"),
        (call(aura={"cache": "yes"}), "aura.cache"),
        (call(aura={"cache": 1}), "aura.cache"),
        (call(aura={"cache": []}), "aura.cache"),
        (call(**cache(mode="fast")), "aura.cache.mode"),
        (call(**cache(mode=[])), "aura.cache.mode"),
        (call(**cache(ttl="1h")), "aura.cache.ttl"),
        (call(**cache(ttl=-1)), "aura.cache.ttl"),
        (call(**cache(ttl=True)), "aura.cache.ttl"),
        (call(**cache(ttl=float("inf"))), "aura.cache.ttl"),
        (call(**cache(namespace=5)), "aura.cache.namespace"),
        (call(**cache(namespace="n" * 129)), "aura.cache.namespace"),
        (call(**cache(tenant="x")), "aura.cache.tenant"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_name(asked, param):
    with pytest.raises(BadRequest) as refused:
        control_of(asked)

    assert refused.value.param == param


def test_what_is_refused_is_refused_where_the_cache_is_off_too():
    with pytest.raises(BadRequest):
        World(enabled=False).get(call(**cache(ttl="1h")))


@pytest.mark.parametrize("poison", [b"", b"nonsense", b"\x80\x04N.", "text", 5, b'[2,1,1,"p","m",1,1,9]\n'])
def test_a_poisoned_value_is_a_miss_and_deleted(poison):
    world = World()
    key = world.key(call()) or ""
    world.store._level.set(key, poison if isinstance(poison, bytes) else str(poison).encode(), 60)
    missed = world.get(call())

    assert missed is None
    assert world.store.get(key) is None


@pytest.mark.parametrize(
    ("part", "left"),
    [
        ({}, []),
        ({"tenant": "a"}, ["b", "b/n"]),
        ({"tenant": "a", "namespace": "n"}, ["a", "b", "b/n"]),
        ({"namespace": "n"}, ["a", "b"]),
        ({"namespace": ""}, ["a/n", "b/n"]),
        ({"model": "gpt-4o"}, []),
        ({"model": "openai/gpt-4o", "tenant": "b"}, ["a", "a/n"]),
        ({"model": "gpt-4"}, ["a", "a/n", "b", "b/n"]),
        ({"tenant": "c"}, ["a", "a/n", "b", "b/n"]),
    ],
)
def test_a_purge_forgets_what_it_names(part, left):
    world = World()
    calls = {
        f"{tenant}{'/' if namespace else ''}{namespace}": call(caller=tenant, **cache(namespace=namespace))
        for tenant in "ab"
        for namespace in ("", "n")
    }
    for one in calls.values():
        world.put(one)

    assert world.cache.purge(**part) == 4 - len(left)
    assert [name for name, one in calls.items() if world.get(one) is not None] == left


def test_calls_share_an_answer_on_its_way_only_if_they_want_it_in_one_form():
    world = World()
    calls = [
        call(),
        call("no-cache"),
        call(store=False),
        call(stream=True),
        Call("id", call().body, headers={"x-aura-timeout": "1"}),
        Call("id", call().body, stream=True),
        Call("id", call().body, stream=True, wants_usage=True),
    ]
    names = {world.cache.flight(world.key(one) or "", one) for one in calls}

    assert len(names) == 6  # the body's own `stream` is not looked at


def test_an_answer_that_another_worker_replaced_or_deleted_is_not_given_any_more():
    """What a worker has unpacked it gives again only while the store holds the same."""
    world = World()
    other = AnswerCache(world.store, CacheSettings(), lambda: world.now)
    world.put(call())
    key = world.key(call()) or ""
    told = [world.cache.get(key, call()), world.cache.get(key, call())]
    other.put(key, TARGET, {**ANSWER, "id": "y"}, call())
    told.append(world.cache.get(key, call()))
    other.purge()

    assert [stored.body["id"] for stored in told if stored] == ["x", "x", "y"]
    assert world.cache.get(key, call()) is None


def test_large_and_many_answers_are_served_like_small_and_few_ones():
    world = World()
    calls = [call(seed=number) for number in range(99)]
    for number, one in enumerate(calls):
        content = "long " * 10_000 if number == 7 else str(number)
        choice = {**ANSWER["choices"][0], "message": {"role": "assistant", "content": content}}
        world.put(one, {**ANSWER, "id": str(number), "choices": [choice]})

    for _ in range(2):
        found = [world.cache.get(world.key(one) or "", one) for one in calls]
        assert [stored.body["id"] for stored in found if stored] == [str(number) for number in range(99)]


def test_two_tenants_with_ten_thousand_prompts_are_never_given_each_others_answers():
    """The same prompts in turn; each tenant's answers name it."""
    world, given = World(), []
    world.cache = AnswerCache(LocalCache(Memory(30_000, 10**9)), CacheSettings(), lambda: world.now)
    for number in range(10_000):
        for tenant in "ab":
            one = call(caller=tenant, seed=number)

            assert world.get(one) is None
            world.put(one, {**ANSWER, "id": f"{tenant}{number}"})
    for number in range(10_000):
        for tenant in "ab":
            one = call(caller=tenant, seed=number)
            stored = world.cache.get(world.key(one) or "", one)
            given.append((stored.body["id"] if stored else "", f"{tenant}{number}"))

    assert [got for got, _ in given] == [wanted for _, wanted in given]
