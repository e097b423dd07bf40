"""What a canonical body holds beyond OpenAI's grammar, because the grammar that its client speaks has it.

The body of such a client keeps what its own grammar's providers can be told, and says under :data:`KEY` what that is,
so that every other provider gets plain OpenAI. A client of OpenAI's grammar cannot send the key: its name is refused.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from ..call import Json

KEY = "aura_native"
# Of a message and of a tool, in Anthropic's grammar alone.
_OF_MESSAGES = frozenset({"thinking_blocks", "content_blocks", "cache_control", "is_error"})
_OF_TOOLS = frozenset({"cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming"})
_OPENAIS_TOOLS = ("function", "custom")
_GAP = "\n\n"


@dataclass(slots=True)
class Beyond:
    """What a body holds beyond OpenAI's grammar.

    Args:
        gone: names of what the canonical body does not hold at all.
        lost: names of what is in it, and is told as dropped where the provider's grammar lacks it.
        quiet: names whose loss changes no answer, or that are said in OpenAI's words too.
        only: the path of the first thing that no other grammar can carry; empty if there is none.
    """

    gone: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    only: str = ""

    def needs(self, where: str) -> None:
        """Note something that no other grammar can carry."""
        self.only = self.only or where

    def json(self) -> Json:
        """As it stands in the body."""
        return {"lost": self.lost, "quiet": self.quiet, "only": self.only}


def only_of(body: Json) -> str:
    """The path of what only providers of the client's own grammar can be told; empty for most bodies."""
    mark = body.get(KEY)
    return mark["only"] if isinstance(mark, dict) else ""


def quiet_of(body: Json) -> list[str]:
    """The names whose loss changes no answer."""
    mark = body.get(KEY)
    found: list[str] = mark["quiet"] if isinstance(mark, dict) else []
    return found


def without(body: Json, kept: Container[str] = ()) -> tuple[Json, list[str]]:
    """A body with the mark, as plain OpenAI; and the names of what is lost.

    Args:
        body: it is not changed.
        kept: names that the provider's grammar has too.
    """
    mark: Json = body[KEY]
    lost = [name for name in mark["lost"] if name not in kept]
    left_out = {KEY, *(name for name in mark["quiet"] if name not in kept), *lost}
    out = {key: value for key, value in body.items() if key not in left_out}
    out["messages"] = [_plain_message(message) for message in out["messages"]]
    if "tools" in out:
        tools = [_plain_tool(tool) for tool in out["tools"] if tool.get("type") in _OPENAIS_TOOLS]
        if tools:
            out["tools"] = tools
        else:
            for key in ("tools", "tool_choice", "parallel_tool_calls"):
                out.pop(key, None)
    return out, lost


def _plain_message(message: Json) -> Json:
    out = {key: value for key, value in message.items() if key not in _OF_MESSAGES}
    content = out.get("content")
    if isinstance(content, list):
        out["content"] = _plain_content(content)
    if "tool_calls" in out:
        out["tool_calls"] = [_unmarked(call) for call in out["tool_calls"]]
    return out


def _plain_content(parts: list[Json]) -> Any:
    """Parts without marks; nothing but text becomes one text, which every server takes."""
    if all(part.get("type") == "text" for part in parts):
        return _GAP.join(part["text"] for part in parts)
    return [_unmarked(part) for part in parts]


def _unmarked(part: Json) -> Json:
    return {key: value for key, value in part.items() if key != "cache_control"} if "cache_control" in part else part


def _plain_tool(tool: Json) -> Json:
    return {key: value for key, value in tool.items() if key not in _OF_TOOLS}
