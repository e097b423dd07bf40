"""OpenAI, and every server that speaks its grammar: what a client sends is forwarded.

Facts
  - OpenAI's reasoning models refuse ``max_tokens``, sampling parameters and ``stop`` with status 400, its other models
    refuse ``reasoning_effort``. A client that is routed cannot know which model it gets.
  - It takes names of functions of at most 64 letters, digits, ``_`` and ``-``; other servers take more.
  - It refuses unknown members of a message, and tool call ids over 40 characters: a history that another server's
    answers stand in may hold both.
  - What the catalogue does not know is left alone: a compatible server knows best.
Source: https://platform.openai.com/docs/guides/reasoning (read 2026-11-24)
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

from ..call import Json, Model
from ..dialects import completions, embeddings, openai, responses
from ..errors import BadRequest
from ..settings import ProviderSettings
from . import Provider, bearer, headers_of, streams

BASE_URL = "https://api.openai.com/v1"
MAX_ID = 40
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HISTORY = ("assistant", "tool")
# What other servers' answers say beside OpenAI's members of a message.
_FOREIGN = {"reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks", "content_blocks"}
# Refused by models without "sampling", with the value that asks for nothing.
_SAMPLING: Json = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "stop": None,
}


def provider(settings: ProviderSettings) -> Provider:
    """Make the provider of a configuration entry of type ``openai``."""
    base = settings.base_url.rstrip("/") or BASE_URL
    return with_others(
        Provider(
            name=settings.name,
            dialect=openai,
            url=f"{base}/chat/completions",
            headers=headers_of(settings, bearer(settings)),
            adapt=partial(adapt, own=True) if base == BASE_URL else adapt,
            streams=streams,
            address=f"{base}/{{door}}",
            embedder=embeddings.OPENAI,
            id_headers=("x-request-id", "x-client-request-id"),
        ),
        f"{base}/responses",
    )


def with_others(provider: Provider, responses_url: str) -> Provider:
    """A provider with the other grammars of OpenAI's that its server may speak.

    A server that does not is asked by chat from then on: it says that there is no such address.

    Args:
        responses_url: where Responses are asked for; empty where the server is known to have none.
    """
    older = replace(
        provider, dialect=completions, url=provider.address.replace("{door}", "completions"), serves=_is_not_known
    )
    also = {completions.name: older}
    if responses_url:
        also[responses.name] = replace(provider, dialect=responses, url=responses_url, serves=_responds)
    return replace(provider, also=also)


def _is_not_known(model: Model) -> bool:
    """Whether completions may be asked of a model: all that the catalogue lists are chat models, and refuse them."""
    return not model.known


def _responds(model: Model) -> bool:
    """Whether Responses may be asked of a model: those of OpenAI's that speak are asked by chat alone."""
    return not model.known or not model.can("audio")


def adapt(body: Json, model: Model, own: bool = False) -> tuple[Json, list[str]]:
    """Leave out or rename what the model is known to refuse; see :class:`aura.providers.Provider`.

    Args:
        own: the server is OpenAI's, so its rules hold for models that the catalogue does not know too.

    Raises:
        BadRequest: a function has a name that OpenAI does not take; another provider may.
    """
    if not model.known and not own:
        return body, []
    if own:
        _check_names(body)
    out: Json = dict(body)
    dropped: list[str] = []
    out["messages"] = [
        _of_history(message) if message.get("role") in _HISTORY else message for message in out["messages"]
    ]
    if not model.known:
        return out, dropped
    able = model.capabilities
    if "sampling" not in able:
        for key, neutral in _SAMPLING.items():
            drop(out, key, neutral, dropped)
    if "max_completion_tokens" in able and "max_tokens" in out:
        limit = out.pop("max_tokens")
        out.setdefault("max_completion_tokens", limit)
    if "reasoning" not in able:
        drop(out, "reasoning_effort", "none", dropped)
    if "developer_role" not in able:
        out["messages"] = [_as_system(message) for message in out["messages"]]
    return out, dropped


def _check_names(body: Json) -> None:
    for index, tool in enumerate(body.get("tools") or ()):
        holder = tool.get("function") if isinstance(tool, dict) else None
        _check_name(holder, f"tools[{index}].function.name")
    for index, function in enumerate(body.get("functions") or ()):
        _check_name(function, f"functions[{index}].name")


def _check_name(function: Any, param: str) -> None:
    name = function.get("name") if isinstance(function, dict) else None
    if isinstance(name, str) and not _FUNCTION_NAME.fullmatch(name):
        raise BadRequest("this provider takes names of 1 to 64 letters, digits, _ and - only", param=param)


def _of_history(message: Json) -> Json:
    """A message of the history as OpenAI takes it, whoever answered it."""
    if message["role"] == "assistant":
        if not _FOREIGN.isdisjoint(message):
            message = {key: value for key, value in message.items() if key not in _FOREIGN}
        calls = message.get("tool_calls")
        if isinstance(calls, list) and any(isinstance(call, dict) and _is_long(call.get("id")) for call in calls):
            message = {**message, "tool_calls": [_short_call(call) for call in calls]}
    elif _is_long(message.get("tool_call_id")):
        message = {**message, "tool_call_id": _short(message["tool_call_id"])}
    return message


def _is_long(name: Any) -> bool:
    return isinstance(name, str) and len(name) > MAX_ID


def _short_call(call: Any) -> Any:
    return {**call, "id": _short(call.get("id"))} if isinstance(call, dict) else call


def _short(name: Any) -> Any:
    """The same short id for the same long one, so that a call and its result still belong together."""
    return "call_" + blake2b(name.encode(), digest_size=12).hexdigest() if _is_long(name) else name


def drop(body: Json, key: str, neutral: Any, dropped: list[str]) -> None:
    """Take a parameter out, and note it unless its value asked for nothing."""
    value = body.pop(key, None)
    if value is not None and value != neutral:
        dropped.append(key)


def _as_system(message: Json) -> Json:
    return {**message, "role": "system"} if message.get("role") == "developer" else message
