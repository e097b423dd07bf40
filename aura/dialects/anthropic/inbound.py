"""From a Messages request, as clients send it, to a canonical chat body.

What Anthropic alone can be told stays in the body under its own name, and :mod:`aura.dialects.beyond` says what that
is: a broken answer may be continued by Anthropic, and all other providers are spared it.

Facts
  - ``max_tokens`` 0 fills the prompt cache and answers nothing; no other grammar has that.
  - Claude Code's ``metadata.user_id`` is longer than the 64 characters that OpenAI takes as ``user``.
  - OpenAI's strict schemas have every property required and every object closed; Anthropic's need not.
See https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from ...call import Json
from ..beyond import KEY, Beyond
from .blocks import object_in, parts_in, refuse, text_in
from .names import name_in
from .request import NATIVE
from .turns import messages_in

# Said in both grammars, or Aura's own.
_SHARED = ("model", "stream", "temperature", "top_p", "aura", "fallbacks", "provider")
_READ = {
    *_SHARED, "messages", "system", "max_tokens", "stop_sequences", "tools", "tool_choice", "metadata", "thinking",
    "output_config", "output_format", "service_tier", "anthropic_beta", "betas", "cache_control", "anthropic_version",
}  # fmt: skip
# Told to Anthropic alone. What is not known here is told to nobody else: he may have something else by that name.
_TOLD = ("top_k", *(key for key in NATIVE if key not in _READ))
# The same; whether they are there changes no answer, or is said in another way too.
_QUIET = ("metadata", "thinking", "output_config", "anthropic_beta", "betas", "cache_control")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_ANYWHERE = (None, "global", "not_available")
_MAX_USER = 64
# Tools by which Claude finds tools: without them it is offered all of them at once.
_TOOL_SEARCH = "tool_search_tool"
_DEPTH = 32


def request_in(body: Json) -> tuple[Json, list[str]]:
    """Translate a client's body; see :class:`aura.dialects.Front`."""
    beyond = Beyond()
    out: Json = {key: body[key] for key in _SHARED if body.get(key) is not None}
    out["messages"] = [*_system(body.get("system"), beyond), *messages_in(body.get("messages"), beyond)]
    limit = body.get("max_tokens")
    if limit is not None:
        out["max_tokens"] = max(1, limit) if isinstance(limit, int) else limit
    if limit == 0:
        beyond.needs("max_tokens")
    _put_stop(out, body)
    _put_tools(out, body, beyond)
    _put_thinking(out, body)
    _put_format(out, body)
    _put_rest(out, body, beyond)
    out[KEY] = beyond.json()
    return out, beyond.gone


def _system(system: Any, beyond: Beyond) -> list[Json]:
    parts = parts_in(system, "system", beyond) if system is not None else []
    for index, part in enumerate(parts):
        if part["type"] != "text":
            refuse("must be a block of text", f"system.{index}")
    if not parts:
        return []
    plain = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return [{"role": "system", "content": parts[0]["text"] if plain else parts}]


def _put_stop(out: Json, body: Json) -> None:
    stop = body.get("stop_sequences")
    if stop is None:
        return
    if not isinstance(stop, list) or not all(isinstance(text, str) for text in stop):
        refuse("must be an array of strings", "stop_sequences")
    if stop:
        out["stop"] = stop


def _put_tools(out: Json, body: Json, beyond: Beyond) -> None:
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        refuse("must be an array of tools", "tools")
    tools = [_tool(tool, f"tools.{index}", beyond) for index, tool in enumerate(given or ())]
    choice = body.get("tool_choice")
    if not tools:
        return
    out["tools"] = tools
    if choice is None:
        return
    kind = text_in(object_in(choice, "tool_choice"), "type", "tool_choice")
    if kind == "tool":
        name = name_in(text_in(choice, "name", "tool_choice"))
        out["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        out["tool_choice"] = _CHOICES[kind]
    else:
        refuse("must be auto, any, tool or none", "tool_choice.type")
    if choice.get("disable_parallel_tool_use") and kind != "none":
        out["parallel_tool_calls"] = False


def _tool(tool: Any, where: str, beyond: Beyond) -> Json:
    """A tool of the client's; one that Anthropic runs, or knows by its type, stays as it is."""
    kind = object_in(tool, where).get("type")
    if isinstance(kind, str) and kind != "custom":
        if kind.startswith(_TOOL_SEARCH):
            beyond.gone.append(where)
        else:
            beyond.needs(where)
        found: Json = tool
        return found
    name = text_in(tool, "name", where)
    if not name:
        refuse("must not be empty", f"{where}.name")
    function: Json = {"name": name_in(name)}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    function["parameters"] = object_in(tool.get("input_schema"), f"{where}.input_schema")
    if tool.get("strict") and is_strict(tool["input_schema"]):
        function["strict"] = True
    beside = {key: value for key, value in tool.items() if key not in ("type", "name", "description", "input_schema")}
    beside.pop("strict", None)
    return {"type": "function", "function": function, **beside}


def is_strict(schema: Any, depth: int = 0) -> bool:
    """Whether OpenAI takes a schema as a strict one: every object is closed, and all that it may have it must have."""
    if isinstance(schema, list):
        return all(is_strict(part, depth + 1) for part in schema)
    if not isinstance(schema, dict):
        return True
    if depth > _DEPTH:
        return False
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        required = schema.get("required")
        known = set(properties) if isinstance(properties, dict) else set()
        if schema.get("additionalProperties") is not False or not isinstance(required, list) or known - set(required):
            return False
    named = ("properties", "$defs", "definitions")
    inner = [part for key in named if isinstance(schema.get(key), dict) for part in schema[key].values()]
    inner += [schema[key] for key in ("items", "anyOf", "allOf", "oneOf") if key in schema]
    return all(is_strict(part, depth + 1) for part in inner)


def _put_thinking(out: Json, body: Json) -> None:
    """How much thinking is asked for, in OpenAI's words: by effort, or by a budget under 2048, 4096 or more tokens."""
    given = body.get("thinking")
    config = body.get("output_config")
    asked = config.get("effort") if isinstance(config, dict) else None
    effort = _EFFORTS.get(asked) if isinstance(asked, str) else None
    if given is not None:
        kind = text_in(object_in(given, "thinking"), "type", "thinking")
        if kind == "enabled" and effort is None:
            budget = given.get("budget_tokens")
            if not isinstance(budget, int) or isinstance(budget, bool):
                refuse("must be an integer", "thinking.budget_tokens")
            effort = "low" if budget < 2048 else "medium" if budget < 4096 else "high"
        elif kind == "adaptive":
            effort = effort or "medium"
        elif kind == "disabled":
            effort = None
    if effort is not None:
        out["reasoning_effort"] = effort


def _put_format(out: Json, body: Json) -> None:
    """The form of the answer, by its newer name or its older one."""
    config = body.get("output_config")
    where, form = "output_format", body.get("output_format")
    if config is not None:
        inner = {key: value for key, value in object_in(config, "output_config").items() if key != "format"}
        if inner:
            out["output_config"] = inner
        if config.get("format") is not None:
            where, form = "output_config.format", config["format"]
    if form is None:
        return
    if text_in(object_in(form, where), "type", where) != "json_schema":
        refuse("must be json_schema", f"{where}.type")
    schema = object_in(form.get("schema"), f"{where}.schema")
    wanted = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    out["response_format"] = {"type": "json_schema", "json_schema": wanted}


def _put_rest(out: Json, body: Json, beyond: Beyond) -> None:
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(user, str) and user:
        out["user"] = user if len(user) <= _MAX_USER else blake2b(user.encode(), digest_size=16).hexdigest()
    if body.get("service_tier") == "standard_only":
        out["service_tier"] = "default"
    for key in _QUIET:
        if body.get(key) is not None:
            beyond.quiet.append(key)
            if key != "output_config":  # without the form of the answer it stands there already
                out[key] = body[key]
    if body.get("mcp_servers"):
        beyond.needs("mcp_servers")
    if body.get("inference_geo") not in _ANYWHERE:
        beyond.needs("inference_geo")
    others = [key for key, value in body.items() if value is not None and key not in _READ]
    beyond.lost += [key for key in others if key in _TOLD]
    beyond.gone += [key for key in others if key not in _TOLD]
    out.update({key: body[key] for key in beyond.lost})
