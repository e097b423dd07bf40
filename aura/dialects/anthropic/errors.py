"""Anthropic's error object, and the headers that tell of limits.

Facts
  - An error is ``{"type": "error", "error": {"type", "message"}, "request_id"}``; the status may be 529.
  - A prompt that is too long and an account without credit are both a 400 ``invalid_request_error``.
See https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from ...call import Json
from ...errors import AuraError, Failure, Reason, reason_for_status

_KINDS = {
    "invalid_request_error": Reason.INVALID_REQUEST,
    "request_too_large": Reason.INVALID_REQUEST,
    "authentication_error": Reason.AUTH,
    "permission_error": Reason.AUTH,
    "billing_error": Reason.QUOTA,
    "not_found_error": Reason.MODEL_NOT_FOUND,
    "rate_limit_error": Reason.RATE_LIMITED,
    "timeout_error": Reason.TIMEOUT,
    "api_error": Reason.SERVER_ERROR,
    "overloaded_error": Reason.UNAVAILABLE,
}
_CONTEXT_WORDS = (
    "prompt is too long",
    "prompt: length",
    "exceed context limit",
    "exceeds context limit",
    "context window",
    "maximum context length",
    "too many total text bytes",
)
_QUOTA_WORDS = ("credit balance is too low", "usage limits", "billing", "purchase credits")
_POLICY_WORDS = ("content filtering policy", "usage policy", "usage policies")
# A type that says more than the status it came with.
_EXACT = {Reason.QUOTA, Reason.TIMEOUT}
_CLIENT_STATUSES = (0, 400, 402, 403, 413, 422)
# What a proxy in front may answer by itself and mean it; any other 4xx page is not Anthropic's.
_PROXY_STATUSES = (401, 402, 408, 413, 429)
# What a client is told; other statuses from 500 up are api_error, other ones invalid_request_error.
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_LIMITS = {"requests": ("requests",), "tokens": ("tokens", "input-tokens")}


def error_in(status: int, headers: Mapping[str, str], body: bytes) -> Failure:  # noqa: ARG001  (the dialects' shape)
    """Read an answer whose status is not 200; what is not JSON came from a proxy, and the status decides."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        foreign = 400 <= status < 500 and status not in _PROXY_STATUSES
        return Failure(Reason.BAD_RESPONSE if foreign else reason_for_status(status), status=status)
    return failure(parsed, status)


def failure(body: Any, status: int = 0) -> Failure:
    """Read an error object; ``status`` is 0 where it came under status 200."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        error = body if isinstance(body, dict) else {}
    message, kind = error.get("message"), error.get("type")
    message = message if isinstance(message, str) else ""
    return Failure(_reason(status, kind if isinstance(kind, str) else "", message.lower()), message, status=status)


def _reason(status: int, kind: str, text: str) -> Reason:
    if status in _CLIENT_STATUSES:
        if any(words in text for words in _QUOTA_WORDS):
            return Reason.QUOTA
        if any(words in text for words in _CONTEXT_WORDS):
            return Reason.CONTEXT_LENGTH
        if any(words in text for words in _POLICY_WORDS):
            return Reason.CONTENT_POLICY
    named = _KINDS.get(kind)
    if named is Reason.MODEL_NOT_FOUND and text.startswith("file"):
        return Reason.INVALID_REQUEST  # a file id that does not exist, not a model
    if not status:
        return named or Reason.UNAVAILABLE
    return named if named in _EXACT else reason_for_status(status)


def error_out(error: AuraError, request_id: str) -> Json:
    """Anthropic's error object.

    There is no ``param`` in it: its own messages begin with the path. A path in brackets is one of the translated body,
    whose numbers are not the client's: only the parameter's name is told.
    """
    kind = _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    where = (error.param or "").partition("[")[0]
    message = f"{where}: {error.message}" if where else error.message
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def request_id(headers: Mapping[str, str]) -> str:
    """Anthropic's own id of a request, for the log; lower-case names."""
    return headers.get("request-id", "")


def ratelimit_headers(headers: Mapping[str, str], now: float | None = None) -> dict[str, str]:
    """Say ``anthropic-ratelimit-*`` in OpenAI's names, whose resets are durations.

    Args:
        headers: lower-case names.
        now: Unix seconds; without it the answer's own ``date`` is taken.
    """
    out: dict[str, str] = {}
    for what, names in _LIMITS.items():
        found = next((name for name in names if f"anthropic-ratelimit-{name}-limit" in headers), "")
        for field in ("limit", "remaining"):
            value = headers.get(f"anthropic-ratelimit-{found}-{field}", "")
            if value.isascii() and value.isdigit():
                out[f"x-ratelimit-{field}-{what}"] = value
        wait = _until(headers.get(f"anthropic-ratelimit-{found}-reset", ""), headers.get("date", ""), now)
        if wait is not None:
            out[f"x-ratelimit-reset-{what}"] = f"{wait}s"
    return out


def ratelimit_out(headers: Mapping[str, str]) -> dict[str, str]:
    """Say the limits of a provider, which are told in OpenAI's names, in Anthropic's."""
    told = [(field, what) for field in ("limit", "remaining") for what in _LIMITS]
    return {
        f"anthropic-ratelimit-{what}-{field}": headers[f"x-ratelimit-{field}-{what}"]
        for field, what in told
        if f"x-ratelimit-{field}-{what}" in headers
    }


def _until(reset: str, date: str, now: float | None) -> int | None:
    """Whole seconds until an RFC 3339 time, never negative."""
    try:
        when = datetime.fromisoformat(reset.replace("Z", "+00:00"))
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        begin = parsedate_to_datetime(date).timestamp() if now is None else now
        return max(0, round(when.timestamp() - begin))
    except (ValueError, TypeError, OverflowError):
        return None
