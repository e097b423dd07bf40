"""From Anthropic's events to canonical chunks."""

from __future__ import annotations

from typing import Any

import orjson

from ...call import Chunk, Json, Translation
from ...sse import Event
from ..pieces import Alike, Piece
from .errors import failure
from .formats import content_of
from .response import THOUGHTS, end_in, head_in, name_in, refusal_in, says_more
from .usage import added, merged, service_tier_in, usage_in, usage_json

_DELTA = "content_block_delta"
_UNANNOUNCED = {"text_delta": "text", "thinking_delta": "thinking"}


def reader(translation: Translation) -> EventReader:
    """Begin to read a streamed answer."""
    return EventReader(translation)


def _text_of(body: Any) -> str:
    """The text of an event that is a piece of one; empty for any other."""
    text = body["delta"]["text"] if body["type"] == _DELTA and body["delta"]["type"] == "text_delta" else ""
    return text if isinstance(text, str) else ""


class _Block:
    """One content block, as far as it has come.

    Args:
        call: which of the client's tool calls it is, counted from 0; None for anything else.
        answer: it is the tool whose input is the answer.
    """

    __slots__ = ("answer", "body", "call", "kind", "pieces")

    def __init__(self, body: Json) -> None:
        self.body = body
        self.kind: str = body["type"]
        self.pieces: list[str] = []
        self.call: int | None = None
        self.answer = False

    def whole(self) -> Json:
        """The block as it stands in a whole answer."""
        text = "".join(self.pieces)
        if self.kind in ("text", "thinking"):
            self.body[self.kind] = text
        elif text:
            self.body["input"] = _parsed(text)
        return self.body


def _parsed(text: str) -> Json:
    try:
        parsed = orjson.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


class EventReader:
    """Reads the events of one streamed answer.

    The end of the answer is told with ``message_stop``: what ends before it is not whole, whatever its last words say.
    """

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._translation = translation
        self._head: Json | None = None
        self._told: Json = {}
        self._before: Json = {}
        self._open: dict[int, _Block] = {}
        self._alike = Alike(_text_of)
        self._speaking: list[str] = []  # the pieces of the block that such events belong to
        self._blocks: list[Json] = []
        self._calls = 0
        self._stop: Json = {}
        # Where the answer is to come through a tool, text before it is none: it is held until that is clear.
        self._json_tool = translation.memo.get("json_tool")
        self._answered = False
        self._held: list[str] | None = [] if self._json_tool else None

    def feed(self, event: Event) -> list[Chunk]:
        """Read one event; see :class:`aura.dialects.Reader`."""
        if self.complete:
            return []
        said = self._alike.text(event.data)
        if said:
            self._speaking.append(said)
            return [Piece(said, event.data, event.name or _DELTA, self._head)]
        body = orjson.loads(event.data)
        try:
            chunks = self._read(body, event)
        except (KeyError, TypeError, AttributeError):
            raise ValueError("an event has not the shape of its type") from None
        # Of what one event says, the first chunk carries its bytes.
        if chunks:
            first = chunks[0]
            first.data, first.name = event.data, event.name or body["type"]
            if first.text:
                self._alike.learn(first.data, first.text)
            return chunks
        return [Chunk(None, event.data, event.name or body["type"])]

    def _read(self, body: Any, event: Event) -> list[Chunk]:
        chunks: list[Chunk] = []
        kind = body.get("type") or event.name
        if kind == _DELTA:
            chunks = self._delta(body["delta"], body["index"])
        elif kind == "content_block_start":
            chunks = self._begin(body["index"], dict(body["content_block"]))
        elif kind == "content_block_stop":
            chunks = self._close(body["index"])
        elif kind == "message_start":
            chunks = self._start(body["message"])
        elif kind == "message_delta":
            chunks = self._end(body["delta"], body.get("usage"))
        elif kind == "message_stop":
            chunks = self._finish()
        elif kind == "error" or body.get("error"):
            raise failure(body)
        elif not kind:
            raise KeyError("type")
        return chunks

    def _start(self, message: Json) -> list[Chunk]:
        """The answer begins. Another beginning in the same stream goes on with the same answer."""
        usage = message.get("usage")
        chunks = []
        if self._head is None:
            chunks.append(self._chunk({"content": ""}, message))
        else:
            self._open.clear()
            self._alike.forget()
            self._before, self._told, self._stop = self._usage(), {}, {}
        self._told = merged(self._told, usage)
        if self._told:
            chunks.append(Chunk(None, usage=usage_in(self._usage())))
        return chunks

    def _usage(self) -> Json:
        return added(self._before, self._told) if self._before else self._told

    def _chunk(self, delta: Json, message: Json | None = None, content: bool = False) -> Chunk:
        head = self._head
        if head is None:
            head = self._head = head_in(message or {}, self._translation, "chat.completion.chunk")
            delta = {"role": "assistant", **delta}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return Chunk({**head, "choices": [choice]}, content=content)

    def _begin(self, index: int, body: Json) -> list[Chunk]:
        self._alike.forget()
        block = _Block(body)
        chunks: list[Chunk] = []
        if block.kind == "tool_use":
            chunks = self._begin_call(block)
        elif block.kind in ("text", "thinking"):
            text = body[block.kind]
            if text:
                chunks = self._say(block, text)
        elif block.kind not in THOUGHTS:
            chunks = [Chunk(None, content=True)]  # a tool of Anthropic's own is at work
        self._open[index] = block
        return chunks

    def _begin_call(self, block: _Block) -> list[Chunk]:
        name = name_in(block.body, self._translation)
        if self._json_tool and name == self._json_tool:
            block.answer = not self._answered
            self._answered, self._held = True, None
            return [Chunk(None, content=True)]
        chunks = self._release()
        block.call = self._calls
        self._calls += 1
        if self._translation.memo.get("functions"):
            if block.call == 0:
                chunks.append(self._chunk({"function_call": {"name": name, "arguments": ""}}, content=True))
            return chunks
        call = {
            "index": block.call,
            "id": str(block.body["id"]),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        chunks.append(self._chunk({"tool_calls": [call]}, content=True))
        return chunks

    def _delta(self, delta: Json, index: int) -> list[Chunk]:
        kind = delta["type"]
        block = self._open.get(index)
        if block is None:  # some servers do not announce their text
            block = self._open[index] = _Block({"type": _UNANNOUNCED[kind]})
        if kind == "text_delta":
            return self._say(block, delta["text"])
        if kind == "input_json_delta":
            return self._fill(block, delta["partial_json"])
        if kind == "thinking_delta":
            return self._say(block, delta["thinking"])
        if kind == "signature_delta":
            block.body["signature"] = (block.body.get("signature") or "") + delta["signature"]
        elif kind == "citations_delta":
            block.body["citations"] = [*(block.body.get("citations") or ()), delta["citation"]]
        return []

    def _say(self, block: _Block, text: str) -> list[Chunk]:
        if not isinstance(text, str):
            raise TypeError("a text is a text")
        if not text:
            return []
        block.pieces.append(text)
        if block.kind == "thinking":
            return [self._chunk({"reasoning_content": text}, content=True)]
        if self._held is not None:
            self._held.append(text)
            return [Chunk(None, content=True)]
        if self._answered:
            return []
        begun = self._head is not None
        chunk = self._chunk({"content": text}, content=True)
        if begun:
            chunk.text = text
        if self._speaking is not block.pieces:
            self._alike.forget()
            self._speaking = block.pieces
        return [chunk]

    def _release(self) -> list[Chunk]:
        """Say the text that was held: it is the answer after all."""
        held, self._held = self._held, None
        return [self._chunk({"content": "".join(held)}, content=True)] if held else []

    def _fill(self, block: _Block, piece: str) -> list[Chunk]:
        """Take a piece of a tool's input; empty ones say nothing."""
        if not isinstance(piece, str):
            raise TypeError("a piece of JSON is a text")
        if not piece:
            return []
        block.pieces.append(piece)
        return self._told_input(block, piece)

    def _told_input(self, block: _Block, piece: str) -> list[Chunk]:
        if block.answer:
            if self._translation.memo.get("wrapped"):
                return [Chunk(None, content=True)]
            return [self._chunk({"content": piece}, content=True)]
        if block.call is None:
            return [Chunk(None, content=True)]
        if self._translation.memo.get("functions"):
            return [self._chunk({"function_call": {"arguments": piece}}, content=True)] if block.call == 0 else []
        call = {"index": block.call, "function": {"arguments": piece}}
        return [self._chunk({"tool_calls": [call]}, content=True)]

    def _close(self, index: int) -> list[Chunk]:
        """A block ends: what can only be told whole is told now."""
        self._alike.forget()
        block = self._open.pop(index)
        chunks: list[Chunk] = []
        called = block.answer or block.call is not None
        if called and not block.pieces:  # no arguments, or all of them at the beginning
            given = block.body.get("input")
            chunks = self._fill(block, orjson.dumps(given if isinstance(given, dict) else {}).decode())
        whole = block.whole()
        if block.answer and self._translation.memo.get("wrapped"):
            chunks = [self._chunk({"content": content_of(whole.get("input") or {}, True)}, content=True)]
        elif block.kind in THOUGHTS:
            chunks = [self._chunk({"thinking_blocks": [whole]}, content=True)]
        self._blocks.append(whole)
        return chunks

    def _end(self, delta: Json, usage: Any) -> list[Chunk]:
        """The reason of the end; ``message_stop`` is still to come."""
        if delta.get("stop_reason") is not None:
            self._stop = delta
        self._told = merged(self._told, usage)
        return [Chunk(None, usage=usage_in(self._usage()))] if self._told else []

    def _finish(self) -> list[Chunk]:
        if not self._stop:
            return []
        chunks = [chunk for index in list(self._open) for chunk in self._close(index)]
        chunks += self._release()
        self.complete = True
        reason = self._stop["stop_reason"]
        delta: Json = {}
        refusal = refusal_in(reason, self._stop.get("stop_details"))
        if refusal:
            delta["refusal"] = refusal
        if not self._answered and says_more(self._blocks):
            delta["content_blocks"] = self._blocks
        chunk = self._chunk(delta)
        assert chunk.body is not None
        end = end_in(reason, self._stop.get("stop_sequence"), self._calls > 0, self._translation)
        chunk.body["choices"][0].update(end)
        chunk.finished = 1
        return [*chunks, chunk, self._usage_chunk()]

    def _usage_chunk(self) -> Chunk:
        told = self._usage()
        body: Json = {**(self._head or {}), "choices": [], "usage": usage_json(told)}
        tier = service_tier_in(told)
        if tier:
            body["service_tier"] = tier
        return Chunk(body, usage=usage_in(told), last=True)
