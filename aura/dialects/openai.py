"""OpenAI's chat grammar: the canonical form, so both directions leave a body as it is.

Facts
  - A stream's usage comes in a last chunk with ``choices: []``, only if ``stream_options.include_usage`` asked for it.
  - Azure opens a stream with ``choices: []`` and ``prompt_filter_results``; its asynchronous filter sends choices
    without content.
  - ``[DONE]`` ends a stream, but compatible servers leave it out; ``finish_reason`` is what tells a whole answer.
  - Compatible servers report an error under status 200 as an ``error`` member, or as ``finish_reason: "error"``.
Source: https://platform.openai.com/docs/api-reference/chat (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ..call import MAX_COUNT, Chunk, Json, Model, Translation, Usage
from ..errors import Failure, Reason, reason_for_status
from ..sse import Decoder, Event, LineDecoder
from .assembly import plain_text
from .beyond import KEY, without
from .pieces import Alike, Piece
from .plain import make_plain

name = "openai"
DECODER: type[Decoder] | type[LineDecoder] = Decoder

# Ours alone: they steer the gateway and no provider knows them.
_OURS = frozenset(("aura", "fallbacks"))
MAX_STOP = 4
_CONTEXT_WORDS = (
    "maximum context length",
    "context window",
    "context length",
    "context size",
    "too many tokens",
    "prompt is too long",
    "prompt too long",
    "reduce the length of the messages",
)
_CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error"}
_MODEL_CODES = {"model_not_found", "DeploymentNotFound", "unknown_model", "not_found_error"}
_QUOTA_CODES = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "quota_exceeded"}
_QUOTA_WORDS = (
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credits",
    "credit balance is too low",
)
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
# What a proxy in front may answer by itself and mean it.
_PROXY_STATUSES = (401, 402, 408, 413, 429)
# How servers end a choice that failed under status 200.
_FAILED = {"error", "network_error"}
_CALLS = frozenset(("tool_calls", "function_call"))
_CONTENT = ("tool_calls", "content", "reasoning_content", "reasoning", "refusal", "function_call", "audio")


def request_out(body: Json, model: Model) -> Translation:
    """Forward the body with the target's model; a stream's usage is always asked for."""
    dropped: list[str] = []
    if KEY in body:
        body, dropped = without(body)
        _shorten_stop(body, dropped)
    out = body.copy()
    if not _OURS.isdisjoint(out):
        for key in _OURS:
            out.pop(key, None)
    out["model"] = model.name
    if out.get("stream"):
        given = out.get("stream_options")
        out["stream_options"] = {**(given if isinstance(given, dict) else {}), "include_usage": True}
    choices = out.get("n", 1)
    choices = choices if isinstance(choices, int) and choices > 0 else 1
    return Translation(out, dropped, {}, model.name, 0, choices)


def _shorten_stop(body: Json, dropped: list[str]) -> None:
    """Leave as many stop sequences as OpenAI takes."""
    if len(body.get("stop") or ()) > MAX_STOP:
        body["stop"] = body["stop"][:MAX_STOP]
        dropped.append("stop_sequences")


def capped(body: Json, max_tokens: int | None) -> Json:
    """The body with a lower output limit, under whichever names the client used; None caps nothing."""
    if max_tokens is None:
        return body
    asked = {name: body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None}
    return {**body, **{name: min(max_tokens, limit) for name, limit in (asked or {"max_tokens": max_tokens}).items()}}


def response_in(body: Json, translation: Translation) -> Json:
    """Check that an answer is one. It is left as it is, but for what every client reads and a server left out.

    What it says is made plain in place: whoever gets the answer's bytes gets what its server wrote.
    """
    if body.get("error") or body.get("object") == "error":
        raise error_inside(body.get("error") or body)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Failure(Reason.BAD_RESPONSE, "the answer has no choices")
    whole = list(map(_whole_choice, choices))
    if whole != choices:  # the same objects, as a rule, which are not looked into
        body = {**body, "choices": whole}
    if not body.get("model"):
        body["model"] = translation.model
    return body


def _whole_choice(choice: Any) -> Json:
    if not isinstance(choice, dict):
        raise Failure(Reason.BAD_RESPONSE, "a choice is no object")
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish.lower() in _FAILED:
        raise Failure(Reason.UNAVAILABLE, "the answer ended in an error")
    message = choice.get("message")
    if isinstance(message, dict):
        if message.get("content").__class__ is list or "tool_calls" in message:
            make_plain(message)
        return choice
    if finish == "content_filter":  # Azure then sends no message at all
        return {**choice, "message": {"role": "assistant", "content": None, "refusal": None}}
    raise Failure(Reason.BAD_RESPONSE, "a choice has no message")


def reader(translation: Translation) -> ChunkReader:
    """Begin to read a streamed answer."""
    return ChunkReader(translation)


class ChunkReader:
    """Reads ``chat.completion.chunk`` events and forwards their bytes."""

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._expected = translation.choices
        self._finished: set[int] = set()
        self._open: set[int] = set()
        self._alike = Alike(_text_of)

    def feed(self, event: Event) -> list[Chunk]:
        """Read one event; see :class:`aura.dialects.Reader`."""
        data = event.data
        said = self._alike.text(data)
        if said:
            return [Piece(said, data, event.name)]
        if data[:6] == b"[DONE]":
            return self._done(data)
        body = orjson.loads(data)
        if not isinstance(body, dict):
            raise ValueError("a chunk is an object")
        if body.get("error"):
            raise error_inside(body["error"])
        choices, usage = body.get("choices"), body.get("usage")
        if not usage and self._expected == 1 and choices.__class__ is list and len(choices) == 1:
            text = plain_text(choices[0])
            if text:
                self._alike.learn(data, text)
                return [Chunk(body, data, event.name, content=True, text=text)]
        chunk = Chunk(body, data, event.name)
        if choices:
            self._read(choices, chunk)
        elif event.name == "error" or body.get("object") == "error":
            raise error_inside(body)
        if usage and isinstance(usage, dict):
            chunk.usage = usage_in(usage)
        return [chunk]

    def _read(self, choices: Any, chunk: Chunk) -> None:
        if not isinstance(choices, list):
            raise ValueError("choices are a list")
        for choice in choices:
            self._choice(choice, chunk)

    def _done(self, data: bytes) -> list[Chunk]:
        """The end, as the server says; servers that do not know ``n`` give one choice where several were asked for."""
        if self._finished and not self._open:
            self.complete = True
        if not self.complete:  # nothing more will come, and the answer is not whole
            raise Failure(Reason.INTERRUPTED, "the stream ended without a finish_reason")
        return [Chunk(None, data, last=True)]

    def _choice(self, choice: Any, chunk: Chunk) -> None:
        if not isinstance(choice, dict):
            raise ValueError("a choice is an object")
        delta = choice.get("delta")
        if delta:
            if not isinstance(delta, dict):
                raise ValueError("a delta is an object")
            for field in _CONTENT:
                value = delta.get(field)
                if value:
                    chunk.content = True
                    if value.__class__ is not str or field in _CALLS:
                        _check_said(delta)
                    break
        index = choice.get("index") or 0
        if not isinstance(index, int):
            raise ValueError("an index is a number")
        if self._expected > 1 and index not in self._finished:
            self._open.add(index)
        finish = choice.get("finish_reason")
        if finish:
            self._finish(finish, index, chunk)

    def _finish(self, finish: Any, index: int, chunk: Chunk) -> None:
        """Count a choice's end once: some servers repeat it."""
        if not isinstance(finish, str):
            raise ValueError("a finish_reason is a text")
        if finish.lower() in _FAILED:
            raise Failure(Reason.UNAVAILABLE, "the stream ended in an error")
        if index not in self._finished:
            self._finished.add(index)
            self._open.discard(index)
            chunk.finished += 1
            self.complete = len(self._finished) >= self._expected


def _text_of(body: Any) -> str:
    return plain_text(body["choices"][0])


def _check_said(delta: Json) -> None:
    """Have what is more than a text in the form that it is taken for.

    Tool calls are put together from pieces, so the pieces must be what they are taken for.
    """
    make_plain(delta)
    if not isinstance(delta.get("content"), str | None):
        raise ValueError("content is a text, or parts of one")
    calls = delta.get("tool_calls") or [{"function": delta.get("function_call")}]
    if not isinstance(calls, list):
        raise ValueError("tool_calls are a list")
    for call in calls:
        if not isinstance(call, dict) or not isinstance(call.get("index", 0), int | None):
            raise ValueError("a tool call is an object with a number for its index")
        function = call.get("function") or {}
        if not isinstance(function, dict):
            raise ValueError("a function is an object")
        if not all(isinstance(function.get(key), str | None) for key in ("name", "arguments")):
            raise ValueError("a function's name and arguments are texts")


def usage_in(usage: Any) -> Usage:
    """Read a ``usage`` object; what is missing or odd counts as nothing."""
    if not isinstance(usage, dict):
        return Usage()
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    if prompt is None and completion is None:
        return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))
    prompt = prompt if isinstance(prompt, dict) else {}
    completion = completion if isinstance(completion, dict) else {}
    total, written = _count(usage.get("prompt_tokens")), _count(prompt.get("cache_creation_tokens"))
    lasting = prompt.get("cache_creation_token_details")
    hour = _count(lasting.get("ephemeral_1h_input_tokens")) if isinstance(lasting, dict) else 0
    return Usage(
        input=total,
        output=_count(usage.get("completion_tokens")),
        cached_read=min(total, _count(prompt.get("cached_tokens"))),  # some servers count more than there was
        cached_write=written,
        reasoning=_count(completion.get("reasoning_tokens")),
        cached_write_1h=min(written, hour),
    )


def _count(value: Any) -> int:
    if value.__class__ is int and 0 <= value <= MAX_COUNT:
        return value
    return min(int(value), MAX_COUNT) if isinstance(value, (int, float)) and value > 0 else 0


def error_in(status: int, headers: Mapping[str, str], body: bytes) -> Failure:  # noqa: ARG001  (the dialects' shape)
    """Read an answer whose status is not 200; see :func:`unreadable` for a body that is not JSON."""
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return unreadable(status)
    if isinstance(parsed, list) and parsed:  # Gemini's compatible address wraps its error in a list
        parsed = parsed[0]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else {}
    return _failure(error, status)


def unreadable(status: int) -> Failure:
    """Judge a failed answer that is not JSON: a page of some proxy, which blames the client's request for nothing."""
    foreign = 400 <= status < 500 and status not in _PROXY_STATUSES
    return Failure(Reason.BAD_RESPONSE if foreign else reason_for_status(status), status=status)


def ratelimit_headers(headers: Mapping[str, str], now: float) -> dict[str, str]:  # noqa: ARG001  (the dialects' shape)
    """The rate limit headers of an answer: the names are OpenAI's own."""
    return {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}


def error_inside(error: Any) -> Failure:
    """Read an error object that came under status 200."""
    status = 0
    for key in ("code", "status"):
        value = error.get(key) if isinstance(error, dict) else None
        number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
        if isinstance(number, int) and 400 <= number < 600:
            status = number
    return _failure(error, status)


def _failure(error: Any, status: int) -> Failure:
    if not isinstance(error, dict):
        return Failure(_reason(status, "", "", str(error or "")), str(error or ""), status=status)
    message, place = _words(error)
    code, kind = str(error.get("code") or ""), str(error.get("type") or "")
    inner = error.get("innererror")
    if isinstance(inner, dict) and str(inner.get("code")) in _POLICY_CODES:
        code = str(inner["code"])
    reason = _reason(status, code, kind, message)
    param = error.get("param") or place
    return Failure(
        reason,
        message,
        status=status,
        param=param if isinstance(param, str) else None,
        details={"innererror": inner} if reason is Reason.CONTENT_POLICY and isinstance(inner, dict) else None,
    )


def _words(error: Json) -> tuple[str, str | None]:
    """What an error says, and the field it blames where only its text's own shape tells.

    FastAPI, and what is built on it, puts a list of faults in ``detail``: ``{"loc": ["body", "n"], "msg": "…"}``;
    Mistral puts such an object in ``message``.
    """
    for key in ("message", "detail"):
        said = error.get(key)
        if isinstance(said, str):
            return said, None
        if isinstance(said, dict):
            return _words(said)
        if isinstance(said, list):
            faults = [fault for fault in said if isinstance(fault, dict) and isinstance(fault.get("msg"), str)]
            if faults:
                return "; ".join(fault["msg"] for fault in faults), _place(faults[0].get("loc"))
    return "", None


def _place(steps: Any) -> str | None:
    """FastAPI's way to a field as a path: ``["body", "messages", 0, "role"]`` is ``messages[0].role``."""
    if not isinstance(steps, list):
        return None
    path = ""
    for step in steps[1:] if steps[:1] == ["body"] else steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path or None


def _reason(status: int, code: str, kind: str, message: str) -> Reason:
    named = _named_reason(status, code, kind)
    if named:
        return named
    text = message.lower()
    if status in (0, 400, 413, 422) and any(words in text for words in _CONTEXT_WORDS):
        return Reason.CONTEXT_LENGTH
    if status in (0, 400, 402, 403, 429) and any(words in text for words in _QUOTA_WORDS):
        return Reason.QUOTA
    if status:
        return reason_for_status(status)
    return _KINDS.get(code) or _KINDS.get(kind) or Reason.UNAVAILABLE


def _named_reason(status: int, code: str, kind: str) -> Reason | None:
    """The reason that a code or type tells more exactly than the status does."""
    names = {code, kind}
    if names & _POLICY_CODES:
        return Reason.CONTENT_POLICY
    if names & _QUOTA_CODES:
        return Reason.QUOTA
    if names & _CONTEXT_CODES:
        return Reason.CONTEXT_LENGTH
    return Reason.MODEL_NOT_FOUND if names & _MODEL_CODES and status in (0, 400, 404) else None
