"""A client's Messages body for a model of a provider that speaks Messages: forwarded whole.

What is changed is what the provider is known to refuse: thinking without a signature and ids that another provider's
answers left in the history, and what the model cannot do, since a routed client cannot know which one it gets.
"""

from __future__ import annotations

from typing import Any

from ...call import Json, Model, Translation
from ...errors import BadRequest
from .messages import GO_ON, signed
from .request import betas_of
from .response import THOUGHTS
from .thinking import fit, thinking_out
from .tools import id_out

# Aura's own, and what goes in a header.
_NOT_SENT = ("aura", "fallbacks", "anthropic_beta", "betas", "anthropic_version")
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}
_SAMPLING = ("temperature", "top_p", "top_k")
# What counting takes of a request.
_COUNTED = frozenset(
    {"messages", "model", "system", "tools", "tool_choice", "thinking", "output_config", "output_format"}
    | {"cache_control", "mcp_servers", "context_management", "speed"}
)


def request_forward(body: Json, model: Model, max_tokens: int | None) -> Translation:
    """See :class:`aura.dialects.Front`.

    Raises:
        BadRequest: the model is known not to give what is asked for.
    """
    dropped: list[str] = []
    out = {key: value for key, value in body.items() if key not in _NOT_SENT}
    out["model"] = model.name
    out["messages"] = _own_history(body["messages"])
    if model.known:
        _fit(out, model, dropped)
    _put_limit(out, model, max_tokens, dropped)
    thinking = out.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled" and _calls_without_thinking(out["messages"]):
        del out["thinking"]  # refused beside a call that did not begin with thinking
        dropped.append("thinking")
    betas = betas_of(body)
    told = {"anthropic-beta": ",".join(betas)} if betas else {}
    return Translation(body=out, dropped=dropped, headers=told, model=model.name)


def counted(body: Json) -> Json:
    """What of a body is sent to ask how many tokens it has."""
    return {key: value for key, value in body.items() if key in _COUNTED}


def _fit(out: Json, model: Model, dropped: list[str]) -> None:
    """Take out, or put in the model's own form, what the catalogue knows that the model refuses."""
    config = out.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    if (form or out.get("output_format")) and not model.can("json_schema"):
        raise BadRequest("this model cannot follow a JSON schema", param="output_config.format")
    if isinstance(out.get("thinking"), dict):
        effort = config.get("effort") if isinstance(config, dict) else None
        thinking = thinking_out({"thinking": out["thinking"], "reasoning_effort": effort}, model, dropped)
        if thinking.config is None:
            del out["thinking"]
        else:
            out["thinking"] = thinking.config
    if not model.can("sampling"):
        for key in _SAMPLING:
            value = out.pop(key, None)
            if value is not None and (key == "top_k" or value != 1):
                dropped.append(key)
    if not model.can("system_anywhere"):
        out["messages"] = [_as_user(message) for message in out["messages"]]
    if not model.can("prefill") and out["messages"][-1]["role"] == "assistant":
        out["messages"] = [*out["messages"], {"role": "user", "content": GO_ON}]


def _as_user(message: Json) -> Json:
    """A system text in mid-conversation, marked as what it is, as part of the user's turn."""
    if message["role"] != "system":
        return message
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    told = [{**block, "text": f"<system>\n{block.get('text', '')}\n</system>"} for block in blocks]
    return {"role": "user", "content": told}


def _put_limit(out: Json, model: Model, max_tokens: int | None, dropped: list[str]) -> None:
    """Keep ``max_tokens`` within what the model can and what is paid for, and a budget for thinking within that."""
    asked = out.get("max_tokens")
    if not isinstance(asked, int):
        return
    limit = min(limit for limit in (asked, model.max_output, max_tokens) if limit is not None)
    if limit == asked:
        return
    out["max_tokens"] = limit
    if isinstance(out.get("thinking"), dict):
        thinking = thinking_out({"thinking": out["thinking"]}, Model(model.name), dropped)
        fit(thinking, limit, limit, dropped)
        if thinking.config is None:
            del out["thinking"]
        else:
            out["thinking"] = thinking.config


def _own_history(messages: list[Json]) -> list[Json]:
    """The messages without what other providers left in them; the same ones where there is nothing."""
    found = [_own(message) for message in messages]
    return [message for message in found if message["content"] != []]


def _own(message: Json) -> Json:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    blocks = [_own_block(block) for block in content if block.get("type") not in THOUGHTS or signed(block)]
    same = len(blocks) == len(content) and all(one is other for one, other in zip(blocks, content, strict=True))
    return message if same else {**message, "content": blocks}


def _own_block(block: Json) -> Json:
    key = _IDS.get(block.get("type", ""))
    given: Any = block.get(key) if key else None
    if not key or not isinstance(given, str) or id_out(given) == given:
        return block
    return {**block, key: id_out(given)}


def _calls_without_thinking(messages: list[Json]) -> bool:
    """Whether the model is in the middle of calling tools, in a turn that did not begin with thinking."""
    last = next((message for message in reversed(messages) if message.get("role") == "assistant"), None)
    content = last.get("content") if last else None
    if not isinstance(content, list) or not any(block.get("type") == "tool_use" for block in content):
        return False
    return content[0].get("type") not in THOUGHTS
