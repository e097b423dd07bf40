"""OpenAI's routes."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, current_app, g, request

from ..errors import NotFound
from ..fronts import grammar_of
from ..gateway import Gateway
from . import door, listing, schemas
from .application import present
from .reading import read_json
from .requests import check_completion

blueprint = Blueprint("openai", __name__)


@blueprint.post("/v1/chat/completions")
@blueprint.post("/openai/v1/chat/completions")
@blueprint.post("/openai/deployments/<path:deployment>/chat/completions")
def chat_completions(deployment: str = "") -> Response:
    """Answer a chat, as one body or as a stream of events."""
    here, asked = present()
    gateway: Gateway = here.gateway
    call = door.new_call(here, asked, "chat")
    limit = gateway.settings.server.max_body
    if deployment:
        body = {**read_json(asked, limit), "model": deployment}
        schemas.check_chat(body)
    else:
        body = read_json(asked, limit, schemas.check_chat)
    call.body = body
    call.stream = bool(body.get("stream"))
    call.wants_usage = call.stream and bool((body.get("stream_options") or {}).get("include_usage"))
    return door.answered(gateway, call, asked)


@blueprint.post("/v1/completions")
@blueprint.post("/openai/v1/completions")
@blueprint.post("/openai/deployments/<path:deployment>/completions")
def completions(deployment: str = "") -> Response:
    """Continue a text, as one body or as a stream of events."""
    here, asked = present()
    gateway: Gateway = here.gateway
    call = door.new_call(here, asked, "completions", "completions")
    body = read_json(asked, gateway.settings.server.max_body)
    if deployment:
        body["model"] = deployment
    check_completion(body)
    door.translate(call, body)
    call.wants_usage = call.stream and bool((body.get("stream_options") or {}).get("include_usage"))
    return door.answered(gateway, call, asked)


@blueprint.get("/v1/models")
@blueprint.get("/openai/v1/models")
@blueprint.get("/openai/models")
def models() -> Response:
    """List the tier names and every model that can be asked for."""
    gateway: Gateway = current_app.extensions["aura"]
    if grammar_of(request.environ) == "anthropic":
        return _json(listing.page(gateway.router.models(g.caller), request.args))
    data = [_listed(*entry) for entry in gateway.router.models(g.caller)]
    return _json({"object": "list", "data": data})


@blueprint.get("/v1/models/<path:name>")
@blueprint.get("/openai/v1/models/<path:name>")
@blueprint.get("/openai/models/<path:name>")
def model(name: str) -> Response:
    """Describe one model of the list."""
    gateway: Gateway = current_app.extensions["aura"]
    for entry in gateway.router.models(g.caller):
        if entry[0] == name:
            told = listing.entry if grammar_of(request.environ) == "anthropic" else _listed
            return _json(told(*entry))
    raise NotFound("There is no such model; GET /v1/models lists them.", param="model", code="model_not_found")


def _listed(name: str, known: Any, provider: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": known.created if known else 0, "owned_by": provider}


def request_id() -> str:
    """The id of the present request; the same throughout."""
    found: str = g.request_id
    return found


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), mimetype="application/json")
