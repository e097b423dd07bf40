"""OpenAI's routes."""

from __future__ import annotations

import re
import time
from random import getrandbits
from typing import Any

import orjson
from flask import Blueprint, Request, Response, current_app, g, request

from .. import disconnect
from ..call import Answer, Call
from ..errors import NotFound
from ..gateway import Gateway
from ..ledger import CLIENT_LEFT
from ..relay import Relay
from . import schemas
from .application import Answered
from .reading import read_json

blueprint = Blueprint("openai", __name__)

# The client's headers that steer a call; no other header is looked at, and none is sent on.
_STEERING = tuple(
    (name, "HTTP_" + name.upper().replace("-", "_"))
    for name in ("x-aura-tier", "x-aura-timeout", "x-stainless-retry-count", "cache-control")
)
_UNBUFFERED = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")


@blueprint.post("/v1/chat/completions")
def chat_completions() -> Response:
    """Answer a chat, as one body or as a stream of events."""
    here, asked = g._get_current_object(), request._get_current_object()  # type: ignore[attr-defined]
    gateway: Gateway = here.gateway
    call = here.call = _call(here, asked, "chat")
    body = read_json(asked, gateway.settings.server.max_body)
    schemas.check_chat(body)
    call.body = body
    call.stream = bool(body.get("stream"))
    call.wants_usage = call.stream and bool((body.get("stream_options") or {}).get("include_usage"))
    return respond(_watched(gateway, call, asked.environ))


def _watched(gateway: Gateway, call: Call, environ: dict[str, Any]) -> Answer:
    """Answer, unless the client leaves first: then nothing is worth finishing."""
    watch = disconnect.watch(environ) if disconnect.can_watch(environ) else None
    streaming = False
    try:
        answer = gateway.answer(call)
        if watch is not None and isinstance(answer.stream, Relay):
            streaming = True
            answer.stream.closed = watch.stop
    except disconnect.ClientGone:
        gateway.ledger.finish(call, CLIENT_LEFT)
        raise
    finally:
        if watch is not None and not streaming:
            watch.stop()
    return answer


@blueprint.get("/v1/models")
def models() -> Response:
    """List the tier names and every model that can be asked for."""
    gateway: Gateway = current_app.extensions["aura"]
    data = [_listed(*entry) for entry in gateway.router.models()]
    return _json({"object": "list", "data": data})


@blueprint.get("/v1/models/<path:name>")
def model(name: str) -> Response:
    """Describe one model of the list."""
    gateway: Gateway = current_app.extensions["aura"]
    for entry in gateway.router.models():
        if entry[0] == name:
            return _json(_listed(*entry))
    raise NotFound("There is no such model; GET /v1/models lists them.", param="model", code="model_not_found")


def _listed(name: str, known: Any, provider: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": known.created if known else 0, "owned_by": provider}


def _call(here: Any, asked: Request, door: str) -> Call:
    environ = asked.environ
    return Call(
        id=here.request_id,
        body={},
        door=door,
        route=asked.url_rule.rule if asked.url_rule else "",
        caller=here.caller,
        headers={name: environ[key] for name, key in _STEERING if key in environ},
        started=here.started,
        created=int(time.time()),
    )


def new_request_id(environ: dict[str, Any]) -> str:
    """The client's ``x-request-id`` if it is well formed, else a new one."""
    sent = environ.get("HTTP_X_REQUEST_ID")
    return sent if sent and _REQUEST_ID.match(sent) else f"req_{getrandbits(128):032x}"


def request_id() -> str:
    """The id of the present request; the same throughout."""
    found: str = g.request_id
    return found


def respond(answer: Answer) -> Response:
    """Hand an answer to the server; a stream goes out unbuffered, also through nginx."""
    headers = list(answer.headers.items())
    if answer.stream is None:
        headers += (("content-type", answer.media_type), ("content-length", str(len(answer.body))))
        return Answered(answer.body, answer.status, headers)
    headers += (("content-type", f"{answer.media_type}; charset=utf-8"), *_UNBUFFERED)
    return Answered(answer.stream, answer.status, headers)


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), mimetype="application/json")
