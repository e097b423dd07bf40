"""Which tier and target a conversation has, so that it stays there: by its first messages, for the newest ones only."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..call import TIERS, Call, Json, Target, Tier

MAX_CONVERSATIONS = 10_000
# So many characters of a text's beginning and end, and its length, stand for it: a hash never holds the loop.
_ENDS = 4096
_DEPTH = 4
_LATEST = 3  # turns that are judged again beside the first
_ITEMS = 64  # of a list or an object


@dataclass(slots=True)
class Place:
    """Where a conversation is.

    Args:
        tier: the highest that it has had.
        target: who answers it, None if only a failover reached anyone.
    """

    tier: Tier
    target: Target | None


class Conversations:
    """The newest conversations of one worker."""

    def __init__(self, size: int = MAX_CONVERSATIONS) -> None:
        self._size = size
        self._places: OrderedDict[int, Place] = OrderedDict()

    def place(self, call: Call) -> Place | None:
        """Where the conversation is that a call goes on with."""
        return self._places.get(_key(call)) if self._places else None

    def keep(self, call: Call, tier: Tier, target: Target | None, goes_on: bool = True) -> None:
        """Note who answered.

        Args:
            target: None keeps the one that is known: the conversation was answered elsewhere for this once.
            goes_on: the call goes on with a conversation.
        """
        key = _key(call)
        before = self._places.pop(key, None)
        if before is not None and goes_on:
            if TIERS.index(before.tier) > TIERS.index(tier):
                tier, target = before.tier, before.target
            elif target is None and before.tier is tier:
                target = before.target
        self._places[key] = Place(tier, target)
        if len(self._places) > self._size:
            self._places.popitem(last=False)


def beginnings(call: Call) -> list[Json]:
    """The body of a conversation that goes on, as it was at the user's first turn and at the latest ones before now."""
    messages = call.body.get("messages") or []
    roles = [_role(message) for message in messages]
    answered = len(roles) - roles[::-1].index("assistant") if "assistant" in roles else 0
    ends = [place + 1 for place in range(answered) if roles[place] == "user"]
    return [{**call.body, "messages": messages[:end]} for end in (*ends[:1], *ends[1:][-_LATEST:])]


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _key(call: Call) -> int:
    """A hash of the tenant and the first messages: all up to the user's first turn.

    Python's own, which is keyed anew in every process: nobody can make two conversations one.
    """
    parts: list[Any] = [call.caller]
    for message in call.body.get("messages") or ():
        role = content = None
        if isinstance(message, dict):
            role, content = message.get("role"), message.get("content")
        if content.__class__ is not str or len(content) > 2 * _ENDS:
            content = _part(content, _DEPTH)
        parts.append((role if isinstance(role, str) else None, content))
        if role == "user":
            break
    return hash(tuple(parts))


def _part(value: Any, depth: int) -> Any:
    """What stands for a value in the hash."""
    if isinstance(value, str):
        return value if len(value) <= 2 * _ENDS else (value[:_ENDS], len(value), value[-_ENDS:])
    if depth and isinstance(value, list):
        return tuple(_part(item, depth - 1) for item in value[:_ITEMS])
    if depth and isinstance(value, dict):
        return tuple((name, _part(item, depth - 1)) for name, item in islice(value.items(), _ITEMS))
    return None
