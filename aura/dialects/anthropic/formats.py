"""``response_format``: an enforced schema where the model has it, else a tool whose input is the answer."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ...call import Json, Model
from ...errors import BadRequest
from .schemas import constrained
from .tools import Names

TOOL = "json_tool_call"
_VALUE = "value"
_OBJECT = (
    "Answer with exactly one JSON object and nothing else: no text before or after it, no code fence. "
    "Begin with { and end with }."
)
_CALL = "Give your final answer by calling the tool {tool}, and in no other way."


@dataclass(slots=True)
class Format:
    """How a wanted form is asked for.

    Args:
        enforced: ``output_config.format``.
        tool: the tool whose input is the answer.
        wrapped: the answer is one member of the tool's input, because it need not be an object.
        instruction: what the model is told, as system text.
    """

    enforced: Json | None = None
    tool: Json | None = None
    wrapped: bool = False
    instruction: str = ""


def format_out(body: Json, model: Model, names: Names) -> Format:
    """How the answer's form is asked for; an empty one where the client wants text.

    Raises:
        BadRequest: ``response_format`` is not one.
    """
    wanted = body.get("response_format")
    if wanted is None:
        return _native(body)
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "text":
        return Format()
    if kind == "json_object":
        return Format(instruction=_OBJECT)
    wrapper = wanted.get("json_schema") if kind == "json_schema" else None
    schema = wrapper.get("schema") if isinstance(wrapper, dict) else None
    if kind != "json_schema" or not isinstance(wrapper, dict):
        raise BadRequest("response_format must be of type text, json_object or json_schema", param="response_format")
    if not isinstance(schema, dict) or not schema:
        return Format(instruction=_OBJECT)
    if model.can("json_schema") or not model.known:
        enforced = constrained(schema)
        if enforced is not None:
            return Format(enforced={"type": "json_schema", "schema": enforced})
    return _by_tool(schema, wrapper, names)


def _native(body: Json) -> Format:
    """Anthropic's own parameter, by its older name; by its newer one it is part of ``output_config``."""
    given = body.get("output_format")
    return Format(enforced=given) if isinstance(given, dict) else Format()


def _by_tool(schema: Json, wrapper: Json, names: Names) -> Format:
    wrapped = schema.get("type") != "object"
    if wrapped:
        parts: Json = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
        inner = {key: value for key, value in schema.items() if key not in parts}
        schema = {"type": "object", "properties": {_VALUE: inner}, "required": [_VALUE], **parts}
    about = wrapper.get("description")
    said = f"Takes the answer. {about}" if isinstance(about, str) and about else "Takes the answer."
    tool = {"name": names.free(TOOL), "description": said, "input_schema": schema}
    return Format(tool=tool, wrapped=wrapped)


def force(form: Format, tools: list[Json], choice: Json | None, thinking: bool) -> tuple[Json | None, list[Json]]:
    """Have the model answer through the tool; returns the choice and the tools.

    Nothing is forced while the model thinks, which Anthropic forbids: it is told to. A tool that the client forces
    goes first; tools that it merely offers stay open beside the answer.
    """
    tool = form.tool
    kind = (choice or {}).get("type")
    if tool is None or kind in ("any", "tool"):
        return choice, tools
    offered = tools if kind != "none" else []
    if thinking:
        form.instruction = _CALL.format(tool=tool["name"])
        return (choice if offered else None), [*offered, tool]
    if offered:
        return {**(choice or {}), "type": "any"}, [*tools, tool]
    return {"type": "tool", "name": tool["name"], "disable_parallel_tool_use": True}, [*tools, tool]


def content_of(arguments: Json, wrapped: bool) -> str:
    """The answer's text, from the input of the tool."""
    answer = arguments.get(_VALUE, arguments) if wrapped else arguments
    return orjson.dumps(answer).decode()
