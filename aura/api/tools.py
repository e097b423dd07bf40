"""Tools, the choice among them, and the form of the answer, in a chat request.

Facts
  - A name is checked loosely: names with dots, slashes and colons are usual (MCP), and for providers that take less
    they are rewritten on the way out.
  - OpenAI takes at most 128 tools, and refuses an empty array of them.
Source: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Any

from ..call import Json
from ..strict_json import kind
from .messages import Path, filled_text, inner_object, optional_text, refuse

MAX_TOOLS = 128
TOOL_CHOICES = ("none", "auto", "required")
RESPONSE_FORMATS = ("text", "json_object", "json_schema")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_TOOL_TYPE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")  # web_search, computer_20250124: forwarded as they are
_SCHEMA_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_tools(tools: Any) -> None:
    """Check ``tools``."""
    for index, tool in enumerate(_objects(tools)):
        _check_tool(tool, (index,))


def check_functions(functions: Any) -> None:
    """Check ``functions``, the older form of ``tools``."""
    for index, function in enumerate(_objects(functions)):
        _check_function(function, (index,))


def check_tool_choice(choice: Any) -> None:
    """Check ``tool_choice``."""
    if choice.__class__ is str:
        if choice not in TOOL_CHOICES:
            refuse(f"must be one of {', '.join(TOOL_CHOICES)}, or an object that names a tool")
        return
    if choice.__class__ is not dict:
        refuse(f"must be a string or an object, not {kind(choice)}")
    if not choice:
        refuse("must name a tool")
    filled_text(choice, "type", ())
    if choice["type"] in ("function", "custom"):
        _check_name(*_inner(choice, choice["type"]))
    elif choice["type"] == "allowed_tools":
        allowed, here = inner_object(choice, "allowed_tools", ())
        if allowed.get("mode") not in ("auto", "required"):
            refuse("must be auto or required", (*here, "mode"))
        if allowed.get("tools").__class__ is not list:
            refuse("must be an array of tools", (*here, "tools"))
    else:
        refuse("must be function, custom or allowed_tools", ("type",))


def check_function_call(choice: Any) -> None:
    """Check ``function_call``, the older form of ``tool_choice``."""
    if choice and choice.__class__ is dict:
        _check_name(choice, _TOOL_NAME, ())
    elif choice not in ("none", "auto"):
        refuse("must be none, auto, or an object that names a function")


def check_response_format(form: Any) -> None:
    """Check ``response_format``."""
    if form.__class__ is not dict:
        refuse(f"must be an object, not {kind(form)}")
    if not form:
        refuse("must have a type")
    filled_text(form, "type", ())
    if form["type"] not in RESPONSE_FORMATS:
        refuse(f"must be one of {', '.join(RESPONSE_FORMATS)}", ("type",))
    if form["type"] == "json_schema":
        wanted, here = inner_object(form, "json_schema", ())
        _check_name(wanted, _SCHEMA_NAME, here)
        optional_text(wanted, "description", here)
        _optional(wanted, "schema", dict, here)
        _optional(wanted, "strict", bool, here)


def _check_tool(tool: Json, at: Path) -> None:
    if not tool:
        refuse("must have a type", at)
    filled_text(tool, "type", at)
    if tool["type"] == "function":
        _check_function(*inner_object(tool, "function", at))
    elif tool["type"] == "custom":
        custom, here = inner_object(tool, "custom", at)
        _check_name(custom, _TOOL_NAME, here)
        optional_text(custom, "description", here)
    elif not _TOOL_TYPE.fullmatch(tool["type"]):
        refuse("must be function, custom, or the name of a tool that the provider runs itself", (*at, "type"))


def _check_function(function: Json, at: Path) -> None:
    _check_name(function, _TOOL_NAME, at)
    optional_text(function, "description", at)
    _optional(function, "parameters", dict, at)
    _optional(function, "strict", bool, at)


def _check_name(holder: Json, form: re.Pattern[str], at: Path) -> None:
    filled_text(holder, "name", at)
    if not form.fullmatch(holder["name"]):
        refuse("has characters that a name may not have, or is too long", (*at, "name"))


def _inner(choice: Json, name: str) -> tuple[Json, re.Pattern[str], Path]:
    holder, here = inner_object(choice, name, ())
    return holder, _TOOL_NAME, here


def _objects(tools: Any) -> list[Json]:
    if tools.__class__ is not list:
        refuse(f"must be an array, not {kind(tools)}")
    if not 1 <= len(tools) <= MAX_TOOLS:
        refuse(f"must hold 1 to {MAX_TOOLS} entries, not {len(tools)}")
    for tool in tools:
        if tool.__class__ is not dict:
            refuse(f"must hold objects, not {kind(tool)}")
    found: list[Json] = tools
    return found


def _optional(holder: Json, name: str, wanted: type, at: Path) -> None:
    value = holder.get(name)
    if value is not None and value.__class__ is not wanted:
        refuse(f"must be {kind(wanted())}, not {kind(value)}", (*at, name))
