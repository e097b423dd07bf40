"""How many tokens a prompt has, about, from its lengths alone: before a provider has counted them."""

from __future__ import annotations

from typing import Any

import orjson

from .call import Json

SIZED = frozenset(("tools", "functions", "response_format", "format"))
# What a part that is not text costs, about: a picture in high detail, a page or two of a document, half a minute.
_PART_TOKENS = {"image_url": 800, "file": 1500, "input_audio": 500}


def text_tokens(text: str) -> float:
    """Estimate the tokens of a text from its lengths alone: 4 characters each, more for what is not ASCII."""
    size = len(text)
    if text.isascii():
        return size / 4
    # Every byte beyond the first of a character adds: a Cyrillic letter counts 0.55, a Chinese character 0.85.
    return size / 4 + 0.3 * (len(text.encode("utf-8", "surrogatepass")) - size)


def estimate_tokens(body: Json) -> int:
    """Estimate the prompt tokens of a chat body, OpenAI's or Ollama's, with its tools and schema.

    Takes a few microseconds for a message: it looks at lengths, never at characters.
    """
    total = 0.0
    for message in body.get("messages") or ():
        if message.__class__ is dict:
            total += message_tokens(message, message.get("content"))
    return round(total + declared_tokens(body))


def declared_tokens(body: Json) -> float:
    """Estimate the tokens of what a body declares beside its messages: tools and schema."""
    if SIZED.isdisjoint(body):
        return 0.0
    return sum(len(orjson.dumps(body[key])) for key in SIZED if body.get(key)) / 4


def message_tokens(message: Json, content: Any) -> float:
    """Estimate the tokens of a message.

    Args:
        content: the message's own.
    """
    if content.__class__ is str and len(message) == 2 and "role" in message:
        return 4 + text_tokens(content)
    total = 4.0
    if isinstance(content, str):
        total += text_tokens(content)
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict):
                text = part.get("text")
                total += text_tokens(text) if isinstance(text, str) else _PART_TOKENS.get(str(part.get("type")), 0)
    if message.get("tool_calls"):
        total += len(orjson.dumps(message["tool_calls"])) / 4
    images = message.get("images")
    return total + _PART_TOKENS["image_url"] * len(images) if isinstance(images, list) else total
