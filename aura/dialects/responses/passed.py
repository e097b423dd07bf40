"""A provider's own events on their way to the client, and what one must know of them to go on in their place.

The pieces of a text are known from what the reader has made of them: of those events no second look is taken.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson

from ... import sse
from ...call import Chunk, Json

# What closes a text: it waits for what comes behind it, since until then the answer may still break and be continued.
_CLOSING = ("response.output_text.done", "response.refusal.done", "response.content_part.done")
_SAID = (
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
)
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class Passed:
    """What was passed on so far.

    ``item`` is the one that is open, ``part`` what its text is (``output_text``, ``refusal``, ``summary``; empty for
    calls), ``at`` its index and ``said`` its pieces; ``output`` are the items that are done; ``ended`` is the whole
    response.
    """

    def __init__(self) -> None:
        self.response: Json | None = None
        self.output: list[Json] = []
        self.item: Json | None = None
        self.part = ""
        self.at = 0
        self.said: list[str] = []
        self.ended: Json | None = None
        self._held: list[tuple[bytes, str, Json]] = []
        self._count = 0
        self._last = b""

    @property
    def sequence(self) -> int:
        """The number of the next event."""
        last = orjson.loads(self._last).get("sequence_number") if self._last else None
        return last + 1 if isinstance(last, int) else self._count

    def feed(self, chunk: Chunk) -> list[bytes]:
        """Take the next event; returns the frames that go out now."""
        name, data = chunk.name, chunk.data
        frame = sse.encode(data.replace(b"\n", b" "), name)
        if name.endswith(".delta"):
            frames = [*self._let_go(), frame]
            self._sent(data)
            if name in _SAID and chunk.body is not None:
                self.said += _pieces(chunk.body["choices"][0]["delta"])
            return frames
        event = orjson.loads(data)
        if name in _CLOSING or (name == "response.output_item.done" and _is_message(event)):
            self._held.append((data, name, event))
            return []
        frames = [*self._let_go(), frame]
        self._sent(data)
        self._note(name, event)
        return frames

    def _let_go(self) -> list[bytes]:
        """What was held."""
        frames = []
        for data, name, event in self._held:
            frames.append(sse.encode(data.replace(b"\n", b" "), name))
            self._sent(data)
            self._note(name, event)
        self._held = []
        return frames

    def _sent(self, data: bytes) -> None:
        self._last = data
        self._count += 1

    def _note(self, name: str, event: Json) -> None:
        """Note what an event opens or closes; one that lacks what it should have opens and closes nothing."""
        with suppress(KeyError, TypeError, AttributeError):
            self._noted(name, event)

    def _noted(self, name: str, event: Json) -> None:
        if name == "response.output_item.added":
            self.item, self.part, self.said = event["item"], "", []
        elif name == "response.output_item.done":
            self.output.append(event["item"])
            self.item, self.part, self.said = None, "", []
        elif name == "response.content_part.added":
            self._open(str(event["part"]["type"]), event["content_index"])
        elif name == "response.reasoning_summary_part.added":
            self._open("summary", event["summary_index"])
        elif name == "response.content_part.done" and self.item is not None:
            self.item = {**self.item, "content": [*(self.item.get("content") or ()), event["part"]]}
            self.part = ""
        elif name == "response.reasoning_summary_part.done" and self.item is not None:
            self.item = {**self.item, "summary": [*(self.item.get("summary") or ()), event["part"]]}
            self.part = ""
        elif isinstance(event.get("response"), dict):
            self.response = event["response"]
            if name in _ENDS:
                self.ended = self.response

    def _open(self, part: str, index: Any) -> None:
        self.part, self.said = part, []
        self.at = index if isinstance(index, int) else 0


def _is_message(event: Any) -> bool:
    item = event.get("item") if isinstance(event, dict) else None
    return isinstance(item, dict) and item.get("type") == "message"


def _pieces(delta: Json) -> list[str]:
    """What a delta says: texts, or the arguments of a call."""
    found = [text for text in delta.values() if isinstance(text, str)]
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        found += [text for text in function.values() if isinstance(text, str)]
    return found
