"""What an answer took, as the clients of other grammars are told it: whole numbers, whatever its server writes."""

from __future__ import annotations

from typing import Any

from ..call import MAX_COUNT, Call, Json
from ..estimate import estimate_tokens

_LETTERS = 4  # of a token, about


def count(value: Any) -> int:
    """A count, or 0. Some servers write theirs with a fraction of nought, which clients of strict types refuse."""
    return min(int(value), MAX_COUNT) if isinstance(value, int | float) and value > 0 else 0


def usage_or_guess(usage: Any, call: Call, letters: int) -> Json:
    """The server's own counts, else what the lengths suggest: clients that watch a window take nought at its word.

    Args:
        letters: how much was said.
    """
    if usage and isinstance(usage, dict):
        return usage
    return {"prompt_tokens": estimate_tokens(call.body), "completion_tokens": round(letters / _LETTERS)}
