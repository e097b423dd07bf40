"""The key of a call: equal for calls that may share an answer, different for all others.

Facts
  - 1 and 1.0 are one number in JSON, and members of an object have no order.
  - A parameter of OpenAI's that is null, or has the value that it has when it is left out, says nothing.
  - ``logprobs`` of the older completions is a number: 0 is not ``false``, it asks for the chosen tokens' own.
  - ``stop`` may be one text or a list of texts; a message may be one text or a list of one plain text part.
  - ``user`` and its successors name who asks, ``metadata`` and ``store`` what OpenAI keeps: no answer depends on them.
  - Of a response that goes on with another, the items say it all: the other's id (``aura_previous``) adds nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from ..call import Json, KnownBody

SCHEMA = 3
# What does not change the answer, Aura's own options, and ``model``, which the plan's signature stands for.
_BESIDE = frozenset(
    {
        "aura",
        "aura_previous",
        "client_metadata",
        "fallbacks",
        "metadata",
        "model",
        "prompt_cache_key",
        "safety_identifier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
_DEFAULTS: Json = {
    "best_of": 1,
    "frequency_penalty": 0,
    "encoding_format": "float",
    "functions": [],
    "logit_bias": {},
    "modalities": ["text"],
    "n": 1,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "stop": [],
    "temperature": 1,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1,
}
_FLAGS = {"echo": False, "logprobs": False, "parallel_tool_calls": True}
_NO_DEFAULT = object()
# A number that may be written otherwise: with a fraction of nought, or with an exponent. A text that looks like one
# only costs the longer way.
_FRACTION, _EXPONENT = b".0", b"e+" if b"e+" in orjson.dumps(1e16) else b"e"
_OTHER_FORM = re.compile(rb"[0-9](?:\.0[,}\]]|e[+0-9])")
_LARGEST = 2.0**63


def key_of(door: str, tenant: str, namespace: str, signature: str, body: Json) -> str | None:
    """The key of a call: its scope, by which stored answers can be found, and a hash of all that the answer depends on.

    Args:
        door: the grammar and kind of the call.
        tenant: whose call it is; no answer is shared between tenants.
        signature: equal for plans that may share an answer.

    Returns:
        Hexadecimal digits; None for a body that cannot be written canonically.

    Takes about 5 µs for a short chat, a tenth of that where it was asked for last of the same bytes.
    """
    if body.__class__ is not KnownBody:
        return _worked_out(door, tenant, namespace, signature, body)
    known = body.key
    if known is None or known[:4] != (door, tenant, namespace, signature):
        key = _worked_out(door, tenant, namespace, signature, body)
        known = body.key = door, tenant, namespace, signature, key
    return known[4]


def _worked_out(door: str, tenant: str, namespace: str, signature: str, body: Json) -> str | None:
    """The key of a call; looks into nothing that it need not."""
    defaults, flags = _DEFAULTS, _FLAGS
    same = {
        name: value
        for name, value in body.items()
        if value is not None
        and name not in _BESIDE
        and defaults.get(name, _NO_DEFAULT) != value
        and flags.get(name) is not value
    }
    if same.get("tool_choice") == "none" and not (same.get("tools") or same.get("functions")):
        del same["tool_choice"]
    if isinstance(same.get("stop"), str):
        same["stop"] = [same["stop"]]
    messages = same.get("messages")
    if isinstance(messages, list):
        for message in messages:
            if type(message) is dict and type(message.get("content")) is list:
                same["messages"] = [_as_text(message) for message in messages]
                break
    try:
        text = orjson.dumps([SCHEMA, door, tenant, namespace, signature, same], option=orjson.OPT_SORT_KEYS)
        if (text.find(_FRACTION) >= 0 or text.find(_EXPONENT) >= 0) and _OTHER_FORM.search(text):
            whole = [SCHEMA, door, tenant, namespace, signature, _one_form(same)]
            text = orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None  # an integer beyond 64 bits
    return tag(tenant) + tag(namespace) + blake2b(text, digest_size=20).hexdigest()


@lru_cache(maxsize=4096)
def tag(name: str) -> str:
    """The part of a key that stands for a tenant, or for a namespace: keys begin with both."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _as_text(message: Any) -> Any:
    """The same message with its one plain part as text; a part that says more (``cache_control``) stays as it is."""
    match message:
        case {"content": [{"type": "text", "text": str(text), **more}]} if not more:
            return {**message, "content": text}
    return message


def _one_form(value: Any) -> Any:
    """The same value with every whole number as an integer."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _LARGEST else value
    if isinstance(value, dict):
        return {name: _one_form(member) for name, member in value.items()}
    return [_one_form(member) for member in value] if isinstance(value, list) else value
