"""A streamed answer in Anthropic's grammar: a message that begins, its blocks one after the other, its end.

Facts
  - The order is ``message_start``, then for each block ``content_block_start``, deltas, ``content_block_stop``, then
    ``message_delta`` with the reason of the end and the usage, then ``message_stop``; ``ping`` comes anywhere between.
  - Clients put a tool's input together from ``input_json_delta`` alone; what stands in ``content_block_start`` is lost.
  - An event's name is needed: SDKs skip what has none.
See https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from typing import Any

import orjson

from ... import sse
from ...call import Call, Chunk, Json
from ...errors import AuraError
from ..counts import usage_or_guess
from ..pieces import Piece
from .calls import Calls
from .errors import error_out
from .outbound import Client, blocks_out, head_out, stop_out, thoughts_out, usage_out

PING = sse.encode(b'{"type": "ping"}', "ping")
_THOUGHT = ("reasoning_content", "reasoning")
# How a block's content is told behind its beginning.
_DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
_TEXT = sse.encode(
    b'{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}', "content_block_delta"
)


def writer(call: Call) -> EventWriter:
    """Begin to write a streamed answer; see :class:`aura.dialects.Front`."""
    return EventWriter(call)


class EventWriter:
    """Writes one streamed answer.

    Anthropic's own events are passed on as they are, and what they open and close is noted: if the stream breaks, what
    goes on with it is written behind them.
    """

    def __init__(self, call: Call) -> None:
        self.alive = b": keep-alive\n\n"
        self._call, self._client = call, Client(call)
        self._begun = self._over = False
        self._index = -1  # of the last block
        self._open = ""  # its kind, while it is open
        self._calls = Calls(call.id)
        self._called = False
        self._pieces: list[bytes] = []
        self._end: Json = {}
        self._refused = ""
        self._usage: Json | None = None
        self._tier: Any = None
        self._letters = 0  # that were said
        self._held = b""  # the reason of the end, until it is one

    def write(self, chunks: list[Chunk], verbatim: bool) -> bytes:
        """Write some chunks; see :class:`aura.dialects.Writer`."""
        hidden = False
        if not (verbatim or self._begun):  # an answer that is there as a whole begins with what it took
            self._usage = next((told for chunk in reversed(chunks) if (told := (chunk.body or {}).get("usage"))), None)
        for chunk in chunks:
            if verbatim and chunk.data:
                self._pass_on(chunk)
            elif self._over:
                break
            elif self._open == "text" and isinstance(chunk, Piece):
                self._text(chunk.text)
            elif (body := chunk.body) is not None:
                self._note(body)
                if not verbatim:
                    hidden = self._say(body) or hidden
        written = b"".join(self._pieces)
        self._pieces.clear()
        # Thoughts that the client does not want are sent as signs of life.
        return PING if hidden and not written and self._begun else written

    def comment(self, text: str) -> bytes:
        """Write a comment."""
        return sse.comment(text)

    def end(self) -> bytes:
        """Write what ends the answer, as far as it is not written yet."""
        if not self._over:
            self._over = True
            self._begin({})
            self._write_calls(self._calls.rest())
            self._close()
            delta = stop_out(self._end, self._called or bool(self._calls), self._client, self._refused)
            self._event("message_delta", delta=delta, usage=usage_out(self._told_usage()))
            self._event("message_stop")
        written = b"".join(self._pieces)
        self._pieces.clear()
        return written

    def error(self, error: AuraError) -> bytes:
        """Write the one error that ends a stream which cannot go on."""
        return sse.encode(orjson.dumps(error_out(error, self._call.id)), "error")

    # Anthropic's own events

    def _pass_on(self, chunk: Chunk) -> None:
        """Forward an event. The reason of the end waits for ``message_stop``: before it, the answer may still break."""
        name, data = chunk.name, chunk.data
        frame = sse.encode(data.replace(b"\n", b" "), name)
        if name == "message_delta":
            self._held += frame
            return
        if self._held:
            self._pieces.append(self._held)
            self._held = b""
        self._pieces.append(frame)
        if name == "content_block_start":
            self._opened(orjson.loads(data))
        elif name == "content_block_stop":
            self._open = ""
        elif name == "message_start":
            self._begun, self.alive = True, PING
        elif name == "message_stop":
            self._over = True

    def _opened(self, event: Any) -> None:
        """Note which block is open; an event that lacks what it should have opens none."""
        block = event.get("content_block") if isinstance(event, dict) else None
        if isinstance(block, dict) and isinstance(event.get("index"), int) and isinstance(block.get("type"), str):
            self._index, self._open = event["index"], block["type"]
            self._called = self._called or self._open == "tool_use"

    # The words of other grammars

    def _note(self, body: Json) -> None:
        """Keep what is told of the end."""
        if body.get("usage"):
            self._usage = body["usage"]
        for choice in body.get("choices") or ():
            if choice.get("finish_reason"):
                self._end = choice

    def _say(self, body: Json) -> bool:
        """Write what a chunk says; True if it says only what the client does not want to hear."""
        hidden = False
        for choice in body.get("choices") or ():
            delta = choice.get("delta")
            if choice.get("index") or not delta:
                continue
            self._begin(body)
            hidden = self._delta(delta) or hidden
        return hidden

    def _delta(self, delta: Json) -> bool:
        if delta.get("content_blocks") and self._index < 0:
            self._blocks(blocks_out(delta, self._client, ""))
            return False
        own = delta.get("thinking_blocks")
        thought = next((delta[key] for key in _THOUGHT if isinstance(delta.get(key), str) and delta[key]), "")
        if own:
            self._thoughts(thoughts_out(delta, self._client))
        elif thought and self._client.thinks:
            self._piece("thinking", thought)
        text = delta.get("content")
        if isinstance(text, str) and text:
            self._piece("text", text)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._refused += refusal
            if not text and self._end.get("finish_reason") != "content_filter":
                self._piece("text", refusal)
        calls = delta.get("tool_calls")
        if not calls and delta.get("function_call"):
            calls = [{"index": 0, "function": delta["function_call"]}]
        for position, call in enumerate(calls or ()):
            self._write_calls(self._calls.feed(call, position))
        return bool(thought) and not (own or text or calls or self._client.thinks)

    def _write_calls(self, steps: list[tuple[Json | None, str]]) -> None:
        """Write what is to be told of calls: where one begins, and pieces of its arguments."""
        for call, piece in steps:
            if call is not None:
                name = self._client.name(call["name"])
                self._begin_block({"type": "tool_use", "id": call["id"], "name": name, "input": {}})
            if piece:
                self._letters += len(piece)
                self._told({"type": "input_json_delta", "partial_json": piece})

    def _thoughts(self, blocks: list[Json]) -> None:
        """Write signed thinking; of a block that is open already, the signature alone."""
        for block in blocks:
            signature = block.get("signature")
            if self._open == "thinking" and block["type"] == "thinking":
                if signature:
                    self._told({"type": "signature_delta", "signature": signature})
                self._close()
            else:
                self._blocks([block])

    def _blocks(self, blocks: list[Json]) -> None:
        """Write whole blocks, as they would have come."""
        for block in blocks:
            kind = block["type"]
            if kind == "tool_use":
                self._called = True
                self._begin_block({**block, "input": {}})
                given = orjson.dumps(block.get("input") or {}).decode()
                self._told({"type": "input_json_delta", "partial_json": given})
            elif kind in _DELTAS:
                self._text_block(block, *_DELTAS[kind])
            else:
                self._begin_block(block)
            self._close()

    def _text_block(self, block: Json, named: str, key: str) -> None:
        later: Json = {name: block[name] for name in ("citations", "signature") if block.get(name)}
        self._begin_block({**block, key: "", **{name: type(value)() for name, value in later.items()}})
        for citation in later.get("citations", ()):
            self._told({"type": "citations_delta", "citation": citation})
        self._told({"type": named, key: block[key]})
        if "signature" in later:
            self._told({"type": "signature_delta", "signature": later["signature"]})

    def _piece(self, kind: str, text: str) -> None:
        """Write a piece of a text, in the block that is open or in a new one."""
        if self._open != kind:
            empty: Json = {"type": kind, kind: ""}
            self._begin_block({**empty, "signature": ""} if kind == "thinking" else empty)
        if kind == "text":
            self._text(text)
            return
        named, key = _DELTAS[kind]
        self._letters += len(text)
        self._told({"type": named, key: text})

    def _text(self, text: str) -> None:
        self._letters += len(text)
        self._pieces.append(_TEXT % (self._index, orjson.dumps(text)))

    # Events

    def _begin(self, body: Json) -> None:
        if self._begun:
            return
        self._begun, self.alive = True, PING
        message = head_out(body, self._call)
        message["usage"] = usage_out(self._told_usage())
        self._event("message_start", message=message)

    def _told_usage(self) -> Json:
        return usage_or_guess(self._usage, self._call, self._letters)

    def _begin_block(self, block: Json) -> None:
        self._close()
        self._index += 1
        self._open = block["type"]
        self._event("content_block_start", index=self._index, content_block=block)

    def _told(self, delta: Json) -> None:
        self._event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> None:
        if self._open:
            self._open = ""
            self._event("content_block_stop", index=self._index)

    def _event(self, name: str, **members: Any) -> None:
        self._pieces.append(sse.encode(orjson.dumps({"type": name, **members}), name))
