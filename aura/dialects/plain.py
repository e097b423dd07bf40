"""A message, or a piece of one, in the plain form of OpenAI's grammar, whatever its server makes of that grammar.

Facts
  - Content is a text. Mistral tells it in parts where its model thinks: ``{"type": "thinking", "thinking": [{"type":
    "text", "text": "…"}]}``, then ``{"type": "text", "text": "…"}``.
  - Arguments are JSON in a text; some servers give the object itself.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..call import Json


def make_plain(said: Json) -> None:
    """Put what a message or a delta says into plain texts, in place."""
    content = said.get("content")
    if content.__class__ is list:
        thought = "".join(_text_of(part.get("thinking")) for part in content if isinstance(part, dict))
        said["content"] = "".join(_text_of(part.get("text")) for part in content if isinstance(part, dict))
        if thought and not said.get("reasoning_content"):
            said["reasoning_content"] = thought
    calls = said.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
            function["arguments"] = orjson.dumps(function["arguments"]).decode()


def _text_of(value: Any) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, list):
        return "".join(_text_of(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""
