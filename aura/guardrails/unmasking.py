"""Placeholders turned back into values, in whole answers and in streams.

Facts
  - Servers that are written in Go escape ``<`` and ``>`` in JSON as ``\\u003c`` and ``\\u003e``; a model that writes
    HTML writes ``&lt;`` and ``&gt;``.
  - A stream may cut a placeholder anywhere, even between its bracket and its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from ..call import Json
from . import Kind

_NAMES = [kind.value.upper() for kind in Kind]
_LONGEST = 32  # of a placeholder in any of its forms
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


@lru_cache(maxsize=2)
def _forms(quoted: bool) -> tuple[re.Pattern[str], re.Pattern[str], str]:
    """A placeholder, the beginning of one at a text's end, and the sign that the longer form begins with.

    Args:
        quoted: in JSON, else in a plain text.
    """
    opening, closing = (r"\u003[cC]", r"\u003[eE]") if quoted else ("&lt;", "&gt;")
    if quoted:
        opening, closing = "\\" + opening, "\\" + closing
        begun, ended = r"\\(?:u(?:0(?:0(?:3)?)?)?)?", r"\\(?:u(?:0(?:0(?:3)?)?)?)?"
    else:
        begun, ended = "&(?:l(?:t)?)?", "&(?:g(?:t)?)?"
    names = "|".join(_NAMES)
    parts = "|".join(sorted({name[:size] for name in _NAMES for size in range(len(name) + 1)}, key=len, reverse=True))
    whole = rf"(?:<|{opening})(?P<name>(?:{names})_[1-9][0-9]{{0,8}}+)(?:>|{closing})"
    part = (
        rf"(?:<|{opening})(?:(?P<name>{names})_(?:(?P<number>[1-9][0-9]{{0,8}}+)(?:{ended})?)?|(?:{parts}))\Z|{begun}\Z"
    )
    return re.compile(whole), re.compile(part), "\\" if quoted else "&"


def restored(text: str, values: Mapping[str, str], quoted: bool = False) -> str:
    """A text with the values in it; the same object if it holds no placeholder of theirs.

    Args:
        values: by placeholder, without brackets.
        quoted: the text is JSON.
    """
    whole, _, sign = _forms(quoted)
    if "<" not in text and sign not in text:
        return text

    def value(match: re.Match[str]) -> str:
        found = values.get(match["name"])
        if found is None:
            return match[0]
        return orjson.dumps(found).decode()[1:-1] if quoted else found

    new = whole.sub(value, text)
    return text if new == text else new


class Restorer:
    """One text of a stream. What may be the beginning of a placeholder is held back, and nothing else."""

    def __init__(self, values: Mapping[str, str], quoted: bool) -> None:
        self._values, self._quoted = values, quoted
        _, self._part, self._sign = _forms(quoted)
        self._held = ""

    def feed(self, text: str) -> str:
        """Take the next piece; returns what can be said."""
        if self._held:
            text = self._held + text
            self._held = ""
        if "<" not in text and self._sign not in text:
            return text
        begun = self._part.search(text, max(0, len(text) - _LONGEST))
        while begun is not None and not self._may_be(begun):
            begun = self._part.search(text, begun.start() + 1)
        if begun is not None:
            text, self._held = text[: begun.start()], text[begun.start() :]
        return restored(text, self._values, self._quoted)

    def _may_be(self, begun: re.Match[str]) -> bool:
        name, number = begun["name"], begun["number"]
        if not number:
            return name is None or any(known.startswith(f"{name}_") for known in self._values)
        if f"{name}_{number}" in self._values:
            return True
        return begun[0][-1].isdigit() and any(known.startswith(f"{name}_{number}") for known in self._values)

    def finish(self) -> str:
        """The text has ended; returns what was held back."""
        held, self._held = self._held, ""
        return held


def message(said: Json, values: Mapping[str, str], quoted: bool) -> Json:
    """A whole message with the values in it; the same object if nothing has changed.

    Args:
        quoted: its content is JSON.
    """
    out = said
    for name, value in said.items():
        if name == "role" or value is None:
            continue
        new = restored(value, values, quoted) if name == "content" and value.__class__ is str else other(value, values)
        if new is not value:
            out = {**out, name: new}
    return out


def other(value: Any, values: Mapping[str, str], name: str = "") -> Any:
    """Any part of an answer with the values in it; the arguments of calls are JSON."""
    if value.__class__ is str:
        return restored(value, values, name == "arguments")
    if value.__class__ is list:
        items = [other(item, values) for item in value]
        return value if all(new is item for new, item in zip(items, value, strict=True)) else items
    if value.__class__ is not dict:
        return value
    members = {key: other(member, values, key) for key, member in value.items()}
    return value if all(members[key] is member for key, member in value.items()) else members


class Stream:
    """The deltas of one choice of a stream."""

    def __init__(self, values: Mapping[str, str], quoted: bool) -> None:
        self._values, self._quoted = values, quoted
        self._texts: dict[tuple[str, Any], Restorer] = {}
        self._last: Any = 0

    def delta(self, delta: Json) -> Json:
        """The next delta with the values in it; the same object if nothing has changed."""
        out = delta
        for name, value in delta.items():
            if value is None or name == "role":
                continue
            if name in _TEXTS and value.__class__ is str:
                new: Any = self._feed((name, None), value, name == "content" and self._quoted)
            elif name == "tool_calls" and isinstance(value, list):
                new = self._calls(value)
            elif name == "function_call" and isinstance(value, dict):
                new = self._call((name, None), value)
            else:
                new = other(value, self._values)
            if new is not value:
                out = {**out, name: new}
        return out

    def _feed(self, key: tuple[str, Any], text: str, quoted: bool) -> str:
        restorer = self._texts.get(key)
        if restorer is None:
            restorer = self._texts[key] = Restorer(self._values, quoted)
        new = restorer.feed(text)
        return text if new == text else new

    def _calls(self, calls: list[Any]) -> list[Any]:
        items = [self._piece(call) for call in calls]
        return calls if all(new is call for new, call in zip(items, calls, strict=True)) else items

    def _piece(self, piece: Any) -> Any:
        """A piece of a call: by its index, else by its id, else of the last one."""
        number = piece.get("index")
        if number is None:
            number = piece.get("id") or self._last
        self._last = number
        out = piece
        for name in ("function", "custom"):
            if isinstance(piece.get(name), dict):
                new = self._call((name, number), piece[name])
                if new is not piece[name]:
                    out = {**out, name: new}
        return out

    def _call(self, key: tuple[str, Any], function: Json) -> Json:
        for name in ("arguments", "input"):
            value = function.get(name)
            if value.__class__ is str:
                new = self._feed(key, value, name == "arguments")
                if new is not value:
                    function = {**function, name: new}
        return function

    def finish(self) -> list[Json]:
        """The choice has ended; returns deltas with what was held back."""
        said = list[Json]()
        for (name, number), restorer in self._texts.items():
            held = restorer.finish()
            if not held:
                continue
            if name in _TEXTS:
                said.append({name: held})
            elif name == "function_call":
                said.append({name: {"arguments": held}})
            else:
                place = {"index": number} if isinstance(number, int) else {"id": number}
                called = {"input" if name == "custom" else "arguments": held}
                said.append({"tool_calls": [{**place, name: called}]})
        return said
