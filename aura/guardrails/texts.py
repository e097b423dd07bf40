"""The texts of a canonical body that a model reads, each with its place, and the body with other texts in their place.

What is no text of anyone's stays: roles, types, ids, names of tools, signatures, the bytes and addresses of pictures,
sounds and files. A body is never changed: what differs is copied, all else is shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from ..call import Json

Replace = Callable[[str, str], str]
"""Gives the text to stand for a text at a place (``messages[2].content``)."""

PERSONAL = ("user", "safety_identifier", "metadata")
"""Who asks, not what: no answer depends on it."""
_NO_TEXT = frozenset(
    {"aura", "fallbacks", "function_call", "logit_bias", "modalities", "model", "service_tier", "tool_choice"}
)
_MARKS = frozenset({"encrypted_content", "id", "role", "signature", "tool_call_id", "tool_use_id", "type"})
_MEDIA = frozenset({"file", "image", "image_url", "input_audio", "redacted_thinking"})
# A string or a number of valid JSON. Nothing in it can match in two ways.
_LITERAL = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+')


def replaced(body: Json, replace: Replace, personal: bool = True) -> Json:
    """The body with every text replaced; the same object if none has changed.

    Args:
        personal: whether the members that name who asks are looked at too.
    """
    out = body
    for name, value in body.items():
        if name in _NO_TEXT or value.__class__ in (bool, int, float) or (not personal and name in PERSONAL):
            continue
        new = _MEMBERS.get(name, _any)(value, name, replace)
        if new is not value:
            out = {**out, name: new}
    return out


def _each(items: Any, place: str, replace: Replace, change: Callable[[Any, str, Replace], Any]) -> Any:
    """A list with every item changed; the same list if none has."""
    if items.__class__ is not list:
        return _any(items, place, replace)
    out = items
    for index, item in enumerate(items):
        new = change(item, f"{place}[{index}]", replace)
        if new is not item:
            out = list(items) if out is items else out
            out[index] = new
    return out


def _any(value: Any, place: str, replace: Replace) -> Any:
    if value.__class__ is str:
        return replace(value, place)
    if value.__class__ is list:
        return _each(value, place, replace, _any)
    return _object(value, place, replace, _MARKS) if value.__class__ is dict else value


def _object(value: Json, place: str, replace: Replace, kept: frozenset[str]) -> Json:
    """An object with every member changed, but those strings whose names are to be kept."""
    kind = value.get("type")
    if (kind.__class__ is str and kind in _MEDIA) or value.get("media_type").__class__ is str:
        return _media(value, place, replace)
    out = value
    for name, member in value.items():
        if member is None or (name in kept and member.__class__ is str):
            continue
        new = _any(member, f"{place}.{name}", replace)
        if new is not member:
            out = {**out, name: new}
    return out


def _media(part: Json, place: str, replace: Replace) -> Json:
    """A picture, sound or file; of these only the name of a file is a text."""
    file = part.get("file")
    if not isinstance(file, dict) or file.get("filename").__class__ is not str:
        return part
    name = replace(file["filename"], f"{place}.file.filename")
    return part if name is file["filename"] else {**part, "file": {**file, "filename": name}}


def _messages(messages: Any, place: str, replace: Replace) -> Any:
    return _each(messages, place, replace, _message)


def _message(message: Any, place: str, replace: Replace) -> Any:
    if message.__class__ is not dict:
        return message
    out = message
    for name, value in message.items():
        if value is None or name in _MARKS:
            continue
        if name == "tool_calls":
            new = _each(value, f"{place}.tool_calls", replace, _call)
        elif name == "function_call":
            new = _arguments(value, f"{place}.function_call", replace)
        else:
            new = _any(value, f"{place}.{name}", replace)
            if name == "name" and new is not value:  # no blanks and brackets may stand in a name
                new = new.replace("<", "").replace(">", "")
        if new is not value:
            out = {**out, name: new}
    return out


def _call(call: Any, place: str, replace: Replace) -> Any:
    out = call
    for name in ("function", "custom"):
        if isinstance(call, dict) and isinstance(call.get(name), dict):
            new = _arguments(call[name], f"{place}.{name}", replace)
            if new is not call[name]:
                out = {**out, name: new}
    return out


def _arguments(function: Any, place: str, replace: Replace) -> Any:
    """A call with its arguments changed; they are JSON, a custom tool's input is a plain text."""
    if not isinstance(function, dict):
        return function
    out = function
    for name, change in (("arguments", _json), ("input", _any)):
        value = function.get(name)
        if value.__class__ is str:
            new = change(value, f"{place}.{name}", replace)
            if new is not value:
                out = {**out, name: new}
    return out


def _json(text: str, place: str, replace: Replace) -> str:
    """Arguments with the texts in them replaced, and all else as it was; those that are no JSON are one text."""
    try:
        orjson.loads(text)
    except ValueError:
        return replace(text, place)

    def literal(match: re.Match[str]) -> str:
        written = match[0]
        value: str = orjson.loads(written) if written[0] == '"' else written
        new = replace(value, place)
        return written if new is value else orjson.dumps(new).decode()

    new = _LITERAL.sub(literal, text)
    return text if new == text else new


def _tools(tools: Any, place: str, replace: Replace) -> Any:
    return _each(tools, place, replace, _named)


def _named(tool: Any, place: str, replace: Replace) -> Any:
    """A tool, function or schema; its own name stays."""
    if tool.__class__ is not dict:
        return tool
    out = tool
    for name, value in tool.items():
        if name in ("name", "type"):
            continue
        if name in ("function", "custom", "json_schema"):
            new = _named(value, f"{place}.{name}", replace)
        else:
            new = _any(value, f"{place}.{name}", replace)
        if new is not value:
            out = {**out, name: new}
    return out


_MEMBERS: dict[str, Callable[[Any, str, Replace], Any]] = {
    "messages": _messages,
    "tools": _tools,
    "functions": _tools,
    "response_format": _named,
}


def users(body: Json) -> list[tuple[str, str]]:
    """What users say in a conversation, with its place."""
    said: list[tuple[str, str]] = []
    for index, message in enumerate(body.get("messages") or ()):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
            said += [(f"messages[{index}].content", text) for text in texts if text.strip()]
    return said
