"""Ollama by its native grammar, on this machine or behind a proxy that wants a key.

Facts
  - A server holds a prompt in ``num_ctx`` tokens, 4096 unless its operator or the Modelfile says more; what is longer
    is cut from the front, silently, unless ``truncate`` is false.
  - Another ``num_ctx`` than last time loads the model anew, so only few sizes are asked for.
  - A model that is not in memory is loaded by its first call, which takes seconds to half a minute.
Source: https://docs.ollama.com/context-length (read 2026-11-24)
"""

from __future__ import annotations

from dataclasses import replace

from ..call import Json, Model
from ..dialects import embeddings, ollama
from ..dialects.ollama import generate
from ..estimate import estimate_tokens
from ..settings import ProviderSettings
from . import Adapt, Provider, bearer, headers_of

BASE_URL = "http://localhost:11434"
COLD_START = 30.0
DEFAULT_CONTEXT = 4096
# Room for an answer whose length the client left open.
_ANSWER = 1024
_MARGIN = 1.2


def provider(settings: ProviderSettings) -> Provider:
    """Make the provider of a configuration entry of type ``ollama``."""
    base = settings.base_url.rstrip("/") or BASE_URL
    base = base.removesuffix("/api")
    chats = Provider(
        name=settings.name,
        dialect=ollama,
        url=f"{base}/api/chat",
        embedder=embeddings.OLLAMA,
        embed_url=f"{base}/api/embed",
        headers=headers_of(settings, bearer(settings)),
        adapt=_adapt(settings),
        cold_start=COLD_START,
    )
    generates = replace(chats, dialect=generate, url=f"{base}/api/generate")
    return replace(chats, also={generate.name: generates})


def _adapt(settings: ProviderSettings) -> Adapt:
    def adapt(body: Json, model: Model) -> tuple[Json, list[str]]:
        out = dict(body)
        if settings.keep_alive:
            out.setdefault("keep_alive", settings.keep_alive)
        if out.get("truncate") is None:
            out["truncate"] = False
        given = out.get("options")
        asked = out.get("num_ctx") or (given.get("num_ctx") if isinstance(given, dict) else None)
        size = asked or settings.num_ctx or context_size(body, model)
        if size:
            out["num_ctx"] = size
        return out, []

    return adapt


def context_size(body: Json, model: Model) -> int | None:
    """How many tokens a prompt and its answer may need, as a power of two; None where the default is enough."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    answer = limit if isinstance(limit, int) and limit > 0 else _ANSWER
    need = int(estimate_tokens(body) * _MARGIN) + answer
    if need <= DEFAULT_CONTEXT:
        return None
    size = 1 << (need - 1).bit_length()
    return min(size, model.context_window) if model.context_window else size
