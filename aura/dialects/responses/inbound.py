"""From a Responses request, as clients send it, to a canonical chat body."""

from __future__ import annotations

from typing import Any

from ...call import Json
from ..beyond import KEY, Beyond
from .items import messages_in
from .parts import object_in, refuse, text_in
from .tools import put_tools

PREVIOUS = "aura_previous"
"""Under this name a body keeps the id of the response whose items were put before its own. Clients cannot send it."""

LOGPROBS = "message.output_text.logprobs"
# Said in both grammars, or Aura's own.
_SHARED = ("model", "stream", "temperature", "top_p", "user", "aura", "fallbacks", "provider")
_READ = {
    *_SHARED, "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning",
    "max_output_tokens", "top_logprobs", "include", "previous_response_id", "conversation", "prompt", "background",
    "service_tier", "truncation", PREVIOUS,
}  # fmt: skip
# No answer depends on them: what OpenAI keeps, how it caches, who asks, how a stream is padded.
_QUIET = {
    "store", "metadata", "client_metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    "safety_identifier", "stream_options",
}  # fmt: skip
# What only OpenAI can look up.
_ITS_OWN = ("previous_response_id", "conversation", "prompt")
_ENCRYPTED = "reasoning.encrypted_content"


def request_in(body: Json) -> tuple[Json, list[str]]:
    """Translate a client's body; see :class:`aura.dialects.Front`."""
    beyond = Beyond()
    out: Json = {key: body[key] for key in _SHARED if body.get(key) is not None}
    messages = messages_in(body.get("input") or [], beyond)
    if body.get("instructions") is not None:
        messages.insert(0, {"role": "system", "content": text_in(body, "instructions", "")})
    out["messages"] = messages or [{"role": "user", "content": ""}]
    if body.get("max_output_tokens") is not None:
        out["max_tokens"] = body["max_output_tokens"]
    put_tools(out, body, beyond)
    _put_text(out, body)
    _put_reasoning(out, body, beyond)
    _put_logprobs(out, body, beyond)
    for key in _ITS_OWN:
        if body.get(key) is not None:
            beyond.needs(key)
    if body.get("service_tier") not in (None, "auto", "default"):
        out["service_tier"] = body["service_tier"]
    if body.get("truncation") not in (None, "disabled"):
        beyond.gone.append("truncation")
    beyond.gone += [key for key in body if key not in _READ and key not in _QUIET and body[key] is not None]
    out[KEY] = beyond.json()
    return out, beyond.gone


def _put_text(out: Json, body: Json) -> None:
    """The form of the answer, and how long it should be."""
    if body.get("text") is None:
        return
    text = object_in(body["text"], "text")
    if text.get("verbosity") not in (None, "medium"):
        out["verbosity"] = text["verbosity"]
    form = text.get("format")
    if form is None:
        return
    kind = text_in(object_in(form, "text.format"), "type", "text.format")
    if kind == "json_object":
        out["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        wanted: Json = {"name": text_in(form, "name", "text.format")}
        wanted["schema"] = object_in(form.get("schema"), "text.format.schema")
        wanted |= {key: form[key] for key in ("description", "strict") if form.get(key) is not None}
        out["response_format"] = {"type": "json_schema", "json_schema": wanted}
    elif kind != "text":
        refuse("must be text, json_object or json_schema", "text.format.type")


def _put_reasoning(out: Json, body: Json, beyond: Beyond) -> None:
    if body.get("reasoning") is None:
        return
    reasoning = object_in(body["reasoning"], "reasoning")
    if reasoning.get("effort") is not None:
        out["reasoning_effort"] = text_in(reasoning, "effort", "reasoning")
    known = ("effort", "summary", "generate_summary")  # what was thought is shown wherever a provider tells it
    beyond.gone += [f"reasoning.{key}" for key in reasoning if key not in known and reasoning[key] is not None]


def _put_logprobs(out: Json, body: Json, beyond: Beyond) -> None:
    include: Any = body.get("include")
    if include is not None and not (isinstance(include, list) and all(isinstance(one, str) for one in include)):
        refuse("must be an array of strings", "include")
    wanted = include or ()
    if LOGPROBS in wanted or body.get("top_logprobs"):
        out["logprobs"] = True
        if body.get("top_logprobs"):
            out["top_logprobs"] = body["top_logprobs"]
    if any(one not in (LOGPROBS, _ENCRYPTED) for one in wanted):
        beyond.gone.append("include")
