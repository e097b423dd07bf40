"""Bytes to JSON values, strictly: what two parsers could read differently is refused.

Facts
  - RFC 8259: JSON on the wire is UTF-8 without a byte order mark; NaN and Infinity are no numbers; what an object with
    two equal names means is left open, so a validator, a cache and a provider may each see another value.
  - orjson refuses bad UTF-8, byte order marks, NaN, Infinity, lone surrogates and more than 1,024 levels. It lets equal
    names pass (the last wins) and turns an integer beyond 64 bits into a float, as another number.

So orjson parses, and one walk over what it made counts levels and names. The names are then counted in the bytes too:
after each name comes a colon, so a text with more of them than the tree has names holds one twice. Only a text with a
fault, and a short one, is read a second time, slowly, to say which and where.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import accumulate
from typing import Any

import orjson

from .errors import BadRequest

MAX_DEPTH = 100
MAX_SHOWN = 64
# Reading again to find a fault takes about 0.5 µs a byte at worst; a longer text is refused in fewer words.
MAX_EXPLAINED = 64 * 1024
_MAX_INTEGER = 2**64 - 1
_MIN_INTEGER = -(2**63)
# From here on a float may be an integer that did not fit.
_LARGE = 2.0**63
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")
_WHITESPACE = b" \t\n\r"
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# The way from a value up to the root of its tree.
_Trail = tuple[Any, str | int] | None
_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "an integer",
    float: "a decimal number",
    bool: "a boolean",
    type(None): "null",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_$-]{1,40}")


def loads(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse JSON.

    Args:
        data: one JSON text.
        max_depth: how many arrays and objects may stand inside each other.

    Raises:
        BadRequest: it is no JSON text, or one that is refused; ``param`` is the path where there is one.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        # The error itself holds the whole text: it is not kept as the cause of ours.
        said = f"{exc.msg[:MAX_SHOWN]}, at line {exc.lineno}, column {exc.colno}"
    else:
        names, depth, large = _survey(value, max_depth)
        if depth > max_depth:
            raise _too_deep(max_depth)
        if names != _names_at_most(data) and names != _names(data):
            _explain(data)
            raise _refused("An object of the body has a name twice.")
        if large and _has_wide_integer(data):
            _explain(data)
            raise _refused("The body has an integer of more than 64 bits.")
        return value
    _refuse_encoding(data)
    if not data.strip(_WHITESPACE):
        raise _refused("The body is empty: a JSON object is expected.")
    if "depth" in said or (len(data) <= MAX_EXPLAINED and _depth(data) > max_depth):
        raise _too_deep(max_depth)
    with suppress(json.JSONDecodeError):
        _explain(data)
    raise _refused(f"The body is not valid JSON: {said}.")


def _survey(value: Any, max_depth: int) -> tuple[int, int, bool]:
    """Count names and levels, at most one level too many, and tell whether a number is suspiciously large."""
    if value.__class__ is not dict and value.__class__ is not list:
        return 0, 0, value.__class__ is float and not -_LARGE < value < _LARGE
    level: list[Any] = [value]
    names, depth, large = 0, 0, False
    while level and depth <= max_depth:
        depth += 1
        below: list[Any] = []
        for node in level:
            children = node
            if node.__class__ is dict:
                names += len(node)
                children = node.values()
            for child in children:
                found = child.__class__
                if found is dict or found is list:
                    below.append(child)
                elif found is float and not -_LARGE < child < _LARGE:
                    large = True
        level = below
    return names, depth, large


def _names_at_most(data: bytes) -> int:
    """Count what may end a name. Quick, and too many only where a string holds the like of it."""
    count = data.count
    return count(b'":') + count(b" :") + count(b"\n:") + count(b"\t:") + count(b"\r:")


def _names(data: bytes) -> int:
    """Count the names of all objects of a JSON text."""
    return _outside_strings(data).count(b":")


def _outside_strings(data: bytes) -> bytes:
    """What stands between the strings of a JSON text."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(data.split(b'"')[::2])


def _depth(data: bytes) -> int:
    """How deep a text goes, also one that is no JSON."""
    brackets = _outside_strings(data).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _has_wide_integer(data: bytes) -> bool:
    found = _LONG_INTEGER.findall(_outside_strings(data))
    return any(len(digits) > 21 or not _MIN_INTEGER <= int(digits) <= _MAX_INTEGER for digits in found)


def _too_deep(max_depth: int) -> BadRequest:
    return _refused(f"The body is nested too deeply: {max_depth} levels are the most.")


def _refused(message: str, param: str | None = None) -> BadRequest:
    return BadRequest(message, param=param, code="invalid_json")


def _refuse_encoding(data: bytes) -> None:
    if data.startswith(b"\xef\xbb\xbf"):
        raise _refused("The body begins with a byte order mark: JSON is sent without one.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        raise _refused("The body looks like UTF-16 or UTF-32: JSON is sent as UTF-8.")
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        start = exc.start
    else:
        return
    raise _refused(f"The body is not valid UTF-8, at byte {start + 1}.")


def _explain(data: bytes) -> None:
    """Raise for the first fault that can be named, in a text short enough to be read slowly."""
    if len(data) <= MAX_EXPLAINED:
        _refuse_first_fault(_read_slowly(data.decode()))


class _Fault:
    """Stands in a tree for a value that is refused."""

    def __init__(self, message: str, name: str | None = None) -> None:
        self.message = message
        self.name = name


def _read_slowly(text: str) -> Any:
    """Parse with a :class:`_Fault` wherever something is refused; ValueError if it is no JSON at all."""
    return json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object)


def _integer(literal: str) -> int | _Fault:
    # The length is looked at first: int() of a very long literal takes quadratic time.
    if len(literal) > 20 or not _MIN_INTEGER <= int(literal) <= _MAX_INTEGER:
        return _Fault("is an integer of more than 64 bits")
    return int(literal)


def _float(literal: str) -> float | _Fault:
    value = float(literal)
    return _Fault("is too large a number") if value in (float("inf"), float("-inf")) else value


def _constant(literal: str) -> _Fault:
    return _Fault(f"is {literal}, which is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Fault:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return _Fault("is there twice", name)
        seen.add(name)
    raise AssertionError("a shorter dict without an equal name")


def _refuse_first_fault(tree: Any) -> None:
    """Raise for the first fault of a tree, in reading order, if there is one."""
    waiting: list[tuple[Any, _Trail]] = [(tree, None)]
    while waiting:
        node, trail = waiting.pop()
        if isinstance(node, _Fault):
            raise _fault(trail if node.name is None else (trail, node.name), node.message)
        if isinstance(node, str):
            if _SURROGATE.search(node):
                raise _fault(trail, "has half of a surrogate pair")
        elif isinstance(node, dict):
            if any(map(_SURROGATE.search, node)):
                raise _fault(trail, "has half of a surrogate pair in a name")
            waiting.extend([(child, (trail, name)) for name, child in node.items()][::-1])
        elif isinstance(node, list):
            waiting.extend([(child, (trail, index)) for index, child in enumerate(node)][::-1])


def _fault(trail: _Trail, message: str) -> BadRequest:
    """Word a fault by its path, as far as its names are short and plain; a client's own words go no further."""
    steps: list[str | int] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    path = ""
    for step in reversed(steps):
        longer = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}" if path else step
        if len(longer) > MAX_SHOWN or not (isinstance(step, int) or _PLAIN_NAME.fullmatch(step)):
            where = f"Something inside '{path}'" if path else "Something in the body"
            return _refused(f"{where} {message}.", path or None)
        path = longer
    where = f"'{path}'" if path else "The body"
    return _refused(f"{where} {message}.", path or None)


def kind(value: Any) -> str:
    """What a JSON value is, as an error message calls it; never its content."""
    return _KINDS.get(value.__class__, "a value of another kind")
