"""What green threads raise, on its way to those that wait for them.

Gateway errors leave the frames behind that they came through: these hold the call and whatever carries the error, which
holds the error, and the garbage collector alone would find them. What nobody expected is logged with its frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .errors import AuraError

T = TypeVar("T")


def carried(error: Exception) -> Exception:
    """The error that waits to be raised again."""
    return error.with_traceback(None) if isinstance(error, AuraError) else error


def caught(work: Callable[[], T]) -> T | Exception:
    """What some work returns or, instead of being raised, the exception that it ends with."""
    try:
        return work()
    except Exception as error:
        return carried(error)
