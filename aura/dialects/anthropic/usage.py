"""Token counts: Anthropic leaves cached tokens out of ``input_tokens``, OpenAI counts them in."""

from __future__ import annotations

from typing import Any

from ...call import Json, Usage
from ..counts import count

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_KEPT = ("cache_creation", "output_tokens_details", "server_tool_use", "service_tier", "inference_geo", "speed")


def merged(before: Json, after: Any) -> Json:
    """What is told later stands: the counts of ``message_delta`` are cumulative, and it may leave some out."""
    if not isinstance(after, dict):
        return before
    return {**before, **{key: after[key] for key in (*_COUNTS, *_KEPT) if after.get(key) is not None}}


def added(before: Json, told: Json) -> Json:
    """The counts of two messages of one answer."""
    return {**before, **told, **{key: count(before.get(key)) + count(told.get(key)) for key in _COUNTS}}


def usage_in(told: Json) -> Usage:
    """The counts of a usage object; what is missing or odd counts as nothing."""
    read, write = count(told.get("cache_read_input_tokens")), count(told.get("cache_creation_input_tokens"))
    output, details = count(told.get("output_tokens")), told.get("output_tokens_details")
    written = told.get("cache_creation")
    hour = count(written.get("ephemeral_1h_input_tokens")) if isinstance(written, dict) else 0
    thought = count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    return Usage(
        input=count(told.get("input_tokens")) + read + write,
        output=output,
        cached_read=read,
        cached_write=write,
        reasoning=min(output, thought),
        cached_write_1h=min(write, hour),
    )


def usage_json(told: Json) -> Json:
    """The counts as OpenAI words them; what of a written cache lives for an hour costs more, so it is told apart."""
    usage = usage_in(told)
    prompt: Json = {"cached_tokens": usage.cached_read, "cache_creation_tokens": usage.cached_write}
    if isinstance(told.get("cache_creation"), dict):
        # The later counts of a stream come without this split: what it leaves open lives for the usual five minutes.
        hour = usage.cached_write_1h
        prompt["cache_creation_token_details"] = {
            "ephemeral_5m_input_tokens": usage.cached_write - hour,
            "ephemeral_1h_input_tokens": hour,
        }
    out: Json = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    if isinstance(told.get("server_tool_use"), dict):
        out["server_tool_use"] = told["server_tool_use"]
    return out


def service_tier_in(told: Json) -> str | None:
    """The tier that served, by OpenAI's name for it."""
    tier = told.get("service_tier")
    return {"standard": "default", "priority": "priority"}.get(tier) if isinstance(tier, str) else None
