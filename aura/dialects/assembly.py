"""From chunks to a whole answer and back: what a cache stores, and what a stream of a stored answer looks like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..call import Json

# Deltas of these fields are pieces of one text; whatever else a delta carries is taken as it is.
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")

_PIECED = ("function", "custom", "index")
# Pieces that are kept apart: one of a few letters takes twenty times their room.
_LOOSE = 64
# What a piece of text consists of: nine of ten chunks say nothing else.
_PLAIN = frozenset(("index", "delta", "logprobs", "finish_reason"))


def plain_text(piece: Any) -> str:
    """The text of a piece of the first choice that says nothing else; empty for any other."""
    if piece.__class__ is dict and not piece.get("index") and _PLAIN.issuperset(piece):
        delta = piece.get("delta")
        if delta.__class__ is dict and len(delta) == 1:
            text = delta.get("content")
            if text.__class__ is str and piece.get("logprobs") is None and piece.get("finish_reason") is None:
                return text
    return ""


class Assembler:
    """Puts the chunks of one stream together. Texts are kept in pieces until they are asked for."""

    def __init__(self) -> None:
        self._head: Json = {}
        # Members of chunks that need no look any more; one of them only fills chunks up, and is none of the answer's.
        self._known = {"choices", "usage", "obfuscation"}
        self._choices: dict[int, _Choice] = {}
        self._first: list[str] | None = None  # the pieces of the first choice's text
        self._usage: Json | None = None
        self.in_tool_call = False
        """Whether the last thing said was a piece of a tool call: a model may be silent for long while it makes one."""

    def add(self, chunk: Json) -> None:
        """Take the next chunk, in canonical form."""
        if not self._known.issuperset(chunk):
            self._note_head(chunk)
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        for piece in chunk.get("choices") or ():
            index = piece.get("index") or 0
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index)
            choice.add(piece)
            delta = piece.get("delta") or {}
            if delta.get("content") or piece.get("finish_reason"):
                self.in_tool_call = False
            elif delta.get("tool_calls") or delta.get("function_call"):
                self.in_tool_call = True

    def say(self, text: str) -> None:
        """Take a further piece of the first choice's text, under a head that has been told."""
        first = self._first
        if first is None:
            choice = self._choices.setdefault(0, _Choice(0))
            first = self._first = choice.texts.setdefault("content", [])
        first.append(text)
        if len(first) > _LOOSE:
            first[:] = ["".join(first)]
        self.in_tool_call = False

    def _note_head(self, chunk: Json) -> None:
        for key, value in chunk.items():
            if key in self._known:
                continue
            self._head[key] = value  # an empty one is better than none, and stays until another comes
            if value:
                self._known.add(key)

    def completion(self) -> Json:
        """The whole answer so far."""
        whole = {**self._head, "object": "chat.completion"}
        whole["choices"] = [self._choices[index].whole() for index in sorted(self._choices)]
        if self._usage:
            whole["usage"] = self._usage
        return whole

    def one_text(self) -> Json | None:
        """The whole answer so far, if another model can go on with it: it is one text; None for any other."""
        if self.in_tool_call:
            return None
        whole = self.completion()
        choices = whole["choices"]
        message = choices[0]["message"] if len(choices) == 1 else {"tool_calls": True}
        if not isinstance(message.get("content"), str | None):
            return None
        # Another model's answer behind a refusal would be neither.
        return None if any(message.get(key) for key in ("tool_calls", "function_call", "refusal")) else whole


class _Choice:
    """One choice, as far as it has come."""

    def __init__(self, index: int) -> None:
        self._body: Json = {"index": index, "logprobs": None, "finish_reason": None}
        self._message: Json = {"role": "assistant", "content": None, "refusal": None}
        self.texts: dict[str, list[str]] = {}
        self._calls: list[_Call] = []
        self._function = _Call(None)

    def add(self, piece: Json) -> None:
        """Take the next piece."""
        if text := plain_text(piece):
            self._keep("content", text)
            return
        for key, value in piece.items():
            if key == "delta":
                self._add_delta(value or {})
            elif key == "logprobs" and isinstance(value, dict):
                so_far = self._body[key] or {}
                self._body[key] = {name: _appended(so_far.get(name), items) for name, items in value.items()}
            elif value is not None and (value != {} or key not in self._body):  # Azure ends with empty filter results
                self._body[key] = value

    def _keep(self, key: str, text: str) -> None:
        pieces = self.texts.setdefault(key, [])
        pieces.append(text)
        if len(pieces) > _LOOSE:
            pieces[:] = ["".join(pieces)]

    def _add_delta(self, delta: Json) -> None:
        message = self._message
        for key, value in delta.items():
            if value is None:
                continue
            if isinstance(value, str) and key in _TEXTS:
                self._keep(key, value)
            elif key == "tool_calls":
                for position, call in enumerate(value):
                    self._call_of(call, position).add(call)
            elif key == "function_call":
                self._function.add({"function": value})
            elif isinstance(value, list) and isinstance(message.get(key), list):
                message[key] = message[key] + value
            elif isinstance(value, dict) and isinstance(message.get(key), dict):
                message[key] = _joined(message[key], value)
            else:
                message[key] = value

    def _call_of(self, piece: Json, position: int) -> _Call:
        """The call that a piece belongs to: by its index, else by its id, else the last one.

        Where a server tells neither, names that come together are of several calls.
        """
        index, name = piece.get("index"), piece.get("id")
        if index is not None:
            found = next((call for call in self._calls if call.index == index), None)
        elif name:
            found = next((call for call in self._calls if call.members.get("id") == name), None)
        else:
            another = position > 0 and (piece.get("function") or {}).get("name")
            found = self._calls[-1] if self._calls and not another else None
        if found is None:
            found = _Call(index)
            self._calls.append(found)
        return found

    def whole(self) -> Json:
        """The choice as it stands in a whole answer."""
        message = {**self._message, **{key: "".join(pieces) for key, pieces in self.texts.items()}}
        if self._calls:
            message["content"] = message["content"] or None  # a stream begins before it knows that it says no text
            message["tool_calls"] = [call.whole() for call in self._calls]
        if self._function.name:
            message["function_call"] = self._function.function()
        index, rest = self._body["index"], {key: value for key, value in self._body.items() if key != "index"}
        return {"index": index, "message": message, **rest}


class _Call:
    """One tool call, as far as it has come."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.name = ""
        self.custom = False
        self.members: Json = {"type": "function"}
        self._arguments: list[str] = []

    def add(self, piece: Json) -> None:
        """Take the next piece."""
        function = piece.get("function") or piece.get("custom") or {}
        self.custom = self.custom or bool(piece.get("custom"))
        name = function.get("name")
        if name and name != self.name:  # some servers say the whole name with every piece
            self.name += name
        self._arguments.append(function.get("arguments") or function.get("input") or "")
        self.members.update({key: value for key, value in piece.items() if key not in _PIECED and value})

    def function(self) -> Json:
        """The name and the arguments."""
        return {"name": self.name, "arguments": "".join(self._arguments)}

    def whole(self) -> Json:
        """The call as it stands in a whole answer."""
        if self.custom:
            return {**self.members, "custom": {"name": self.name, "input": "".join(self._arguments)}}
        return {**self.members, "function": self.function()}


def _appended(items: Any, more: Any) -> Any:
    if isinstance(items, list) and isinstance(more, list):
        return items + more
    return items if more is None else more


def _joined(whole: Json, piece: Json) -> Json:
    """Spoken audio comes in pieces of ``data`` and ``transcript``; its other members come whole."""
    joined = {**whole, **piece}
    for key in ("data", "transcript"):
        if isinstance(whole.get(key), str) and isinstance(piece.get(key), str):
            joined[key] = whole[key] + piece[key]
    return joined


def completion_chunks(completion: Json, include_usage: bool) -> Iterator[Json]:
    """Say a whole answer as the chunks of a stream: role, content, finish reason, and usage if it was asked for."""
    head = {key: value for key, value in completion.items() if key not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    usage: Json = {"usage": None} if include_usage else {}
    for position, choice in enumerate(completion.get("choices") or ()):
        index = choice.get("index", position)
        message, rest = choice.get("message") or {}, _beside_message(choice)
        delta: Json = {"role": message.get("role") or "assistant"}
        for key, value in message.items():
            if key != "role" and value is not None:
                delta[key] = _tool_deltas(value) if key == "tool_calls" else value
        delta.setdefault("content", None)
        yield {**head, "choices": [{"index": index, "delta": delta, **rest, "finish_reason": None}], **usage}
        yield {
            **head,
            "choices": [{"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}],
            **usage,
        }
    if include_usage:
        yield {**head, "choices": [], "usage": completion.get("usage")}


def _beside_message(choice: Json) -> Json:
    return {key: value for key, value in choice.items() if key not in ("index", "message", "finish_reason")}


def _tool_deltas(calls: Any) -> list[Json]:
    told = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return [{"index": index, **{k: v for k, v in call.items() if k != "index"}} for index, call in enumerate(told)]
