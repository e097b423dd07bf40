"""From a canonical chat body to Ollama's."""

from __future__ import annotations

from typing import Any

import orjson

from ...call import Json, Model, Translation
from ...errors import BadRequest
from ..beyond import KEY, without

# Names that both sides share, or that only Ollama's own clients send: they belong into ``options``.
OPTIONS = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "frequency_penalty", "presence_penalty",
    "repeat_penalty", "repeat_last_n", "mirostat", "mirostat_eta", "mirostat_tau", "num_ctx", "num_keep",
    "num_predict", "penalize_newline",
)  # fmt: skip
PASSED = ("keep_alive", "truncate", "shift", "logprobs", "top_logprobs")
# Of what the bodies of Ollama's own clients hold beyond OpenAI's grammar.
_KEPT = (*OPTIONS, *PASSED, "options", "think")
_EFFORTS = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "ultra": "max",
    "max": "max",
}
# Read here, or without a meaning for an answer: never worth a note.
_READ = {
    "model", "messages", "stream", "stream_options", "options", "stop", "max_tokens", "max_completion_tokens", "tools",
    "tool_choice", "functions", "function_call", "response_format", "format", "reasoning_effort", "reasoning", "think",
    "modalities", "audio", "aura", "fallbacks",
}  # fmt: skip
# A value that asks for what happens anyway.
_NEUTRAL: Json = {"n": 1, "parallel_tool_calls": True, "store": False, "service_tier": "auto", "logit_bias": {}}


def request_out(body: Json, model: Model) -> Translation:
    """Translate a chat body; see :class:`aura.dialects.Dialect`."""
    gone: list[str] = []
    if KEY in body:
        body, gone = without(body, _KEPT)
    dropped = [*gone, *(key for key, value in body.items() if _is_lost(key, value))]
    if body.get("audio") or "audio" in _list_of(body, "modalities"):
        raise BadRequest("this provider answers in text only", param="modalities")
    tools, demand = _tools_out(body, dropped)
    messages = _messages_out(body["messages"])
    if demand:
        _instruct(messages, demand)
    out: Json = {"model": model.name, "messages": messages, "stream": bool(body.get("stream"))}
    if tools:
        out["tools"] = tools
    form = body.get("format") or _format_out(body.get("response_format"))
    if form:
        out["format"] = form
    think = _think_out(body, model, dropped)
    if think is not None:
        out["think"] = think
    for key in PASSED:
        if body.get(key) is not None:
            out[key] = body[key]
    options = _options_out(body)
    if options:
        out["options"] = options
    memo = {"functions": bool(body.get("functions") and not body.get("tools"))}
    return Translation(body=out, dropped=dropped, model=model.name, memo=memo)


def _is_lost(key: str, value: Any) -> bool:
    if value is None or key in _READ or key in OPTIONS or key in PASSED:
        return False
    return not (key in _NEUTRAL and _NEUTRAL[key] == value)


def _options_out(body: Json) -> Json:
    given = body.get("options")
    options: Json = {key: body[key] for key in OPTIONS if body.get(key) is not None}
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is not None:
        options["num_predict"] = limit
    stop = body.get("stop")
    if stop:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    return {**options, **given} if isinstance(given, dict) else options


def _format_out(wanted: Any) -> Any:
    """``json``, or the schema itself: not the object that wraps it in OpenAI's grammar."""
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        wrapper = wanted.get("json_schema")
        return (wrapper.get("schema") if isinstance(wrapper, dict) else None) or "json"
    return "json" if kind == "json_object" else None


def _think_out(body: Json, model: Model, dropped: list[str]) -> Any:
    if body.get("think") is not None:
        return body["think"]
    reasoning = body.get("reasoning")
    effort = body.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, dict) else None)
    if effort is None:
        return None
    think = _EFFORTS.get(effort) if isinstance(effort, str) else None
    thinks = model.can("reasoning") or not model.known
    if think is None or (think and not thinks):
        dropped.append("reasoning_effort")
        return None
    return think if thinks else None


def _tools_out(body: Json, dropped: list[str]) -> tuple[list[Json], str]:
    """The tools to offer, and what to tell the model where it must call one: Ollama has no ``tool_choice``."""
    tools = _list_of(body, "tools") or [{"type": "function", "function": f} for f in _list_of(body, "functions")]
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("function"), dict):
            raise BadRequest("this provider takes tools of type function only", param=f"tools[{index}].type")
    choice = body.get("tool_choice") or body.get("function_call")
    if not tools or choice in (None, "auto"):
        return tools, ""
    if choice == "none":
        return [], ""
    return _chosen(tools, choice, dropped)


def _chosen(tools: list[Json], choice: Any, dropped: list[str]) -> tuple[list[Json], str]:
    names = [tool["function"].get("name") for tool in tools]
    must = True
    if choice != "required":
        named, must = _named(choice)
        if not named or any(name not in names for name in named):
            raise BadRequest("tool_choice must name tools that the request offers", param="tool_choice")
        tools = [tool for tool in tools if tool["function"].get("name") in named]
    if not must:
        return tools, ""
    dropped.append("tool_choice")
    offered = ", ".join(str(tool["function"].get("name")) for tool in tools)
    which = f"the tool {offered}" if len(tools) == 1 else f"one of the tools {offered}"
    return tools, f"Answer by calling {which}. Do not answer in text."


def _named(choice: Any) -> tuple[list[Any], bool]:
    """The names of the tools that a choice allows, and whether one of them must be called."""
    if not isinstance(choice, dict):
        return [], True
    allowed = choice.get("allowed_tools")
    if isinstance(allowed, dict):
        functions = [_function_of(tool) for tool in _list_of(allowed, "tools")]
        return [function.get("name") for function in functions], allowed.get("mode") == "required"
    return [_function_of(choice).get("name")], True


def _list_of(body: Json, key: str) -> list[Any]:
    """A list that may be left out.

    Raises:
        BadRequest: it is something else.
    """
    value = body.get(key)
    if value is not None and not isinstance(value, list):
        raise BadRequest(f"{key} must be a list", param=key)
    return value or []


def _function_of(choice: Any) -> Json:
    choice = choice if isinstance(choice, dict) else {}
    function = choice.get("function")
    return function if isinstance(function, dict) else choice


def _instruct(messages: list[Json], demand: str) -> None:
    """Say a demand in the leading system message, or in one of its own."""
    if messages and messages[0]["role"] == "system":
        messages[0]["content"] = f"{messages[0]['content']}\n\n{demand}"
    else:
        messages.insert(0, {"role": "system", "content": demand})


def _messages_out(messages: list[Json]) -> list[Json]:
    names: dict[str, str] = {}
    return [_message_out(message, f"messages[{index}]", names) for index, message in enumerate(messages)]


def _message_out(message: Json, where: str, names: dict[str, str]) -> Json:
    """Translate one message; ``names`` remembers which tool each call id means."""
    role = message.get("role")
    text, images = _content_out(message.get("content"), f"{where}.content")
    out: Json = {"role": {"developer": "system", "function": "tool"}.get(str(role), role), "content": text}
    if images:
        out["images"] = images
    if role == "assistant":
        _assistant_out(message, out, where, names)
    elif role == "tool":
        call = message.get("tool_call_id")
        name = names.get(str(call)) or message.get("name")
        out.update({key: value for key, value in (("tool_name", name), ("tool_call_id", call)) if value})
    elif role == "function" and message.get("name"):
        out["tool_name"] = message["name"]
    return out


def _assistant_out(message: Json, out: Json, where: str, names: dict[str, str]) -> None:
    if not out["content"] and isinstance(message.get("refusal"), str):
        out["content"] = message["refusal"]
    if isinstance(message.get("reasoning_content"), str) and message["reasoning_content"]:
        out["thinking"] = message["reasoning_content"]
    told = _list_of(message, "tool_calls")
    calls = [_call_out(call, f"{where}.tool_calls[{i}]", names) for i, call in enumerate(told)]
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and not calls:
        calls = [_call_out({"function": legacy}, f"{where}.function_call", names)]
    if calls:
        out["tool_calls"] = calls


def _call_out(call: Any, where: str, names: dict[str, str]) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    custom = call.get("custom") if isinstance(call, dict) else None
    if isinstance(custom, dict):
        function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")}}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRequest("a tool call must name its function", param=where)
    out: Json = {"function": {"name": function["name"], "arguments": _arguments_out(function.get("arguments"))}}
    if call.get("id"):
        names[str(call["id"])] = function["name"]
        out["id"] = call["id"]
    return out


def _arguments_out(arguments: Any) -> Json:
    """JSON in a string becomes the object. A model's broken JSON is kept as text, so that the history still serves."""
    if isinstance(arguments, dict):
        return arguments
    if not isinstance(arguments, str) or not arguments.strip():
        return {}
    try:
        parsed = orjson.loads(arguments)
    except ValueError:
        return {"arguments": arguments}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}


def _content_out(content: Any, where: str) -> tuple[str, list[str]]:
    """The text of a message, and its images."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise BadRequest("content must be a string or a list of parts", param=where)
    texts: list[str] = []
    images: list[str] = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal") and isinstance(part.get(kind), str):
            texts.append(part[kind])
        elif kind == "image_url":
            images.append(_image_out(part.get("image_url"), f"{where}[{index}].image_url.url"))
        else:
            raise BadRequest("this provider takes text and images only", param=f"{where}[{index}]")
    return "\n".join(texts), images


def _image_out(image: Any, where: str) -> str:
    """The raw base64 of a data URL. An address would have to be fetched from here, which Aura does not do."""
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise BadRequest("image_url must hold a url", param=where)
    head, comma, data = url.partition(",")
    head = head.lower()
    if not head.startswith("data:"):
        raise BadRequest("this provider takes images as data URLs only, not by address", param=where)
    if not comma or not head.endswith(";base64") or not data:
        raise BadRequest("an image's data URL must be base64: data:image/png;base64,...", param=where)
    return data
