"""The items of a Responses request to a chat's messages: each call has its result, right behind it.

Facts
  - What the assistant did in one turn is several items: reasoning, a message, calls; in a chat it is one message.
  - A chat refuses a call without its result and a result without its call; both happen where a client was interrupted.
  - A tool's message holds text only: pictures and files of a result follow in the user's message.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...call import Json
from ..beyond import Beyond
from .parts import filled_in, object_in, parts_in, refuse, text_in
from .sealed import unseal
from .tools import CALLS, sent_name

NO_RESULT = "(no result)"
BESIDE = "(see what follows the results)"
_GAP = "\n\n"
_ROLES = ("user", "assistant", "system", "developer")
_RESULTS = ("function_call_output", "custom_tool_call_output")
# What tools that OpenAI runs did in earlier turns: it stays with OpenAI, the text around it goes on.
_PASSED_OVER = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_list_tools"}
    | {"mcp_call", "tool_search_call", "tool_search_output"}
)


def messages_in(items: Any, beyond: Beyond) -> list[Json]:
    """The messages that ``input`` becomes.

    Raises:
        BadRequest: an item is not what it should be; ``param`` is the path of what is wrong.
    """
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    if not isinstance(items, list):
        refuse("must be a string or an array of items", "input")
    chat = _Chat(beyond)
    for index, item in enumerate(items):
        chat.add(object_in(item, f"input[{index}]"), f"input[{index}]")
    return chat.finish()


class _Chat:
    """The messages so far; the assistant's turn that is open, and what came after it until the next one."""

    def __init__(self, beyond: Beyond) -> None:
        self._beyond = beyond
        self._messages: list[Json] = []
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._signed: list[Json] = []
        self._calls: list[Json] = []
        self._results: dict[str, Json] = {}
        self._media: list[Json] = []
        self._said: list[Json] = []

    def add(self, item: Json, where: str) -> None:
        """Take the next item."""
        kind = item.get("type") or ("message" if "role" in item else "")
        if not isinstance(kind, str) or not kind:
            refuse("must be a string", f"{where}.type")
        elif kind == "message":
            self._message(item, where)
        elif kind in CALLS:
            self._call(item, kind, where)
        elif kind in _RESULTS:
            self._result(item, where)
        elif kind == "reasoning":
            self._reasoning(item, where)
        elif kind not in _PASSED_OVER:
            self._beyond.needs(where)

    def finish(self) -> list[Json]:
        """All messages."""
        self._close()
        return self._messages

    def _message(self, item: Json, where: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            refuse(f"must be one of {', '.join(_ROLES)}", f"{where}.role")
        parts = parts_in(item.get("content"), f"{where}.content", self._beyond)
        if role == "assistant":
            self._begin()
            text = "".join(part["text"] for part in parts if part["type"] == "text")
            self._texts += [text] if text else []
            return
        plain = len(parts) == 1 and parts[0]["type"] == "text"
        self._said.append({"role": role, "content": parts[0]["text"] if plain else parts or ""})

    def _call(self, item: Json, kind: str, where: str) -> None:
        self._begin()
        if kind == "function_call":
            arguments = text_in(item, "arguments", where)
        else:
            arguments = orjson.dumps({"input": text_in(item, "input", where)}).decode()
        name = sent_name(filled_in(item, "name", where), item.get("namespace"))
        function = {"name": name, "arguments": arguments or "{}"}
        self._calls.append({"id": filled_in(item, "call_id", where), "type": "function", "function": function})

    def _result(self, item: Json, where: str) -> None:
        """Keep a result for its call; the last of several stands, and one without a call is left out."""
        call = filled_in(item, "call_id", where)
        parts = parts_in(item.get("output"), f"{where}.output", self._beyond)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        media = [part for part in parts if part["type"] != "text"]
        if any(known["id"] == call for known in self._calls):
            content = _GAP.join(texts) or (BESIDE if media else "")
            self._results[call] = {"role": "tool", "tool_call_id": call, "content": content}
            self._media += media

    def _reasoning(self, item: Json, where: str) -> None:
        self._begin()
        self._signed += unseal(item.get("encrypted_content"))
        for key in ("summary", "content"):
            given = item.get(key)
            if given is None:
                continue
            if not isinstance(given, list):
                refuse("must be an array", f"{where}.{key}")
            for index, part in enumerate(given):
                self._thoughts.append(text_in(object_in(part, f"{where}.{key}[{index}]"), "text", f"{where}.{key}"))

    def _begin(self) -> None:
        """The assistant speaks: an exchange that has been answered is over."""
        if self._said or self._results:
            self._close()

    def _close(self) -> None:
        """End an exchange: the assistant's turn, results in the order of its calls, then what was said."""
        if self._texts or self._calls:
            message: Json = {"role": "assistant", "content": _GAP.join(self._texts) or None}
            if self._thoughts and not self._signed:
                message["reasoning_content"] = _GAP.join(self._thoughts)
            if self._signed:
                message["thinking_blocks"] = self._signed
            if self._calls:
                message["tool_calls"] = self._calls
            self._messages.append(message)
        for call in self._calls:
            missing = {"role": "tool", "tool_call_id": call["id"], "content": NO_RESULT}
            self._messages.append(self._results.get(call["id"], missing))
        if self._media:
            self._messages.append({"role": "user", "content": self._media})
        self._messages += self._said
        self._texts, self._thoughts, self._signed, self._calls = [], [], [], []
        self._results, self._media, self._said = {}, [], []
