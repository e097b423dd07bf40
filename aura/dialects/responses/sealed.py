"""Another provider's signed thinking in the place where OpenAI's clients keep what they cannot read.

Clients send ``encrypted_content`` back as they got it. Anthropic's thinking goes on only with its own signed blocks, so
they travel there, under a mark by which they are told from OpenAI's own.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any

import orjson

from ...call import Json
from ..anthropic.messages import signed

MARK = "aura1."


def seal(blocks: list[Json]) -> str | None:
    """The text that stands for signed blocks; None if there are none."""
    own = [block for block in blocks if signed(block)]
    return MARK + b64encode(orjson.dumps(own)).decode() if own else None


def unseal(text: Any) -> list[Json]:
    """The signed blocks that a text stands for; none where it is not ours, or not whole any more."""
    if not is_sealed(text):
        return []
    try:
        found = orjson.loads(b64decode(text[len(MARK) :], validate=True))
    except (binascii.Error, ValueError):
        return []
    return [block for block in found if signed(block)] if isinstance(found, list) else []


def is_sealed(text: Any) -> bool:
    """Whether a text was made here."""
    return isinstance(text, str) and text.startswith(MARK)
