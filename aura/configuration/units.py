"""Values as people write them: durations, sizes, yes and no, lists.

A duration is ``60s``, ``500ms``, ``1h30m``, a number of seconds, or ISO 8601's ``PT1M`` as Spring takes it. A size is
``20MiB``, ``512KiB`` or a number of bytes; ``KB``, ``MB`` and ``GB`` count in 1024s too, as they do for Spring. Yes and
no are YAML's own words. Everything here raises ValueError with what would have been right, and without the value.
"""

from __future__ import annotations

import math
import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d))+", re.IGNORECASE | re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)", re.IGNORECASE | re.ASCII)
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|b|[kmgt]i?b?)", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_YES = frozenset({"true", "yes", "on", "y", "1"})
_NO = frozenset({"false", "no", "off", "n", "0"})


def duration(text: str) -> float:
    """Read a duration; seconds."""
    text = text.strip()
    iso = _ISO.fullmatch(text)
    if iso and any(iso.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in iso.groups())
        total = days * 86400 + hours * 3600 + minutes * 60 + seconds
    elif _DURATION.fullmatch(text):
        total = math.fsum(float(size) * _SECONDS[unit.lower()] for size, unit in _DURATION_PART.findall(text))
    elif _NUMBER.fullmatch(text):
        total = float(text)
    else:
        raise ValueError("must be a duration such as 60s, 500ms, 1h or PT60S")
    if not math.isfinite(total):
        raise ValueError("must be a duration of finite length")
    return total


def size(text: str) -> int:
    """Read a size; bytes."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError("must be a size such as 20MiB, 512KiB or a number of bytes")
    factor: int = 1024 ** _POWERS[match[2][:1].lower()]
    whole = float(match[1]) * factor
    if not math.isfinite(whole):
        raise ValueError("must be a size that a computer can hold")
    return round(whole)


def boolean(text: str) -> bool:
    """Read a yes or a no."""
    word = text.strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("must be true or false")


def integer(text: str) -> int:
    """Read a whole number."""
    text = text.strip()
    if not _INTEGER.fullmatch(text) or len(text) > 20:
        raise ValueError("must be a whole number")
    return int(text)


def number(text: str) -> float:
    """Read a finite number."""
    text = text.strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError("must be a number")
    return value


def names(text: str) -> list[str]:
    """Read a list separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
