"""The grammars that clients speak, by name."""

from __future__ import annotations

from .dialects import Front, anthropic, chat, completions, responses

FRONTS: dict[str, Front] = {front.name: front for front in (chat, anthropic, completions, responses)}
