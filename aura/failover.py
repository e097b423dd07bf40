"""What follows from an attempt: what a call does next, and what is told when nothing is left. Pure.

Seconds are monotonic seconds of the injected clock, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .call import Plan, Planned, Target
from .circuit import MAX_THROTTLE, Chance, Circuit, Clock, Permit, State
from .errors import AuraError, BadRequest, Failure, Overloaded, Reason, Same, UpstreamError
from .errors import Circuit as Effect

PATIENCE = 3.0  # the longest Retry-After that a call waits out


class RetryBudget:
    """Holds second attempts at the same target to a share of recent calls.

    Args:
        share: of the calls of the last ``window`` seconds.
        least: so many may be in flight whatever the share says.
    """

    __slots__ = ("_before", "_clock", "_count", "_in_flight", "_least", "_share", "_turn", "_window")

    def __init__(self, clock: Clock, share: float = 0.1, least: int = 3, window: float = 10.0) -> None:
        self._clock, self._share, self._least, self._window = clock, share, least, window
        self._turn = 0.0
        self._before = self._count = self._in_flight = 0

    def call(self) -> None:
        """Count a call."""
        turn = self._clock() // self._window
        if turn != self._turn:
            self._before = self._count if turn == self._turn + 1 else 0
            self._turn, self._count = turn, 0
        self._count += 1

    def take(self) -> bool:
        """Take leave for a second attempt, to be given back at its end."""
        if self._in_flight >= max(self._least, self._share * (self._before + self._count)):
            return False
        self._in_flight += 1
        return True

    def give_back(self) -> None:
        """The second attempt has ended."""
        self._in_flight -= 1


@dataclass(slots=True)
class Step:
    """One attempt to be made.

    Args:
        wait: seconds to wait first.
        fresh: on a new connection, because the pooled one was stale.
        last: nothing else could be asked if this fails, so a stream may wait for its first content to the end.
        retry: a second attempt at the same target, which holds a place in the budget.
        hedge: made beside another that is late.
    """

    planned: Planned
    permit: Permit
    wait: float = 0.0
    fresh: bool = False
    last: bool = False
    retry: bool = False
    hedge: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """How many attempts a call has, and whether a refusal by content policy goes to the next target."""

    attempts: int = 3
    per_target: int = 2
    policy_moves_on: bool = False

    def for_retry(self, count: str | None) -> Rules:
        """The rules for what an SDK tries for the so manieth time by itself: half the attempts."""
        if count is None or not count.isdigit() or count.strip("0") == "":
            return self
        return Rules((self.attempts + 1) // 2, self.per_target, self.policy_moves_on)


class Attempts:
    """The attempts of one call: what comes next, and what is told when nothing does.

    Args:
        plan: the targets in their order.
        circuit: the circuit of a target.
        deadline: when the call must have ended.
    """

    # First values, which few calls change.
    made = 0
    over = False
    refusal: BadRequest | None = None
    _again: Step | None = None
    _rescued: Planned | None = None

    def __init__(
        self,
        plan: Plan,
        circuit: Callable[[Target], Circuit],
        budget: RetryBudget,
        rules: Rules,
        deadline: float,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self.failures: list[tuple[Target, Failure]] = []
        self._plan, self._circuit, self._budget, self._rules = plan, circuit, budget, rules
        self._deadline, self._clock, self._chance = deadline, clock, chance
        self._left = list(plan.targets)
        self._asked: dict[Target, int] = {}

    def next(self) -> Step | None:
        """The next attempt, or None if the call must end with :meth:`error`."""
        if self.over or self._clock() >= self._deadline:
            return None
        step = self._again
        if step is not None:
            self._again = None
            return step if step.fresh or self._admit_again(step) else self.next()
        step = self._move_on() or self._rescued_by_itself() or self._wait_out_throttle()
        if step is not None:
            self._count(step)
        return step

    def _move_on(self) -> Step | None:
        while self._left and self.made < self._rules.attempts:
            planned = self._left.pop(0)
            permit = self._circuit(planned.target).admit()
            if permit is not None:
                return Step(planned, permit)
        return None

    def beside(self, late: Step) -> Planned | None:
        """Who could be asked beside a target that is late: the next one that is as good as it, and is well."""
        if self.made >= self._rules.attempts:
            return None
        for planned in self._left:
            alike = self._plan.pinned or planned.tier is late.planned.tier
            if alike and self._circuit(planned.target).state() is State.CLOSED:
                return planned
        return None

    def hedge(self, late: Step) -> Step | None:
        """A second attempt beside one that is late."""
        planned = self.beside(late)
        permit = self._circuit(planned.target).admit() if planned is not None else None
        if planned is None or permit is None:
            return None
        self._left.remove(planned)
        step = Step(planned, permit, hedge=True)
        self._count(step)
        return step

    def won(self) -> None:
        """An attempt has answered: what another's failure beside it would have led to is not done."""
        again, self._again = self._again, None
        if again is not None and again.fresh:
            self._circuit(again.planned.target).settle(again.permit, Effect.NEUTRAL)

    def unmade(self, step: Step) -> None:
        """A step was not made after all."""
        self._circuit(step.planned.target).settle(step.permit, Effect.NEUTRAL)
        if step.retry:
            self._budget.give_back()

    def refused(self, refusal: BadRequest) -> None:
        """A target's grammar cannot carry the call: it was not asked, so that was no attempt."""
        self.refusal = refusal
        self.made -= 1

    def rescue(self, step: Step, failure: Failure) -> None:
        """The stream of an attempt broke after content: from now on its answer is to be continued.

        A refusal of the request is then blamed on the way of asking, so it goes to the next target; with no other
        target left, the same one is asked once more.
        """
        self.failures.append((step.planned.target, failure))
        self._rescued = step.planned

    def _rescued_by_itself(self) -> Step | None:
        planned = self._rescued
        if planned is None or self.made >= self._rules.attempts or not self._has_another(planned):
            return None
        permit = self._circuit(planned.target).admit()
        return Step(planned, permit) if permit is not None else None

    def _has_another(self, planned: Planned) -> bool:
        return self._asked[planned.target] < self._rules.per_target and self._circuit(planned.target).available()

    def _admit_again(self, step: Step) -> bool:
        """Whether the same target may be asked again once the wait is over; the wait itself is the caller's."""
        if self._circuit(step.planned.target).throttle_wait() is None or not self._budget.take():
            return False
        step.permit, step.retry = Permit(), True
        self._count(step)
        return True

    def _wait_out_throttle(self) -> Step | None:
        """With nothing asked yet and all refused, a short wait for a throttled target beats an error."""
        if self._asked or self._left:
            return None
        waits = [(self._circuit(p.target).throttle_wait(), n) for n, p in enumerate(self._plan.targets)]
        known = [(wait, n) for wait, n in waits if wait is not None and wait <= PATIENCE]
        if not known or self._clock() + min(known)[0] >= self._deadline:
            return None
        wait, index = min(known)
        return Step(self._plan.targets[index], Permit(), wait=wait)

    def _count(self, step: Step) -> None:
        self.made += 1
        target = step.planned.target
        self._asked[target] = self._asked.get(target, 0) + 1
        step.last = not self._others()

    def _others(self) -> bool:
        """Whether another target could be asked after the present one."""
        if self.made >= self._rules.attempts:
            return False
        if self._rescued is not None and self._has_another(self._rescued):
            return True
        for planned in self._left:  # noqa: SIM110  (asked of every attempt; any() takes three times as long)
            if self._circuit(planned.target).available():
                return True
        return False

    def failed(self, step: Step, failure: Failure) -> None:
        """Note a failure (its circuit is settled by the caller, before) and decide what it leads to."""
        rule = failure.rule
        if rule.same is Same.FREE and not step.fresh:
            # Its permit is settled, and its place in the budget is given back.
            permit = self._circuit(step.planned.target).admit() or Permit()
            self._again = Step(step.planned, permit, fresh=True, last=step.last)
            return
        self.failures.append((step.planned.target, failure))
        moves_on = (
            rule.next
            or self._rescued is not None
            or (failure.reason is Reason.CONTENT_POLICY and self._rules.policy_moves_on)
        )
        if not moves_on:
            self.over = True
            return
        if failure.reason is Reason.CONTEXT_LENGTH:
            self._keep_larger(step.planned)
        wait = self._wait_for_same(step, failure)
        if wait is not None and self._clock() + wait < self._deadline:
            self._again = Step(step.planned, step.permit, wait=wait)

    def _keep_larger(self, planned: Planned) -> None:
        window = planned.model.context_window or 0
        self._left = [p for p in self._left if p.model.context_window is None or p.model.context_window > window]

    def _wait_for_same(self, step: Step, failure: Failure) -> float | None:
        """Seconds until the same target is asked again; None if it is not."""
        if self._asked[step.planned.target] >= self._rules.per_target or self.made >= self._rules.attempts:
            return None
        pinned = self._plan.pinned and step.planned is self._plan.targets[0]
        alone = not self._others()
        same, asked_to_wait = failure.rule.same, failure.retry_after
        if same is Same.ONCE:
            return 0.0 if pinned or alone else None
        if same is Same.ONCE_AFTER_JITTER:
            return 0.05 + 0.45 * self._chance() if pinned or alone else None
        if asked_to_wait is not None and same in (Same.AFTER_WAIT, Same.BACKOFF):
            allowed = alone or (pinned and same is Same.AFTER_WAIT)
            return asked_to_wait + 0.01 if asked_to_wait <= PATIENCE and allowed else None
        if same in (Same.AFTER_WAIT, Same.BACKOFF) and alone:
            return max(0.2 + 0.8 * self._chance(), self._circuit(step.planned.target).wait() + 0.01)
        return None

    def error(self) -> AuraError:
        """What the client is told when nothing is left."""
        if self.refusal is not None and not self.failures:
            return self.refusal
        if self.failures:
            target, failure = self.failures[-1]
            return failure.to_client(target.provider)
        if self._clock() >= self._deadline:
            return Failure(Reason.TIMEOUT).to_client()
        circuits = [self._circuit(planned.target) for planned in self._plan.targets]
        wait = max(1.0, min(circuit.wait() for circuit in circuits))
        if all(circuit.state() is State.THROTTLED for circuit in circuits):
            return UpstreamError(
                "Every provider that could answer has reached its rate limit.",
                status=429,
                code="rate_limit_exceeded",
                type="rate_limit_error",
                retry_after=min(MAX_THROTTLE, wait),
            )
        return Overloaded(
            "No provider that could answer is available at the moment.",
            code="provider_unavailable",
            type="upstream_error",
            retry_after=min(MAX_THROTTLE, wait),
        )
