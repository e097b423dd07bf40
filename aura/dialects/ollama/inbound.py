"""From Ollama's chat and generate requests, as clients send them, to a canonical chat body.

What Ollama alone can be told stays in the body under its own name, and :mod:`aura.dialects.beyond` says what that is.

Facts
  - Images are raw base64 beside the text, without a word of their kind; their first bytes tell it.
  - A tool's result names the tool, not always the call; calls seldom have ids.
  - ``num_predict`` below 1 means: as long as it likes.
  - ``format`` is ``json`` or a schema; empty texts and lists, which older clients send, say nothing.
See https://docs.ollama.com/api/chat and https://docs.ollama.com/api/generate
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NoReturn

import orjson

from ...call import Json
from ...errors import BadRequest
from ..anthropic.inbound import is_strict
from ..beyond import KEY, Beyond
from .request import OPTIONS, PASSED

# Said in both grammars, or Aura's own.
_SHARED = ("model", "logprobs", "top_logprobs", "aura", "fallbacks", "provider")
# OpenAI's own names for them.
_SAMPLING = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
# How a model is run, not what it answers.
_RUNNING = ("num_ctx", "num_keep", "keep_alive", "truncate", "shift", "options", "think")
_READ = {*_SHARED, *_RUNNING, "stream", "format"}
_OF_CHATS = {*_READ, "messages", "tools"}
_OF_GENERATIONS = {*_READ, "prompt", "system", "suffix", "images", "raw", "template", "context"}
_ROLES = ("system", "user", "assistant", "tool")
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "max": "high"}
# The beginnings of images, in base64.
_KINDS = {"/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}


def chat_in(body: Json) -> tuple[Json, list[str]]:
    """Translate the body of a chat; see :class:`aura.dialects.Front`."""
    given = body.get("messages")
    if not isinstance(given, list):
        _refuse("must be an array of messages", "messages")
    calls = _Calls()
    messages = [_message_in(message, f"messages.{index}", calls) for index, message in enumerate(given)]
    beyond = Beyond(gone=_unknown(body, _OF_CHATS))
    tools = [_tool_in(tool, f"tools.{index}") for index, tool in enumerate(body.get("tools") or ())]
    return _body_in(body, {"messages": messages, **({"tools": tools} if tools else {})}, beyond)


def generate_in(body: Json) -> tuple[Json, list[str]]:
    """Translate the body of a generation: its prompt is a user's message; see :class:`aura.dialects.Front`."""
    beyond = Beyond(gone=_unknown(body, _OF_GENERATIONS))
    for key in ("suffix", "template", "context", "raw"):
        if body.get(key):
            beyond.needs(key)
    messages: list[Json] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _text(body, "system", "system")})
    content = _content_in(_text(body, "prompt", "prompt"), body.get("images"), "images")
    messages.append({"role": "user", "content": content})
    return _body_in(body, {"messages": messages}, beyond)


def _unknown(body: Json, known: Container[str]) -> list[str]:
    """What Aura does not know: an Ollama server gets it, and nobody else may take it for a parameter of its own."""
    return [key for key, value in body.items() if key not in known and value is not None]


def _refuse(why: str, where: str) -> NoReturn:
    raise BadRequest(why, param=where)


def _text(owner: Json, key: str, where: str) -> str:
    value = owner.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        _refuse("must be a string", where)
    return value


def _body_in(body: Json, said: Json, beyond: Beyond) -> tuple[Json, list[str]]:
    """All but what is said, and with which tools."""
    out: Json = {key: body[key] for key in _SHARED if body.get(key) is not None} | said
    out["stream"] = streamed(body)
    _put_options(out, body, beyond)
    _put_format(out, body.get("format"))
    think = body.get("think")
    if think is not None and not isinstance(think, bool) and think not in _EFFORTS:
        _refuse("must be true, false, low, medium, high or max", "think")
    if think:
        out["reasoning_effort"] = "medium" if think is True else _EFFORTS[think]
    for key in PASSED:
        if body.get(key) is not None and key not in out:
            out[key] = body[key]
    if think is not None:
        out["think"] = think
    beyond.quiet += [key for key in _RUNNING if key in out]
    out[KEY] = beyond.json()
    return out, beyond.gone


def streamed(body: Json) -> bool:
    """Whether a body asks for a stream, as it does unless it says otherwise."""
    return body.get("stream") is not False


def _put_options(out: Json, body: Json, beyond: Beyond) -> None:
    """How the model is run: what OpenAI has too by its names, the rest by Ollama's own."""
    rest: Json = {}
    for key, value in (body.get("options") or {}).items():
        if value is None:
            continue
        if key == "stop":
            if value:
                out["stop"] = _stop_in(value)
        elif key == "num_predict":
            _put_limit(out, value)
        elif key in OPTIONS:
            _put_number(out, key, value)
            if key not in _SAMPLING and key not in _RUNNING:
                beyond.lost.append(key)
        else:
            rest[key] = value
    if rest:
        out["options"] = rest


def _put_limit(out: Json, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse("must be an integer", "options.num_predict")
    if value > 0:
        out["max_tokens"] = value


def _put_number(out: Json, key: str, value: Any) -> None:
    if not isinstance(value, int | float):
        _refuse("must be a number", f"options.{key}")
    out[key] = value


def _stop_in(value: Any) -> list[str]:
    stop = [value] if isinstance(value, str) else value
    if not isinstance(stop, list) or not all(isinstance(text, str) for text in stop):
        _refuse("must be an array of strings", "options.stop")
    return stop


def _put_format(out: Json, form: Any) -> None:
    if not form:
        return
    if form == "json":
        out["response_format"] = {"type": "json_object"}
    elif isinstance(form, dict):
        wanted = {"name": "answer", "schema": form, "strict": is_strict(form)}
        out["response_format"] = {"type": "json_schema", "json_schema": wanted}
    else:
        _refuse("must be json or a JSON schema", "format")


def _tool_in(tool: Any, where: str) -> Json:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        _refuse("must be a tool of type function, with a name", where)
    return {**tool, "type": "function"}


# --- messages


class _Calls:
    """The calls of the history that have no result yet, with the ids that they have or are given."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # id, name
        self._made = 0

    def made(self, name: str, given: Any) -> str:
        """Note a call; returns its id."""
        self._made += 1
        named = given if isinstance(given, str) and given else f"call_{self._made}"
        self._open.append((named, name))
        return named

    def answered(self, given: Any, name: Any) -> str:
        """The id of the call that a result belongs to: by its id, else by its tool's name, else the first one.

        Empty where there is none: some clients leave the calls out of the history.
        """
        found = next((one for one in self._open if given and one[0] == given), None)
        found = found or next((one for one in self._open if name and one[1] == name), None)
        if found is None and not given and not name and self._open:
            found = self._open[0]
        if found is None:
            return ""
        self._open.remove(found)
        return found[0]


def _message_in(message: Any, where: str, calls: _Calls) -> Json:
    if not isinstance(message, dict):
        _refuse("must be an object", where)
    role = message.get("role")
    if role not in _ROLES:
        _refuse("must be system, user, assistant or tool", f"{where}.role")
    text = _text(message, "content", f"{where}.content")
    content = _content_in(text, message.get("images"), f"{where}.images")
    out: Json = {"role": role, "content": content}
    if role == "tool":
        name = message.get("tool_name") or message.get("name")
        call = calls.answered(message.get("tool_call_id"), name)
        if not call:  # other grammars refuse a result without its call
            return {"role": "user", "content": content}
        out["tool_call_id"] = call
    elif role == "assistant":
        thinking = _text(message, "thinking", f"{where}.thinking")
        if thinking:
            out["reasoning_content"] = thinking
        told = message.get("tool_calls") or []
        if not isinstance(told, list):
            _refuse("must be an array of calls", f"{where}.tool_calls")
        if told:
            out["tool_calls"] = [_call_in(call, f"{where}.tool_calls.{n}", calls) for n, call in enumerate(told)]
            out["content"] = content or None
    return out


def _call_in(call: Any, where: str, calls: _Calls) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        _refuse("must name its function", where)
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    name = function["name"]
    return {"id": calls.made(name, call.get("id")), "type": "function", "function": {"name": name, "arguments": text}}


def _content_in(text: str, images: Any, where: str) -> Any:
    if not images:
        return text
    if not isinstance(images, list):
        _refuse("must be an array of images", where)
    parts: list[Json] = [{"type": "text", "text": text}] if text else []
    return parts + [_image_in(image, f"{where}.{index}") for index, image in enumerate(images)]


def _image_in(image: Any, where: str) -> Json:
    if not isinstance(image, str) or not image:
        _refuse("must be an image in base64", where)
    if not image.startswith("data:"):
        kind = next((kind for begin, kind in _KINDS.items() if image.startswith(begin)), "png")
        image = f"data:image/{kind};base64,{image}"
    return {"type": "image_url", "image_url": {"url": image}}
