"""The messages of a chat request: roles, what each may hold, parts, tool calls.

Written out rather than declared: a nested marshmallow schema takes 7 µs for every message, this loop a twentieth of it
for one of plain text.

Facts
  - ``content`` is a string or a list of parts; null only in an assistant's turn that says something otherwise.
  - SDKs send back what they received, with ``refusal``, ``audio``, ``function_call``, ``tool_calls`` as null.
  - Which parts a role may hold: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24). Pictures
    in a tool's answer, and thinking in an assistant's turn, are Anthropic's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from marshmallow import ValidationError

from ..call import Json
from ..strict_json import kind

Path = tuple[str | int, ...]

MAX_MESSAGES = 2048
MAX_PARTS = 2048
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
# Roles whose turn may be no more than role and content.
_SIMPLE = frozenset({"system", "developer", "user", "assistant"})
_ANSWERS = ("tool_calls", "function_call", "refusal", "audio")
_MEDIA = ("text", "image_url", "input_audio", "file")
_PARTS_OF = {
    "system": ("text",),
    "developer": ("text",),
    "user": _MEDIA,
    "assistant": ("text", "refusal", "thinking", "redacted_thinking"),
    "tool": _MEDIA,
    "function": ("text",),
}
_IMAGE_SCHEMES = ("https://", "http://", "data:")


def refuse(message: str, at: Path = ()) -> NoReturn:
    """Raise marshmallow's error for the value at a path, below the field that is being read."""
    error: Any = [message]
    for step in reversed(at):
        error = {step: error}
    raise ValidationError(error)


def check_messages(messages: Any) -> None:
    """Check a conversation; ValidationError names the first thing that is wrong."""
    if messages.__class__ is not list:
        refuse(f"must be an array of messages, not {kind(messages)}")
    if not 1 <= len(messages) <= MAX_MESSAGES:
        refuse(f"must hold 1 to {MAX_MESSAGES} messages, not {len(messages)}")
    for index, message in enumerate(messages):
        if message.__class__ is dict and len(message) == 2:
            role = message.get("role")
            if role.__class__ is str and role in _SIMPLE and message.get("content").__class__ is str:
                continue
        _check_message(message, (index,))


def _check_message(message: Any, at: Path) -> None:
    if message.__class__ is not dict:
        refuse(f"must be an object, not {kind(message)}", at)
    if not message:
        refuse("must have a role and content", at)
    role = message.get("role")
    if role is None:
        refuse("is missing", (*at, "role"))
    if role.__class__ is not str:
        refuse(f"must be a string, not {kind(role)}", (*at, "role"))
    if role not in ROLES:
        refuse(f"must be one of {', '.join(ROLES)}", (*at, "role"))
    _check_content(message, role, at)
    optional_text(message, "name", at)
    if role == "assistant":
        _check_assistant(message, at)
    elif role == "tool":
        filled_text(message, "tool_call_id", at)
    elif role == "function":
        filled_text(message, "name", at)


def _check_content(message: Json, role: str, at: Path) -> None:
    content = message.get("content")
    if content.__class__ is str:
        return
    here = (*at, "content")
    if not content and (content is None or content == []):
        if role != "assistant":
            refuse("must be a string or an array of parts, not missing, null or empty", here)
        if not any(message.get(name) for name in _ANSWERS):
            refuse(f"may be missing, null or empty only beside {', '.join(_ANSWERS)}", here)
        return
    if content.__class__ is not list:
        refuse(f"must be a string or an array of parts, not {kind(content)}", here)
    if len(content) > MAX_PARTS:
        refuse(f"must hold at most {MAX_PARTS} parts, not {len(content)}", here)
    allowed = _PARTS_OF[role]
    for index, part in enumerate(content):
        if part.__class__ is not dict:
            refuse(f"must hold objects as parts, not {kind(part)}", here)
        _check_part(part, allowed, (*here, index))


def _check_part(part: Json, allowed: tuple[str, ...], at: Path) -> None:
    name = part.get("type")
    if name is None:
        refuse("is missing", (*at, "type"))
    if name.__class__ is not str:
        refuse(f"must be a string, not {kind(name)}", (*at, "type"))
    if name not in allowed:
        refuse(f"must be one of {', '.join(allowed)} in this role", (*at, "type"))
    check = _PART_CHECKS.get(name)
    if check is not None:
        check(part, at)


def _check_image(part: Json, at: Path) -> None:
    image, here = inner_object(part, "image_url", at)
    filled_text(image, "url", here)
    if not image["url"][:8].lower().startswith(_IMAGE_SCHEMES):
        refuse("must be an http, https or data URL", (*here, "url"))
    optional_text(image, "detail", here)


def _check_audio(part: Json, at: Path) -> None:
    audio, here = inner_object(part, "input_audio", at)
    filled_text(audio, "data", here)
    filled_text(audio, "format", here)


def _check_file(part: Json, at: Path) -> None:
    file, here = inner_object(part, "file", at)
    for name in ("file_id", "file_data", "filename"):
        optional_text(file, name, here)
    if not file.get("file_id") and not file.get("file_data"):
        refuse("must have a file_id or file_data", here)


_PART_CHECKS: dict[str, Callable[[Json, Path], None]] = {
    "text": lambda part, at: text(part, "text", at),
    "refusal": lambda part, at: text(part, "refusal", at),
    "image_url": _check_image,
    "input_audio": _check_audio,
    "file": _check_file,
}


def _check_assistant(message: Json, at: Path) -> None:
    optional_text(message, "refusal", at)
    if message.get("audio") is not None:
        audio, here = inner_object(message, "audio", at)
        filled_text(audio, "id", here)
    if message.get("function_call") is not None:
        _check_function_call(*inner_object(message, "function_call", at))
    calls = message.get("tool_calls")
    if calls is None:
        return
    here = (*at, "tool_calls")
    if calls.__class__ is not list:
        refuse(f"must be an array, not {kind(calls)}", here)
    if len(calls) > MAX_PARTS:
        refuse(f"must hold at most {MAX_PARTS} tool calls, not {len(calls)}", here)
    for index, call in enumerate(calls):
        if call.__class__ is not dict:
            refuse(f"must hold objects, not {kind(call)}", here)
        _check_tool_call(call, (*here, index))


def _check_tool_call(call: Json, at: Path) -> None:
    filled_text(call, "id", at)
    filled_text(call, "type", at)
    if call["type"] == "function":
        _check_function_call(*inner_object(call, "function", at))
    elif call["type"] == "custom":
        custom, here = inner_object(call, "custom", at)
        filled_text(custom, "name", here)
        text(custom, "input", here)
    else:
        refuse("must be function or custom", (*at, "type"))


def _check_function_call(function: Json, at: Path) -> None:
    filled_text(function, "name", at)
    text(function, "arguments", at)


def text(holder: Json, name: str, at: Path) -> None:
    """Refuse a member that is no string."""
    value = holder.get(name)
    if value.__class__ is not str:
        refuse("is missing" if value is None else f"must be a string, not {kind(value)}", (*at, name))


def filled_text(holder: Json, name: str, at: Path) -> None:
    """Refuse a member that is no string, or an empty one."""
    text(holder, name, at)
    if not holder[name]:
        refuse("must not be empty", (*at, name))


def optional_text(holder: Json, name: str, at: Path) -> None:
    """Refuse a member that is there and no string."""
    if holder.get(name) is not None:
        text(holder, name, at)


def inner_object(holder: Json, name: str, at: Path) -> tuple[Json, Path]:
    """The object that a member must be, and its path."""
    value, here = holder.get(name), (*at, name)
    if value.__class__ is not dict:
        refuse("is missing" if value is None else f"must be an object, not {kind(value)}", here)
    return value, here
