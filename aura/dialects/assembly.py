"""From chunks to a whole answer and back: what a cache stores, and what a stream of a stored answer looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..call import Json

# Deltas of these fields are pieces of one text; whatever else a delta carries is taken as it is.
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


class Assembler:
    """Puts the chunks of one stream together."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._choices: dict[int, Json] = {}
        self._usage: Json | None = None

    def add(self, chunk: Json) -> None:
        """Take the next chunk, in canonical form."""
        for key, value in chunk.items():
            if key not in ("choices", "usage") and value and not self._head.get(key):
                self._head[key] = value
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            self._add_choice(choice)

    def _add_choice(self, piece: Json) -> None:
        index = piece.get("index") or 0
        choice = self._choices.setdefault(
            index,
            {
                "index": index,
                "message": {"role": "assistant", "content": None},
                "logprobs": None,
                "finish_reason": None,
            },
        )
        for key, value in piece.items():
            if key == "delta":
                _add_delta(choice["message"], value or {})
            elif key == "logprobs" and value and choice["logprobs"]:
                for name, items in value.items():
                    choice["logprobs"][name] = (choice["logprobs"].get(name) or []) + (items or [])
            elif value is not None:
                choice[key] = value

    def completion(self) -> Json:
        """The whole answer so far."""
        whole = {**self._head, "object": "chat.completion"}
        whole["choices"] = [self._choices[index] for index in sorted(self._choices)]
        for choice in whole["choices"]:
            for call in choice["message"].get("tool_calls") or ():
                call.pop("index", None)
        if self._usage:
            whole["usage"] = self._usage
        return whole


def _add_delta(message: Json, delta: Json) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for piece in value or ():
                _add_tool_call(message.setdefault("tool_calls", []), piece)
        elif key == "function_call" and value:
            call = message.setdefault("function_call", {"name": "", "arguments": ""})
            call["name"] += value.get("name") or ""
            call["arguments"] += value.get("arguments") or ""
        elif isinstance(value, str) and key in _TEXTS:
            message[key] = (message.get(key) or "") + value
        elif isinstance(value, list) and isinstance(message.get(key), list):
            message[key] = message[key] + value
        elif value is not None:
            message[key] = value


def _add_tool_call(calls: list[Json], piece: Json) -> None:
    index = piece.get("index")
    found = next((call for call in calls if index is not None and call.get("index") == index), None)
    if found is None:
        found = {"index": len(calls) if index is None else index, "type": "function"}
        found["function"] = {"name": "", "arguments": ""}
        calls.append(found)
    function = piece.get("function") or {}
    found["function"]["name"] += function.get("name") or ""
    found["function"]["arguments"] += function.get("arguments") or ""
    found.update({key: value for key, value in piece.items() if key not in ("function", "index") and value})


def completion_chunks(completion: Json, include_usage: bool) -> Iterator[Json]:
    """Say a whole answer as the chunks of a stream: role, content, finish reason, and usage if it was asked for."""
    head = {key: value for key, value in completion.items() if key not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    usage: Json = {"usage": None} if include_usage else {}
    for choice in completion.get("choices") or ():
        message, rest = choice.get("message") or {}, _beside_message(choice)
        delta: Json = {"role": message.get("role") or "assistant"}
        for key, value in message.items():
            if key != "role" and value is not None:
                delta[key] = _tool_deltas(value) if key == "tool_calls" else value
        delta.setdefault("content", None)
        yield {**head, "choices": [{"index": choice["index"], "delta": delta, **rest, "finish_reason": None}], **usage}
        yield {
            **head,
            "choices": [{"index": choice["index"], "delta": {}, "finish_reason": choice.get("finish_reason")}],
            **usage,
        }
    if include_usage:
        yield {**head, "choices": [], "usage": completion.get("usage")}


def _beside_message(choice: Json) -> Json:
    return {key: value for key, value in choice.items() if key not in ("index", "message", "finish_reason")}


def _tool_deltas(calls: Any) -> list[Json]:
    return [{"index": index, **{k: v for k, v in call.items() if k != "index"}} for index, call in enumerate(calls)]
