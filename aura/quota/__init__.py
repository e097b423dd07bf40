"""Limits of Aura's own, per key and in total: requests and tokens by the minute, and calls at once.

A call's tokens are reserved before it is made, by an estimate of its prompt and the longest answer that it allows;
when it has ended, however it did, what it really used takes their place. ``window`` has the arithmetic; a store counts:
``table`` for the workers of one instance, ``remote`` (Redis) for all instances.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .. import metrics
from ..call import Call, Json
from ..errors import RateLimited
from ..estimate import estimate_tokens, text_tokens
from ..settings import ClientKey, LimitsSettings
from . import window
from .table import Change, Held, Taken, Wanted, shared
from .window import State

ANSWER = 500  # tokens that are reserved for an answer whose length the client leaves open
_SHARE = 10  # it takes at most this part of the limit
_CLIENT_LEFT = 499
_COUNTING = "count_tokens"  # asks for no token, but is a request

REQUESTS, TOKENS, CONCURRENT = "requests", "tokens", "concurrent"


class Store(Protocol):
    """Where it is counted."""

    def take(self, wanted: Sequence[Wanted], held: Sequence[Held], now: float) -> Taken:
        """Count something against limits, all of it or nothing."""

    def read(self, names: Sequence[str], now: float) -> list[State]:
        """The windows as they are."""

    def settle(self, changes: Sequence[Change], held: Sequence[Held], now: float, ticket: str = "") -> None:
        """Correct what was counted, and close what was open."""

    def ping(self) -> bool | None:
        """Whether what lies beyond this host answers; None where nothing does."""


class Limit(NamedTuple):
    """One limit.

    Args:
        name: what the store knows it by.
        scope: whose it is: ``key`` or ``total``.
        kind: what it limits.
        headers: the names of those that tell of it, where one does.
        told: ``most`` in the first of them.
    """

    name: str
    most: int
    scope: str
    kind: str
    headers: tuple[str, ...]
    told: str


@dataclass(frozen=True, slots=True)
class Limited:
    """The limits that the calls of one key are under, in the order in which they are asked."""

    windows: tuple[Limit, ...]
    slots: tuple[Limit, ...]
    names: tuple[str, ...]
    held: tuple[Held, ...]
    tokens: int
    """The least limit on tokens, 0 if there is none."""


class Lease:
    """What a call was let in under.

    Args:
        headers: what every answer says of the limits.
        prompt: tokens of the prompt, estimated.
        reserved: tokens, the prompt among them.
    """

    __slots__ = ("_limited", "_prompt", "_quota", "_reserved", "_taken", "headers")

    def __init__(
        self, headers: dict[str, str], quota: Quota, limited: Limited, taken: Taken, prompt: int, reserved: int
    ) -> None:
        self.headers = headers
        self._quota: Quota | None = quota
        self._limited, self._taken, self._prompt, self._reserved = limited, taken, prompt, reserved

    def end(self, call: Call) -> None:
        """Settle the tokens by what the call has used, and make room for the next."""
        quota, self._quota = self._quota, None
        if quota is not None:
            used = self._used(call) if self._limited.tokens else 0
            quota.settle(self._limited, self._taken, used - self._reserved)

    def _used(self, call: Call) -> int:
        """The tokens that the call has used, at all providers that it asked."""
        used, known = 0, False
        for attempt in call.attempts:
            if attempt.usage is not None:
                used, known = used + attempt.usage.input + attempt.usage.output, True
        if known:
            return used
        if call.cache == "hit" or call.target is None:
            return 0
        if call.first_content_s is not None or call.status < 400:
            return self._reserved  # there was an answer, and no one has told how long it was
        return self._prompt if call.status == _CLIENT_LEFT else 0


class Refused:
    """What stands in a lease's place where a call was not let in."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def end(self, call: Call) -> None:
        """Nothing was taken."""


class Quota:
    """Lets calls in.

    Args:
        open_store: makes the store; called with the first call that is limited.
        clock: the store's monotonic seconds.
    """

    def __init__(
        self,
        settings: LimitsSettings,
        keys: Sequence[ClientKey],
        open_store: Callable[[Sequence[str], Sequence[str]], Store] = shared,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._open_store = clock, open_store
        self._store: Store | None = None
        found = {key.name: _limited(settings, key) for key in keys} or {"": _limited(settings, None)}
        self._of = {name: one for name, one in found.items() if one.windows or one.slots}
        self._shut: dict[str, tuple[float, list[State], int]] = {}
        """By key: until when no further request fits, the windows, and the number of the limit."""

    def admit(self, call: Call) -> None:
        """Let a call in, and leave its lease with it; it ends with the call.

        Raises:
            RateLimited: a limit is reached.
        """
        limited = self._of.get(call.caller)
        if limited is None:
            return
        now = self._clock()
        prompt = reserved = 0
        if limited.tokens and call.door != _COUNTING:
            prompt = _prompt_tokens(call.body)
            reserved = prompt + _answer_tokens(call, limited.tokens, prompt)
        wanted = [(name, most, 1 if kind == REQUESTS else reserved) for name, most, _, kind, _, _ in limited.windows]
        taken = self._counting().take(wanted, limited.held, now)
        if taken.refused is not None:
            raise self._refusal(call, limited, taken.states, taken.refused, now, reserved)
        call.lease = Lease(_told(limited, taken.states, now), self, limited, taken, prompt, reserved)

    def check(self, call: Call) -> None:
        """Refuse a call whose key can make no request yet, before anything is read of it; counts nothing.

        Raises:
            RateLimited: as :meth:`admit` did last.
        """
        shut = self._shut.get(call.caller)
        if shut is None:
            return
        until, states, number = shut
        now = self._clock()
        if now >= until:
            del self._shut[call.caller]
            return
        raise self._refusal(call, self._of[call.caller], [window.at(one, now) for one in states], number, now, 0)

    def headers(self, call: Call) -> dict[str, str]:
        """What an answer says of its caller's limits; nothing where there are none."""
        if call.lease is not None:
            return call.lease.headers
        limited = self._of.get(call.caller)
        if limited is None:
            return {}
        now = self._clock()
        return _told(limited, self._counting().read(limited.names, now), now)

    def ping(self) -> bool | None:
        """Whether the store beyond this host answers; None where there is none, or nobody is limited."""
        return self._counting().ping() if self._of else None

    def settle(self, limited: Limited, taken: Taken, more: int) -> None:
        """A call has ended that used so many more tokens than were reserved, fewer if negative."""
        changes = [
            (one.name, more, state.ends)
            for one, state in zip(limited.windows, taken.states, strict=True)
            if more and one.kind == TOKENS
        ]
        if changes or limited.held:
            self._counting().settle(changes, limited.held, self._clock(), taken.ticket)

    def _counting(self) -> Store:
        if self._store is None:
            names = [name for one in self._of.values() for name in one.names]
            rows = [name for one in self._of.values() for name, _ in one.held]
            self._store = self._open_store(list(dict.fromkeys(names)), list(dict.fromkeys(rows)))
        return self._store

    def _refusal(
        self, call: Call, limited: Limited, states: list[State], number: int, now: float, amount: int
    ) -> RateLimited:
        """Note that a call is refused; returns what its client is told."""
        limit = (*limited.windows, *limited.slots)[number]
        call.lease = Refused(_told(limited, states, now))
        call.limited = f"{limit.scope}.{limit.kind}"
        metrics.rate_limited[limit.scope, limit.kind].inc()
        if limit.kind == CONCURRENT:
            return RateLimited(f"{_whose(limit)} of {limit.most} calls at once is reached.", retry_after=1)
        wait = window.wait(states[number], limit.most, 1 if limit.kind == REQUESTS else amount, now)
        if limit.kind == REQUESTS:
            self._shut[call.caller] = now + wait, states, number
        elif wait == math.inf:
            return RateLimited(
                f"This call takes about {amount} tokens (prompt and answer), more than {_whose(limit).lower()} of"
                f" {limit.most} tokens a minute allows at all.",
                should_retry=False,
            )
        return RateLimited(
            f"{_whose(limit)} of {limit.most} {limit.kind} a minute is reached; try again in {window.shown(wait)}.",
            retry_after=wait,
        )


def _whose(limit: Limit) -> str:
    return "The limit" if limit.scope == "key" else "The gateway's limit"


def _limited(settings: LimitsSettings, key: ClientKey | None) -> Limited:
    name = key.name if key else ""
    own = {
        REQUESTS: settings.requests_per_minute,
        TOKENS: settings.tokens_per_minute,
        CONCURRENT: settings.concurrent,
    }
    if key is not None:
        said = {
            REQUESTS: key.requests_per_minute,
            TOKENS: key.tokens_per_minute,
            CONCURRENT: key.concurrent,
        }
        own |= {kind: most for kind, most in said.items() if most is not None}
    total = {
        REQUESTS: settings.total_requests_per_minute,
        TOKENS: settings.total_tokens_per_minute,
        CONCURRENT: settings.total_concurrent,
    }
    limits = [
        Limit(f"{scope}:{kind}:{whose}", most[kind], scope, kind, _headers(kind), str(most[kind]))
        for kind in (REQUESTS, TOKENS, CONCURRENT)
        for scope, whose, most in (("key", name, own), ("total", "", total))
        if most[kind]
    ]
    windows = tuple(one for one in limits if one.kind != CONCURRENT)
    slots = tuple(one for one in limits if one.kind == CONCURRENT)
    tokens = min((one.most for one in windows if one.kind == TOKENS), default=0)
    names = tuple(one.name for one in windows)
    return Limited(windows, slots, names, tuple((one.name, one.most) for one in slots), tokens)


def _headers(kind: str) -> tuple[str, ...]:
    return tuple(f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset"))


def _prompt_tokens(body: Json) -> int:
    """The tokens of what is asked, estimated: of a conversation, or of the texts that are to be embedded."""
    given = body.get("input")
    if given is None:
        return estimate_tokens(body)
    # A text, or its tokens, or many of either.
    parts = given if isinstance(given, list) else [given]
    return round(
        sum(text_tokens(one) if isinstance(one, str) else len(one) if isinstance(one, list) else 1 for one in parts)
    )


def _answer_tokens(call: Call, limit: int, prompt: int) -> int:
    """The tokens to reserve for an answer: what the client allows, else a guess that the limit has room for."""
    body = call.body
    if "messages" not in body:  # what is no conversation has no answer of tokens
        return 0
    choices = body.get("n") or 1
    said = body.get("max_completion_tokens") or body.get("max_tokens")
    if said:
        return int(said * choices)
    return int(max(0, min(min(ANSWER, limit // _SHARE) * choices, limit - prompt)))


def _told(limited: Limited, states: Sequence[State], now: float) -> dict[str, str]:
    """The headers: of each kind the limit that leaves least, in OpenAI's names and values."""
    headers: dict[str, str] = {}
    left: dict[str, int] = {}
    for limit, state in zip(limited.windows, states, strict=True):
        remaining = limit.most - window.used(state, now)
        names = limit.headers
        if remaining < left.get(names[0], math.inf):
            left[names[0]] = remaining
            headers[names[0]], headers[names[1]] = limit.told, str(remaining) if remaining > 0 else "0"
            headers[names[2]] = window.shown(window.reset(state, now))
    return headers
