"""The cache's size and age in Caffeine's words: ``maximumSize=10000,expireAfterWrite=1h``."""

from __future__ import annotations

from .problems import suggestion
from .units import duration, integer

_TOLERATED = ("initialCapacity", "maximumWeight", "recordStats", "softValues", "weakKeys", "weakValues")
_REFUSED = ("expireAfterAccess", "refreshAfterWrite")
_KNOWN = ("maximumSize", "expireAfterWrite")


def read(text: str) -> tuple[int | None, float | None, list[str]]:
    """Read a specification.

    Returns:
        The most entries and the seconds that each is kept, None where it does not say, and a sentence for each part
        that has no counterpart.

    Raises:
        ValueError: a part is unknown, malformed, or would mean something that Aura does not do.
    """
    entries, ttl, notes = None, None, []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name == "maximumSize":
            entries = _read(name, value)
        elif name == "expireAfterWrite":
            ttl = _age(name, value)
        elif name in _REFUSED:
            raise ValueError(f"{name} is not supported: an answer ages from when it was written; use expireAfterWrite")
        elif name in _TOLERATED:
            notes.append(f"{name} in the cache's spec has no counterpart and is ignored.")
        else:
            raise ValueError(f"{name!r} is not known{suggestion(name, [*_KNOWN, *_TOLERATED])}")
    return entries, ttl, notes


def _read(name: str, value: str) -> int:
    try:
        number = integer(value.replace("_", ""))
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError(f"{name} must be a whole number")
    return number


def _age(name: str, value: str) -> float:
    try:
        return duration(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
