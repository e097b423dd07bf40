"""A client's own body for a model of an Ollama server: forwarded whole, but for the model and what is not paid for."""

from __future__ import annotations

from ...call import Json, Model, Translation

# Aura's own.
_NOT_SENT = ("aura", "fallbacks", "provider")


def request_forward(body: Json, model: Model, max_tokens: int | None) -> Translation:
    """See :class:`aura.dialects.Front`."""
    out = {key: value for key, value in body.items() if key not in _NOT_SENT}
    out["model"] = model.name
    if max_tokens is not None:
        options = body.get("options") or {}
        asked = options.get("num_predict")
        limit = min(asked, max_tokens) if isinstance(asked, int) and asked > 0 else max_tokens
        out["options"] = {**options, "num_predict": limit}
    return Translation(body=out, model=model.name)
