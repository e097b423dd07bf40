"""OpenAI's chat grammar: the canonical form, so both directions leave a body as it is.

Facts
  - A stream's usage comes in a last chunk with ``choices: []``, only when ``stream_options.include_usage`` asked for it.
  - Azure opens a stream with ``choices: []`` and ``prompt_filter_results``, and may send chunks whose choice has no delta.
  - ``[DONE]`` ends a stream, but compatible servers leave it out; ``finish_reason`` is what tells a whole answer.
  - Compatible servers report an error under status 200 as an ``error`` member, or as ``finish_reason: "error"``.
Source: https://platform.openai.com/docs/api-reference/chat (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ..call import Chunk, Json, Model, Translation, Usage
from ..errors import Failure, Reason, reason_for_status
from ..sse import Decoder, Event

name = "openai"
DECODER = Decoder

# Ours alone: they steer the gateway and no provider knows them.
_OURS = ("aura", "fallbacks")
_CONTEXT_WORDS = ("maximum context length", "context window", "context length", "too many tokens", "prompt is too long")
_QUOTA_CODES = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "quota_exceeded"}
_POLICY_CODES = {"content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation", "content_moderation"}
_KINDS = {
    "rate_limit_exceeded": Reason.RATE_LIMITED,
    "rate_limit_error": Reason.RATE_LIMITED,
    "tokens": Reason.RATE_LIMITED,
    "requests": Reason.RATE_LIMITED,
    "server_error": Reason.SERVER_ERROR,
    "internal_server_error": Reason.SERVER_ERROR,
    "api_error": Reason.SERVER_ERROR,
    "invalid_request_error": Reason.INVALID_REQUEST,
    "invalid_api_key": Reason.AUTH,
    "authentication_error": Reason.AUTH,
    "permission_error": Reason.AUTH,
}
_CONTENT = ("content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio")


def request_out(body: Json, model: Model) -> Translation:
    """Forward the body with the target's model; a stream's usage is always asked for."""
    out = {key: value for key, value in body.items() if key not in _OURS}
    out["model"] = model.name
    if out.get("stream"):
        out["stream_options"] = {**(out.get("stream_options") or {}), "include_usage": True}
    return Translation(body=out, model=model.name, choices=out.get("n") or 1)


def response_in(body: Json, translation: Translation) -> Json:
    """Check that an answer is one, and leave it as it is."""
    if body.get("error"):
        raise error_inside(body["error"])
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Failure(Reason.BAD_RESPONSE, "the answer has no choices")
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise Failure(Reason.BAD_RESPONSE, "a choice has no message")
        if choice.get("finish_reason") == "error":
            raise Failure(Reason.UNAVAILABLE, "the answer ended in an error")
    if not body.get("model"):
        body["model"] = translation.model
    return body


def reader(translation: Translation) -> ChunkReader:
    """Begin to read a streamed answer."""
    return ChunkReader(translation)


class ChunkReader:
    """Reads ``chat.completion.chunk`` events and forwards their bytes."""

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._open = translation.choices

    def feed(self, event: Event) -> list[Chunk]:
        """Read one event; see :class:`aura.dialects.Reader`."""
        if event.data == b"[DONE]":
            return [Chunk(None, event.data, last=True)] if self.complete else []
        body = orjson.loads(event.data)
        if not isinstance(body, dict):
            raise ValueError("a chunk is an object")
        if body.get("error"):
            raise error_inside(body["error"])
        chunk = Chunk(body, event.data, event.name)
        for choice in body.get("choices") or ():
            _read_choice(choice, chunk)
        if chunk.finished:
            self._open -= chunk.finished
            self.complete = self._open <= 0
        if body.get("usage"):
            chunk.usage = usage_in(body["usage"])
        return [chunk]


def _read_choice(choice: Any, chunk: Chunk) -> None:
    if not isinstance(choice, dict):
        raise ValueError("a choice is an object")
    delta = choice.get("delta")
    if delta:
        for field in _CONTENT:
            if delta.get(field):
                chunk.content = True
                break
    finish = choice.get("finish_reason")
    if finish == "error":
        raise Failure(Reason.UNAVAILABLE, "the stream ended in an error")
    if finish:
        chunk.finished += 1


def usage_in(usage: Any) -> Usage:
    """Read a ``usage`` object; what is missing or odd counts as nothing."""
    if not isinstance(usage, dict):
        return Usage()
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    prompt = prompt if isinstance(prompt, dict) else {}
    completion = completion if isinstance(completion, dict) else {}
    return Usage(
        input=_count(usage.get("prompt_tokens")),
        output=_count(usage.get("completion_tokens")),
        cached_read=_count(prompt.get("cached_tokens")),
        cached_write=_count(prompt.get("cache_creation_tokens")),
        reasoning=_count(completion.get("reasoning_tokens")),
    )


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def error_in(status: int, headers: Mapping[str, str], body: bytes) -> Failure:  # noqa: ARG001  (the dialects' shape)
    """Read an answer whose status is not 200; a body that is not JSON leaves the status to decide."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return Failure(reason_for_status(status), status=status)
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else {}
    return _failure(error, status)


def error_inside(error: Any) -> Failure:
    """Read an error object that came under status 200."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 0
    return _failure(error, status)


def _failure(error: Any, status: int) -> Failure:
    if not isinstance(error, dict):
        return Failure(_reason(status, "", "", str(error or "")), str(error or ""), status=status)
    message = error.get("message")
    message = message if isinstance(message, str) else ""
    code, kind = str(error.get("code") or ""), str(error.get("type") or "")
    inner = error.get("innererror")
    if isinstance(inner, dict) and inner.get("code") in _POLICY_CODES:
        code = str(inner["code"])
    reason = _reason(status, code, kind, message)
    param = error.get("param")
    return Failure(
        reason,
        message,
        status=status,
        param=param if isinstance(param, str) else None,
        details={"innererror": inner} if reason is Reason.CONTENT_POLICY and isinstance(inner, dict) else None,
    )


def _reason(status: int, code: str, kind: str, message: str) -> Reason:
    if code in _POLICY_CODES:
        return Reason.CONTENT_POLICY
    if code in _QUOTA_CODES or kind in _QUOTA_CODES:
        return Reason.QUOTA
    if code == "context_length_exceeded":
        return Reason.CONTEXT_LENGTH
    if status in (0, 400, 413, 422) and any(words in message.lower() for words in _CONTEXT_WORDS):
        return Reason.CONTEXT_LENGTH
    if code in ("model_not_found", "DeploymentNotFound"):
        return Reason.MODEL_NOT_FOUND
    if status:
        return reason_for_status(status)
    return _KINDS.get(code) or _KINDS.get(kind) or Reason.UNAVAILABLE
