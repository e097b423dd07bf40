"""Circuits and attempts, as tables: what each outcome leads to, with a clock that only moves when told."""

from __future__ import annotations

import pytest

from aura.call import Model, Plan, Planned, Target
from aura.errors import Circuit as Effect
from aura.errors import Failure, Reason
from aura.failover import Attempts, Circuit, Permit, RetryBudget, Rules, State, Step


class Clock:
    """Seconds that pass only by :meth:`pass_`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


def middle() -> float:
    """The chance that leaves a cool-down as it is."""
    return 0.5


def circuit_of(clock: Clock, changes: list[tuple[State, State]] | None = None) -> Circuit:
    seen = changes if changes is not None else []
    return Circuit(clock, middle, lambda before, after: seen.append((before, after)))


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        permit = circuit.admit()
        assert permit is not None
        circuit.settle(permit, Effect.FAILURE)


# --- circuits


def test_five_failures_in_a_row_open_a_circuit_and_four_do_not():
    clock = Clock()
    circuit = circuit_of(clock)
    fail(circuit, 4)

    assert circuit.state() is State.CLOSED

    fail(circuit, 1)

    assert circuit.state() is State.OPEN
    assert circuit.admit() is None


def test_half_of_twenty_outcomes_open_a_circuit_even_if_never_five_in_a_row():
    circuit = circuit_of(Clock())
    for n in range(10):
        permit = circuit.admit()
        assert permit is not None
        circuit.settle(permit, Effect.FAILURE if n % 2 else None)

    assert circuit.state() is State.OPEN


def test_cool_downs_grow_to_five_seconds_and_start_again_after_a_good_end():
    clock = Clock()
    circuit = circuit_of(clock)
    fail(circuit, 5)
    waits = []
    for _ in range(5):
        waits.append(circuit.wait())
        clock.pass_(waits[-1])
        fail(circuit, 1)

    assert pytest.approx([1, 2, 4, 5, 5]) == waits

    clock.pass_(circuit.wait())
    permit = circuit.admit()
    assert permit is not None
    circuit.settle(permit, None)

    assert circuit.state() is State.CLOSED

    fail(circuit, 5)

    assert circuit.wait() == pytest.approx(1)


def test_a_half_open_circuit_lets_one_probe_through_whose_lease_ends_by_itself():
    clock = Clock()
    circuit = circuit_of(clock)
    fail(circuit, 5)
    clock.pass_(1.0)

    assert circuit.state() is State.HALF_OPEN
    assert circuit.admit() is not None
    assert circuit.admit() is None

    clock.pass_(9.9)

    assert circuit.admit() is None

    clock.pass_(0.2)

    assert circuit.admit() is not None


def test_a_neutral_end_gives_the_probe_back():
    clock = Clock()
    circuit = circuit_of(clock)
    fail(circuit, 5)
    clock.pass_(1.0)
    permit = circuit.admit()
    assert permit is not None
    circuit.settle(permit, Effect.NEUTRAL)

    assert circuit.admit() is not None


def test_what_began_before_the_circuit_opened_neither_closes_nor_prolongs_it():
    clock = Clock()
    circuit = circuit_of(clock)
    early = circuit.admit()
    assert early is not None
    fail(circuit, 5)
    before = circuit.wait()
    circuit.settle(early, None)
    circuit.settle(early, Effect.FAILURE)

    assert circuit.state() is State.OPEN
    assert before == circuit.wait()


def test_a_longer_cool_down_is_never_shortened_by_a_later_shorter_one():
    clock = Clock()
    circuit = circuit_of(clock)
    circuit.settle(Permit(), Effect.OPEN)
    circuit.settle(Permit(), Effect.THROTTLED, 2.0)

    assert circuit.wait() == pytest.approx(60)

    throttled = circuit_of(clock)
    throttled.settle(Permit(), Effect.THROTTLED, 30.0)
    throttled.settle(Permit(), Effect.THROTTLED, 1.0)

    assert throttled.wait() == pytest.approx(30)


@pytest.mark.parametrize(("asked", "seconds"), [(2.0, 2.0), (0.0, 0.0), (1e9, 120.0), (None, 1.0)])
def test_a_throttled_target_rests_as_long_as_its_provider_asks_within_bounds(asked, seconds):
    circuit = circuit_of(Clock())
    circuit.settle(Permit(), Effect.THROTTLED, asked)

    assert circuit.wait() == pytest.approx(seconds)


def test_each_change_of_state_is_told_once():
    clock = Clock()
    changes: list[tuple[State, State]] = []
    circuit = circuit_of(clock, changes)
    fail(circuit, 5)
    clock.pass_(1.0)
    permit = circuit.admit()
    assert permit is not None
    circuit.settle(permit, None)

    assert changes == [
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
    ]


# --- the retry budget


def test_second_attempts_are_held_to_a_tenth_of_recent_calls_but_three_are_always_allowed():
    clock = Clock()
    budget = RetryBudget(clock)

    assert [budget.take() for _ in range(4)] == [True, True, True, False]

    for _ in range(50):
        budget.call()

    assert [budget.take() for _ in range(3)] == [True, True, False]

    budget.give_back()

    assert budget.take()

    clock.pass_(30)
    budget.call()

    assert not budget.take()


# --- attempts

A, B, C = Target("a", "m"), Target("b", "m"), Target("c", "m")


def planned(target: Target, window: int | None = None) -> Planned:
    return Planned(target, Model(target.model, context_window=window))


class Play:
    """The attempts of one call against circuits and a budget of its own."""

    def __init__(self, *targets: Planned, pinned: bool = False, rules: Rules | None = None, deadline: float = 120.0):
        self.clock = Clock()
        self.circuits = {p.target: circuit_of(self.clock) for p in targets}
        plan = Plan(list(targets), None, pinned=pinned)
        self.attempts = Attempts(
            plan,
            self.circuits.__getitem__,
            RetryBudget(self.clock),
            rules or Rules(),
            self.clock() + deadline,
            self.clock,
            middle,
        )

    def next(self) -> Step | None:
        step = self.attempts.next()
        if step is not None:
            self.clock.pass_(step.wait)
        return step

    def fail(self, step: Step, failure: Failure) -> None:
        self.circuits[step.planned.target].settle(step.permit, failure.rule.circuit, failure.retry_after)
        self.attempts.failed(step, failure)

    def asked(self, *failures: Failure) -> list[str]:
        """Providers asked when these failures come one after the other; the last repeats."""
        names = []
        queue = list(failures)
        while (step := self.next()) is not None:
            names.append(step.planned.target.provider)
            self.fail(step, queue.pop(0) if len(queue) > 1 else queue[0])
        return names


def failure(reason: Reason, retry_after: float | None = None, status: int = 0) -> Failure:
    return Failure(reason, status=status, retry_after=retry_after)


# reason, Retry-After | asked with two interchangeable targets | when the first is pinned | when alone | status
TABLE = [
    (Reason.UNREACHABLE, None, "ab", "aab", "aa", 502),
    (Reason.TIMEOUT, None, "ab", "ab", "a", 504),
    (Reason.SERVER_ERROR, None, "ab", "aab", "aa", 503),
    (Reason.UNAVAILABLE, None, "ab", "ab", "aa", 503),
    (Reason.RATE_LIMITED, 2.0, "ab", "aab", "aa", 429),
    (Reason.RATE_LIMITED, 30.0, "ab", "ab", "a", 429),
    (Reason.RATE_LIMITED, None, "ab", "ab", "aa", 429),
    (Reason.QUOTA, None, "ab", "ab", "a", 503),
    (Reason.AUTH, None, "ab", "ab", "a", 502),
    (Reason.INVALID_REQUEST, None, "a", "a", "a", 400),
    (Reason.CONTENT_POLICY, None, "a", "a", "a", 400),
    (Reason.MODEL_NOT_FOUND, None, "ab", "ab", "a", 502),
    (Reason.BAD_RESPONSE, None, "ab", "ab", "a", 502),
]


@pytest.mark.parametrize(("reason", "wait", "interchangeable", "pinned", "alone", "status"), TABLE)
def test_every_outcome_leads_where_the_table_says(reason, wait, interchangeable, pinned, alone, status):
    once = failure(reason, wait)
    good_b = failure(Reason.INVALID_REQUEST)  # ends the call, so that only the first target's row is seen

    def asked(play: Play) -> str:
        names = ""
        while (step := play.next()) is not None:
            names += step.planned.target.provider
            play.fail(step, once if step.planned.target is A else good_b)
        return names

    assert interchangeable == asked(Play(planned(A), planned(B)))
    assert pinned == asked(Play(planned(A), planned(B), pinned=True))
    lonely = Play(planned(A))

    assert alone == asked(lonely)
    assert status == lonely.attempts.error().status


def test_a_pinned_target_is_asked_again_only_after_the_wait_it_asked_for():
    play = Play(planned(A), planned(B), pinned=True)
    step = play.next()
    assert step is not None
    play.fail(step, failure(Reason.RATE_LIMITED, 2.0))
    again = play.next()

    assert again is not None
    assert again.planned.target == A
    assert again.wait >= 2.0


def test_a_stale_connection_is_tried_again_at_once_free_of_charge_and_only_once():
    play = Play(planned(A), planned(B))
    step = play.next()
    assert step is not None
    play.fail(step, failure(Reason.STALE))
    again = play.next()

    assert again is not None
    assert (again.planned.target, again.fresh, again.wait) == (A, True, 0.0)
    assert play.attempts.made == 1


def test_a_call_has_three_attempts_in_all():
    play = Play(planned(A), planned(B), planned(C), planned(Target("d", "m")))

    assert play.asked(failure(Reason.UNREACHABLE)) == ["a", "b", "c"]


def test_halved_attempts_are_fewer():
    assert Play(planned(A), planned(B), planned(C), rules=Rules(attempts=2)).asked(failure(Reason.UNREACHABLE)) == [
        "a",
        "b",
    ]


def test_a_context_that_is_too_long_goes_only_to_a_larger_or_unknown_window():
    small, same, unknown = planned(A, 8000), planned(B, 8000), planned(C)

    assert Play(small, same, unknown).asked(failure(Reason.CONTEXT_LENGTH)) == ["a", "c"]
    assert Play(small, same).asked(failure(Reason.CONTEXT_LENGTH)) == ["a"]


def test_a_policy_refusal_moves_on_only_where_the_setting_says_so():
    rules = Rules(policy_moves_on=True)

    assert Play(planned(A), planned(B), rules=rules).asked(failure(Reason.CONTENT_POLICY)) == ["a", "b"]


def test_the_last_target_of_a_stream_is_told_to_be_the_last():
    play = Play(planned(A), planned(B))
    first = play.next()
    assert first is not None
    assert not first.last
    play.fail(first, failure(Reason.TIMEOUT))
    second = play.next()

    assert second is not None
    assert second.last


def test_open_targets_are_passed_over_and_all_open_is_an_error_with_a_wait():
    play = Play(planned(A), planned(B))
    fail(play.circuits[A], 5)
    step = play.next()

    assert step is not None
    assert step.planned.target == B

    closed = Play(planned(A), planned(B))
    fail(closed.circuits[A], 5)
    fail(closed.circuits[B], 5)

    assert closed.next() is None
    error = closed.attempts.error()
    assert (error.status, error.code) == (503, "provider_unavailable")
    assert error.retry_after == pytest.approx(1.0)


def test_when_all_are_throttled_a_short_wait_is_waited_out_and_a_long_one_is_told():
    short = Play(planned(A))
    short.circuits[A].settle(Permit(), Effect.THROTTLED, 2.0)
    step = short.next()

    assert step is not None
    assert step.wait == pytest.approx(2.0)

    long = Play(planned(A))
    long.circuits[A].settle(Permit(), Effect.THROTTLED, 40.0)

    assert long.next() is None
    error = long.attempts.error()
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert error.retry_after == pytest.approx(40.0)


def test_nothing_is_asked_after_the_deadline():
    play = Play(planned(A), planned(B), deadline=5.0)
    step = play.next()
    assert step is not None
    play.clock.pass_(6.0)
    play.fail(step, failure(Reason.TIMEOUT))

    assert play.next() is None
    assert play.attempts.error().status == 504


def test_a_stream_that_outlives_its_lease_still_closes_the_circuit_by_its_good_end():
    """All probes may be streams of a minute: whichever ends well first says that the target works."""
    clock = Clock()
    circuit = circuit_of(clock)
    fail(circuit, 5)
    clock.pass_(2)
    first = circuit.admit()
    clock.pass_(11)
    second = circuit.admit()
    assert first is not None
    assert second is not None

    circuit.settle(first, Effect.FAILURE)

    assert circuit.admit() is None  # the second has the lease

    circuit.settle(first, None)

    assert circuit.state() is State.CLOSED


def test_a_good_end_from_before_the_circuit_opened_does_not_close_it():
    clock = Clock()
    circuit = circuit_of(clock)
    early = circuit.admit()
    fail(circuit, 5)
    assert early is not None

    circuit.settle(early, None)

    assert circuit.state() is State.OPEN


def test_a_stale_connection_in_a_second_attempt_leaves_the_budget_as_it_is():
    """The place that the second attempt held is given back once, at its own end."""
    play = Play(planned(A), pinned=True)
    first = play.next()
    assert first is not None
    play.fail(first, failure(Reason.SERVER_ERROR))
    second = play.next()
    assert second is not None
    assert second.retry
    play.fail(second, failure(Reason.STALE))
    fresh = play.next()

    assert fresh is not None
    assert (fresh.fresh, fresh.retry) == (True, False)


def test_who_continues_an_answer_is_not_the_last_hope_while_the_first_may_be_asked_once_more():
    play = Play(planned(A), planned(B))
    first = play.next()
    assert first is not None
    play.circuits[A].settle(first.permit, Effect.FAILURE)
    play.attempts.rescue(first, failure(Reason.INTERRUPTED))
    second = play.next()
    assert second is not None
    assert (second.planned.target, second.last) == (B, False)
    play.fail(second, failure(Reason.TIMEOUT))
    third = play.next()

    assert third is not None
    assert (third.planned.target, third.last) == (A, True)
