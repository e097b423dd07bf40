"""What can go wrong, as facts: status, kind, whose fault it is, and whether another may try.

Two trees, so that blame is never mixed up:

- :class:`AuraError` is what a client is told (OpenAI's error object, any status).
- :class:`Failure` is what an upstream did. It never reaches a client as it is: :meth:`Failure.to_client` words it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_MESSAGE = 500
# What looks like a key, a bearer token or an address never leaves in a provider's own words.
_SECRETS = re.compile(
    r"""(?ix)
    bearer\s+\S+
    | \b(?:sk|pk|rk|org|proj|key|gsk|xai)[-_][\w*.-]{4,}
    | \b[\w-]*\*{3,}[\w-]*
    | \bhttps?://[^\s"'<>)]+
    | \b(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+)?(?:/[^\s"'<>)]*)?
    | \[[\da-f:]{3,}\](?::\d+)?
    | \blocalhost(?::\d+)?(?:/[^\s"'<>)]*)?
    | \b(?:[a-z\d-]+\.)+(?:com|net|org|io|ai|dev|app|cloud|local|internal|corp|lan|svc)\b(?::\d+)?(?:/[^\s"'<>)]*)?
    | (?<![\w.])(?:/[\w.@-]+){2,}
    | \b[a-z]:\\\S+
    """
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_PAGE = re.compile(r"(?i)<(?:!doctype|html|head|body|title|h1|center)\b")
_TRACE = "Traceback (most recent call last)"


def scrub(text: str, limit: int = MAX_MESSAGE) -> str:
    """Shorten a provider's text and take keys, addresses, paths and control characters out of it.

    Of a page or a traceback nothing is left: it helps no client.
    """
    if _PAGE.search(text):
        return ""
    text = text[: 4 * MAX_MESSAGE].partition(_TRACE)[0]
    return _SECRETS.sub("***", _CONTROL.sub(" ", text))[:limit].strip()


def scrubbed(value: object, depth: int = 0) -> object:
    """Scrub every text of a provider's details; what lies deeper than they go is left out."""
    if isinstance(value, str):
        return scrub(value, 200)
    if isinstance(value, dict) and depth < 6:
        return {scrub(str(key), 64): scrubbed(item, depth + 1) for key, item in list(value.items())[:32]}
    if isinstance(value, list) and depth < 6:
        return [scrubbed(item, depth + 1) for item in value[:32]]
    return value if isinstance(value, bool | int | float) else None


def _replaced(value: object, text: str, by: str) -> object:
    if isinstance(value, str):
        return value.replace(text, by)
    if isinstance(value, dict):
        return {key: _replaced(item, text, by) for key, item in value.items()}
    return [_replaced(item, text, by) for item in value] if isinstance(value, list) else value


class AuraError(Exception):
    """An answer to a client that is an error.

    Args:
        message: one sentence that says what the reader can do; never a key, a URL or a prompt.
        param: the path of the field that is wrong (``messages[0].role``).
        retry_after: whole seconds, where waiting helps.
        should_retry: what ``x-should-retry`` says; None leaves it to the status.
    """

    status = 500
    type = "server_error"
    code: str | None = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        type: str | None = None,  # noqa: A002  (OpenAI's own name for it)
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status or self.status
        self.type = type or self.type
        self.code = code or self.code
        self.retry_after = retry_after
        self._should_retry = should_retry
        self.details: dict[str, object] | None = None
        self.headers: dict[str, str] = {}

    @property
    def should_retry(self) -> bool:
        """Whether the same call may succeed later."""
        if self._should_retry is not None:
            return self._should_retry
        return self.status in (408, 409, 429) or self.status >= 500

    def body(self) -> dict[str, dict[str, object]]:
        """OpenAI's error object."""
        error: dict[str, object] = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": {**error, **(self.details or {})}}


class BadRequest(AuraError):
    """The client sent something that cannot be served."""

    status, type, code = 400, "invalid_request_error", "invalid_request"


class Unauthorized(AuraError):
    """The key is missing or unknown."""

    status, type, code = 401, "invalid_request_error", "invalid_api_key"


class Forbidden(AuraError):
    """The key is known but may not do this."""

    status, type, code = 403, "invalid_request_error", "insufficient_permissions"


class NotFound(AuraError):
    """No such path or model."""

    status, type, code = 404, "invalid_request_error", "not_found"


class MethodNotAllowed(AuraError):
    """The path exists, the method does not."""

    status, type, code = 405, "invalid_request_error", "method_not_allowed"


class RequestTimeout(AuraError):
    """The client was too slow to send its request."""

    status, type, code = 408, "invalid_request_error", "request_timeout"


class TooLarge(AuraError):
    """The body is over the limit."""

    status, type, code = 413, "invalid_request_error", "request_too_large"


class UnsupportedMediaType(AuraError):
    """The body is not JSON, or is compressed."""

    status, type, code = 415, "invalid_request_error", "unsupported_media_type"


class RateLimited(AuraError):
    """A limit of the caller's, or of all callers, is reached."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"


class Overloaded(AuraError):
    """Aura itself can take no more now."""

    status, type, code = 503, "server_error", "overloaded"


class UpstreamError(AuraError):
    """No provider could answer."""

    status, type, code = 502, "upstream_error", "provider_unavailable"


class ShuttingDown(Exception):
    """Thrown into a green thread whose worker must end soon: the answer ends now, and says so."""

    @staticmethod
    def told() -> AuraError:
        """What the client is told."""
        return Overloaded("The gateway is shutting down.", code="server_shutting_down")


class Reason(StrEnum):
    """Why an attempt failed: the label of ``aura_provider_failures_total``."""

    STALE = "stale_connection"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    AUTH = "auth"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_POLICY = "content_policy"
    MODEL_NOT_FOUND = "model_not_found"
    BAD_RESPONSE = "bad_response"
    INTERRUPTED = "interrupted"


class Same(StrEnum):
    """Whether the same target is asked again."""

    NEVER = "never"
    FREE = "free"  # at once, on a fresh connection, not counted
    ONCE = "once"  # once, if pinned or alone, at once
    ONCE_AFTER_JITTER = "once after jitter"  # once, if pinned or alone, after 50-500 ms
    BACKOFF = "backoff"  # if alone, with growing jittered waits
    AFTER_WAIT = (
        "after wait"  # once, if pinned or alone, after the provider's Retry-After (up to 3 s), else backoff if alone
    )


class Circuit(StrEnum):
    """What a failure means for the target's circuit."""

    NEUTRAL = "neutral"
    FAILURE = "failure"
    THROTTLED = "throttled"
    OPEN = "open"  # for 60 s at once


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a reason: a row of the table of attempts."""

    same: Same
    next: bool
    circuit: Circuit
    status: int  # 0: the provider's own status
    code: str
    message: str


RULES: dict[Reason, Rule] = {
    Reason.STALE: Rule(
        Same.FREE, True, Circuit.NEUTRAL, 502, "provider_unreachable", "The provider could not be reached."
    ),
    Reason.UNREACHABLE: Rule(
        Same.ONCE, True, Circuit.FAILURE, 502, "provider_unreachable", "The provider could not be reached."
    ),
    Reason.TIMEOUT: Rule(
        Same.NEVER, True, Circuit.FAILURE, 504, "upstream_timeout", "The provider did not answer in time."
    ),
    Reason.SERVER_ERROR: Rule(
        Same.ONCE_AFTER_JITTER, True, Circuit.FAILURE, 503, "provider_unavailable", "The provider failed to answer."
    ),
    Reason.UNAVAILABLE: Rule(
        Same.BACKOFF, True, Circuit.FAILURE, 503, "provider_unavailable", "The provider is unavailable or overloaded."
    ),
    Reason.RATE_LIMITED: Rule(
        Same.AFTER_WAIT, True, Circuit.THROTTLED, 429, "rate_limit_exceeded", "The provider's rate limit is reached."
    ),
    Reason.QUOTA: Rule(
        Same.NEVER, True, Circuit.OPEN, 503, "provider_quota_exceeded", "The provider's quota or credit is used up."
    ),
    Reason.AUTH: Rule(
        Same.NEVER, True, Circuit.OPEN, 502, "provider_auth_failed", "The provider refused the gateway's credentials."
    ),
    Reason.INVALID_REQUEST: Rule(
        Same.NEVER, False, Circuit.NEUTRAL, 0, "invalid_request", "The provider refused the request."
    ),
    Reason.CONTEXT_LENGTH: Rule(
        Same.NEVER, True, Circuit.NEUTRAL, 400, "context_length_exceeded", "The conversation is too long for the model."
    ),
    Reason.CONTENT_POLICY: Rule(
        Same.NEVER, False, Circuit.NEUTRAL, 400, "content_policy_violation", "The provider's content policy refused it."
    ),
    Reason.MODEL_NOT_FOUND: Rule(
        Same.NEVER, True, Circuit.NEUTRAL, 502, "provider_model_not_found", "The provider does not know the model."
    ),
    Reason.BAD_RESPONSE: Rule(
        Same.NEVER, True, Circuit.FAILURE, 502, "bad_upstream_response", "The provider's answer could not be read."
    ),
    Reason.INTERRUPTED: Rule(
        Same.NEVER, True, Circuit.FAILURE, 502, "stream_interrupted", "The provider's answer broke off."
    ),
}
# Reasons whose cause is in the request: the provider's own words help the client.
_WAITING_HELPS_NOT = {Reason.QUOTA, Reason.AUTH, Reason.MODEL_NOT_FOUND}
_CLIENTS_FAULT = {Reason.INVALID_REQUEST, Reason.CONTEXT_LENGTH, Reason.CONTENT_POLICY}


def reason_for_status(status: int) -> Reason:
    """The reason that a status alone tells; what the body says may be more exact."""
    if status in (401, 403):
        return Reason.AUTH
    if status == 500:
        return Reason.SERVER_ERROR
    known = {402: Reason.QUOTA, 404: Reason.MODEL_NOT_FOUND, 408: Reason.TIMEOUT, 429: Reason.RATE_LIMITED}
    if status in known:
        return known[status]
    if 400 <= status < 500:
        return Reason.INVALID_REQUEST
    return Reason.UNAVAILABLE if status > 500 else Reason.BAD_RESPONSE


class Failure(Exception):
    """What an upstream did instead of answering.

    Args:
        reason: the row of the table.
        message: the provider's own words, scrubbed here; empty if it said nothing.
        status: the upstream's HTTP status, 0 if there was none.
        retry_after: seconds the provider asked to wait, already read from any of its three forms.
        param: the field that the provider blamed.
        details: what the client should see beside the message (Azure's ``innererror``).
    """

    def __init__(
        self,
        reason: Reason,
        message: str = "",
        *,
        status: int = 0,
        retry_after: float | None = None,
        param: str | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        self.reason = reason
        self.message = scrub(message)
        self.status = status
        self.retry_after = retry_after
        self.param = scrub(param, 128) or None if param else None
        self.details = {key: scrubbed(value) for key, value in details.items()} if details else None
        self.limits: dict[str, str] = {}
        """The provider's rate limit headers, in OpenAI's names."""
        self.usage: Any = None
        """What the provider told of tokens before it failed, a :class:`aura.call.Usage`."""
        super().__init__(f"{reason.value}: {self.message}" if self.message else reason.value)

    def replace(self, text: str, by: str) -> None:
        """Replace a text in all that the provider said."""
        self.message = self.message.replace(text, by)
        self.param = self.param.replace(text, by) if self.param else self.param
        if self.details and text in str(self.details):
            self.details = {key: _replaced(value, text, by) for key, value in self.details.items()}

    @property
    def rule(self) -> Rule:
        """What follows from this failure."""
        return RULES[self.reason]

    def to_client(self, provider: str = "") -> AuraError:
        """Word the failure for the client, who must not be blamed for what is ours.

        Args:
            provider: the configured name of the provider that failed, if one alone is to be named.
        """
        rule = self.rule
        # A provider that answers 400 to a model's name blames the request, so the request is told.
        misnamed = self.reason is Reason.MODEL_NOT_FOUND and self.status == 400
        blame = self.reason in _CLIENTS_FAULT or misnamed
        message = self.message if blame and self.message else rule.message
        if provider and not blame:
            message = f"{message} ({provider})"
        status = 400 if misnamed else rule.status or (self.status if self.status in (400, 413, 422) else 400)
        error = UpstreamError(
            message,
            status=status,
            code=rule.code,
            type="invalid_request_error" if blame else "rate_limit_error" if status == 429 else "upstream_error",
            param=self.param if blame else None,
            retry_after=_client_wait(self, status),
            should_retry=False if blame or self.reason in _WAITING_HELPS_NOT else None,
        )
        error.details = self.details if blame else None
        error.headers = self.limits
        return error


def _client_wait(failure: Failure, status: int) -> float | None:
    if failure.reason is Reason.QUOTA or status not in (429, 503):
        return None
    return min(120.0, max(1.0, failure.retry_after or 1.0))
