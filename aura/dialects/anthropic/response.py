"""From a whole Anthropic answer to a canonical one; what its streams share with it stands here too.

What a chat message has no place for is kept beside it, so that a client which sends the message back loses nothing:
``thinking_blocks`` (signed, in order) and, where the order or kind of the blocks says more than text, thinking and tool
calls can, ``content_blocks`` (all of them, with citations and the results of server tools).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from ...call import Json, Translation
from ...errors import Failure, Reason
from .errors import failure
from .formats import content_of
from .usage import merged, service_tier_in, usage_json

THOUGHTS = ("thinking", "redacted_thinking")
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
    # A long turn of server tools was halted, to be continued: the answer is not whole.
    "pause_turn": "length",
}
# Where ``finish_reason`` alone says all.
_PLAIN = {"end_turn", "max_tokens", "tool_use"}
_ORDER = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}


def response_in(body: Json, translation: Translation) -> Json:
    """Translate a whole answer; see :class:`aura.dialects.Dialect`."""
    if body.get("type") == "error" or body.get("error"):
        raise failure(body)
    content = body.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise Failure(Reason.BAD_RESPONSE, "the answer has no content")
    message, called = _message(content, translation)
    refusal = refusal_in(body.get("stop_reason"), body.get("stop_details"))
    if refusal:
        message["refusal"] = refusal
    end = end_in(body.get("stop_reason"), body.get("stop_sequence"), called, translation)
    whole = head_in(body, translation, "chat.completion")
    whole["choices"] = [{"index": 0, "message": message, "logprobs": None, **end}]
    told = merged({}, body.get("usage"))
    if told:
        whole["usage"] = usage_json(told)
        tier = service_tier_in(told)
        if tier:
            whole["service_tier"] = tier
    return whole


def _message(content: list[Json], translation: Translation) -> tuple[Json, bool]:
    """The message, and whether it calls tools of the client's."""
    memo = translation.memo
    texts = [_text(block, "text") for block in content if block.get("type") == "text"]
    thoughts = [_text(block, "thinking") for block in content if block.get("type") == "thinking"]
    used = [block for block in content if block.get("type") == "tool_use"]
    answers = [block for block in used if block.get("name") == memo.get("json_tool")]
    calls = [call_in(block, translation) for block in used if block not in answers]
    text: str | None = "".join(texts)
    if answers:
        text = content_of(_input(answers[0]), memo.get("wrapped", False))
    message: Json = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    signed = [block for block in content if block.get("type") in THOUGHTS]
    if signed:
        message["thinking_blocks"] = signed
    if calls and memo.get("functions"):
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = calls
    if not answers and says_more(content):
        message["content_blocks"] = content
    return message, bool(calls)


def _text(block: Json, key: str) -> str:
    text = block.get(key)
    if not isinstance(text, str):
        raise Failure(Reason.BAD_RESPONSE, f"a block of type {key} has no {key}")
    return text


def _input(block: Json) -> Json:
    given = block.get("input")
    return given if isinstance(given, dict) else {}


def call_in(block: Json, translation: Translation) -> Json:
    """A tool call, under the client's own name for the tool."""
    return {
        "id": str(block["id"]),
        "type": "function",
        "function": {"name": name_in(block, translation), "arguments": orjson.dumps(_input(block)).decode()},
    }


def name_in(block: Json, translation: Translation) -> str:
    """The client's own name for the tool that a block calls."""
    name = block["name"]
    if not isinstance(name, str):
        raise TypeError("a tool's name is a text")
    names = translation.memo.get("names")
    original: str = names.get(name, name) if names else name
    return original


def says_more(blocks: list[Json]) -> bool:
    """Whether blocks say more than thinking, then text, then tool calls."""
    reached = 0
    for block in blocks:
        place = _ORDER.get(block.get("type", ""), -1)
        if place < reached or block.get("citations"):
            return True
        reached = place
    return False


def end_in(reason: Any, sequence: Any, called: bool, translation: Translation) -> Json:
    """The ``finish_reason``, and beside it Anthropic's own where that says more.

    A reason that is not known here counts as ``stop``; it is noted in ``translation.memo``.
    """
    finish = _FINISH.get(reason) if isinstance(reason, str) else None
    if finish is None:
        finish = "stop"
        if reason is not None:
            translation.memo["unknown_stop_reason"] = str(reason)
    if finish == "tool_calls":
        finish = "stop" if not called else "function_call" if translation.memo.get("functions") else finish
    end: Json = {"finish_reason": finish}
    if isinstance(reason, str) and reason not in _PLAIN:
        end["stop_reason"] = reason
    if isinstance(sequence, str):
        end["stop_sequence"] = sequence
    return end


def refusal_in(reason: Any, details: Any) -> str | None:
    """Why the model refused, in the provider's words."""
    explanation = details.get("explanation") if reason == "refusal" and isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) else None


def head_in(message: Json, translation: Translation, kind: str) -> Json:
    """What every chunk of an answer repeats."""
    name, model = message.get("id"), message.get("model")
    if not isinstance(name, str) or not name:
        seed = f"{translation.created} {translation.model}"
        name = blake2b(orjson.dumps([seed, translation.body.get("messages")]), digest_size=12).hexdigest()
    return {
        "id": f"chatcmpl-{name.removeprefix('msg_')}",
        "object": kind,
        "created": translation.created,
        "model": model if isinstance(model, str) and model else translation.model,
    }
