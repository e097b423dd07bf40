"""From a canonical chat body to a Messages request."""

from __future__ import annotations

import re
from typing import Any

from ...call import Json, Model, Translation
from ...errors import BadRequest
from ...estimate import estimate_tokens
from ..beyond import KEY, quiet_of
from .formats import Format, force, format_out
from .messages import add_system, conversation_out, end_with_user, system_out
from .parts import FILES_BETA
from .thinking import Thinking, fit, lacks_thinking, thinking_out
from .tools import DUMMY, Names, choice_out, tools_out

# Every Claude model that ever was can write so much; more is refused by some, and nothing is known of this one.
SAFE_MAX_TOKENS = 4096
# How far an estimate of the prompt may be off, and what is asked for however long the prompt is.
_MARGIN = 1.3
_LITTLE = 1024
# Parameters of Anthropic's own, which are forwarded.
NATIVE = ("cache_control", "container", "context_management", "inference_geo", "mcp_servers", "speed", "diagnostics")
# Read here or elsewhere, or without a meaning for an answer: never worth a note.
_READ = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "stop_sequences",
    "temperature", "top_p", "top_k", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
    "response_format", "output_format", "output_config", "reasoning_effort", "reasoning", "thinking", "user",
    "safety_identifier", "metadata", "service_tier", "web_search_options", "modalities", "audio", "n",
    "anthropic_beta", "betas", "anthropic_version", "aura", "fallbacks", KEY,
}  # fmt: skip
# A value that asks for what happens anyway.
_NEUTRAL: Json = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "store": False,
}
_TIERS = {
    "auto": "auto",
    "priority": "auto",
    "default": "standard_only",
    "standard_only": "standard_only",
    "flex": "standard_only",
    "scale": "standard_only",
}
MAX_BETAS = 64
BETA = re.compile(r"[A-Za-z0-9._-]{1,100}")
_PERSONAL = re.compile(r".+@.+\..+|\+[\d ()/.-]{7,}")


def request_out(body: Json, model: Model) -> Translation:
    """Translate a chat body; see :class:`aura.dialects.Dialect`."""
    quiet = quiet_of(body)
    dropped = [key for key, value in body.items() if _is_lost(key, value) and key not in quiet]
    _check(body)
    names = Names()
    tools = tools_out(body, model, names, dropped)
    choice, tools = choice_out(body, tools, names)
    form = format_out(body, model, names)
    system, turns = conversation_out(body["messages"], model, names)
    thinking = thinking_out(body, model, dropped)
    if thinking.on and (_forces(choice) or (thinking.budget and lacks_thinking(turns))):
        thinking.turn_off(dropped)
    choice, tools = force(form, tools, choice, thinking.on)
    choice, tools = _for_history(turns, choice, tools)
    out: Json = {"model": model.name, "max_tokens": _limit(body, model, thinking, dropped)}
    continued = model.can("prefill") and not thinking.on and form.enforced is None and not _forces(choice)
    end_with_user(turns, continued)
    add_system(system, form.instruction)
    given = system_out(system)
    if given is not None:
        out["system"] = given
    out["messages"] = turns
    if tools:
        out["tools"] = tools
    if choice:
        out["tool_choice"] = choice
    _put_thinking(out, body, thinking, form)
    _put_sampling(out, body, model, thinking.on, dropped)
    _put_rest(out, body, dropped)
    return Translation(
        body=out, dropped=dropped, headers=_headers(body, out), model=model.name, memo=_memo(body, names, form, tools)
    )


def _is_lost(key: str, value: Any) -> bool:
    if value is None or key in _READ or key in NATIVE:
        return False
    return not (key in _NEUTRAL and _NEUTRAL[key] == value)


def _check(body: Json) -> None:
    """Refuse what asks for another kind of answer than Anthropic gives."""
    if body.get("n") not in (None, 1):
        raise BadRequest("this provider answers with one choice only; n must be 1", param="n")
    if body.get("audio") or "audio" in (body.get("modalities") or ()):
        raise BadRequest("this provider answers in text only", param="modalities")


def _forces(choice: Json | None) -> bool:
    return (choice or {}).get("type") in ("any", "tool")


def _for_history(turns: list[Json], choice: Json | None, tools: list[Json]) -> tuple[Json | None, list[Json]]:
    """A history with tool calls needs tools: where there are none, one that is not to be called."""
    if tools or not any(block.get("type") == "tool_use" for turn in turns for block in turn["content"]):
        return choice, tools
    return {"type": "none"}, [DUMMY]


def _limit(body: Json, model: Model, thinking: Thinking, dropped: list[str]) -> int:
    """``max_tokens``: the client's, within what the model can; the model's own limit where the client has none."""
    asked = body.get("max_completion_tokens")
    if asked is None:
        asked = body.get("max_tokens")
    limit = asked if isinstance(asked, int) else _usual_limit(body, model)
    if model.max_output is not None:
        limit = min(limit, model.max_output)
    return fit(thinking, limit, model.max_output, dropped)


def _usual_limit(body: Json, model: Model) -> int:
    """The model's own limit, as far as the prompt leaves room in its window: some models refuse the sum otherwise."""
    limit = model.max_output or SAFE_MAX_TOKENS
    if model.context_window is None or limit <= _LITTLE:
        return limit
    room = model.context_window - int(estimate_tokens(body) * _MARGIN)
    return min(limit, max(room, _LITTLE))


def _put_thinking(out: Json, body: Json, thinking: Thinking, form: Format) -> None:
    if thinking.config is not None:
        out["thinking"] = thinking.config
    given = body.get("output_config")
    config: Json = dict(given) if isinstance(given, dict) else {}
    if thinking.effort:
        config.setdefault("effort", thinking.effort)
    if form.enforced is not None:
        config["format"] = form.enforced
    if config:
        out["output_config"] = config


def _put_sampling(out: Json, body: Json, model: Model, thinking: bool, dropped: list[str]) -> None:
    """Temperature and its kin, as far as model and thinking allow; what asks for nothing is left out in silence."""
    given = {key: body[key] for key in ("temperature", "top_p", "top_k") if body.get(key) is not None}
    if "temperature" in given:
        given["temperature"] = min(1, max(0, given["temperature"]))
    taken = model.can("sampling") or not model.known
    for key, value in list(given.items()):
        neutral = key != "top_k" and value == 1
        allowed = taken and (not thinking or (key == "temperature" and neutral) or (key == "top_p" and value >= 0.95))
        if not allowed:
            del given[key]
            if not neutral:
                dropped.append(key)
    if "temperature" in given and "top_p" in given and not model.can("temperature_and_top_p"):
        if given["top_p"] != 1 and given["temperature"] == 1:
            del given["temperature"]
        elif given.pop("top_p") != 1:
            dropped.append("top_p")
    out.update(given)


def _put_rest(out: Json, body: Json, dropped: list[str]) -> None:
    if body.get("stream"):
        out["stream"] = True
    stop = _stop_sequences(body)
    if stop:
        out["stop_sequences"] = stop
    metadata = _metadata(body, dropped)
    if metadata:
        out["metadata"] = metadata
    tier = body.get("service_tier")
    if tier is not None:
        if isinstance(tier, str) and tier in _TIERS:
            out["service_tier"] = _TIERS[tier]
        if tier not in ("auto", "default", "priority", "standard_only"):
            dropped.append("service_tier")
    for key in NATIVE:
        if body.get(key) is not None:
            out[key] = body[key]


def _stop_sequences(body: Json) -> list[str]:
    """What ends the answer; a sequence of white space alone is refused by Anthropic."""
    stop = body.get("stop") or body.get("stop_sequences") or []
    stop = [stop] if isinstance(stop, str) else stop
    return [text for text in stop if isinstance(text, str) and text.strip()] if isinstance(stop, list) else []


def _metadata(body: Json, dropped: list[str]) -> Json | None:
    """Anthropic takes one thing: an opaque id of the user, which must not identify a person."""
    given = body.get("metadata")
    given = given if isinstance(given, dict) else {}
    if given.keys() - {"user_id"}:
        dropped.append("metadata")
    told = (("metadata", given.get("user_id")), *((key, body.get(key)) for key in ("user", "safety_identifier")))
    for key, user in told:
        if isinstance(user, str) and user.strip():
            if len(user) <= 256 and not _PERSONAL.fullmatch(user.strip()):
                return {"user_id": user}
            if key not in dropped:
                dropped.append(key)
    return None


def _headers(body: Json, out: Json) -> dict[str, str]:
    """The betas that the client names, and those that the request needs."""
    told = betas_of(body)
    if FILES_BETA not in told and any(_is_file(block) for turn in out["messages"] for block in turn["content"]):
        told.append(FILES_BETA)
    return {"anthropic-beta": ",".join(told)} if told else {}


def betas_of(body: Json) -> list[str]:
    """The betas that a client names, each once.

    Raises:
        BadRequest: there are more than any request needs; they all go in one header.
    """
    betas: list[str] = []
    for key in ("anthropic_beta", "betas"):
        given = body.get(key)
        given = given.split(",") if isinstance(given, str) else given
        if isinstance(given, list):
            betas += [beta.strip() for beta in given if isinstance(beta, str)]
    found = list(dict.fromkeys(beta for beta in betas if BETA.fullmatch(beta)))
    if len(found) > MAX_BETAS:
        raise BadRequest(f"must name at most {MAX_BETAS} betas, not {len(found)}", param="betas")
    return found


def _is_file(block: Json) -> bool:
    source = block.get("source")
    return isinstance(source, dict) and source.get("type") == "file"


def _memo(body: Json, names: Names, form: Format, tools: list[Json]) -> Json:
    """What reading the answer needs to know."""
    memo: Json = {}
    if names.changed():
        memo["names"] = names.changed()
    if form.tool in tools and form.tool is not None:
        memo["json_tool"], memo["wrapped"] = form.tool["name"], form.wrapped
    if body.get("functions") and not body.get("tools"):
        memo["functions"] = True
    return memo
