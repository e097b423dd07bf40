"""A streamed answer in the Responses grammar: a response that begins, its items one after the other, its end.

Facts
  - The order is ``response.created``, ``response.in_progress``, then for each item ``output_item.added``, what it
    consists of, ``output_item.done``, then ``response.completed`` or ``incomplete`` with the whole response.
  - ``sequence_number`` counts the events; some older servers leave it out.
  - An error is told twice: as ``error``, which SDKs raise, and in ``response.failed``, which Codex reads.
See https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import Any

import orjson

from ... import sse
from ...call import Call, Chunk, Json
from ...errors import AuraError
from ..anthropic.calls import Calls
from .outbound import (
    NATIVE,
    Client,
    call_id,
    called_whole,
    end_out,
    head_out,
    logprobs_out,
    message_out,
    reasoning_out,
    text_of,
    text_part,
    thought_of,
    usage_out,
)
from .passed import Passed
from .tools import CALLS

_EVENTS = {"arguments": "function_call_arguments", "input": "custom_tool_call_input"}
# What an error's code may be in a response that failed.
_CODES = {"rate_limit_exceeded", "invalid_prompt"}


def writer(call: Call) -> EventWriter:
    """Begin to write a streamed answer; see :class:`aura.dialects.Front`."""
    return EventWriter(call)


class EventWriter:
    """Writes one streamed answer.

    A provider's own events are passed on as they are, and what they open and close is noted: if the stream breaks, what
    goes on with it is written behind them.
    """

    alive = b": keep-alive\n\n"

    def __init__(self, call: Call) -> None:
        self._call, self._client = call, Client(call)
        self._passed: Passed | None = None
        self._response: Json | None = None
        self._sequence = 0
        self._output: list[Json] = []
        self._item: Json | None = None  # the one that is open
        self._part = ""  # what its text is: output_text, refusal, summary; empty for calls
        self._at = 0  # the index of that part
        self._said: list[str] = []
        self._logprobs: list[Json] = []
        self._signed: list[Json] = []
        self._calls = Calls(self._client.seed, call_id)
        self._finish: Any = None
        self._usage: Json | None = None
        self._over = self._whole = False
        self._pieces: list[bytes] = []

    def write(self, chunks: list[Chunk], verbatim: bool) -> bytes:
        """Write some chunks; see :class:`aura.dialects.Writer`."""
        for chunk in chunks:
            if verbatim and chunk.data:
                self._pass_on(chunk)
            elif chunk.body is not None and not self._over:
                self._take_over()
                self._say(chunk.body)
        return self._written()

    def comment(self, text: str) -> bytes:
        """Write a comment."""
        return sse.comment(text)

    def end(self) -> bytes:
        """Write what ends the answer, as far as it is not written yet."""
        if not self._over:
            self._take_over()
            self._begin({})
            self._write_calls(self._calls.rest())
            end = end_out(self._finish)
            self._close(end["status"])
            self._over = True
            response = {**(self._response or {}), **end, "output": self._output}
            if self._usage is not None:
                response["usage"] = usage_out(self._usage)
            self._event(f"response.{end['status']}", response=response)
            self._keep(response)
        return self._written()

    def error(self, error: AuraError) -> bytes:
        """Write the error that ends a stream which cannot go on."""
        self._take_over()
        code = error.code if error.code in _CODES else "rate_limit_exceeded" if error.status == 429 else "server_error"
        self._begin({})
        self._event("error", code=error.code, message=error.message, param=error.param, **error.body())
        told = {"status": "failed", "error": {"code": code, "message": error.message}, "output": self._output}
        self._event("response.failed", response={**(self._response or {}), **told})
        return self._written()

    def _written(self) -> bytes:
        written = b"".join(self._pieces)
        self._pieces.clear()
        return written

    def _keep(self, response: Json) -> None:
        if self._call.kept is not None:
            self._call.kept(self._call, response)

    # A provider's own events

    def _pass_on(self, chunk: Chunk) -> None:
        if self._passed is None:
            self._passed = Passed()
        self._pieces += self._passed.feed(chunk)
        if self._passed.ended is not None and not self._over:
            self._over = True
            self._keep(self._passed.ended)

    def _take_over(self) -> None:
        """Go on in our own words where a provider's stopped."""
        passed, self._passed = self._passed, None
        if passed is None:
            return
        self._response, self._sequence, self._output = passed.response, passed.sequence, passed.output
        self._item, self._part, self._at, self._said = passed.item, passed.part, passed.at, passed.said
        if self._item is not None and not self._part:
            self._go_on_inside(self._item)

    def _go_on_inside(self, item: Json) -> None:
        """Open a part in a message that has none open, and end a call that is cut; the rest is closed as it is."""
        key = CALLS.get(item["type"])
        if key is not None:
            said = "".join(self._said)
            beside = {"name": item["name"]} if key == "arguments" else {}
            self._inside(f"response.{_EVENTS[key]}.done", **beside, **{key: said})
            self._done({**item, key: said, "status": "incomplete"})
        elif item["type"] == "message":
            self._part, self._at = "output_text", len(item.get("content") or ())
            self._inside("response.content_part.added", content_index=self._at, part=text_part("", []))

    # The words of other grammars

    def _say(self, body: Json) -> None:
        if isinstance(body.get("usage"), dict):
            self._usage = body["usage"]
        native = body.get(NATIVE)
        if isinstance(native, dict) and self._response is None:
            self._told_again(native, body)
        for choice in body.get("choices") or ():
            if choice.get("index"):
                continue
            self._finish = choice.get("finish_reason") or self._finish
            delta = choice.get("delta")
            if delta and not self._whole:
                self._begin(body)
                self._delta(delta, choice.get("logprobs"))

    def _told_again(self, native: Json, body: Json) -> None:
        """Write a stored response's own items."""
        self._begin(body)
        self._whole = True
        for item in native.get("output") or ():
            self._event("response.output_item.added", output_index=len(self._output), item=item)
            self._event("response.output_item.done", output_index=len(self._output), item=item)
            self._output.append(item)

    def _delta(self, delta: Json, logprobs: Any) -> None:
        if len(delta) == 1 and logprobs is None and delta.get("content").__class__ is str:  # nine of ten say no more
            if delta["content"]:
                self._piece("output_text", delta["content"])
            return
        thought = thought_of(delta)
        if thought:
            self._piece("summary", thought)
        blocks = delta.get("thinking_blocks")
        if isinstance(blocks, list) and blocks:
            if self._part != "summary":
                self._open("summary")
            self._signed += blocks
        text = text_of(delta)
        if text:
            self._piece("output_text", text, logprobs_out(logprobs))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._piece("refusal", refusal)
        calls = delta.get("tool_calls")
        if not calls and delta.get("function_call"):
            calls = [{"index": 0, "function": delta["function_call"]}]
        for position, call in enumerate(calls or ()):
            self._write_calls(self._calls.feed(call, position))

    def _write_calls(self, steps: list[tuple[Json | None, str]]) -> None:
        """Write what is to be told of calls: where one begins, and pieces of its arguments."""
        for call, piece in steps:
            if call is not None:
                self._close()
                self._begin_item(self._client.called(call, len(self._output)))
            if piece and self._item is not None:
                self._said.append(piece)
                if self._item["type"] == "function_call":
                    self._inside("response.function_call_arguments.delta", delta=piece)

    def _piece(self, part: str, text: str, logprobs: list[Json] | None = None) -> None:
        """Write a piece of a text, in the item that is open or in a new one."""
        if self._part != part:
            self._open(part)
        self._said.append(text)
        if part == "summary":
            self._inside("response.reasoning_summary_text.delta", summary_index=self._at, delta=text)
        elif part == "refusal":
            self._inside("response.refusal.delta", content_index=self._at, delta=text)
        else:
            self._logprobs += logprobs or ()
            told = logprobs or []
            self._inside("response.output_text.delta", content_index=self._at, delta=text, logprobs=told)

    # Items

    def _open(self, part: str) -> None:
        """Begin the item that holds a kind of text."""
        self._close()
        index = len(self._output)
        if part == "summary":
            self._begin_item(reasoning_out(self._client.item_id("rs", index), "", None))
            empty: Json = {"type": "summary_text", "text": ""}
            self._inside("response.reasoning_summary_part.added", summary_index=0, part=empty)
        else:
            self._begin_item(message_out(self._client.item_id("msg", index), [], "in_progress"))
            empty = text_part("", []) if part == "output_text" else {"type": "refusal", "refusal": ""}
            self._inside("response.content_part.added", content_index=0, part=empty)
        self._part, self._at = part, 0

    def _begin_item(self, item: Json) -> None:
        self._item, self._part, self._said, self._logprobs = item, "", [], []
        self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _close(self, status: str = "completed") -> None:
        """End the item that is open.

        Args:
            status: of the answer; that of an item which was cut is the same.
        """
        item, part, said = self._item, self._part, "".join(self._said)
        if item is None:
            return
        if part == "summary":
            item = self._close_summary(item, said)
        elif part in ("output_text", "refusal"):
            item = self._close_text(item, part, said, status)
        elif item["type"] in CALLS:
            item = self._close_call(item, said, status)
        self._done(item)

    def _done(self, item: Json) -> None:
        self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._item, self._part, self._said = None, "", []

    def _close_summary(self, item: Json, said: str) -> Json:
        told: Json = {"type": "summary_text", "text": said}
        self._inside("response.reasoning_summary_text.done", summary_index=self._at, text=said)
        self._inside("response.reasoning_summary_part.done", summary_index=self._at, part=told)
        whole = reasoning_out(item["id"], said, self._signed)
        self._signed = []
        return {**item, **whole, "summary": [*item.get("summary", ()), *whole["summary"]]}

    def _close_text(self, item: Json, part: str, said: str, status: str) -> Json:
        if part == "refusal":
            told: Json = {"type": "refusal", "refusal": said}
            self._inside("response.refusal.done", content_index=self._at, refusal=said)
        else:
            told = text_part(said, self._logprobs)
            text = {"text": said, "logprobs": self._logprobs}
            self._inside("response.output_text.done", content_index=self._at, **text)
        self._inside("response.content_part.done", content_index=self._at, part=told)
        return {**item, "content": [*(item.get("content") or ()), told], "status": status}

    def _close_call(self, item: Json, said: str, status: str) -> Json:
        item = called_whole(item, said, status)
        if item["type"] == "function_call":
            name, arguments = item["name"], item["arguments"]
            if not said:
                self._inside("response.function_call_arguments.delta", delta=arguments)
            self._inside("response.function_call_arguments.done", name=name, arguments=arguments)
        else:
            self._inside("response.custom_tool_call_input.delta", delta=item["input"])
            self._inside("response.custom_tool_call_input.done", input=item["input"])
        return item

    # Events

    def _begin(self, body: Json) -> None:
        if self._response is None:
            self._response = head_out(body, self._call, self._client)
            self._event("response.created", response=self._response)
            self._event("response.in_progress", response=self._response)

    def _inside(self, name: str, /, **members: Any) -> None:
        """An event of the item that is open."""
        item = self._item or {}
        self._event(name, item_id=item.get("id"), output_index=len(self._output), **members)

    def _event(self, name: str, /, **members: Any) -> None:
        data = {"type": name, "sequence_number": self._sequence, **members}
        self._sequence += 1
        self._pieces.append(sse.encode(orjson.dumps(data), name))
