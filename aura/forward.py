"""Calls that are no chats: embeddings, and what is passed on as it is. Attempts, limits and books are those of chats.

Embeddings of another model are of no use beside those of the first: only targets of the same model follow each other.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from typing import IO

import orjson

from . import correlation, guarded, limits
from .call import Answer, Call, Json, Plan, Planned, Target, Usage
from .catalogue import Catalogue
from .dialects import embeddings
from .dialects.openai import error_inside, usage_in
from .errors import BadRequest, Failure, NotFound, Reason, ShuttingDown
from .failover import Attempts, Step
from .gateway import Gateway
from .ledger import CLIENT_LEFT, Ledger
from .providers import Provider
from .upstream import Response

JSON = "application/json"
_OK = 200
# What a proxy or a login says in a provider's place.
_PAGE = re.compile(r"text/html|application/xhtml", re.IGNORECASE)
# The path of each door at a provider.
PATHS = {
    "moderations": "moderations",
    "images": "images/generations",
    "speech": "audio/speech",
    "transcriptions": "audio/transcriptions",
    "translations": "audio/translations",
    "rerank": "rerank",
}


class Forwarder:
    """Answers the calls of the doors that are no chats. Made once in each worker; holds no call."""

    def __init__(self, gateway: Gateway, catalogue: Catalogue) -> None:
        self._gateway, self._catalogue = gateway, catalogue
        self._settings = gateway.settings
        gateway.others["embeddings"] = self._embedded

    # ---- embeddings

    def _embedded(self, call: Call, plan: Plan, key: str | None, deadline: float, ledger: Ledger) -> Answer:  # noqa: ARG002
        """Ask for embeddings, a request for so many inputs as a provider takes at once."""
        answers, usage = [], Usage()
        guard = self._gateway.guard
        body = call.body if guard is None else guard.mask(call)
        for part in embeddings.split(body, self._settings.embeddings.batch):
            answer, told = self._batch(call, plan, part, deadline)
            usage.input += told.input
            answers.append(answer)
        call.usage = usage
        answer = embeddings.join(answers)
        if key and call.target is not None:
            self._gateway.cache.put(key, call.target, answer, call)
        self._gateway.ledger.overhead(call)
        return Answer(_OK, self._gateway.headers(call, cost=True), orjson.dumps(answer))

    def _batch(self, call: Call, plan: Plan, body: Json, deadline: float) -> tuple[Json, Usage]:
        def ask(step: Step) -> Json:
            provider = self._gateway.providers[step.planned.target.provider]
            embedder, model = provider.embedder, step.planned.model
            if embedder is None:
                raise BadRequest(f"The provider {provider.name} makes no embeddings.", param="model")
            content = orjson.dumps(embedder.request_out(body, model))
            until = self._until(step, deadline, 1)
            data = _read(self._send(call, provider, "embeddings", content, JSON, until, step), until)
            try:
                parsed = orjson.loads(data)
                return embedder.response_in(parsed, body, model)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise Failure(Reason.BAD_RESPONSE, "the answer is no JSON of embeddings") from None

        answer, step, started = self._gateway.loop(call, self._attempts(plan, deadline), ask)
        usage = usage_in(answer.get("usage"))
        self._gateway.ledger.answered(call, step, started, usage)
        return answer, usage

    # ---- passed on

    def plan(self, call: Call, name: str) -> Plan:
        """The plan of a call that is passed on: the providers of its kind, in the operator's order.

        Args:
            name: the model's, or ``provider/model``; empty where the call names none.

        Raises:
            NotFound: no provider serves this kind of call.
        """
        first, _, rest = name.partition("/")
        providers, settings = self._gateway.providers, self._settings
        named: tuple[str, ...] = getattr(settings.forward, call.door)
        if rest and first in providers and providers[first].address:
            return self._plan(call, (first,), rest)
        serving = [one for one in named if one in providers and providers[one].address]
        if not named:
            serving = [one for one, provider in providers.items() if provider.address][:1]
        if not serving:
            raise NotFound(f"No provider serves {call.route}; aura.forward.{call.door} names them.", code="not_served")
        return self._plan(call, tuple(serving), name)

    def _plan(self, call: Call, serving: tuple[str, ...], name: str) -> Plan:
        targets = []
        for one in serving:
            entry = self._settings.providers[one]
            model = self._catalogue.model(name or call.door, None, entry.type, entry.base_url)
            targets.append(Planned(Target(one, name or call.door), model))
        targets = self._gateway.router.allowed(call.caller, targets, name or call.door)
        return Plan(targets, None, pinned=len(targets) == 1)

    def passed_on(self, call: Call, plan: Plan, content: bytes | IO[bytes], media_type: str) -> Answer:
        """Send a call on as it is, and its answer back as it comes.

        Args:
            content: what the client sent.

        Raises:
            AuraError: what the client is told instead.
        """
        settings = self._settings.router
        deadline = call.started + limits.total(call, settings, reasoning=True)
        guard = self._gateway.guard
        if guard is not None:
            guard.admit(call, deadline)
            content = guard.outgoing(call, content) if isinstance(content, bytes) else content
        self._gateway.fleet.budget.call()

        def ask(step: Step) -> tuple[Response, bytes | None]:
            planned, until = step.planned, self._until(step, deadline, limits.REASONING_FACTOR)
            provider = self._gateway.providers[planned.target.provider]
            response = self._send(call, provider, PATHS[call.door], content, media_type, until, step)
            if _kind(response).startswith(JSON):
                return response, _told(_read(response, until))
            if _PAGE.match(_kind(response)):
                response.close()
                raise Failure(Reason.BAD_RESPONSE, "the answer is a page")
            return response, None

        (response, data), step, started = self._gateway.loop(call, self._attempts(plan, deadline), ask)
        kind = _kind(response)
        if data is None:
            call.stream = True
            passed = Passed(call, self._gateway.ledger, response, step, started, deadline)
            return Answer(_OK, self._gateway.headers(call, cost=False), stream=passed, media_type=kind)
        self._gateway.ledger.answered(call, step, started, _usage(data))
        data = data if call.mask is None else guarded.incoming(data, call.mask)
        self._gateway.ledger.overhead(call)
        return Answer(_OK, self._gateway.headers(call, cost=True), data, media_type=kind)

    # ---- both

    def _attempts(self, plan: Plan, deadline: float) -> Attempts:
        gateway = self._gateway
        return Attempts(
            plan, gateway.fleet.circuit, gateway.fleet.budget, gateway.rules, deadline, time.monotonic, random.random
        )

    def _send(
        self,
        call: Call,
        provider: Provider,
        path: str,
        content: bytes | IO[bytes],
        media_type: str,
        deadline: float,
        step: Step,
    ) -> Response:
        """Send a request; an answer of another status than 200 is a failure."""
        request = provider.door(path, step.planned.model.name, content, media_type)
        response = correlation.send(self._gateway.upstream, call, provider, request, deadline, step.fresh)
        if response.status == _OK:
            return response
        try:
            body = response.read(deadline)
        finally:
            response.close()
        raise provider.failure(response.status, response.headers, body, time.time())

    def _until(self, step: Step, deadline: float, factor: float) -> float:
        """When an attempt must have ended: pictures and speech take longer than a provider's own timeout says."""
        limit = self._gateway.timeouts[step.planned.target.provider] * factor
        return limits.share(limit, deadline, time.monotonic(), step.last)


def _read(response: Response, until: float) -> bytes:
    try:
        return response.read(until)
    finally:
        response.close()


def _told(data: bytes) -> bytes:
    """An answer in JSON, if it is one; an error under status 200 is a failure."""
    try:
        body = orjson.loads(data)
    except ValueError:
        raise Failure(Reason.BAD_RESPONSE, "the answer is no JSON") from None
    if isinstance(body, dict) and body.get("error"):
        raise error_inside(body["error"])
    return data


def _kind(response: Response) -> str:
    return response.headers.get("content-type", "application/octet-stream")


class Passed:
    """An answer on its way to the client as it comes: speech, pictures, events."""

    def __init__(
        self, call: Call, ledger: Ledger, response: Response, step: Step, started: float, deadline: float
    ) -> None:
        self._call, self._ledger, self._response = call, ledger, response
        self._step, self._started, self._deadline = step, started, deadline
        self._over = False
        self.closed: Callable[[], None] | None = None
        """Called once when the answer is over, however it ended."""
        ledger.overhead(call)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._over:
            raise StopIteration
        try:
            data = self._response.read_some(min(self._deadline, time.monotonic() + limits.LONG_IDLE_GAP))
        except Failure as failure:
            self._ledger.failed(self._call, self._step, self._started, failure)
            self._cut("stream_interrupted")
            raise ConnectionAbortedError("the provider's answer broke off") from None
        except ShuttingDown:
            self._ledger.left(self._call, self._step, self._started)
            self._cut("server_shutting_down")
            raise
        if not data:
            self._over = True
            self._ledger.answered(self._call, self._step, self._started, None)
            self._ledger.finish(self._call, _OK)
            raise StopIteration
        return data

    def _cut(self, outcome: str) -> None:
        """Note an end in the middle: the 200 is out, so the log alone tells."""
        self._over = True
        self._response.close()
        self._call.outcome = outcome
        self._ledger.finish(self._call, _OK)

    def close(self) -> None:
        """Note the end, whatever it was; idempotent. Without a noted end the client has left."""
        if self.closed is not None:
            self.closed()
            self.closed = None
        self._response.close(over=self._over)
        if not self._over:
            self._over = True
            self._ledger.left(self._call, self._step, self._started)
        self._ledger.finish(self._call, CLIENT_LEFT)


def _usage(data: bytes) -> Usage | None:
    """The tokens that an answer tells of, under either of OpenAI's names."""
    try:
        told = orjson.loads(data).get("usage")
    except (ValueError, AttributeError):
        return None
    if not isinstance(told, dict):
        return None
    usage = usage_in(told)
    return (
        usage
        if usage.input
        else usage_in({"prompt_tokens": told.get("input_tokens"), "completion_tokens": told.get("output_tokens")})
    )
