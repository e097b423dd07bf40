"""Answers in Ollama's grammar: one object, or a line for each step of a stream.

Facts
  - The last object has ``done: true``, the reason of the end, the counts and durations in nanoseconds.
  - A tool call is told whole, its arguments an object.
  - An error in a stream is a line ``{"error": "..."}``; nothing follows it.
  - Blank lines and comments break clients, which read every line as JSON: a line that says nothing keeps a connection
    open.
  - Clients divide the counts by the durations: none of those is 0.
See https://docs.ollama.com/api/streaming
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from ...call import Call, Chunk, Json
from ...errors import AuraError
from ..assembly import Assembler
from ..counts import count, usage_or_guess

MEDIA_TYPE = "application/x-ndjson"
_NANO = 1_000_000_000
# What an answer says -> the members of an object that say it in one of the two grammars.
Told = Callable[[Json], Json]


def as_message(said: Json) -> Json:
    """What a chat's object holds."""
    return {"message": {"role": "assistant", **said}}


def as_response(said: Json) -> Json:
    """What a generation's object holds: the text by itself, what was thought beside it."""
    rest = {key: value for key, value in said.items() if key != "content"}
    return {"response": said["content"], **rest}


def whole_out(completion: Json, call: Call, told: Told) -> Json:
    """Translate a whole answer."""
    choice = (completion.get("choices") or [{}])[0]
    message = choice.get("message") or {}
    said = _said(message, call)
    calls = _calls_out(message)
    if calls:
        said["tool_calls"] = calls
    out = {**_head(completion, call), **told(said)}
    logprobs = _logprobs_out(choice)
    if logprobs:
        out["logprobs"] = logprobs
    usage = usage_or_guess(completion.get("usage"), call, _letters(said))
    return out | _end(choice, usage, call)


def _letters(said: Json) -> int:
    """How much is said: calls come whole, so what they take is the length of their JSON."""
    calls = orjson.dumps(said["tool_calls"]) if "tool_calls" in said else b""
    return len(said["content"]) + len(said.get("thinking", "")) + len(calls)


def error_out(error: AuraError, request_id: str) -> Json:  # noqa: ARG001  (the shape of Front)
    """Ollama's error: one text, which begins with the path of what is wrong.

    A path in brackets is one of the translated body, whose numbers are not the client's: the parameter's name is told.
    """
    where = (error.param or "").partition("[")[0]
    return {"error": f"{where}: {error.message}" if where else error.message}


def time_out(created: Any, call: Call) -> str:
    """Unix seconds as RFC 3339."""
    seconds = created if isinstance(created, int) and 0 <= created < 2**36 else call.created
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _head(body: Json, call: Call) -> Json:
    return {
        "model": body.get("model") or call.body.get("model") or "",
        "created_at": time_out(body.get("created"), call),
    }


def _said(message: Json, call: Call) -> Json:
    """What is said, and what was thought unless the client does not want to hear it."""
    said: Json = {"content": message.get("content") or message.get("refusal") or ""}
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str) and thought and (call.native or {}).get("think") is not False:
        said["thinking"] = thought
    return said


def _calls_out(message: Json) -> list[Json]:
    calls = message.get("tool_calls") or []
    if not calls and message.get("function_call"):
        calls = [{"function": message["function_call"]}]
    return [_call_out(call, index) for index, call in enumerate(calls)]


def _call_out(call: Json, index: int) -> Json:
    function = call.get("function") or {}
    if not function and call.get("custom"):
        custom = call["custom"]
        function = {"name": custom.get("name"), "arguments": {"input": custom.get("input") or ""}}
    told: Json = {"function": {"index": index, "name": function.get("name") or "", "arguments": _object(function)}}
    return {"id": call["id"], **told} if call.get("id") else told


def _object(function: Json) -> Json:
    """Arguments as an object; a model's broken JSON is told as a text, for the client to judge."""
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        return arguments
    if not isinstance(arguments, str) or not arguments.strip():
        return {}
    try:
        parsed = orjson.loads(arguments)
    except ValueError:
        return {"arguments": arguments}
    return parsed if isinstance(parsed, dict) else {"arguments": parsed}


def _logprobs_out(choice: Json) -> list[Any]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return content if isinstance(content, list) else []


def _end(choice: Json, usage: Json, call: Call) -> Json:
    """What the last object tells of the end."""
    finish = choice.get("finish_reason")
    # Ollama has no word for an answer that was filtered; "stop" would call it whole.
    reason = finish if finish in ("length", "content_filter") else "stop"
    out: Json = {"done": True, "done_reason": reason}
    prompt, output = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    if call.clock is None:
        return out | {"prompt_eval_count": prompt, "eval_count": output}
    total = max(2, int((call.clock() - call.started) * _NANO))
    until_first = min(total - 1, max(1, int((call.first_content_s or 0) * _NANO)))
    return out | {
        "total_duration": total,
        "load_duration": 1,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": until_first,
        "eval_count": output,
        "eval_duration": total - until_first,
    }


class LineWriter:
    """Writes one streamed answer.

    Ollama's own lines are passed on as they are; if the stream breaks, what goes on with it is written behind them.
    Tool calls, which other grammars tell in pieces, are told before the end, whole.
    """

    def __init__(self, call: Call, told: Told) -> None:
        self._call, self._told = call, told
        self._head = _head({}, call)
        self.alive = self._line({"content": ""})
        self._named = self._over = False
        self._calls: Assembler | None = None
        self._last: Json = {}
        self._usage: Json | None = None
        self._letters = 0  # that were said

    def write(self, chunks: list[Chunk], verbatim: bool) -> bytes:
        """Write some chunks; see :class:`aura.dialects.Writer`."""
        pieces: list[bytes] = []
        for chunk in chunks:
            body = chunk.body
            if body is not None:
                self._note(body)
            if verbatim:
                if chunk.data:
                    pieces.append(chunk.data + b"\n")
                    self._over = chunk.last
            elif body is not None:
                pieces += [self._line(said, choice) for choice, said in self._steps(body)]
        return b"".join(pieces)

    def _note(self, body: Json) -> None:
        """Keep what is told of the answer as a whole."""
        if not self._named and body.get("model"):
            self._head, self._named = _head(body, self._call), True
        if body.get("usage"):
            self._usage = body["usage"]
        for choice in body.get("choices") or ():
            if choice.get("finish_reason") and not choice.get("index"):
                self._last = choice

    def _steps(self, body: Json) -> list[tuple[Json, Json]]:
        """What is to be written of a chunk's choices, of which Ollama's clients know one; calls are kept."""
        steps = []
        for choice in body.get("choices") or ():
            delta = choice.get("delta")
            if choice.get("index") or not delta:
                continue
            if delta.get("tool_calls") or delta.get("function_call"):
                self._calls = self._calls or Assembler()
                called = {key: delta[key] for key in ("tool_calls", "function_call") if delta.get(key)}
                self._calls.add({"choices": [{"index": 0, "delta": called}]})
            said = _said(delta, self._call)
            if said["content"] or "thinking" in said:
                self._letters += _letters(said)
                steps.append((choice, said))
        return steps

    def _line(self, said: Json, choice: Json | None = None, end: Json | None = None) -> bytes:
        line = {**self._head, **self._told(said)}
        logprobs = _logprobs_out(choice) if choice else None
        if logprobs:
            line["logprobs"] = logprobs
        return orjson.dumps(line | (end or {"done": False})) + b"\n"

    def comment(self, text: str) -> bytes:  # noqa: ARG002  (the shape of Writer)
        """Nothing: the grammar has no comments."""
        return b""

    def end(self) -> bytes:
        """Write what ends the answer, as far as it is not written yet."""
        if self._over:
            return b""
        self._over = True
        written = b""
        if self._calls is not None:
            message = self._calls.completion()["choices"][0]["message"]
            said = {"content": "", "tool_calls": _calls_out(message)}
            self._letters += _letters(said)
            written = self._line(said)
        usage = usage_or_guess(self._usage, self._call, self._letters)
        return written + self._line({"content": ""}, end=_end(self._last, usage, self._call))

    def error(self, error: AuraError) -> bytes:
        """Write the one error that ends a stream which cannot go on."""
        return orjson.dumps(error_out(error, self._call.id)) + b"\n"
