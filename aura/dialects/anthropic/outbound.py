"""From a canonical answer to Anthropic's: a message of blocks.

Facts
  - Every thinking block has a signature, by which Anthropic knows its own; another provider's thinking gets an empty
    one, and is shown only to a client that asked for thinking: the others read the first block as the answer.
  - ``input_tokens`` leaves out what was read from a cache or written to it.
  - Some servers end a call that they were forced to make with ``stop``; vLLM tells the sequence that it stopped at in
    ``stop_reason``.
See https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from ...call import Call, Json
from ..counts import count, usage_or_guess
from .names import long_names
from .response import THOUGHTS
from .tools import id_out, input_out

STOP_REASONS = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
)
_STOPS = {"length": "max_tokens", "content_filter": "refusal"}
_THINKS = ("enabled", "adaptive")
_TIERS = {"default": "standard", "priority": "priority"}


class Client:
    """What the client's own body says of how an answer is worded."""

    __slots__ = ("names", "sequences", "thinks")

    def __init__(self, call: Call) -> None:
        native = call.native or {}
        self.names = long_names(native)
        self.sequences: Any = native.get("stop_sequences") or ()
        thinking = native.get("thinking")
        self.thinks = (
            isinstance(thinking, dict) and thinking.get("type") in _THINKS and thinking.get("display") != "omitted"
        )

    def name(self, name: str) -> str:
        """The client's own name for a tool."""
        return self.names.get(name, name) if self.names else name


def response_out(completion: Json, call: Call) -> Json:
    """Translate a whole answer; see :class:`aura.dialects.Front`."""
    client = Client(call)
    choice = (completion.get("choices") or [{}])[0]
    message = choice.get("message") or {}
    told = message
    if choice.get("finish_reason") == "content_filter":  # why it was refused is told apart from what was said
        told = {**message, "refusal": None}
    content = blocks_out(told, client, str(completion.get("id") or ""))
    called = any(block["type"] == "tool_use" for block in content)
    head = head_out(completion, call)
    head["content"] = content
    head |= stop_out(choice, called, client, message.get("refusal"))
    usage = usage_or_guess(completion.get("usage"), call, sum(map(_letters, content)))
    head["usage"] = usage_out(usage, completion.get("service_tier"))
    return head


def _letters(block: Json) -> int:
    said = block.get("text") or block.get("thinking") or block.get("input") or ""
    return len(said if isinstance(said, str) else orjson.dumps(said))


def head_out(body: Json, call: Call) -> Json:
    """A message, as far as it is known with its first chunk."""
    name = str(body.get("id") or call.id)
    return {
        "id": f"msg_{name.removeprefix('chatcmpl-').removeprefix('msg_')}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model") or "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def blocks_out(message: Json, client: Client, seed: str) -> list[Json]:
    """The content blocks of a message: as they came from Anthropic, else thinking, text, calls.

    Args:
        seed: what ids are made of for calls that have none.
    """
    given = message.get("content_blocks")
    if isinstance(given, list) and given:
        return given
    blocks = thoughts_out(message, client)
    text = text_of(message)
    if text:
        blocks.append({"type": "text", "text": text})
    calls = message.get("tool_calls") or []
    if not calls and message.get("function_call"):
        calls = [{"function": message["function_call"]}]
    for index, call in enumerate(calls):
        name, arguments = called_out(call)
        tool: Json = {"type": "tool_use", "id": tool_id(call.get("id"), seed, index), "name": client.name(name)}
        blocks.append({**tool, "input": input_out(arguments, "")})
    return blocks


def thoughts_out(message: Json, client: Client) -> list[Json]:
    """What was thought: Anthropic's own blocks, or another provider's text."""
    own = message.get("thinking_blocks")
    if isinstance(own, list) and own:
        return [block for block in own if block.get("type") in THOUGHTS]
    text = message.get("reasoning_content") or message.get("reasoning")
    if not client.thinks or not isinstance(text, str) or not text:
        return []
    return [{"type": "thinking", "thinking": text, "signature": ""}]


def text_of(message: Json) -> str:
    """What a message says, or why it says nothing."""
    text = message.get("content") or message.get("refusal")
    return text if isinstance(text, str) else ""


def called_out(call: Json) -> tuple[str, Any]:
    """The name and the arguments of a call."""
    function = call.get("function") or {}
    if not function and call.get("custom"):
        return str(call["custom"].get("name") or ""), {"input": call["custom"].get("input") or ""}
    return str(function.get("name") or ""), function.get("arguments")


def tool_id(given: Any, seed: str, index: int) -> str:
    """A call's id in the form that Anthropic takes, should the conversation go on there."""
    if isinstance(given, str) and given:
        return id_out(given)
    return f"toolu_{blake2b(f'{seed} {index}'.encode(), digest_size=12).hexdigest()}"


def stop_out(choice: Json, called: bool, client: Client, refusal: Any = None) -> Json:
    """Why the answer ended.

    Args:
        choice: whatever holds ``finish_reason``, and what an answer says beside it.
        called: whether it calls tools.
    """
    finish, told, sequence = choice.get("finish_reason"), choice.get("stop_reason"), choice.get("stop_sequence")
    if sequence is None and isinstance(told, str) and told in client.sequences:
        sequence = told
    if isinstance(told, str) and told in STOP_REASONS:
        reason = told
    elif called and finish not in _STOPS:
        reason = "tool_use"
    elif isinstance(sequence, str):
        reason = "stop_sequence"
    else:
        reason = _STOPS.get(str(finish), "end_turn")
    out: Json = {"stop_reason": reason, "stop_sequence": sequence if reason == "stop_sequence" else None}
    if reason == "refusal" and isinstance(refusal, str) and refusal:
        out["stop_details"] = {"type": "refusal", "category": None, "explanation": refusal}
    return out


def usage_out(usage: Any, tier: Any = None) -> Json:
    """The counts, caches told apart."""
    usage = usage if isinstance(usage, dict) else {}
    prompt = usage.get("prompt_tokens_details")
    prompt = prompt if isinstance(prompt, dict) else {}
    total = count(usage.get("prompt_tokens"))
    read = min(total, count(prompt.get("cached_tokens")))  # some servers count more than there was
    written = min(total - read, count(prompt.get("cache_creation_tokens")))
    out: Json = {
        "input_tokens": total - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": count(usage.get("completion_tokens")),
    }
    if isinstance(prompt.get("cache_creation_token_details"), dict):
        out["cache_creation"] = prompt["cache_creation_token_details"]
    if isinstance(usage.get("server_tool_use"), dict):
        out["server_tool_use"] = usage["server_tool_use"]
    if isinstance(tier, str) and tier in _TIERS:
        out["service_tier"] = _TIERS[tier]
    return out
