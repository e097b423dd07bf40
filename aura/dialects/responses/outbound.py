"""From a canonical answer to a response object.

Facts
  - A response repeats what was asked: instructions, tools, formats, limits.
  - Ids say what they belong to by their beginning: ``resp_``, ``msg_``, ``fc_``, ``ctc_``, ``rs_``.
See https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from ...call import Call, Json
from ...errors import AuraError
from ..counts import count
from .inbound import PREVIOUS
from .sealed import seal
from .tools import Kind, input_of, kinds_of

OURS = "aura"
"""Ids that are made here go on with this, so that no item of another provider's is taken for OpenAI's own."""

NATIVE = "native_response"
"""Under this name a canonical answer keeps the response that it was read from."""

_OWN_NAMES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
# Asked again by the client's own body, whoever's answer is told again.
_ASKED = ("metadata", "user", "store", "safety_identifier", "prompt_cache_key")


class Client:
    """What the client's own body says of how an answer is worded."""

    __slots__ = ("id", "kinds", "native", "seed")

    def __init__(self, call: Call) -> None:
        self.native = call.native or {}
        self.kinds: dict[str, Kind] = kinds_of(self.native.get("tools"))
        told = f"{call.id} {call.created} {call.started}"
        self.seed = OURS + blake2b(told.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        self.id = f"resp_{self.seed}"

    def item_id(self, kind: str, index: int) -> str:
        """The id of an item."""
        return f"{kind}_{self.seed}{index:04d}"

    def called(self, call: Json, index: int) -> Json:
        """The item of a call that begins; ``call`` holds its id and name."""
        kind = self.kinds.get(call["name"])
        beside = {"call_id": call["id"], "name": call["name"] if kind is None else kind.name}
        if kind is not None and kind.namespace:
            beside["namespace"] = kind.namespace
        if kind is not None and kind.custom:
            own = {"id": self.item_id("ctc", index), "type": "custom_tool_call", "status": "in_progress", "input": ""}
        else:
            own = {"id": self.item_id("fc", index), "type": "function_call", "status": "in_progress", "arguments": ""}
        return {**own, **beside}


def response_out(completion: Json, call: Call) -> Json:
    """Translate a whole answer; see :class:`aura.dialects.Front`."""
    client = Client(call)
    native = completion.get(NATIVE)
    if isinstance(native, dict):
        own = {key: client.native[key] for key in _ASKED if client.native.get(key) is not None}
        metadata = client.native.get("metadata") or {}
        return {**native, **own, "id": client.id, "metadata": metadata, "previous_response_id": _previous(client)}
    choice = (completion.get("choices") or [{}])[0]
    response = head_out(completion, call, client)
    finish = choice.get("finish_reason")
    response |= end_out(finish)
    status = "completed" if response["status"] == "completed" else "incomplete"
    response["output"] = items_out(choice, client, status)
    if isinstance(completion.get("usage"), dict):
        response["usage"] = usage_out(completion["usage"])
    return response


def end_out(finish: Any) -> Json:
    """Whether an answer is whole, and why not."""
    reason = _REASONS.get(str(finish))
    if reason is None:
        return {"status": "completed", "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def head_out(body: Json, call: Call, client: Client) -> Json:
    """A response, as far as it is known with its first chunk."""
    native = client.native
    reasoning = native.get("reasoning") or {}
    text = native.get("text") or {}
    limit = native.get("max_output_tokens")
    parallel = native.get("parallel_tool_calls")
    head: Json = {
        "id": client.id,
        "object": "response",
        "created_at": call.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": native.get("instructions"),
        "max_output_tokens": limit,
        "max_tool_calls": native.get("max_tool_calls"),
        "model": body.get("model") or "",
        "output": [],
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": _previous(client),
        "prompt_cache_key": native.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": native.get("safety_identifier"),
        "service_tier": body.get("service_tier") or "default",
        "store": native.get("store") is not False,
        "temperature": _number(native, "temperature"),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": native.get("tool_choice") or "auto",
        "tools": [_tool(tool) for tool in native.get("tools") or ()],
        "top_logprobs": native.get("top_logprobs") or 0,
        "top_p": _number(native, "top_p"),
        "truncation": native.get("truncation") or "disabled",
        "metadata": native.get("metadata") or {},
    }
    if native.get("user") is not None:
        head["user"] = native["user"]
    return head


def _previous(client: Client) -> Any:
    return client.native.get(PREVIOUS) or client.native.get("previous_response_id")


def _number(native: Json, key: str) -> float:
    value: float | None = native.get(key)
    return 1.0 if value is None else value


def _tool(tool: Json) -> Json:
    """A tool as it is repeated: with what a function has where the client did not say it."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": False, **tool}


def items_out(choice: Json, client: Client, status: str) -> list[Json]:
    """The items of a whole answer: reasoning, what is said, calls.

    Args:
        status: of the answer, and so of its last item.
    """
    message = choice.get("message") or {}
    items: list[Json] = []
    thought = thought_of(message)
    blocks = message.get("thinking_blocks")
    if thought or blocks:
        items.append(reasoning_out(client.item_id("rs", 0), thought, blocks))
    content: list[Json] = []
    text = text_of(message)
    if text:
        content.append(text_part(text, logprobs_out(choice.get("logprobs"))))
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        content.append({"type": "refusal", "refusal": message["refusal"]})
    if content:
        items.append(message_out(client.item_id("msg", len(items)), content, "completed"))
    calls = message.get("tool_calls") or []
    if not calls and message.get("function_call"):
        calls = [{"function": message["function_call"]}]
    for position, call in enumerate(calls):
        name, arguments = called_out(call)
        begun = client.called({"id": call_id(call.get("id"), client.seed, position), "name": name}, len(items))
        items.append(called_whole(begun, arguments, "completed"))
    if items and "status" in items[-1]:
        items[-1]["status"] = status
    return items


def message_out(name: str, content: list[Json], status: str) -> Json:
    """A message of the assistant's."""
    return {"id": name, "type": "message", "status": status, "content": content, "role": "assistant"}


def text_part(text: str, logprobs: list[Json]) -> Json:
    """A part that is text."""
    return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}


def reasoning_out(name: str, thought: str, blocks: Any) -> Json:
    """What was thought; what was signed goes along as what clients cannot read."""
    item: Json = {"id": name, "type": "reasoning", "summary": []}
    if thought:
        item["summary"] = [{"type": "summary_text", "text": thought}]
    sealed = seal(blocks) if isinstance(blocks, list) else None
    if sealed is not None:
        item["encrypted_content"] = sealed
    return item


def called_whole(item: Json, arguments: str, status: str) -> Json:
    """A call with all its arguments."""
    told = {"input": input_of(arguments)} if item["type"] == "custom_tool_call" else {"arguments": arguments or "{}"}
    return {**item, **told, "status": status}


def called_out(call: Json) -> tuple[str, str]:
    """The name and the arguments of a call."""
    function = call.get("function") or call.get("custom") or {}
    arguments = function.get("arguments") or function.get("input")
    return str(function.get("name") or ""), arguments if isinstance(arguments, str) else ""


def call_id(given: Any, seed: str, index: int) -> str:
    """A call's id; one of our own where its server gave none."""
    if isinstance(given, str) and given:
        return given
    return f"call_{blake2b(f'{seed} {index}'.encode(), digest_size=12).hexdigest()}"


def thought_of(message: Json) -> str:
    """What a message or a delta tells of thoughts."""
    for key in ("reasoning_content", "reasoning"):
        if isinstance(message.get(key), str) and message[key]:
            thought: str = message[key]
            return thought
    return ""


def text_of(message: Json) -> str:
    """What a message or a delta says."""
    content = message.get("content")
    return content if isinstance(content, str) else ""


def logprobs_out(logprobs: Any) -> list[Json]:
    """Probabilities of a choice, as a text part has them."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return []
    return [
        {**one, "bytes": one.get("bytes") or [], "top_logprobs": one.get("top_logprobs") or []}
        for one in content
        if isinstance(one, dict)
    ]


def usage_out(usage: Json) -> Json:
    """The counts."""
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, dict) else {}
    completion = completion if isinstance(completion, dict) else {}
    read, written = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": count(prompt.get("cached_tokens")),
            "cache_write_tokens": count(prompt.get("cache_creation_tokens")),
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": count(completion.get("reasoning_tokens"))},
        "total_tokens": read + written,
    }


def error_out(error: AuraError, request_id: str) -> Json:  # noqa: ARG001  (the shape of Front)
    """OpenAI's error object; a parameter of the translated body is told by the client's own name for it."""
    told = error.body()
    name = (error.param or "").partition("[")[0].partition(".")[0]
    if name in _OWN_NAMES:
        told["error"]["param"] = _OWN_NAMES[name]
    return told
