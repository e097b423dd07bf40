"""A client's Responses body for a model of a provider that speaks Responses: forwarded whole.

What is changed is what the provider is known to refuse: reasoning that another provider's answers left in the history,
and what the model cannot do, since a routed client cannot know which one it gets.
"""

from __future__ import annotations

from typing import Any

from ...call import Json, Model, Translation
from .inbound import PREVIOUS
from .outbound import OURS
from .sealed import is_sealed

_NOT_SENT = ("aura", "fallbacks", PREVIOUS)
_SAMPLING: Json = {"temperature": 1, "top_p": 1, "top_logprobs": 0}


def request_forward(body: Json, model: Model, max_tokens: int | None) -> Translation:
    """See :class:`aura.dialects.Front`."""
    dropped: list[str] = []
    out = {key: value for key, value in body.items() if key not in _NOT_SENT}
    out["model"] = model.name
    if isinstance(out.get("input"), list) and any(map(_is_foreign, out["input"])):
        out["input"] = [item for item in out["input"] if not _is_foreign(item)]
    if model.known:
        _fit(out, model, dropped)
    limits = [limit for limit in (out.get("max_output_tokens"), model.max_output, max_tokens) if limit is not None]
    if limits and (max_tokens is not None or out.get("max_output_tokens") is not None):
        out["max_output_tokens"] = min(limits)
    return Translation(body=out, dropped=dropped, model=model.name)


def _is_foreign(item: Any) -> bool:
    """Whether an item is reasoning that is not the provider's own: it has neither its seal nor its name."""
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return False
    sealed, name = item.get("encrypted_content"), item.get("id")
    if isinstance(sealed, str) and sealed:
        return is_sealed(sealed)
    return not isinstance(name, str) or not name or name.startswith(f"rs_{OURS}")


def _fit(out: Json, model: Model, dropped: list[str]) -> None:
    """Take out what the catalogue knows that the model refuses."""
    if not model.can("sampling"):
        for key, neutral in _SAMPLING.items():
            value = out.pop(key, None)
            if value is not None and value != neutral:
                dropped.append(key)
    reasoning = out.get("reasoning")
    if not model.can("reasoning") and isinstance(reasoning, dict):
        del out["reasoning"]
        if reasoning.get("effort") not in (None, "none"):
            dropped.append("reasoning")
