"""Tool calls that come in pieces, one after the other or mixed, put into the order that Anthropic's blocks have.

One call is told at a time. Where another has begun, the present one is over once its arguments are whole: some servers
announce all calls first, or tell parallel ones in turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ...call import Json
from .outbound import called_out, tool_id

# What is to be written: a call that begins here (its id and name), and a piece of the arguments of the present one.
Step = tuple[Json | None, str]


class _Call:
    """One call, as far as it has come."""

    __slots__ = ("begun", "held", "id", "index", "name", "told")

    def __init__(self, index: Any) -> None:
        self.index = index
        self.id = self.name = ""
        self.begun = False
        self.held: list[str] = []
        self.told: list[str] = []

    def tell(self) -> list[Step]:
        """What has come since the last time; nothing while the name is not known."""
        if not self.name or (self.begun and not self.held):
            return []
        begins = None if self.begun else {"id": self.id, "name": self.name}
        piece = "".join(self.held)
        self.begun = True
        self.told += self.held
        self.held = []
        return [(begins, piece)]

    def whole(self) -> bool:
        """Whether the arguments so far are JSON."""
        try:
            orjson.loads("".join(self.told))
        except ValueError:
            return False
        return True


class Calls:
    """The calls of one answer.

    Args:
        seed: what ids are made of for calls that have none.
        named: makes a call's id of the given one, the seed and the call's place.
    """

    def __init__(self, seed: str, named: Callable[[Any, str, int], str] = tool_id) -> None:
        self._seed, self._named = seed, named
        self._calls: list[_Call] = []
        self._at = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def feed(self, piece: Json, position: int) -> list[Step]:
        """Take the next piece of a call; returns what can be told now.

        Args:
            position: the piece's place among those that came with it, where a server tells no index.
        """
        call = self._of(piece, position)
        name, arguments = called_out(piece)
        if name and name != call.name and not call.begun:  # some servers say the whole name with every piece
            call.name += name
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if arguments and isinstance(arguments, str):
            call.held.append(arguments)
        steps = self._calls[self._at].tell()
        while self._at + 1 < len(self._calls) and self._calls[self._at].whole():
            self._at += 1
            steps += self._calls[self._at].tell()
        return steps

    def rest(self) -> list[Step]:
        """What is left to be told at the end."""
        return [step for call in self._calls[self._at :] for step in call.tell()]

    def _of(self, piece: Json, position: int) -> _Call:
        """The call that a piece belongs to: by its index, else by its id, else the last one."""
        index, name = piece.get("index"), piece.get("id")
        if index is None and name is None and self._calls and not called_out(piece)[0]:
            return self._calls[-1]
        if index is None:
            index = name or f"{len(self._calls)} {position}"
        for call in self._calls:
            if call.index == index:
                return call
        call = _Call(index)
        call.id = self._named(name, self._seed, len(self._calls))
        self._calls.append(call)
        return call
