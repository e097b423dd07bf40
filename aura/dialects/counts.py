"""What an answer took, for grammars that must say it, where the server that gave it does not."""

from __future__ import annotations

from typing import Any

from ..call import Call, Json, estimate_tokens

_LETTERS = 4  # of a token, about


def usage_or_guess(usage: Any, call: Call, letters: int) -> Json:
    """The server's own counts, else what the lengths suggest: clients that watch a window take nought at its word.

    Args:
        letters: how much was said.
    """
    if usage and isinstance(usage, dict):
        return usage
    return {"prompt_tokens": estimate_tokens(call.body), "completion_tokens": round(letters / _LETTERS)}
