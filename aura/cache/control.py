"""What a call asks of the cache: the header ``Cache-Control``, the body's ``aura.cache`` and ``store``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..call import Call
from ..errors import AuraError, BadRequest

MAX_NAMESPACE = 128
# Modes of ``aura.cache``, as the directives of HTTP that mean the same.
_MODES: dict[str, tuple[str, ...]] = {
    "default": (),
    "refresh": ("no-cache",),
    "no-cache": ("no-cache",),
    "off": ("no-store",),
    "no-store": ("no-store",),
    "read-only": ("read-only",),
    "exact": ("exact",),
    "only-if-cached": ("only-if-cached",),
}
_OPTIONS = ("mode", "namespace", "ttl")
_SHORT = 64  # characters of a header that is worth remembering


@dataclass(frozen=True, slots=True)
class Control:
    """How the cache serves one call.

    Args:
        used: it has a part in the call at all.
        reads: a stored answer may be given.
        writes: the answer may be stored.
        alike: the answer to the same question in other words may be given.
        only_if_cached: nothing but a stored answer may be given.
        max_age: how old a stored answer may be, in seconds.
        ttl: for how many seconds the answer is stored; None: as configured.
        namespace: only calls of the same one share answers.
    """

    used: bool = True
    reads: bool = True
    writes: bool = True
    alike: bool = True
    only_if_cached: bool = False
    max_age: float | None = None
    ttl: float | None = None
    namespace: str = ""


_ORDINARY = Control()


def control_of(call: Call) -> Control:
    """Read what a call asks for; the stricter wins where header and body differ.

    Raises:
        BadRequest: an option is not what it should be; ``param`` is its path.
    """
    body = call.body
    if "cache-control" not in call.headers and "aura" not in body and "store" not in body:
        return _ORDINARY
    header = call.headers.get("cache-control")
    own = body.get("aura")
    option = own.get("cache") if isinstance(own, dict) else None
    stored = body.get("store") is not False
    asked = _ORDINARY if option is None else _of_option(option)
    if header is not None:
        of_header = _of_header if len(header) <= _SHORT else _of_header.__wrapped__
        asked = of_header(header, asked)
    return asked if stored else replace(asked, writes=False)


@lru_cache(maxsize=512)
def _of_header(header: str, asked: Control) -> Control:
    """What a call asks for whose body asks for the rest: the same few headers come again and again."""
    directives = _directives(header)
    asked = _with(asked, directives)
    if "max-age" in directives:
        asked = replace(asked, max_age=_seconds(directives["max-age"]))
    return asked


def _with(asked: Control, directives: dict[str, str] | tuple[str, ...]) -> Control:
    return replace(
        asked,
        used=asked.used and "no-store" not in directives,
        reads=asked.reads and "no-cache" not in directives,
        writes=asked.writes and "read-only" not in directives,
        alike=asked.alike and "exact" not in directives,
        only_if_cached=asked.only_if_cached or "only-if-cached" in directives,
    )


def _directives(header: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in header.lower().split(","))
    return {name.strip(): value.strip(' "') for name, _, value in pairs}


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit()):
        raise BadRequest("max-age must be a whole number of seconds", param="Cache-Control")
    return float(text[:32])


def _of_option(option: Any) -> Control:
    if isinstance(option, bool):
        return _ORDINARY if option else replace(_ORDINARY, used=False)
    if not isinstance(option, dict):
        raise BadRequest("aura.cache must be true, false or an object {ttl, namespace, mode}", param="aura.cache")
    for name in option:
        if name not in _OPTIONS:
            raise BadRequest(f"aura.cache takes {', '.join(_OPTIONS)}", param=f"aura.cache.{name}"[:128])
    mode = option.get("mode")
    mode = "default" if mode is None else mode
    if not isinstance(mode, str) or mode not in _MODES:
        raise BadRequest(f"aura.cache.mode must be one of {', '.join(_MODES)}", param="aura.cache.mode")
    asked = replace(_ORDINARY, ttl=_ttl(option.get("ttl")), namespace=_namespace(option.get("namespace")))
    return _with(asked, _MODES[mode])


def _ttl(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise BadRequest("aura.cache.ttl must be a number of seconds, not negative", param="aura.cache.ttl")
    return float(value)


def _namespace(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_NAMESPACE:
        raise BadRequest(
            f"aura.cache.namespace must be a string of at most {MAX_NAMESPACE} characters", param="aura.cache.namespace"
        )
    return value


def not_stored() -> AuraError:
    """What a call is told that wanted a stored answer or none."""
    return AuraError(
        "No stored answer fits the call, and it asked for nothing else (only-if-cached).",
        status=504,
        type="invalid_request_error",
        code="not_cached",
        should_retry=False,
    )
