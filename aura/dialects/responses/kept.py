"""What is kept of a response, as the beginning of the next one."""

from __future__ import annotations

from typing import Any

from ...call import Call, Json
from .outbound import Client

_PREFIXES = {"function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}
_NAMELESS = frozenset(
    {"message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning"}
)
_TEXTS = {"assistant": "output_text"}


def numbered(given: Any, call: Call) -> list[Json]:
    """The items of ``input``, each with a type and an id: a text is a message of the user's."""
    client = Client(call)
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    found = []
    for index, item in enumerate(items):
        kind = item.get("type") or "message"
        name = item.get("id")
        if not isinstance(name, str) or not name:
            name = client.item_id(f"{_PREFIXES.get(kind, 'msg')}_in", index)
        told = {**item, "type": kind, "id": name}
        if kind == "message" and isinstance(item.get("content"), str):
            part: Json = {"type": _TEXTS.get(item["role"], "input_text"), "text": item["content"]}
            told["content"] = [{**part, "annotations": []} if part["type"] == "output_text" else part]
        found.append(told)
    return found


def history_of(items: list[Json], response: Json, given: Any) -> list[Json]:
    """The input that goes on with a response: what it answered, its answer, and what is said now.

    Items lose their ids, where they need none: who gets them may not know them. So reasoning stays only if it is told
    by ``encrypted_content``.
    """
    own = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    before = [*items, *(response.get("output") or ())]
    return [_bare(item) for item in before if item.get("type") != "reasoning" or item.get("encrypted_content")] + own


def _bare(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "id"} if item.get("type") in _NAMELESS else item
