"""What is noted of a call: circuits, metrics, cost and the log line, each exactly once."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from . import header, metrics
from .call import Attempt, Call, Planned, Price, Usage
from .catalogue import cost_usd
from .circuit import Clock
from .errors import Circuit as Effect
from .errors import Failure
from .failover import Step
from .fleet import Fleet
from .log import Event, told

log = logging.getLogger("aura.gateway")

CLIENT_LEFT = 499
BEATEN = "beaten"


class Ledger:
    """Keeps the books of attempts and calls.

    Args:
        baseline: the price of the model that savings are counted against.
    """

    def __init__(self, fleet: Fleet, baseline: Price | None, clock: Clock = time.monotonic) -> None:
        self._fleet, self._baseline, self._clock = fleet, baseline, clock

    def begun(self, call: Call, step: Step) -> None:
        """An attempt begins."""
        target = step.planned.target
        previous = call.attempts[-1] if call.attempts else None
        if previous is not None and previous.target != target and previous.failure is not None:
            metrics.failovers.labels(previous.target.provider, target.provider, previous.failure.reason.value).inc()
        call.target = target
        if not step.fresh:  # in the place of one that met a stale connection
            call.asked += 1
        self._fleet.of(target).in_flight += 1
        if call.trace is not None:
            call.trace.begun(call, step.planned)

    def failed(self, call: Call, step: Step, started: float, failure: Failure, usage: Usage | None = None) -> None:
        """An attempt ended in a failure.

        Args:
            usage: what the provider is known to bill for it all the same.
        """
        # The call keeps the failure: without its frames, which would keep the call, and all that had come.
        failure.__traceback__ = failure.__context__ = None
        self._end(call, step, started, failure.rule.circuit, failure, usage or failure.usage)
        target = step.planned.target
        metrics.provider_failures[target.provider, failure.reason.value].inc()
        log.warning(
            "attempt.failed",
            extra={
                "id": call.id,
                "target": target.name,
                "reason": failure.reason.value,
                "upstream_status": failure.status or None,
                "upstream_request_id": call.upstream_id or None,
                "detail": failure.message or None,
            },
        )

    def answered(self, call: Call, step: Step, started: float, usage: Usage | None) -> None:
        """An attempt ended well."""
        self._end(call, step, started, None, None, usage)
        call.usage = usage
        if usage is not None and self._baseline is not None:
            self._note_savings(call, usage, self._baseline)

    def left(self, call: Call, step: Step, started: float, usage: Usage | None = None) -> None:
        """An attempt was given up because of the client: no one's failure."""
        self._end(call, step, started, Effect.NEUTRAL, None, usage)

    def beaten(self, call: Call, step: Step, started: float, usage: Usage) -> None:
        """An attempt was given up because another answered first; its provider bills it all the same."""
        self._end(call, step, started, Effect.NEUTRAL, None, usage)
        call.attempts[-1].outcome = BEATEN

    def unmade(self, call: Call, step: Step) -> None:
        """An attempt was not made: the target's grammar cannot carry the call."""
        call.asked -= 1
        target = step.planned.target
        known = self._fleet.of(target)
        if known.in_flight:
            known.in_flight -= 1
        if step.retry:
            self._fleet.budget.give_back()
        known.circuit.settle(step.permit, Effect.NEUTRAL)
        if call.trace is not None:
            call.trace.ended(call, Attempt(target, "unmade"))

    def _end(
        self,
        call: Call,
        step: Step,
        started: float,
        effect: Effect | None,
        failure: Failure | None,
        usage: Usage | None,
    ) -> None:
        target, duration = step.planned.target, self._clock() - started
        known = self._fleet.of(target)
        if known.in_flight:
            known.in_flight -= 1
        if step.retry:
            self._fleet.budget.give_back()
        known.circuit.settle(step.permit, effect, failure.retry_after if failure else None)
        metrics.provider_requests[known.labels].add(1)
        metrics.provider_duration[(target.provider,)].observe(duration)
        outcome = failure.reason.value if failure else "ok" if effect is None else "left"
        spent = 0.0 if usage is None else self._bill(call, step.planned, known.labels, usage, failure is not None)
        attempt = Attempt(target, outcome, failure, usage, call.first_content_s, duration, spent, step.hedge)
        call.attempts.append(attempt)
        if call.trace is not None:
            call.trace.ended(call, attempt)

    def _bill(self, call: Call, planned: Planned, labels: tuple[str, str], usage: Usage, failed: bool) -> float | None:
        """Count an attempt's tokens and dollars; returns the dollars, None where its price is not known."""
        tokens, provider = metrics.tokens, planned.target.provider
        if usage.input:
            tokens[provider, "input"].add(usage.input)
        if usage.output:
            tokens[provider, "output"].add(usage.output)
        if usage.cached_read:
            tokens[provider, "cached_read"].add(usage.cached_read)
        if usage.cached_write:
            tokens[provider, "cached_write"].add(usage.cached_write)
        if usage.reasoning:
            tokens[provider, "reasoning"].add(usage.reasoning)
        price = planned.model.price
        if price is None:
            return None
        spent = cost_usd(usage, price)
        call.cost_usd += spent
        metrics.cost[labels].add(spent)
        if failed:
            metrics.failed_cost[labels].add(spent)
        return spent

    def _note_savings(self, call: Call, usage: Usage, baseline: Price) -> None:
        """What the whole call has cost, failed attempts too, against one answer of the baseline model."""
        billed = call.attempts
        for attempt in billed:
            if attempt.cost_usd is None:
                return
        if len(billed) > 1:
            billed = [attempt for attempt in billed if attempt.usage is not None]
        if len(billed) > 1:
            billed = [attempt for attempt in billed if attempt.outcome != BEATEN]
        if len(billed) > 1:  # a rescued answer is the sum of its pieces, its prompt the first's
            first = billed[0].usage or usage
            usage = replace(first, output=sum(attempt.usage.output for attempt in billed if attempt.usage))
        metrics.savings.add(max(0.0, cost_usd(usage, baseline) - call.cost_usd))

    def first_content(self, call: Call, step: Step, seconds: float) -> None:
        """The first content of a stream came."""
        target = step.planned.target
        if call.first_content_s is None:
            call.first_content_s = self._clock() - call.started
        self._fleet.first_content(target, seconds)
        metrics.time_to_first_token[(target.provider,)].observe(seconds)
        if call.trace is not None:
            call.trace.first_content(call, seconds)

    def finish(self, call: Call, status: int) -> None:
        """The call has ended; only the first word counts."""
        if call.done:
            return
        call.done, call.status = True, status
        if call.lease is not None:
            call.lease.end(call)
        if status == CLIENT_LEFT:
            call.outcome = "client_left"
            metrics.client_disconnects.inc()
        elif status >= 400:
            call.outcome = "error"
        duration = self._clock() - call.started
        if call.cache == "hit":
            metrics.cache_hits.add(1)
        elif call.cache == "miss":
            metrics.cache_misses.add(1)
        tier = call.tier._value_ if call.tier else "none"
        metrics.requests[tier, str(status)].add(1)
        metrics.request_duration[tier, "true" if call.stream else "false"].observe(duration)
        if call.trace is not None:
            call.trace.finish(call)
        if log.isEnabledFor(logging.INFO):
            told(log, Event(log.name, "request.done", facts(call, duration)))

    def refused(self, status: int) -> None:
        """A request was refused before it became a call, for want of a key say."""
        metrics.requests["none", str(status)].inc()

    def overhead(self, call: Call) -> None:
        """An answer begins: what was not spent waiting for providers was spent here."""
        metrics.overhead.observe(max(0.0, self._clock() - call.started - call.upstream_s))


def bill(call: Call) -> tuple[float, bool]:
    """The part of a call's cost that failed attempts had; whether an attempt was billed whose price is not known."""
    failed, unpriced = 0.0, False
    for attempt in call.attempts:
        if attempt.cost_usd is None:
            unpriced = True
        elif attempt.failure is not None:
            failed += attempt.cost_usd
    return failed, unpriced


def _hedge(call: Call) -> str | None:
    """What the second attempt beside a late one came to: won, lost, or how it failed; None where there was none."""
    for attempt in call.attempts:
        if attempt.hedge:
            return {"ok": "won", BEATEN: "lost"}.get(attempt.outcome, attempt.outcome)
    return None


def headers(call: Call, limits: dict[str, str], cost: bool) -> dict[str, str]:
    """What every answer says of how it came about.

    Args:
        limits: what it says of its caller's limits.
        cost: it is known what it cost.
    """
    told = {"x-request-id": call.id, "x-aura-cache": call.cache, **limits}
    if call.tier:
        told["x-aura-tier"] = call.tier._value_
    if call.score is not None:
        told["x-aura-score"] = f"{call.score:.4f}"
    if call.target:
        told["x-aura-provider"] = call.target.provider
        told["x-aura-model"] = header.word(call.target.model)
    told["x-aura-attempts"] = str(call.asked)
    if cost:
        told["x-aura-cost-usd"] = f"{call.cost_usd:.8f}"
        failed, unpriced = bill(call)
        if failed:
            told["x-aura-cost-failed-usd"] = f"{failed:.8f}"
        if unpriced:
            told["x-aura-unpriced"] = "true"
    if call.dropped:
        told["x-aura-dropped"] = header.names(call.dropped)
    spent = (time.monotonic() - call.started) * 1000
    upstream = call.upstream_s * 1000
    told["server-timing"] = f"aura;dur={max(0.0, spent - upstream):.2f}, upstream;dur={upstream:.2f}"
    return told


def facts(call: Call, duration: float) -> dict[str, Any]:
    """What the log line of a call says; never a prompt, an answer or a key."""
    usage = call.usage
    failed, unpriced = bill(call)
    return {
        "id": call.id,
        "door": call.door,
        "route": call.route,
        "tenant": call.caller or None,
        "tier": call.tier._value_ if call.tier else None,
        "score": None if call.score is None else round(call.score, 4),
        "target": call.target.name if call.target else None,
        "attempts": call.asked,
        "outcome": call.outcome,
        "status": call.status,
        "stream": call.stream,
        "ttft_s": None if call.first_content_s is None else _rounded(call.first_content_s),
        "duration_s": _rounded(duration),
        "tokens_in": usage.input if usage else None,
        "tokens_out": usage.output if usage else None,
        "cost_usd": round(call.cost_usd, 8),
        "cost_failed_usd": (round(failed, 8) or None) if failed else None,
        "unpriced": unpriced or None,
        "hedge": _hedge(call) if len(call.attempts) > 1 else None,
        "cache": call.cache,
        "masked": None if call.mask is None else call.mask.counts.total(),
        "limited": call.limited or None,
        "similarity": None if call.similarity is None else round(call.similarity, 4),
        "upstream_request_id": call.upstream_id or None,
    }


def _rounded(seconds: float) -> float:
    """A time to four places, as ``round`` has it but where it lies in the middle, in half of its time."""
    return int(seconds * 10_000 + 0.5) / 10_000
