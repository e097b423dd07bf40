"""The grammars that clients speak, by name, and which one a client speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dialects import Front, anthropic, chat, completions, ollama, responses
from .dialects.ollama import generate

FRONTS: dict[str, Front] = {front.name: front for front in (chat, anthropic, completions, responses, ollama, generate)}
# Beginnings of paths that belong to another grammar than OpenAI's.
_OTHERS: tuple[tuple[str, str], ...] = (("/v1/messages", anthropic.name), ("/api/", ollama.name))
# What both kinds of clients ask for: Anthropic's say a version.
_EITHERS = "/v1/models"


def grammar_of(environ: Mapping[str, Any]) -> str:
    """The grammar that the client of a request speaks: its errors are worded in it."""
    path = environ.get("PATH_INFO", "")
    for begin, grammar in _OTHERS:
        if path.startswith(begin):
            return grammar
    return anthropic.name if "HTTP_ANTHROPIC_VERSION" in environ and path.startswith(_EITHERS) else "openai"


def grammar_at_nothing(environ: Mapping[str, Any]) -> str:
    """The grammar of a client that asks for an address which is not there: its headers tell whose it is."""
    grammar = grammar_of(environ)
    theirs = "HTTP_ANTHROPIC_VERSION" in environ or "HTTP_X_API_KEY" in environ
    return anthropic.name if grammar == "openai" and theirs else grammar
