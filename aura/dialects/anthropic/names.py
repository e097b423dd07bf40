"""Names of tools that are longer than OpenAI's grammar takes, there and back.

Anthropic takes 128 characters, OpenAI 64. The short name follows from the long one, so nothing is remembered.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from ...call import Json

MAX_NAME = 64
_KEPT = MAX_NAME - 17


def name_in(name: str) -> str:
    """The name in OpenAI's grammar; the same for the same name."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[:_KEPT]}_{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def long_names(native: Json | None) -> dict[str, str]:
    """The client's own names by those that were sent, where they differ.

    Args:
        native: the client's body.
    """
    tools: Any = (native or {}).get("tools") or ()
    names = [tool["name"] for tool in tools if isinstance(tool.get("name"), str)]
    return {name_in(name): name for name in names if len(name) > MAX_NAME}
