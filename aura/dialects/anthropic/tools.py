"""Tools and their names, there and back.

Facts
  - A name matches ``[a-zA-Z0-9_-]{1,128}``, an id ``[a-zA-Z0-9_-]+``; OpenAI's clients send dots, slashes and blanks.
  - ``input_schema`` is mandatory and an object.
See https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import orjson

from ...call import Json, Model
from ...errors import BadRequest
from .schemas import constrained

# A history with tool calls must come with tools, even where the client offers none any more.
DUMMY: Json = {
    "name": "no_tool",
    "description": "Stands for tools that are not offered any more. Never call it.",
    "input_schema": {"type": "object", "properties": {}},
}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ODD = re.compile(r"[^a-zA-Z0-9_-]")
_VERSIONED = re.compile(r"[a-z_]+_\d{8}")
_BESIDE = ("cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming")
_SEARCH = "web_search_20250305"
_LOCATION = ("city", "country", "region", "timezone")


class Names:
    """Tool names as Anthropic takes them, and the client's own for each that had to change."""

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}
        self._taken: set[str] = set()

    def out(self, name: str) -> str:
        """The name to send; the same for the same name."""
        sent = self._sent.get(name)
        if sent is None:
            sent = name if _NAME.fullmatch(name) else _ODD.sub("_", name)[:128]
            if sent in self._taken:
                sent = f"{sent[:111]}_{_digest(name)}"
            self._sent[name] = sent
            self._taken.add(sent)
        return sent

    def free(self, name: str) -> str:
        """A name that no tool of the client has."""
        while name in self._taken:
            name += "_"
        return name

    def changed(self) -> dict[str, str]:
        """The client's names by those sent, where they differ."""
        return {sent: name for name, sent in self._sent.items() if sent != name}


def id_out(name: str) -> str:
    """A tool call's id as Anthropic takes it; the same for the same id, so call and result still meet."""
    return name if _ID.fullmatch(name) else f"{_ODD.sub('_', name)[:64]}_{_digest(name)}"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def tools_out(body: Json, model: Model, names: Names, dropped: list[str]) -> list[Json]:
    """The tools to offer.

    Raises:
        BadRequest: a tool is none, or of a type that Anthropic does not know.
    """
    key = "tools" if body.get("tools") else "functions"
    given = body.get(key) or []
    if not isinstance(given, list):
        raise BadRequest(f"{key} must be a list", param=key)
    if key == "functions":
        given = [{"type": "function", "function": function} for function in given]
    for tool in given:  # names that need no change come first, so that none of them must make room
        name = _name_of(tool)
        if name and _NAME.fullmatch(name):
            names.out(name)
    tools = [_tool(tool, f"{key}[{index}]", model, names, dropped) for index, tool in enumerate(given)]
    search = body.get("web_search_options")
    if isinstance(search, dict):
        tools.append(_web_search(search, dropped))
    return tools


def _name_of(tool: Any) -> str | None:
    if not isinstance(tool, dict):
        return None
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) else None


def _tool(tool: Any, where: str, model: Model, names: Names, dropped: list[str]) -> Json:
    name = _name_of(tool)
    if not name:
        raise BadRequest("a tool must be an object with a name", param=where)
    kind = tool.get("type", "function")
    if isinstance(kind, str) and _VERSIONED.fullmatch(kind):
        return dict(tool)  # one of Anthropic's own
    if "input_schema" in tool:
        return {**tool, "name": names.out(name)}
    function = tool.get("function")
    if kind != "function" or not isinstance(function, dict):
        raise BadRequest("this provider takes tools of type function only", param=f"{where}.type")
    out: Json = {"name": names.out(name)}
    if isinstance(function.get("description"), str) and function["description"]:
        out["description"] = function["description"]
    out["input_schema"] = _schema(function.get("parameters"), f"{where}.function.parameters")
    if function.get("strict"):
        _make_strict(out, model, dropped)
    for key in _BESIDE:
        value = tool.get(key, function.get(key))
        if value is not None:
            out[key] = value
    return out


def _schema(parameters: Any, where: str) -> Json:
    if not parameters:
        return {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise BadRequest("parameters must be a JSON schema", param=where)
    return parameters if parameters.get("type") else {"type": "object", **parameters}


def _make_strict(tool: Json, model: Model, dropped: list[str]) -> None:
    """Have the model held to the schema, where model and schema allow it."""
    schema = constrained(tool["input_schema"]) if model.can("json_schema") or not model.known else None
    if schema is None:
        if "strict" not in dropped:
            dropped.append("strict")
        return
    tool["input_schema"], tool["strict"] = schema, True


def _web_search(options: Json, dropped: list[str]) -> Json:
    tool: Json = {"type": _SEARCH, "name": "web_search"}
    location = options.get("user_location")
    if isinstance(location, dict):
        place = location.get("approximate")
        place = place if isinstance(place, dict) else location
        told = {key: place[key] for key in _LOCATION if isinstance(place.get(key), str)}
        if told:
            tool["user_location"] = {"type": "approximate", **told}
    if options.get("search_context_size") not in (None, "medium"):
        dropped.append("web_search_options.search_context_size")
    return tool


def choice_out(body: Json, tools: list[Json], names: Names) -> tuple[Json | None, list[Json]]:
    """``tool_choice``, and the tools that it leaves.

    Raises:
        BadRequest: it names a tool that is not offered.
    """
    wanted = body.get("tool_choice")
    if wanted is None:
        wanted = body.get("function_call")
    if not tools:
        return None, tools
    choice, tools = _choice(wanted, tools, names)
    if body.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice, tools


def _choice(wanted: Any, tools: list[Json], names: Names) -> tuple[Json | None, list[Json]]:
    if wanted is None:
        return None, tools
    if isinstance(wanted, str):
        kind = {"auto": "auto", "none": "none", "required": "any", "any": "any"}.get(wanted)
        if kind is None:
            raise BadRequest("tool_choice must be none, auto, required or a tool", param="tool_choice")
        return {"type": kind}, tools
    if not isinstance(wanted, dict):
        raise BadRequest("tool_choice must be a string or an object", param="tool_choice")
    if wanted.get("type") in ("auto", "any", "none"):
        return dict(wanted), tools  # Anthropic's own words
    allowed = wanted.get("allowed_tools")
    if isinstance(allowed, dict):
        return _allowed(allowed, tools, names)
    name = names.out(_name_of(wanted) or "")
    if not any(tool["name"] == name for tool in tools):
        raise BadRequest("tool_choice must name a tool that the request offers", param="tool_choice")
    return {"type": "tool", "name": name}, tools


def _allowed(allowed: Json, tools: list[Json], names: Names) -> tuple[Json, list[Json]]:
    """A choice among some of the tools: the others are not offered."""
    given = allowed.get("tools")
    wanted = {names.out(_name_of(tool) or "") for tool in given} if isinstance(given, list) else set()
    left = [tool for tool in tools if tool["name"] in wanted]
    if not left or len(left) < len(wanted):
        raise BadRequest("tool_choice must name tools that the request offers", param="tool_choice")
    return {"type": "any" if allowed.get("mode") == "required" else "auto"}, left


def input_out(arguments: Any, where: str) -> Json:
    """The object that a call's ``arguments`` hold, its keys in their order.

    A model's broken JSON is kept as text under one key, so that the conversation can go on.
    """
    if isinstance(arguments, dict):
        return arguments
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    if not isinstance(arguments, str):
        raise BadRequest("arguments must be JSON in a string", param=where)
    try:
        parsed = orjson.loads(arguments)
    except ValueError:
        return {"arguments": arguments}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}
