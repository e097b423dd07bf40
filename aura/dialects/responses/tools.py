"""The tools of a Responses request, and the choice among them, as a chat has them.

Facts
  - A function stands in the tool itself, not below ``function``; one whose ``strict`` is not said is made strict by
    OpenAI if it can be, which no chat does.
  - A custom tool takes a text. Few servers have those: it is offered as a function with one text, ``input``.
  - A namespace holds tools, whose names are its own: they are told apart by it. A call says it beside the name.
  - What OpenAI runs itself, no other server has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from ...call import Json
from ..anthropic.names import name_in
from ..beyond import Beyond
from .parts import filled_in, object_in, refuse, text_in

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Items that are calls, and what holds their arguments."""

# Tools of OpenAI's that agents offer beside their own, and get by without.
_SPARED = ("web_search", "image_generation", "tool_search")
_CHOICES = ("none", "auto", "required")
_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


class Kind(NamedTuple):
    """What a client's tool is."""

    custom: bool
    namespace: str
    name: str


def kinds_of(tools: Any) -> dict[str, Kind]:
    """The client's tools by the names that are sent; those alone that are no plain functions of that name."""
    found: dict[str, Kind] = {}
    for tool in tools if isinstance(tools, list) else ():
        inner = tool.get("tools") if tool.get("type") == "namespace" else None
        for one in inner if isinstance(inner, list) else (tool,):
            name, namespace = one.get("name"), str(tool.get("name") or "") if inner else ""
            if isinstance(name, str):
                sent = sent_name(name, namespace)
                kind = Kind(one.get("type") == "custom", namespace, name)
                if kind.custom or sent != name:
                    found[sent] = kind
    return found


def sent_name(name: str, namespace: Any) -> str:
    """The name by which a provider knows a tool."""
    return name_in(f"{namespace}__{name}" if isinstance(namespace, str) and namespace else name)


def put_tools(out: Json, body: Json, beyond: Beyond) -> None:
    """Put tools and choice into a chat body.

    Raises:
        BadRequest: one of them is not what it should be.
    """
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        refuse("must be an array of tools", "tools")
    tools: list[Json] = []
    hosted: list[tuple[str, str]] = []
    for index, tool in enumerate(given or ()):
        where = f"tools[{index}]"
        made = _tools(object_in(tool, where), where, "")
        if made is None:
            hosted.append((where, tool["type"]))
        else:
            tools += made
    for where, kind in hosted:
        if tools and kind.startswith(_SPARED):
            beyond.gone.append(where)
        else:
            beyond.needs(where)
    _put_choice(out, body.get("tool_choice"), tools, beyond)
    if out.get("tools") and body.get("parallel_tool_calls") is not None:
        out["parallel_tool_calls"] = body["parallel_tool_calls"]


def _tools(tool: Json, where: str, namespace: str) -> list[Json] | None:
    """The functions that a tool becomes; None for one that OpenAI alone has."""
    kind = filled_in(tool, "type", where)
    if kind == "function":
        return [_function(tool, where, namespace)]
    if kind == "custom":
        return [_custom(tool, where, namespace)]
    if kind != "namespace" or namespace:
        return None
    inner = tool.get("tools")
    if not isinstance(inner, list):
        refuse("must be an array of tools", f"{where}.tools")
    found: list[Json] = []
    for index, one in enumerate(inner):
        here = f"{where}.tools[{index}]"
        made = _tools(object_in(one, here), here, filled_in(tool, "name", where))
        if made is None:
            refuse("must be function or custom", f"{here}.type")
        found += made
    return found


def _function(tool: Json, where: str, namespace: str) -> Json:
    function: Json = {"name": sent_name(filled_in(tool, "name", where), namespace)}
    if tool.get("description") is not None:
        function["description"] = text_in(tool, "description", where)
    if tool.get("parameters") is not None:
        function["parameters"] = object_in(tool["parameters"], f"{where}.parameters")
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _custom(tool: Json, where: str, namespace: str) -> Json:
    told = [text_in(tool, "description", where)] if tool.get("description") is not None else []
    form = tool.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        told.append(f"The input must follow this grammar ({form.get('syntax')}):\n{form.get('definition')}")
    function: Json = {"name": sent_name(filled_in(tool, "name", where), namespace), "parameters": _INPUT}
    if told:
        function["description"] = "\n\n".join(told)
    return {"type": "function", "function": function}


def _put_choice(out: Json, choice: Any, tools: list[Json], beyond: Beyond) -> None:
    if isinstance(choice, dict):
        kind = filled_in(choice, "type", "tool_choice")
        if kind == "allowed_tools":
            tools, choice = _allowed(choice, tools)
        elif kind in ("function", "custom"):
            name = sent_name(filled_in(choice, "name", "tool_choice"), choice.get("namespace"))
            choice = {"type": "function", "function": {"name": name}}
        else:
            beyond.needs("tool_choice")
            choice = None
    elif choice is not None and choice not in _CHOICES:
        refuse(f"must be one of {', '.join(_CHOICES)}, or an object that names a tool", "tool_choice")
    if tools:
        out["tools"] = tools
        if choice is not None:
            out["tool_choice"] = choice


def _allowed(choice: Json, tools: list[Json]) -> tuple[list[Json], str]:
    """The tools that are allowed, and how: those that are not are not offered."""
    named = choice.get("tools")
    if not isinstance(named, list):
        refuse("must be an array of tools", "tool_choice.tools")
    mode = choice.get("mode")
    if mode not in ("auto", "required"):
        refuse("must be auto or required", "tool_choice.mode")
    names = set()
    for index, one in enumerate(named):
        where = f"tool_choice.tools[{index}]"
        if object_in(one, where).get("type") in ("function", "custom"):
            names.add(sent_name(filled_in(one, "name", where), one.get("namespace")))
    return [tool for tool in tools if tool["function"]["name"] in names], mode


def input_of(arguments: str) -> str:
    """The text that a custom tool is called with; a model that does not keep to the form is taken at its word."""
    try:
        given = orjson.loads(arguments)
    except ValueError:
        return arguments
    text = given.get("input") if isinstance(given, dict) else None
    return text if isinstance(text, str) else arguments
