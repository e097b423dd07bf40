"""A provider's answers in the Responses grammar, whole and as events, to canonical ones.

Facts
  - ``response.completed``, ``incomplete`` and ``failed`` end a stream and hold the whole response; ``error`` comes
    before ``failed``, its members in the event or below ``error``.
  - Items of tools that the provider runs itself have events of their own; they are passed on; a chat has no like.
  - Some servers tell a text or arguments only when they are done.
  - Where OpenAI counts no tokens for an answer that was cut, the counts are nought.
See https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

import orjson

from ...call import Chunk, Json, Translation
from ...errors import Failure, Reason
from ...sse import Event
from .. import openai
from ..counts import count
from .outbound import NATIVE
from .tools import CALLS

_ENDS = ("completed", "incomplete", "failed", "cancelled")
_TEXTS = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning_content",
    "response.reasoning_text.delta": "reasoning_content",
}
_PIECES = {
    "response.function_call_arguments.delta": ("function", "arguments"),
    "response.custom_tool_call_input.delta": ("custom", "input"),
}
_HOLDERS = {"function_call": "function", "custom_tool_call": "custom"}
_GAP = "\n\n"


def response_in(body: Json, translation: Translation) -> Json:
    """A whole response as a chat's answer; see :class:`aura.dialects.Dialect`."""
    if body.get("error"):
        raise openai.error_inside(body["error"])
    output = body.get("output")
    if not isinstance(output, list):
        raise Failure(Reason.BAD_RESPONSE, "the response has no output")
    if body.get("status") in ("failed", "cancelled"):
        raise Failure(Reason.UNAVAILABLE, "the response ended without an answer")
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    for item in output:
        _put_item(message, item)
    finish = finish_of(body, bool(message.get("tool_calls")))
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    completion: Json = {
        "id": body.get("id") or "",
        "object": "chat.completion",
        "created": int(body.get("created_at") or translation.created),
        "model": body.get("model") or translation.model,
        "choices": [choice],
        NATIVE: body,
    }
    if isinstance(body.get("usage"), dict):
        completion["usage"] = usage_in(body["usage"])
    return completion


def _put_item(message: Json, item: Json) -> None:
    kind = item["type"]
    if kind == "message":
        for part in item.get("content") or ():
            if part["type"] in ("output_text", "refusal"):
                into, key = ("content", "text") if part["type"] == "output_text" else ("refusal", "refusal")
                message[into] = (message[into] or "") + part[key]
    elif kind in CALLS:
        message.setdefault("tool_calls", []).append(_call(item))
    elif kind == "reasoning":
        parts = [*(item.get("summary") or ()), *(item.get("content") or ())]
        if parts:
            told = _GAP.join(part["text"] for part in parts)
            message["reasoning_content"] = _GAP.join(filter(None, (message.get("reasoning_content"), told)))


def _call(item: Json) -> Json:
    holder, key = _HOLDERS[item["type"]], CALLS[item["type"]]
    name, given = item["name"], item.get(key) or ""
    if not (isinstance(name, str) and isinstance(given, str)):
        raise ValueError("a call's name and arguments are texts")
    return {"id": item["call_id"], "type": holder, holder: {"name": name, key: given}}


def finish_of(response: Json, calls: bool) -> str:
    """Why an answer ended, in a chat's word."""
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return "content_filter" if reason == "content_filter" else "length"
    return "tool_calls" if calls else "stop"


def usage_in(usage: Json) -> Json:
    """The counts, in a chat's words."""
    read, written = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    read = read if isinstance(read, dict) else {}
    written = written if isinstance(written, dict) else {}
    told, said = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    return {
        "prompt_tokens": told,
        "completion_tokens": said,
        "total_tokens": told + said,
        "prompt_tokens_details": {
            "cached_tokens": count(read.get("cached_tokens")),
            "cache_creation_tokens": count(read.get("cache_write_tokens")),
        },
        "completion_tokens_details": {"reasoning_tokens": count(written.get("reasoning_tokens"))},
    }


class EventReader:
    """Reads the events of one response."""

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._translation = translation
        self._head: Json = {"id": "", "created": translation.created, "model": translation.model}
        self._calls: dict[Any, int] = {}  # by item
        self._told: set[Any] = set()  # items whose content came in pieces

    def feed(self, event: Event) -> list[Chunk]:
        """Read one event; see :class:`aura.dialects.Reader`."""
        if event.data[:6] == b"[DONE]":
            return []
        body = orjson.loads(event.data)
        if not isinstance(body, dict):
            raise ValueError("an event is an object")
        kind = body.get("type") or event.name
        if not isinstance(kind, str) or not kind:
            raise ValueError("an event has a type")
        if kind == "error" or (body.get("error") and not kind.startswith("response.")):
            raise openai.error_inside(body.get("error") or body)
        chunk = Chunk(None, event.data, event.name or kind)
        if kind in _TEXTS:
            self._piece(body, {_TEXTS[kind]: _text(body)}, chunk)
            if isinstance(body.get("logprobs"), list) and body["logprobs"] and chunk.body is not None:
                chunk.body["choices"][0]["logprobs"] = {"content": body["logprobs"]}
        elif kind in _PIECES:
            holder, key = _PIECES[kind]
            index = self._calls[body.get("item_id")]
            self._piece(body, {"tool_calls": [{"index": index, holder: {key: _text(body)}}]}, chunk)
        elif kind.startswith("response.output_item."):
            self._item(kind.endswith(".done"), body["item"], chunk)
        elif isinstance(body.get("response"), dict):
            self._whole(kind.rpartition(".")[2], body["response"], chunk)
        return [chunk]

    def _piece(self, body: Json, delta: Json, chunk: Chunk) -> None:
        self._told.add(body.get("item_id"))
        self._say(delta, chunk)

    def _say(self, delta: Json, chunk: Chunk) -> None:
        chunk.body = self._chunk([{"index": 0, "delta": delta, "finish_reason": None}])
        chunk.content = True

    def _chunk(self, choices: list[Json]) -> Json:
        return {**self._head, "object": "chat.completion.chunk", "choices": choices}

    def _item(self, done: bool, item: Json, chunk: Chunk) -> None:
        """An item begins or is done; what was not told in pieces is told then."""
        name, kind = item.get("id"), item["type"]
        if kind in CALLS and name not in self._calls:
            self._calls[name] = len(self._calls)
            call = _call(item)
            if call[call["type"]].get(CALLS[kind]):
                self._told.add(name)
            self._say({"tool_calls": [{"index": self._calls[name], **call}]}, chunk)
        elif done and name not in self._told:
            message: Json = {"content": None, "refusal": None}
            _put_item(message, item)
            calls = message.pop("tool_calls", ())
            delta = {key: value for key, value in message.items() if value}
            if calls:
                delta["tool_calls"] = [{"index": self._calls[name], **calls[0]}]
            if delta:
                self._say(delta, chunk)
        if kind not in ("message", "reasoning"):
            chunk.content = True

    def _whole(self, word: str, response: Json, chunk: Chunk) -> None:
        """The response as it stands: at its beginning, and at its end."""
        for key, given in (("id", "id"), ("created", "created_at"), ("model", "model")):
            if response.get(given):
                self._head[key] = response[given]
        if word not in _ENDS:
            chunk.body = self._chunk([])
            return
        if response.get("error") or word in ("failed", "cancelled"):
            raise openai.error_inside(response.get("error") or {"code": "server_error"})
        finish = finish_of(response, bool(self._calls))
        chunk.body = self._chunk([{"index": 0, "delta": {}, "finish_reason": finish}])
        chunk.body[NATIVE] = response
        if isinstance(response.get("usage"), dict):
            chunk.body["usage"] = usage_in(response["usage"])
            chunk.usage = openai.usage_in(chunk.body["usage"])
        chunk.finished, chunk.last, self.complete = 1, True, True


def _text(body: Json) -> str:
    text = body["delta"]
    if not isinstance(text, str):
        raise ValueError("a delta is a text")
    return text


def reader(translation: Translation) -> EventReader:
    """Begin to read a streamed answer."""
    return EventReader(translation)
