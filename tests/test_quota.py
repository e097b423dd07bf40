"""Limits by the minute and at once: the arithmetic, the table that workers share, and what a call is let in under."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.call import Attempt, Call, Target, Usage
from aura.errors import RateLimited
from aura.providers import reset_after
from aura.quota import Limited, Quota, window
from aura.quota.table import SLOTS, Table
from aura.quota.window import MINUTE, State
from aura.settings import ClientKey, LimitsSettings, Secret

MESSAGES = [{"role": "user", "content": "x" * 384}]  # 100 tokens, by the estimate


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """The limits of some keys, and calls under them."""

    def __init__(self, *keys: ClientKey, **limits: int) -> None:
        self.clock = Clock()
        settings = LimitsSettings(**limits)
        self.quota = Quota(settings, keys, lambda names, rows: Table(names, rows, clock=self.clock), self.clock)

    def call(self, caller: str = "", **body: object) -> Call:
        """A call that is let in."""
        call = Call("id", {"messages": MESSAGES, **body}, caller=caller)
        self.quota.admit(call)
        return call

    def refused(self, caller: str = "", **body: object) -> tuple[Call, RateLimited]:
        """A call that is not."""
        call = Call("id", {"messages": MESSAGES, **body}, caller=caller)
        with pytest.raises(RateLimited) as caught:
            self.quota.admit(call)
        return call, caught.value

    def end(self, call: Call, tokens: int | None = None, **how: object) -> None:
        """A call's end; ``tokens`` are what its provider tells."""
        for name, value in how.items():
            setattr(call, name, value)
        if tokens is not None:
            call.attempts.append(Attempt(Target("p", "m"), usage=Usage(input=1, output=tokens - 1)))
        call.lease.end(call)

    def left(self, kind: str = "tokens", caller: str = "") -> int:
        """What remains, as an answer tells it."""
        headers = self.quota.headers(Call("id", {}, caller=caller))
        return int(headers[f"x-ratelimit-remaining-{kind}"])


def key(name: str, **limits: int) -> ClientKey:
    return ClientKey(name=name, key=Secret(f"key-of-{name}"), **limits)


# --- the arithmetic


@pytest.mark.parametrize(
    ("state", "later", "used", "reset"),
    [
        (State(0, 0, 60), 0, 0, 0),
        (State(0, 7, 60), 0, 7, 120),
        (State(0, 7, 60), 59, 7, 61),
        (State(0, 10, 60), 60, 10, 60),
        (State(0, 10, 60), 90, 5, 30),
        (State(0, 10, 60), 90.001, 4, 29.999),
        (State(0, 10, 60), 120, 0, 0),
        (State(0, 10, 60), 500, 0, 0),
        (State(100, 10, 60), 30, 60, 90),
        (State(100, 10, 60), 60, 10, 60),
    ],
)
def test_what_was_counted_weighs_less_when_its_minute_is_over(state, later, used, reset):
    state = window.at(state, later)

    assert used == window.used(state, later)
    assert window.reset(state, later) == pytest.approx(reset)


@given(
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.floats(0, 59.99),
    st.integers(1, 1000),
    st.integers(1, 1000),
)
def test_after_the_wait_there_is_room_and_not_long_before(previous, current, now, limit, amount):
    state = State(previous, current, MINUTE)
    wait = window.wait(state, limit, amount, now)

    def fits(at: float) -> bool:
        return window.used(window.at(state, at), at) + amount <= limit

    if amount > limit:
        assert wait == float("inf")
        return
    assert 0 <= wait <= 2 * MINUTE
    assert fits(now + wait)
    assert wait == 0 or not fits(now + wait - 0.002)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (-3, "0s"),
        (1e-10, "0s"),
        (0.0001, "1ms"),
        (0.02, "20ms"),
        (0.9991, "1s"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9996, "1m0s"),
        (60, "1m0s"),
        (72.5, "1m12.5s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (3723.004, "1h2m3.004s"),
    ],
)
def test_times_are_written_as_openai_writes_them(seconds, expected):
    assert expected == window.shown(seconds)


@given(st.floats(0, 100_000))
def test_a_time_that_is_written_can_be_read_and_is_not_too_short(seconds):
    written = window.shown(seconds)

    assert re.fullmatch(r"(\d+h)?(\d+m)?\d+(\.\d{1,3})?s|\d{1,3}ms", written)
    read = reset_after({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": written})
    assert seconds - 1e-6 <= (read or 0.0) <= seconds + 0.0011


# --- requests


def test_so_many_requests_fit_into_a_minute():
    gate = Gate(requests_per_minute=3)
    told = [gate.call().lease.headers for _ in range(3)]
    call, error = gate.refused()

    assert [(one["x-ratelimit-limit-requests"], one["x-ratelimit-remaining-requests"]) for one in told] == [
        ("3", "2"),
        ("3", "1"),
        ("3", "0"),
    ]
    assert told[0]["x-ratelimit-reset-requests"] == "2m0s"
    assert "x-ratelimit-limit-tokens" not in told[0]
    assert (error.status, error.code, error.should_retry) == (429, "rate_limit_exceeded", True)
    assert call.lease.headers["x-ratelimit-remaining-requests"] == "0"
    assert call.limited == "key.requests"


def test_whoever_waits_as_long_as_it_is_told_gets_in():
    gate = Gate(requests_per_minute=3)
    for _ in range(3):
        gate.call()
    gate.clock.now += 10
    _, error = gate.refused()
    gate.clock.now += error.retry_after - 0.002
    gate.refused()
    gate.clock.now += 0.002
    gate.call()
    _, again = gate.refused()

    assert error.retry_after == pytest.approx(50, abs=0.01)
    assert again.retry_after == pytest.approx(20, abs=0.01)


def test_a_refused_call_counts_nothing():
    gate = Gate(requests_per_minute=2, tokens_per_minute=1000)
    gate.call(max_tokens=800)
    for _ in range(5):
        gate.refused(max_tokens=800)

    assert (gate.left("requests"), gate.left("tokens")) == (1, 100)


def test_a_key_that_is_shut_is_refused_before_anything_is_read_of_its_call():
    gate = Gate(key("ada", requests_per_minute=1), key("bob"))
    call = Call("id", {}, caller="ada")
    gate.quota.check(call)
    gate.call("ada")
    gate.quota.check(call)
    gate.refused("ada")
    gate.clock.now += 10
    with pytest.raises(RateLimited) as early:
        gate.quota.check(call)
    gate.quota.check(Call("id", {}, caller="bob"))
    gate.clock.now += early.value.retry_after
    gate.quota.check(call)

    assert early.value.retry_after == pytest.approx(50, abs=0.01)
    assert call.lease.headers["x-ratelimit-reset-requests"] == "1m50s"
    assert gate.call("ada")


# --- whose limits


def test_a_keys_own_limits_go_before_those_of_all_keys():
    gate = Gate(
        key("ada"),
        key("bob", requests_per_minute=1),
        key("eve", requests_per_minute=0),
        requests_per_minute=2,
    )
    told = {name: gate.call(name).lease for name in ("ada", "bob", "eve")}
    gate.call("ada")
    gate.refused("ada")
    gate.refused("bob")
    for _ in range(10):
        gate.call("eve")

    assert told["eve"] is None
    assert [told[name].headers["x-ratelimit-limit-requests"] for name in ("ada", "bob")] == ["2", "1"]


def test_the_total_is_that_of_all_keys_and_the_tighter_limit_is_told():
    gate = Gate(key("ada"), key("bob"), requests_per_minute=3, total_requests_per_minute=4)
    told = [gate.call(name).lease.headers for name in ("ada", "ada", "bob", "bob")]
    call, error = gate.refused("ada")

    assert [(one["x-ratelimit-limit-requests"], one["x-ratelimit-remaining-requests"]) for one in told] == [
        ("3", "2"),
        ("3", "1"),
        ("4", "1"),
        ("4", "0"),
    ]
    assert call.limited == "total.requests"
    assert "gateway" in error.message


def test_without_limits_nothing_is_counted_or_told():
    gate = Gate(key("ada"))
    call = gate.call("ada")

    assert call.lease is None
    assert gate.quota.headers(call) == {}
    assert gate.quota._store is None


def test_without_keys_all_callers_are_one():
    gate = Gate(requests_per_minute=1)
    gate.call()

    gate.refused()


# --- tokens


@pytest.mark.parametrize(
    ("body", "reserved"),
    [
        pytest.param({"max_tokens": 50}, 150, id="max_tokens"),
        pytest.param({"max_completion_tokens": 70, "max_tokens": None}, 170, id="max_completion_tokens"),
        pytest.param({"max_tokens": 50, "n": 3}, 250, id="choices"),
        pytest.param({}, 600, id="nothing said"),
        pytest.param({"n": 2}, 1100, id="nothing said, choices"),
    ],
)
def test_the_prompt_and_the_longest_answer_are_reserved(body, reserved):
    gate = Gate(tokens_per_minute=100_000)
    gate.call(**body)

    assert gate.left() == 100_000 - reserved


def test_an_answer_of_unknown_length_never_shuts_a_small_limit():
    gate = Gate(tokens_per_minute=110)
    gate.call()

    assert gate.left() == 0


@pytest.mark.parametrize(
    ("given", "tokens"),
    [("x" * 400, 100), (["x" * 400, "x" * 40], 110), ([1, 2, 3], 3), ([[1, 2], [3]], 3), (None, 0)],
)
def test_what_is_no_conversation_has_no_answer_to_reserve(given, tokens):
    gate = Gate(tokens_per_minute=1000)
    gate.quota.admit(Call("id", {"input": given}, door="embeddings"))

    assert gate.left() == 1000 - tokens


def test_a_call_that_never_fits_is_refused_for_good():
    gate = Gate(tokens_per_minute=500)
    _, error = gate.refused(max_tokens=401)

    assert (error.status, error.should_retry, error.retry_after) == (429, False, None)
    assert "501" in error.message


@pytest.mark.parametrize(
    ("how", "used"),
    [
        pytest.param({"tokens": 30}, 30, id="less than reserved"),
        pytest.param({"tokens": 700}, 700, id="more"),
        pytest.param({"tokens": 5000}, 1000, id="more than there is"),
        pytest.param({"cache": "hit", "target": Target("p", "m"), "status": 200}, 0, id="from the cache"),
        pytest.param({"status": 400}, 0, id="refused before anyone was asked"),
        pytest.param({"status": 502, "target": Target("p", "m")}, 0, id="every provider failed"),
        pytest.param({"status": 499, "target": Target("p", "m")}, 100, id="the client left before the answer"),
        pytest.param(
            {"status": 499, "target": Target("p", "m"), "first_content_s": 0.1}, 300, id="the client left in the answer"
        ),
        pytest.param({"status": 200, "target": Target("p", "m")}, 300, id="no usage was told"),
        pytest.param({"status": 499, "tokens": 40, "first_content_s": 0.1}, 40, id="left, but the usage was told"),
    ],
)
def test_what_was_used_takes_the_place_of_what_was_reserved(how, used):
    gate = Gate(tokens_per_minute=1000)
    call = gate.call(max_tokens=200)
    gate.end(call, **how)
    call.lease.end(call)

    assert gate.left() == 1000 - used


def test_failed_attempts_that_are_billed_count_too():
    gate = Gate(tokens_per_minute=1000)
    call = gate.call(max_tokens=200)
    call.attempts.append(Attempt(Target("q", "m"), "interrupted", usage=Usage(input=100, output=11)))
    gate.end(call, 50)

    assert gate.left() == 1000 - 161


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        pytest.param(30, 1000 - 10 - 400, id="in its own minute"),
        pytest.param(60, 1000 - 10 - 400, id="in the next"),
        pytest.param(90, 1000 - 5 - 400, id="when half of it still counts"),
        pytest.param(130, 1000 - 400, id="when it does not count any more"),
        pytest.param(1000, 1000 - 400, id="long after"),
    ],
)
def test_what_is_given_back_is_taken_from_where_it_was_counted(seconds, left):
    """Others' tokens of a later minute stay counted."""
    gate = Gate(tokens_per_minute=1000)
    call = gate.call(max_tokens=200)
    gate.clock.now += seconds
    other = gate.call(max_tokens=300)
    gate.end(call, 10)

    assert gate.left() == left
    assert other.lease is not None


# --- at once


def test_so_many_calls_may_be_open_at_once():
    gate = Gate(key("ada", concurrent=2), key("bob"), total_concurrent=3)
    open_calls = [gate.call("ada"), gate.call("ada")]
    call, error = gate.refused("ada")
    gate.call("bob")
    total, _ = gate.refused("bob")
    gate.end(open_calls[0], status=200)
    open_calls[0].lease.end(open_calls[0])
    gate.call("ada")
    gate.refused("ada")

    assert (call.limited, total.limited) == ("key.concurrent", "total.concurrent")
    assert (error.status, error.code, error.retry_after) == (429, "rate_limit_exceeded", 1)


def test_a_call_that_another_limit_refuses_takes_no_place():
    gate = Gate(concurrent=2, requests_per_minute=1)
    call = gate.call()
    for _ in range(5):
        gate.refused()
    gate.end(call, status=200)
    gate.clock.now += 200
    gate.call()

    assert gate.quota._store._count(gate.quota._store._rows["key:concurrent:"]) == 1


# --- the table that workers share


def table(folder, slot: int = 0, clock=time.monotonic, windows=("w",), rows=("r",)) -> Table:
    return Table(list(windows), list(rows), folder, slot, clock)


def test_workers_count_together(tmp_path):
    clock = Clock()
    one, other = (table(tmp_path, slot, clock) for slot in (0, 1))
    let = [store.take([("w", 5, 1)], [], clock.now).refused for store in (one, other) * 4]

    assert let == [None] * 5 + [0] * 3
    assert other.read(["w"], clock.now)[0].current == 5


def test_what_was_counted_outlives_a_change_of_the_configuration(tmp_path):
    clock = Clock()
    table(tmp_path, 0, clock, ["old", "kept"]).take([("kept", 9, 3), ("old", 9, 1)], [], clock.now)
    after = table(tmp_path, 1, clock, ["new", "kept", "more"])

    assert [one.current for one in after.read(["new", "kept", "more"], clock.now)] == [0, 3, 0]


def test_places_that_no_one_counts_in_any_more_are_given_away(tmp_path):
    clock = Clock()
    for turn in range(40):
        clock.now += 200
        names = [f"{turn}-{number}" for number in range(16)]
        store = table(tmp_path, 0, clock, names, names)
        store.take([(name, 9, 1) for name in names], [(name, 9) for name in names], clock.now)

    assert [one.current for one in store.read(names, clock.now)] == [1] * 16


def test_a_table_that_is_full_of_what_counts_is_refused(tmp_path):
    clock = Clock()
    for turn in range(4):
        names = [f"{turn}-{number}" for number in range(16)]
        table(tmp_path, 0, clock, names).take([(name, 9, 1) for name in names], [], clock.now)

    with pytest.raises(OSError, match="full"):
        table(tmp_path, 0, clock, ["one more"])


def test_a_dead_workers_open_calls_are_none(tmp_path):
    child = "from tests.test_quota import *; from pathlib import Path; import sys\n"
    child += (
        "t = table(Path(sys.argv[1]), 3); [t.take([], [('r', 4)], 0.0) for _ in range(4)]; print('held', flush=True)\n"
    )
    child += "input()"
    command = [sys.executable, "-c", child, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as process:
        assert process.stdout.readline() == b"held\n"
        own = table(tmp_path, 0)
        before = own.take([], [("r", 4)], 0.0).refused
        process.kill()
    after = [own.take([], [("r", 4)], 0.0).refused for _ in range(5)]

    assert before == 0
    assert after == [None] * 4 + [0]


def test_a_slots_next_worker_begins_with_none(tmp_path):
    first = table(tmp_path, 2)
    first.take([], [("r", 1)], 0.0)
    second = table(tmp_path, 2)

    assert second.take([], [("r", 1)], 0.0).refused is None


def test_a_lock_that_is_held_for_ever_holds_nobody_up(tmp_path):
    one, other = table(tmp_path, 0), table(tmp_path, 1)
    one._try_lock()
    taken = [other.take([("w", 3, 1)], [("r", 9)], 0.0) for _ in range(4)]
    other.settle([("w", -1, taken[0].states[0].ends)], [("r", 9)], 0.0)
    unwritten = one.read(["w"], 0.0)[0].current
    one._give_lock()
    after = other.take([("w", 3, 1)], [], 0.0)

    assert [one.refused for one in taken] == [None] * 3 + [0]
    assert unwritten == 0
    assert (after.refused, one.read(["w"], 0.0)[0].current) == (None, 3)


HAMMER = """
import sys
from pathlib import Path
from tests.test_quota import table
store, let, most = table(Path(sys.argv[1]), int(sys.argv[2]), rows=["r", "inside"]), 0, 0
print("ready", flush=True)
input()
while (taken := store.take([("w", 5000, 1)], [("r", 3)], 0.0)).refused != 0:
    if taken.refused is None:
        store.take([], [("inside", 100)], 0.0)
        let, most = let + 1, max(most, store._count(store._rows["inside"]))
        store.settle([], [("inside", 100)], 0.0)
        store.settle([], [("r", 3)], 0.0)
print(let, most)
"""


def test_processes_at_once_keep_to_a_limit(tmp_path):
    """Exactly but while the one that holds the lock is kept from running: then others go by what they read."""
    command = [sys.executable, "-c", HAMMER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*command, str(slot)], **pipes) for slot in range(4)]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [list(map(int, process.communicate(timeout=60)[0].split())) for process in running]

    assert 5000 <= sum(let for let, _ in told) <= 5050
    assert 0 < max(most for _, most in told) <= 3


def test_there_are_more_slots_than_workers():
    assert table(None, SLOTS + 1).take([], [("r", 1)], 0.0).refused is None
    assert isinstance(Gate(requests_per_minute=1).quota._of[""], Limited)
