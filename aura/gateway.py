"""The whole path of a call, in reading order: route, look in the cache, attempt, answer."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import orjson

from . import ceiling, exchange, guarded, limits, metered, rescue
from .cache import AnswerCache, Followed, Lost, Sharing, Stored
from .call import Answer, Call, Json, Plan, Usage, Verdict
from .chunks import frames_of
from .classifier import remembering
from .dialects.beyond import only_of
from .dialects.openai import capped
from .errors import BadRequest, Failure, Reason
from .estimate import estimate_tokens
from .exchange import Incoming, Opened, Whole
from .failover import Attempts, Rules, Step
from .fleet import Fleet
from .flight import Flights, Unlisted
from .following import followed
from .fronts import FRONTS
from .guarded import Guard
from .hedge import Hedging
from .ledger import Ledger, headers
from .providers import Native, Provider
from .quota import Quota
from .race import Beaten, Found, Race, let_go
from .recording import Recorder
from .relay import Relay, Rescuer
from .rescue import Seam
from .router import Router
from .settings import Settings
from .splice import put_in_place
from .tokens import Sender

if TYPE_CHECKING:  # it imports what an extra brings
    from .tracing import Tracer

log = logging.getLogger("aura.gateway")

Result = TypeVar("Result")
Answered = TypeVar("Answered", Whole, Incoming)
Ask = Callable[[Sender, Call, Step, Provider, Json, float, Native | None], Answered]
_NO_DOOR = (404, 405)  # what a server says of an address that it does not have
Judge = Callable[[Json], Verdict]
# Asks providers for an answer: the call, its plan, what the answer is stored under, until when, where its end is noted.
Asks = Callable[[Call, Plan, str | None, float, Ledger], Answer]


class Gateway:
    """Answers calls. Made once in each worker; holds no call."""

    def __init__(  # noqa: PLR0913, PLR0917  (the parts, handed over once)
        self,
        settings: Settings,
        router: Router,
        judge: Judge,
        providers: Mapping[str, Provider],
        fleet: Fleet,
        ledger: Ledger,
        upstream: Sender,
        cache: AnswerCache,
        quota: Quota,
    ) -> None:
        self.settings, self.router, self.judge = settings, router, judge
        self._judge = remembering(judge)
        self.providers, self.fleet, self.ledger = providers, fleet, ledger
        self.upstream, self.cache, self.quota = upstream, cache, quota
        self._unspoken: set[tuple[str, str]] = set()  # providers, and grammars of OpenAI's that they do not speak
        self.others: dict[str, Asks] = {}
        """Who asks for the calls of doors that are no chats, by door."""
        self.guard: Guard | None = None
        """Refuses or masks what may not be sent, where the operator wants that."""
        self.recorder: Recorder | None = None
        """Notes every chat, where the operator wants that."""
        self._hedging = Hedging(settings.router.hedge) if settings.router.hedge else None
        self.tracer: Tracer | None = None
        """Begins a trace for every call, where the operator wants that."""
        self.flights, self._unlisted = Flights(ledger, self.headers), Unlisted(ledger)
        self.timeouts = {name: provider.timeout for name, provider in settings.providers.items()}
        own = settings.router
        self.rules = Rules(own.max_attempts, own.max_attempts_per_target, own.content_policy_failover)

    def answer(self, call: Call) -> Answer:
        """Answer a call, as one body or as a stream.

        Raises:
            AuraError: what the client is told instead.
        """
        plan = self.router.plan(call, self._judge, self.fleet)
        call.tier = plan.tier
        call.score = plan.verdict.score if plan.verdict else None
        if self.guard is not None:
            self.guard.admit(call, self._deadline(call, plan))
        if self.recorder is not None:
            self.recorder.record(call)
        key = self.cache.key(call, plan)
        stored = self.cache.get(key, call, plan) if key else None
        if stored is not None:
            return self._stored(call, stored, self.ledger)
        deadline = self._deadline(call, plan)
        if key is None:
            return self._asked(call, plan, None, deadline, self.ledger)
        flight = self.cache.flight(key, call)
        sharing = self.cache.sharing(key, flight, call)
        return self.flights.answer(
            call,
            flight,
            lambda work: self._asked_once(work, plan, key, deadline, sharing),
            deadline - time.monotonic(),
            sharing,
        )

    def _deadline(self, call: Call, plan: Plan) -> float:
        reasoning = limits.reasons(call.body, plan.targets[0].model)
        return call.started + limits.total(call, self.settings.router, reasoning)

    def _asked_once(self, call: Call, plan: Plan, key: str, deadline: float, sharing: Sharing | None) -> Answer:
        """Answer a call that other processes may be asked, too: one of all asks, the others pass its answer on."""
        began = time.monotonic()
        found = None if sharing is None else sharing.take(deadline)
        if sharing is not None and not sharing.leads:
            call.upstream_s += time.monotonic() - began
        if isinstance(found, Stored):
            return self._stored(call, found, self._unlisted)
        if isinstance(found, Followed):
            try:
                return followed(
                    found,
                    call,
                    self.headers,
                    deadline,
                    lambda: self._relay(call, plan, key, deadline, self._unlisted),
                )
            except Lost:
                call.cache = "miss"
        return self._asked(call, plan, key, deadline, self._unlisted)

    def _asked(self, call: Call, plan: Plan, key: str | None, deadline: float, ledger: Ledger) -> Answer:
        """Answer a call by asking providers.

        Args:
            key: what the answer is stored under.
            ledger: where the end of a stream is noted.
        """
        self.fleet.budget.call()
        if call.door in self.others:
            return self.others[call.door](call, plan, key, deadline, ledger)
        if self._hedging is not None:
            self._hedging.call()
        if call.stream:
            relay, find = self._relay(call, plan, key, deadline, ledger)
            return relay.open(find)
        attempts = self._attempts(call, plan, deadline)
        body = call.body if self.guard is None else self.guard.mask(call)
        whole, step, started = self.loop(
            call, attempts, lambda step: self._ask(call, step, body, deadline), self._hedging
        )
        self.ledger.answered(call, step, started, whole.usage)
        call.dropped = whole.translation.dropped
        self.answered(call, plan, step, key, whole.body)
        self.ledger.overhead(call)
        return Answer(200, self.headers(call, cost=True), whole.data)

    def _attempts(self, call: Call, plan: Plan, deadline: float) -> Attempts:
        circuit, budget = self.fleet.circuit, self.fleet.budget
        rules = self.rules.for_retry(call.headers.get("x-stainless-retry-count"))
        return Attempts(plan, circuit, budget, rules, deadline, time.monotonic, random.random)

    def _relay(
        self, call: Call, plan: Plan, key: str | None, deadline: float, ledger: Ledger
    ) -> tuple[Relay, Callable[[], Found[Opened]]]:
        """The relay of a stream, and what finds who answers."""
        attempts = self._attempts(call, plan, deadline)
        body = call.body if self.guard is None else self.guard.mask(call)
        relay = Relay(
            call,
            ledger,
            lambda call: self.headers(call, cost=False),
            lambda step, whole: self.answered(call, plan, step, key, whole),
            self._rescuer(call, attempts, body, deadline),
            deadline,
        )
        return relay, lambda: self.loop(
            call, attempts, lambda step: self.open(call, step, body, deadline), self._hedging
        )

    def loop(
        self,
        call: Call,
        attempts: Attempts,
        attempt: Callable[[Step], Result],
        hedging: Hedging | None = None,
    ) -> Found[Result]:
        """Attempt until one succeeds: the only loop of retries and failover, for streams too.

        Args:
            hedging: decides whether a late attempt gets another beside it.

        Returns:
            What the attempt returned, its step, and when it began.

        Raises:
            AuraError: nothing is left to be asked.
        """

        make: Callable[[Step], Found[Result] | None] = partial(self._made, call, attempts, attempt)
        if hedging is not None:
            make = Race(hedging, attempts, call.stream, make, lambda found: let_go(self.ledger, call, found)).run
        while (step := attempts.next()) is not None:
            if step.wait:
                self._pause(step)
            began = time.monotonic()
            try:
                found = make(step)
            finally:
                call.upstream_s += time.monotonic() - began
            if found is not None:
                call.target = found[1].planned.target
                return found
        raise attempts.error()

    def _made(
        self, call: Call, attempts: Attempts, attempt: Callable[[Step], Result], step: Step
    ) -> Found[Result] | None:
        """Make one attempt, and note a failure of it; None if it failed."""
        started = time.monotonic()
        self.ledger.begun(call, step)
        try:
            return attempt(step), step, started
        except Failure as failure:
            self.ledger.failed(call, step, started, failure)
            attempts.failed(step, failure)
        except BadRequest as cannot:
            self.ledger.unmade(call, step)
            attempts.refused(cannot)
        except Beaten as beaten:
            self.ledger.beaten(call, step, started, beaten.usage or Usage(estimate_tokens(call.body)))
            raise
        except BaseException:
            self.ledger.left(call, step, started)
            raise
        return None

    def _pause(self, step: Step) -> None:
        """Wait before an attempt; a client that leaves meanwhile keeps no place in the budget."""
        try:
            time.sleep(step.wait)
        except BaseException:
            if step.retry:
                self.fleet.budget.give_back()
            raise

    def _ask(self, call: Call, step: Step, body: Json, deadline: float) -> Whole:
        planned = step.planned
        limit = limits.attempt(self.timeouts[planned.target.provider], limits.reasons(body, planned.model))
        until = limits.share(limit, deadline, time.monotonic(), step.last)
        whole = self._spoken(exchange.ask, call, step, body, until)
        return exchange.worded(whole if call.mask is None else guarded.restored(whole, call.mask), call)

    def _spoken(self, ask: Ask[Answered], call: Call, step: Step, body: Json, until: float) -> Answered:
        """Ask a provider in the client's own grammar if it speaks that, else in its own.

        Args:
            ask: for a whole answer, or for a stream.
            body: canonical; another than the call's own is not what the client wrote.
        """
        call.upstream_id = ""
        planned = step.planned
        max_tokens = ceiling.max_tokens(call, planned, body)
        plain, own = self.providers[planned.target.provider], body is call.body
        body = capped(body, max_tokens)
        if call.native is None and call.grammar == exchange.CANONICAL:
            return ask(self.upstream, call, step, plain, body, until, None)
        same = plain.speaking(call.grammar, planned.model) if own and call.native is not None else None
        theirs = plain.dialect.name != call.grammar and (own or call.mask is not None)
        only = only_of(body) if theirs else ""
        unspoken = not only and (plain.name, call.grammar) in self._unspoken
        missing = False
        if same is not None and call.native is not None and not unspoken:
            native = Native(FRONTS[call.grammar], call.native, call.passed, max_tokens)
            try:
                return ask(self.upstream, call, step, same, body, until, native)
            except Failure as failure:
                if same is plain or failure.status not in _NO_DOOR:
                    raise
                missing = failure.param != "model"
                if only:
                    raise (_untold(only) if missing else failure) from None
        elif only:
            raise _untold(only)
        answered = ask(self.upstream, call, step, plain, body, until, None)
        if missing:
            self._unspoken.add((plain.name, call.grammar))  # its server has no such door, as was just seen
        if call.lost:
            answered.translation.dropped[:0] = call.lost
        return answered

    def open(self, call: Call, step: Step, body: Json, deadline: float) -> Opened:
        """Open a stream and pull events until the first with content."""
        planned, started = step.planned, time.monotonic()
        reasoning = limits.reasons(body, planned.model)
        cold_start = self.providers[planned.target.provider].cold_start
        limit = limits.first_content(estimate_tokens(body), reasoning, cold_start)
        until = deadline if step.last else limits.share(limit, deadline, time.monotonic(), step.last)
        incoming = self._spoken(exchange.stream, call, step, body, until)
        opened = Opened(incoming, step, started, reasoning)
        try:
            opened.hold_until_content(until)
        except BaseException as error:
            incoming.close()
            if isinstance(error, (Failure, Beaten)):
                error.usage = opened.told_usage()
            raise
        metered.put_in_place(opened, call)
        if call.mask is not None:
            guarded.put_in_place(opened, call.mask)
        self.ledger.first_content(call, step, time.monotonic() - started)
        return opened

    def _rescuer(self, call: Call, attempts: Attempts, body: Json, deadline: float) -> Rescuer | None:
        """How this call's answer is continued if it breaks off."""
        if not self.settings.router.stream_rescue or not rescue.possible(body):
            return None

        def go_on(broken: tuple[Step, Failure] | None, partial: Json, usage: Usage) -> Found[Opened]:
            if broken is not None:
                attempts.rescue(*broken)
            sent = partial["choices"][0]["message"].get("content") or ""
            told = sent if call.mask is None else call.mask.again(sent)

            def ask(step: Step) -> Opened:
                opened, repeats = self._continued(call, step, body, told, deadline)
                put_in_place(opened, Seam(sent, repeats), partial, usage)
                return opened

            return self.loop(call, attempts, ask)

        return go_on

    def _continued(self, call: Call, step: Step, body: Json, sent: str, deadline: float) -> tuple[Opened, bool]:
        """Ask to go on, by prefill where the model takes it; whether it was asked to repeat the last words."""
        if not sent.strip():
            return self.open(call, step, body, deadline), False
        if rescue.by_prefill(body, step.planned.model):
            try:
                return self.open(call, step, rescue.request(body, sent, prefill=True), deadline), False
            except Failure as failure:
                refused = failure.reason is Reason.BAD_RESPONSE and failure.status in (400, 422)
                if failure.reason is not Reason.INVALID_REQUEST and not refused:
                    raise  # a refusal of the prefill is asked again the other way, not counted
        return self.open(call, step, rescue.request(body, sent, prefill=False), deadline), True

    def answered(self, call: Call, plan: Plan, step: Step, key: str | None, body: Json) -> None:
        """A complete answer was given: remember the conversation's target, store the answer."""
        self.router.remember(call, plan, step.planned.target)
        if key:
            self.cache.put(key, step.planned.target, body, call, plan)

    def _stored(self, call: Call, stored: Stored, ledger: Ledger) -> Answer:
        call.cache, call.outcome, call.target, call.dropped = "hit", "cached", stored.target, list(stored.dropped)
        call.saved_usd = stored.usd
        headers = self.headers(call, cost=not call.stream) | {"age": str(int(stored.age))}
        if call.similarity is not None:
            headers["x-aura-cache-similarity"] = f"{call.similarity:.4f}"
        self.ledger.overhead(call)
        front = FRONTS[call.grammar]
        if call.stream:
            ledger.finish(call, 200)
            return Answer(200, headers, stream=frames_of(stored.body, front.writer(call)), media_type=front.MEDIA_TYPE)
        if call.grammar == exchange.CANONICAL:
            return Answer(200, headers, stored.data)
        return Answer(200, headers, orjson.dumps(front.response_out(stored.body, call)))

    def headers(self, call: Call, cost: bool) -> dict[str, str]:
        """What every answer says of how it came about."""
        return headers(call, self.quota.headers(call), cost)


def _untold(only: str) -> BadRequest:
    """What is told of a call that a target could only be told in the client's own grammar."""
    return BadRequest(f"'{only}' cannot be told to this provider.", param=only)
