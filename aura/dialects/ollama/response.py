"""From Ollama's answers to canonical ones: whole, streamed, failed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from ...call import MAX_COUNT, Chunk, Json, Translation, Usage
from ...errors import Failure, Reason, reason_for_status
from ...estimate import estimate_tokens, text_tokens
from ...sse import Event
from ..openai import unreadable

_OPENED, _CLOSED = "<think>", "</think>"
_CONTEXT_WORDS = ("context length", "context window", "prompt too long", "prompt is too long", "exceeds the context")
_MODEL_WORDS = ("try pulling it", "no such model")
_QUOTA_WORDS = ("usage limit", "quota", "upgrade for higher limits", "insufficient credits")
# The model could not be brought up, or fell over: another try at once would find it no better.
_DOWN_WORDS = (
    "memory",
    "runner",
    "failed to load",
    "unable to load",
    "timed out waiting",
    "server busy",
    "maximum pending",
)


class Thoughts:
    """Takes ``<think>…</think>`` off the beginning of a text: how models thought before ``thinking`` was a field."""

    def __init__(self) -> None:
        self._state = "begin"
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """Take the next piece; return what of it is thought and what is content."""
        if self._state == "text":
            return "", text
        text, self._held = self._held + text, ""
        if self._state == "begin":
            begun = text.lstrip()
            if _OPENED.startswith(begun):  # nothing yet, or a part of the tag
                self._held = text
                return "", ""
            if not begun.startswith(_OPENED):
                self._state = "text"
                return "", text
            self._state, text = "thought", begun[len(_OPENED) :]
        return self._thought(text) if self._state == "thought" else ("", self._after(text))

    def _thought(self, text: str) -> tuple[str, str]:
        thought, closed, rest = text.partition(_CLOSED)
        if closed:
            self._state = "after"
            return thought, self._after(rest)
        for size in range(min(len(_CLOSED) - 1, len(text)), 0, -1):
            if _CLOSED.startswith(text[-size:]):
                self._held = text[-size:]
                return text[:-size], ""
        return text, ""

    def _after(self, text: str) -> str:
        text = text.lstrip("\n")
        if text:
            self._state = "text"
        return text

    def finish(self) -> tuple[str, str]:
        """Take the end of the text; return what was held back."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "thought" else ("", held)

    def off(self) -> None:
        """The answer tells its thoughts in a field of its own: tags in the content are content."""
        if not self._held:
            self._state = "text"


def response_in(body: Json, translation: Translation) -> Json:
    """Translate a whole answer; see :class:`aura.dialects.Dialect`."""
    if body.get("error"):
        raise _failure(body["error"], 0)
    message = body.get("message")
    if not isinstance(message, dict) or not body.get("done"):
        raise Failure(Reason.BAD_RESPONSE, "the answer is not a finished message")
    piece = _Piece(message)
    thoughts = Thoughts()
    if piece.thinking:
        thoughts.off()
    parts = (thoughts.feed(piece.content), thoughts.finish())
    text = "".join(content for _, content in parts)
    thinking = piece.thinking + "".join(thought for thought, _ in parts)
    calls = [_call_in(call, index, body, translation) for index, call in enumerate(piece.calls)]
    answer: Json = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if thinking:
        answer["reasoning_content"] = thinking
    finish = _finish_in(body.get("done_reason"), bool(calls), translation)
    if calls:
        _put_calls(answer, calls, translation)
    logprobs = _logprobs_in(body.get("logprobs"))
    choice = {"index": 0, "message": answer, "logprobs": logprobs, "finish_reason": finish}
    usage = _usage_in(body, text + thinking, translation)
    return {**_head(body, translation, "chat.completion"), "choices": [choice], "usage": _usage_json(usage)}


class _Piece:
    """What a message says, checked: text, thought and tool calls may share one line."""

    __slots__ = ("calls", "content", "thinking")

    def __init__(self, message: Json) -> None:
        self.content = message.get("content") or ""
        self.thinking = message.get("thinking") or ""
        self.calls = message.get("tool_calls") or []
        if not isinstance(self.content, str) or not isinstance(self.thinking, str) or not isinstance(self.calls, list):
            raise ValueError("content and thinking are strings, tool_calls a list")
        for call in self.calls:
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict) or not isinstance(function.get("name"), str):
                raise ValueError("a tool call names its function")


def _put_calls(answer: Json, calls: list[Json], translation: Translation) -> None:
    """Tool calls, or the one ``function_call`` that a client of the older grammar understands."""
    if translation.memo.get("functions"):
        answer["function_call"] = calls[0]["function"]
    else:
        answer["tool_calls"] = calls


def _head(line: Json, translation: Translation, kind: str) -> Json:
    return {
        "id": "chatcmpl-" + _digest(line, translation, "answer"),
        "object": kind,
        "created": created_in(line.get("created_at"), translation.created),
        "model": line.get("model") or translation.model,
    }


def _digest(line: Json, translation: Translation, what: str) -> str:
    """An id that no other answer and no other turn has: ``created_at`` counts nanoseconds."""
    turn = len(translation.body.get("messages") or ())
    seed = f"{line.get('created_at')} {line.get('model')} {translation.created} {turn} {what}"
    return blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def created_in(text: Any, otherwise: int) -> int:
    """RFC 3339 to Unix seconds."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (TypeError, ValueError, OverflowError):
        return otherwise


def _call_in(call: Json, index: int, line: Json, translation: Translation) -> Json:
    function = call["function"]
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    name = call.get("id")
    if not isinstance(name, str) or not name:
        name = "call_" + _digest(line, translation, f"{index} {function['name']}")
    return {"id": name, "type": "function", "function": {"name": function["name"], "arguments": text}}


def _finish_in(reason: Any, called: bool, translation: Translation) -> str:
    if reason == "length":
        return "length"
    if called:
        return "function_call" if translation.memo.get("functions") else "tool_calls"
    return "stop"  # also "load" and "unload", whose answer is empty


def _logprobs_in(items: Any) -> Json | None:
    return {"content": items, "refusal": None} if isinstance(items, list) and items else None


def _usage_in(line: Json, said: str, translation: Translation) -> Usage:
    """Count the tokens; a count that was left out is estimated."""
    load = line.get("load_duration")
    if isinstance(load, int | float) and load > 0:
        translation.memo["load_s"] = load / 1e9
    prompt, output = _count(line.get("prompt_eval_count")), _count(line.get("eval_count"))
    return Usage(
        input=prompt if prompt is not None else estimate_tokens(translation.body),
        output=output if output is not None else round(text_tokens(said)),
    )


def _count(value: Any) -> int | None:
    return min(int(value), MAX_COUNT) if isinstance(value, int | float) and value >= 0 else None


def _usage_json(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }


def reader(translation: Translation) -> LineReader:
    """Begin to read a streamed answer."""
    return LineReader(translation)


class LineReader:
    """Reads the lines of one streamed answer."""

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._translation = translation
        self._thoughts = Thoughts()
        self._head: Json = {}
        self._said: list[str] = []
        self._lines: list[bytes] = []
        self._indexes: set[int] = set()

    def feed(self, event: Event) -> list[Chunk]:
        """Read one line; see :class:`aura.dialects.Reader`."""
        return self.read(orjson.loads(event.data), event.data)

    def read(self, line: Any, data: bytes) -> list[Chunk]:
        """Read one line.

        Args:
            data: the same as bytes, which go with the last of its chunks.
        """
        if not isinstance(line, dict):
            raise ValueError("a line is an object")
        if line.get("error"):
            raise _failure(line["error"], 0)
        if self.complete:
            return []
        message = line.get("message") or {}
        if not isinstance(message, dict):
            raise ValueError("a message is an object")
        piece = _Piece(message)
        if not line.get("done") and "message" not in line:
            raise ValueError("a line holds a message")
        delta = self._delta(piece, line)
        chunks = []
        if delta:
            chunks.append(self._chunk(line, delta, logprobs=_logprobs_in(line.get("logprobs"))))
        if line.get("done"):
            self._end(line, chunks)
        self._lines.append(data)
        if chunks:  # a line that says nothing yet goes with the next one
            chunks[-1].data = b"\n".join(self._lines)
            self._lines.clear()
        return chunks

    def _delta(self, piece: _Piece, line: Json) -> Json:
        if piece.thinking:
            self._thoughts.off()
        thought, content = self._thoughts.feed(piece.content) if piece.content else ("", "")
        if line.get("done"):
            rest = self._thoughts.finish()
            thought, content = thought + rest[0], content + rest[1]
        delta: Json = {}
        if piece.thinking or thought:
            delta["reasoning_content"] = piece.thinking + thought
        if content:
            delta["content"] = content
        self._said += (piece.thinking, thought, content)
        if piece.calls:
            _put_calls(delta, [self._call(call, line) for call in piece.calls], self._translation)
        return delta

    def _call(self, call: Json, line: Json) -> Json:
        """The server's index, unless it is taken: each call comes whole, so a second one of that index is another."""
        index = call["function"].get("index")
        if not isinstance(index, int) or index < 0 or index in self._indexes:
            index = max(self._indexes, default=-1) + 1
        self._indexes.add(index)
        return {"index": index, **_call_in(call, index, line, self._translation)}

    def _chunk(self, line: Json, delta: Json, finish: str | None = None, logprobs: Json | None = None) -> Chunk:
        if not self._head:
            self._head = _head(line, self._translation, "chat.completion.chunk")
            delta = {"role": "assistant", **delta}
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return Chunk({**self._head, "choices": [choice]}, content=finish is None, finished=1 if finish else 0)

    def _end(self, line: Json, chunks: list[Chunk]) -> None:
        self.complete = True
        finish = _finish_in(line.get("done_reason"), bool(self._indexes), self._translation)
        chunks.append(self._chunk(line, {}, finish))
        usage = _usage_in(line, "".join(self._said), self._translation)
        body = {**self._head, "choices": [], "usage": _usage_json(usage)}
        chunks.append(Chunk(body, usage=usage, last=True))


def ratelimit_headers(headers: Mapping[str, str], now: float) -> dict[str, str]:  # noqa: ARG001  (the dialects' shape)
    """Ollama tells of no limits."""
    return {}


def error_in(status: int, headers: Mapping[str, str], body: bytes) -> Failure:  # noqa: ARG001  (the dialects' shape)
    """Read an answer whose status is not 200: ``{"error": "..."}``."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return unreadable(status)
    return _failure(parsed.get("error") if isinstance(parsed, dict) else None, status)


def _failure(error: Any, status: int) -> Failure:
    if isinstance(error, dict):
        error = error.get("message")
    message = error if isinstance(error, str) else ""
    return Failure(_reason(status, message.lower()), message, status=status)


def _reason(status: int, text: str) -> Reason:
    if status in (0, 400, 413, 422, 500) and any(words in text for words in _CONTEXT_WORDS):
        return Reason.CONTEXT_LENGTH
    if status in (0, 400, 404) and any(words in text for words in _MODEL_WORDS):
        return Reason.MODEL_NOT_FOUND
    if status in (402, 403, 429) and any(words in text for words in _QUOTA_WORDS):
        return Reason.QUOTA
    if status in (0, 500) and any(words in text for words in _DOWN_WORDS):
        return Reason.UNAVAILABLE
    return reason_for_status(status) if status else Reason.SERVER_ERROR
