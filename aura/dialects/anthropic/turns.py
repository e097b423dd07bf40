"""Anthropic's turns to a chat's messages: each call has its result, in a message of its own, right behind it.

Facts
  - OpenAI refuses a call without its result and a result without its call; both happen where a client was interrupted.
  - A tool's message holds text only: pictures and documents of a result follow in the user's message.
  - Signed thinking is Anthropic's own; what has no signature came from another provider, through Aura.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...call import Json
from ..beyond import Beyond
from .blocks import block_in, object_in, parts_in, refuse, text_in
from .messages import NO_RESULT, signed
from .names import name_in
from .response import THOUGHTS, says_more

BESIDE = "(see what follows the results)"
_GAP = "\n\n"


def messages_in(turns: Any, beyond: Beyond) -> list[Json]:
    """The messages that turns become.

    Raises:
        BadRequest: a turn is not what it should be; ``param`` is the path of what is wrong.
    """
    if not isinstance(turns, list):
        refuse("must be an array of messages", "messages")
    if not turns:
        refuse("at least one message is required", "messages")
    chat = _Chat(beyond)
    for index, turn in enumerate(turns):
        chat.add(object_in(turn, f"messages.{index}"), f"messages.{index}")
    return chat.finish()


class _Chat:
    """The messages so far, and the user's side of the current exchange, which is open until the assistant speaks."""

    def __init__(self, beyond: Beyond) -> None:
        self._beyond = beyond
        self._messages: list[Json] = []
        self._calls: list[str] = []
        self._results: dict[str, Json] = {}
        self._media: list[Json] = []
        self._said: list[Json] = []

    def add(self, turn: Json, where: str) -> None:
        """Take the next turn."""
        role = turn.get("role")
        if role == "assistant":
            self._assistant(turn.get("content"), f"{where}.content")
        elif role == "user":
            self._user(turn.get("content"), f"{where}.content")
        elif role == "system":
            self._say("system", parts_in(turn.get("content"), f"{where}.content", self._beyond))
        else:
            refuse("must be user, assistant or system", f"{where}.role")

    def finish(self) -> list[Json]:
        """All messages."""
        self._close()
        return self._messages

    def _say(self, role: str, parts: list[Json]) -> None:
        plain = len(parts) == 1 and parts[0].keys() == {"type", "text"}
        self._said.append({"role": role, "content": parts[0]["text"] if plain else parts})

    def _user(self, content: Any, where: str) -> None:
        if not isinstance(content, list):
            self._say("user", parts_in(content, where, self._beyond))
            return
        rest: list[Json] = []
        for index, block in enumerate(content):
            here = f"{where}.{index}"
            if object_in(block, here).get("type") == "tool_result":
                self._result(block, here)
            else:
                rest += block_in(block, here, self._beyond)
        if rest or not content:
            self._say("user", rest)

    def _result(self, block: Json, where: str) -> None:
        """Keep a result for its call; the last of several stands, and one without a call is left out."""
        call = text_in(block, "tool_use_id", where)
        parts = parts_in(block.get("content") or "", f"{where}.content", self._beyond)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        media = [part for part in parts if part["type"] != "text"]
        message: Json = {"role": "tool", "tool_call_id": call, "content": _GAP.join(texts) or (BESIDE if media else "")}
        if block.get("is_error"):
            message["is_error"] = True
        mark = next((part["cache_control"] for part in [block, *reversed(parts)] if part.get("cache_control")), None)
        if mark:
            message["cache_control"] = mark
        if call in self._calls:
            self._results[call] = message
            self._media += media

    def _assistant(self, content: Any, where: str) -> None:
        self._close()
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list):
            refuse("must be a string or an array of blocks", where)
        blocks = [_block(block, f"{where}.{index}") for index, block in enumerate(content)]
        kept = [block for block in blocks if block["type"] not in THOUGHTS or signed(block)]
        message = _message(kept)
        if message is not None:
            self._messages.append(message)
            self._calls = [call["id"] for call in message.get("tool_calls", ())]

    def _close(self) -> None:
        """End the user's side of the exchange: results in the order of their calls, then what was said."""
        for call in self._calls:
            missing: Json = {"role": "tool", "tool_call_id": call, "content": NO_RESULT, "is_error": True}
            self._messages.append(self._results.get(call, missing))
        if self._media:
            self._messages.append({"role": "user", "content": self._media})
        self._messages += self._said
        self._calls, self._results, self._media, self._said = [], {}, [], []


def _block(block: Any, where: str) -> Json:
    """A block of an assistant's turn, checked as far as it is read here."""
    kind = text_in(object_in(block, where), "type", where)
    if kind in ("text", "thinking"):
        text_in(block, kind, where)
    elif kind == "tool_use":
        if not text_in(block, "id", where) or not text_in(block, "name", where):
            refuse("a tool_use block must have an id and a name", where)
        object_in(block.get("input"), f"{where}.input")
    found: Json = block
    return found


def _message(blocks: list[Json]) -> Json | None:
    """The message that an assistant's blocks become; None if they say nothing.

    What Anthropic's own tools found, and the order of interleaved blocks, are kept beside it, as an answer has them.
    """
    if not blocks:
        return None
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
    message: Json = {"role": "assistant", "content": text or (None if calls else "")}
    thoughts = [block for block in blocks if block["type"] in THOUGHTS]
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    if says_more(blocks):
        message["content_blocks"] = blocks
    else:
        marks = [block["cache_control"] for block in blocks if block["type"] == "text" and block.get("cache_control")]
        message |= {"cache_control": marks[-1]} if marks else {}
    return message


def _call(block: Json) -> Json:
    function = {"name": name_in(block["name"]), "arguments": orjson.dumps(block["input"]).decode()}
    call: Json = {"id": block["id"], "type": "function", "function": function}
    if block.get("cache_control"):
        call["cache_control"] = block["cache_control"]
    return call
