"""What all instances count against limits, in Redis: the windows of the ``limits`` library, and leases.

Facts
  - A script of ``limits`` serves one window. Sent together in a pipeline, those of a call take one round trip.
  - What is added without a limit is added by a limit that nothing reaches; the library has no other way.
  - Whoever holds a lease renews it. One that is not renewed ends, so a worker that was killed holds none for long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import gevent
from limits.storage import RedisStorage
from redis import exceptions

from ..gate import Gate
from ..redis_link import Link
from .table import Change, Held, Table, Taken, Wanted
from .window import MINUTE, State

PREFIX = "aura:limits"
LEASE_S, RENEWED_S = 30, 10  # seconds after which a lease ends, and is renewed
MOST_LOST = 1000  # in a burst all calls wait for Redis: whoever did not would be counted apart
_NO_LIMIT = 2**52
_NOW = "local now = redis.call('time'); now = now[1] + now[2] / 1000000 "
_OPEN = f"""{_NOW}
redis.call('zremrangebyscore', KEYS[1], '-inf', now)
if redis.call('zcard', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('zadd', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('expire', KEYS[1], ARGV[2])
return 1"""
_RENEW = f"""{_NOW}
for number = 2, #ARGV do redis.call('zadd', KEYS[1], 'XX', now + ARGV[1], ARGV[number]) end
return redis.call('expire', KEYS[1], ARGV[1])"""
_GIVE_BACK = """
local there = tonumber(redis.call('get', KEYS[1]) or 0)
local back = math.min(there, tonumber(ARGV[1]))
if back > 0 then redis.call('decrby', KEYS[1], string.format('%d', back)) end
return 1"""

Command = tuple[Any, list[str], list[Any]]  # a script, its keys and arguments


class Remote(RedisStorage):
    """The store of all instances; this instance's own table stands in for it while it is out of use.

    Args:
        url: ``redis://[user:password@]host:port/database``.
        clock: monotonic seconds.

    Raises:
        ValueError: the URL is none of Redis's.
    """

    def __init__(self, url: str, local: Table, clock: Callable[[], float] = time.monotonic) -> None:
        self._local, self._clock = local, clock
        self._gate = Gate(clock, "limits", MOST_LOST)
        self._link = Link(url, self._gate)
        super().__init__(url, connection_pool=self._link.redis.connection_pool, key_prefix=PREFIX)
        register = self._link.redis.register_script
        self._lua_open, self._lua_renew, self._lua_give_back = register(_OPEN), register(_RENEW), register(_GIVE_BACK)
        self._worker, self._numbers = os.urandom(8).hex(), count()
        self._leases: dict[str, tuple[str, ...]] = {}
        self._renewer: gevent.Greenlet[Any, Any] | None = None

    def take(self, wanted: Sequence[Wanted], held: Sequence[Held], now: float) -> Taken:
        """Count something against limits, all of it or nothing."""
        ticket = f"{self._worker}-{next(self._numbers)}"
        commands = [self._acquire(name, limit, amount) for name, limit, amount in wanted]
        commands += [(self._lua_open, [self._row(name)], [limit, LEASE_S, ticket]) for name, limit in held]
        commands += [self._state(name) for name, _, _ in wanted]
        asked, told = self._link.ask(lambda: self._run(commands), write=True)
        if not asked or told is None:
            return self._local.take(wanted, held, now)
        let = told[: len(wanted) + len(held)]
        states = [_state(one, now) for one in told[len(let) :]]
        refused = next((number for number, one in enumerate(let) if not one), None)
        if refused is None:
            self._hold(ticket, held)
        else:
            states = self._take_back(wanted, held, let, states, ticket, now)
        return Taken(states, refused, ticket)

    def _take_back(
        self,
        wanted: Sequence[Wanted],
        held: Sequence[Held],
        let: list[Any],
        states: list[State],
        ticket: str,
        now: float,
    ) -> list[State]:
        """Take back what was counted of a call that is refused; returns the windows without it."""
        counted = [bool(one) for one in let[: len(wanted)]]
        changes = [
            (name, -amount, state.ends)
            for (name, _, amount), state, was in zip(wanted, states, counted, strict=True)
            if was
        ]
        self.settle(changes, held, now, ticket)
        return [
            State(state.previous, state.current - amount * was, state.ends)
            for (_, _, amount), state, was in zip(wanted, states, counted, strict=True)
        ]

    def read(self, names: Sequence[str], now: float) -> list[State]:
        """The windows as they are."""
        asked, told = self._link.ask(lambda: self._run([self._state(name) for name in names]))
        if not asked or told is None:
            return self._local.read(names, now)
        return [_state(one, now) for one in told]

    def settle(self, changes: Sequence[Change], held: Sequence[Held], now: float, ticket: str = "") -> None:
        """Correct what was counted, and give a call's leases back; what Redis does not take is lost, and ends."""
        if not ticket:
            self._local.settle(changes, held, now)
            return
        self._leases.pop(ticket, None)
        commands = [command for change in changes if (command := self._change(*change, now)) is not None]
        rows = [self._row(name) for name, _ in held]
        if commands or rows:
            self._link.ask(lambda: self._run(commands, [(row, ticket) for row in rows]), write=True)

    def _change(self, name: str, amount: int, ends: float, now: float) -> Command | None:
        if amount > 0:
            return self._acquire(name, _NO_LIMIT, amount)
        if not amount or now >= ends + MINUTE:
            return None
        current, previous = self._current_window_key(name), self._previous_window_key(name)
        return self._lua_give_back, [self.prefixed_key(current if now < ends else previous)], [-amount]

    def ping(self) -> bool:
        """Whether Redis answers; one that is known to be out of use is not asked. Waits for a second at most."""
        return not self._gate.down and self._link.answers()

    # ---- leases

    def _hold(self, ticket: str, held: Sequence[Held]) -> None:
        if not held:
            return
        self._leases[ticket] = tuple(self._row(name) for name, _ in held)
        if self._renewer is None or self._renewer.dead:
            self._renewer = gevent.spawn(self._renew)

    def _renew(self) -> None:
        """Renew all leases of this worker, as long as it has any."""
        while self._leases:
            gevent.sleep(RENEWED_S)
            rows: dict[str, list[str]] = {}
            for ticket, names in self._leases.items():
                for row in names:
                    rows.setdefault(row, []).append(ticket)
            commands: list[Command] = [(self._lua_renew, [row], [LEASE_S, *held]) for row, held in rows.items()]
            if commands:
                self._link.ask(lambda commands=commands: self._run(commands), write=True)  # type: ignore[misc]

    # ---- Redis

    def _row(self, name: str) -> str:
        return self.prefixed_key(name)

    def _keys(self, name: str) -> list[str]:
        return [self.prefixed_key(self._previous_window_key(name)), self.prefixed_key(self._current_window_key(name))]

    def _acquire(self, name: str, limit: int, amount: int) -> Command:
        return self.lua_acquire_sliding_window, self._keys(name), [limit, int(MINUTE), amount]

    def _state(self, name: str) -> Command:
        return self.lua_sliding_window, self._keys(name), [int(MINUTE)]

    def _run(self, commands: Sequence[Command], removed: Iterable[tuple[str, str]] = ()) -> list[Any]:
        """Run scripts in one round trip; Redis is taught those that it does not know.

        Raises:
            RedisError: what it answered instead.
        """
        pipe = self._link.redis.pipeline(transaction=False)
        for script, keys, arguments in commands:
            pipe.evalsha(script.sha, len(keys), *keys, *arguments)
        for row, member in removed:
            pipe.zrem(row, member)
        told: list[Any] = pipe.execute(raise_on_error=False)
        unknown = [number for number, one in enumerate(told) if isinstance(one, exceptions.NoScriptError)]
        for script in {commands[number][0].sha: commands[number][0] for number in unknown}.values():
            self._link.redis.script_load(script.script)
        for number in unknown:
            script, keys, arguments = commands[number]
            told[number] = self._link.redis.evalsha(script.sha, len(keys), *keys, *arguments)
        for one in told:
            if isinstance(one, Exception):
                raise one
        return told


def _state(told: Any, now: float) -> State:
    """A window as the library's script tells it: count and remaining milliseconds of the previous, then the current."""
    previous, previous_ms, current, current_ms = (int(one or 0) for one in told)
    ends = now + MINUTE if current_ms < 0 else now + current_ms / 1000 - MINUTE
    if current_ms < 0 and previous_ms > 0:
        ends = now + previous_ms / 1000
    return State(previous, current, ends)
