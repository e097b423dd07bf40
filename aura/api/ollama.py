"""Ollama's routes, for clients that were made for a server on their own machine.

Facts
  - A request without messages or prompt only loads the model, or lets it go; clients do that before they chat.
  - What is asked of a model's files (pull, create, delete) has no meaning here.
  - Clients look at the version for what a server can do.
See https://docs.ollama.com/api
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson
from flask import Blueprint, Request, Response, g, request
from marshmallow import ValidationError

from ..call import Call, Json, Model
from ..dialects import ollama
from ..dialects.beyond import KEY
from ..dialects.ollama import generate as generation
from ..errors import BadRequest, NotFound
from ..gateway import Gateway
from . import door
from .application import present
from .message_schemas import Checker
from .ollama_schemas import CHAT, EMBED, EMBEDDINGS, GENERATE
from .reading import read_json
from .schemas import check_model

blueprint = Blueprint("ollama", __name__)
SPOKEN = "0.13.3"
"""The version of Ollama whose grammar this is."""
_LATEST = ":latest"
_ABILITIES = {"tools": "tools", "vision": "vision", "reasoning": "thinking"}
_NANO = 1_000_000_000


@blueprint.post("/api/chat")
def chat() -> Response:
    """Answer a chat, as one object or line by line."""
    return _answered(ollama.name, CHAT, lambda body: not body.get("messages"))


@blueprint.post("/api/generate")
def generate() -> Response:
    """Answer a prompt, as one object or line by line."""
    return _answered(generation.name, GENERATE, lambda body: not any(body.get(name) for name in _ASKED))


_ASKED = ("prompt", "suffix", "images", "context")


def _answered(grammar: str, checker: Checker, asks_nothing: Callable[[Json], bool]) -> Response:
    here, asked = present()
    call, body = _begun(here, asked, grammar, checker)
    if asks_nothing(body):
        return _loaded(here.gateway, call, body)
    call.grammar, call.clock = grammar, time.monotonic
    door.translate(call, body)
    call.stream = call.body["stream"]
    return door.answered(here.gateway, call, asked)


def _begun(here: Any, asked: Request, kind: str, checker: Checker) -> tuple[Call, Json]:
    gateway: Gateway = here.gateway
    call = door.new_call(here, asked, kind)
    body = read_json(asked, gateway.settings.server.max_body)
    checker.check(body)
    body["model"] = _listed(gateway, body["model"])
    return call, body


def _listed(gateway: Gateway, name: str) -> str:
    """The name as it is listed: clients add the tag that Ollama takes for granted."""
    if not name.endswith(_LATEST):
        return name
    names = {listed for listed, *_ in gateway.router.models()}
    plain = name.removesuffix(_LATEST)
    return plain if plain in names and name not in names else name


def _loaded(gateway: Gateway, call: Call, body: Json) -> Response:
    """Say that a model is loaded or let go, which no provider is asked for: its first call loads it."""
    _plan_for_nothing(gateway, call, body)
    reason = "unload" if body.get("keep_alive") == 0 else "load"
    head = {"model": body["model"], "created_at": ollama.time_out(call.created, call)}
    said = {"message": {"role": "assistant", "content": ""}} if call.door == ollama.name else {"response": ""}
    return _json({**head, **said, "done": True, "done_reason": reason}, gateway.headers(call, cost=False))


def _plan_for_nothing(gateway: Gateway, call: Call, body: Json) -> None:
    """Plan a call that asks nothing, which refuses a model that is not there or not allowed."""
    call.body = {"model": body["model"], "input" if call.door == "embeddings" else "messages": []}
    gateway.router.plan(call, gateway.judge, gateway.fleet)


@blueprint.post("/api/embed")
def embed() -> Response:
    """Make embeddings."""
    call, body, told = _embedded(EMBED, "input")
    if told is None:
        return _json({"model": body["model"], "embeddings": []}, g.gateway.headers(call, cost=False))
    head = {"model": body["model"], "embeddings": [one["embedding"] for one in told["data"]]}
    spent = max(1, int((time.monotonic() - call.started) * _NANO))
    counts = {"total_duration": spent, "load_duration": 1, "prompt_eval_count": call.usage.input if call.usage else 0}
    return _json(head | counts, g.gateway.headers(call, cost=True))


@blueprint.post("/api/embeddings")
def embeddings() -> Response:
    """Make one embedding, in the older form."""
    call, _, told = _embedded(EMBEDDINGS, "prompt")
    if told is None:
        return _json({"embedding": []}, g.gateway.headers(call, cost=False))
    return _json({"embedding": told["data"][0]["embedding"]}, g.gateway.headers(call, cost=True))


def _embedded(checker: Checker, field: str) -> tuple[Call, Json, Json | None]:
    """Make embeddings of a field; the call, its body, and OpenAI's answer, None where there is nothing to embed."""
    here, asked = present()
    call, body = _begun(here, asked, "embeddings", checker)
    if not body.get(field):
        _plan_for_nothing(here.gateway, call, body)
        return call, body, None
    given = body[field] if isinstance(body[field], list) else [body[field]]
    if not all(isinstance(text, str) for text in given):
        raise BadRequest("must be a text or an array of texts", param=field)
    own = {name: body[name] for name in ("options", "keep_alive") if body.get(name) is not None}
    own["truncate"] = body.get("truncate") is not False
    shared = {name: body[name] for name in ("model", "dimensions", "aura", "fallbacks") if body.get(name) is not None}
    mark = {"lost": [], "quiet": list(own), "only": ""}
    call.body = {**shared, **own, "input": given, "encoding_format": "float", KEY: mark}
    answer = door.answered(here.gateway, call, asked)
    return call, body, orjson.loads(answer.get_data())


@blueprint.get("/api/tags")
def tags() -> Response:
    """List what can be asked for."""
    return _json({"models": [_tag(*entry) for entry in g.gateway.router.models(g.caller)]})


@blueprint.get("/api/ps")
def running() -> Response:
    """List the models in memory: none, as far as is known here."""
    return _json({"models": []})


@blueprint.get("/api/version")
def version() -> Response:
    """Say which version's grammar this is."""
    return _json({"version": SPOKEN})


@blueprint.post("/api/show")
def show() -> Response:
    """Describe a model."""
    body = read_json(request, g.gateway.settings.server.max_body)
    asked: Any = body.get("model") or body.get("name")
    try:
        check_model(asked)
    except ValidationError as wrong:
        raise BadRequest(str(wrong.messages[0]), param="model") from None
    name = _listed(g.gateway, asked)
    for entry in g.gateway.router.models(g.caller):
        if entry[0] == name:
            return _json(_shown(*entry))
    raise NotFound(f"model '{asked}' not found", code="model_not_found")


def _shown(name: str, known: Model | None, provider: str) -> Json:
    listed = _tag(name, known, provider)
    info: Json = {"general.architecture": provider, "general.basename": name}
    if known and known.context_window:
        info[f"{provider}.context_length"] = known.context_window
    if known and known.can("embeddings"):
        abilities = ["embedding"]
    else:
        # A tier's models differ: the router finds one that can do what is asked.
        abilities = ["completion", *(told for word, told in _ABILITIES.items() if known is None or known.can(word))]
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": listed["details"],
        "model_info": info,
        "capabilities": abilities,
        "modified_at": listed["modified_at"],
    }


def _tag(name: str, known: Model | None, provider: str) -> Json:
    when = datetime.fromtimestamp(known.created if known else 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    details = {
        "parent_model": "",
        "format": "",
        "family": provider,
        "families": [provider],
        "parameter_size": "",
        "quantization_level": "",
    }
    digest = blake2b(name.encode(), digest_size=32).hexdigest()
    return {"name": name, "model": name, "modified_at": when, "size": 0, "digest": digest, "details": details}


def _json(value: Json, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), 200, headers, mimetype="application/json")
