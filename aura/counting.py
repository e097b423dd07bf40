"""How many tokens a Messages request has: by Anthropic's count where the plan has a target of its, else estimated."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import orjson

from . import correlation
from .call import Answer, Call, Json, Plan
from .dialects import anthropic
from .errors import AuraError, BadRequest, Failure, Reason
from .estimate import estimate_tokens
from .failover import Attempts, Rules, Step
from .gateway import Gateway
from .providers import Native

ESTIMATED = "x-aura-estimated"
SECONDS = 10.0
_OK = 200
_RULES = Rules(2, 1, False)


def answer(gateway: Gateway, call: Call) -> Answer:
    """Answer how many tokens a call's prompt has.

    Raises:
        AuraError: the request is at fault.
    """
    tokens, estimated = _count(gateway, call)
    headers = gateway.headers(call, cost=False)
    if estimated:
        headers[ESTIMATED] = "true"
    return Answer(_OK, headers, orjson.dumps({"input_tokens": tokens}))


def _count(gateway: Gateway, call: Call) -> tuple[int, bool]:
    """The tokens of a call's prompt, and whether they are an estimate."""
    plan = _plan(gateway, call)
    if plan is None:
        return estimate_tokens(call.body), True
    deadline = time.monotonic() + SECONDS
    body = call.body
    if gateway.guard is not None:
        gateway.guard.admit(call, deadline)
        body = gateway.guard.mask(call)
    gateway.fleet.budget.call()
    attempts = Attempts(
        plan, gateway.fleet.circuit, gateway.fleet.budget, _RULES, deadline, time.monotonic, random.random
    )
    try:
        found, step, started = gateway.loop(call, attempts, lambda step: _asked(gateway, call, body, step, deadline))
    except AuraError as error:
        if error.status in (400, 413, 422):
            raise
        call.target = None
        return estimate_tokens(call.body), True
    gateway.ledger.answered(call, step, started, None)
    return found, False


def _plan(gateway: Gateway, call: Call) -> Plan | None:
    """The targets that count; None if there are none. A prompt too long for every window has a length all the same."""
    try:
        plan = gateway.router.plan(call, gateway.judge, gateway.fleet)
    except BadRequest as error:
        if error.code != "context_length_exceeded":
            raise
        return None
    call.tier = plan.tier
    call.score = plan.verdict.score if plan.verdict else None
    providers = gateway.providers
    able = [one for one in plan.targets if providers[one.target.provider].speaking(anthropic.name, one.model)]
    return replace(plan, targets=able) if able else None


def _asked(gateway: Gateway, call: Call, body: Json, step: Step, deadline: float) -> int:
    planned = step.planned
    provider = gateway.providers[planned.target.provider].speaking(anthropic.name, planned.model)
    assert provider is not None
    if body is call.body and call.native is not None:
        request, translation = provider.forward(Native(anthropic, call.native), step.planned.model)
    else:
        request, translation = provider.request(body, step.planned.model)
    request.url += "/count_tokens"
    request.body = orjson.dumps(anthropic.counted(translation.body))
    response = correlation.send(gateway.upstream, call, provider, request, deadline, step.fresh)
    try:
        data = response.read(deadline)
    finally:
        response.close()
    if response.status != _OK:
        raise provider.failure(response.status, response.headers, data, time.time())
    try:
        told = orjson.loads(data)["input_tokens"]
    except (ValueError, KeyError, TypeError):
        told = None
    if not isinstance(told, int):
        raise Failure(Reason.BAD_RESPONSE, "the answer counts nothing")
    return told
