"""Anthropic's routes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Request, Response, g

from .. import counting
from ..call import Call, Json
from ..dialects import anthropic
from ..errors import BadRequest
from ..gateway import Gateway
from . import door
from .application import present
from .message_schemas import COUNT, MESSAGES, Checker
from .reading import read_json

blueprint = Blueprint("anthropic", __name__)


@blueprint.post("/v1/messages")
def messages() -> Response:
    """Answer a conversation, as one message or as a stream of events."""
    here, asked = present()
    call = _call(here, asked, "messages", MESSAGES)
    return door.answered(here.gateway, call, asked)


@blueprint.post("/v1/messages/count_tokens")
def count_tokens() -> Response:
    """Count the tokens of a conversation, without answering it."""
    here, asked = present()
    gateway: Gateway = here.gateway
    call = _call(here, asked, "count_tokens", COUNT)
    return door.watched(gateway, call, asked, lambda: counting.answer(gateway, call))


@blueprint.after_request
def tell_by_its_names(response: Response) -> Response:
    """Say the request's id, and the caller's limits, by the names that Anthropic's clients read."""
    response.headers["request-id"] = g.request_id
    if g.call is not None and g.call.lease is not None:
        for name, value in anthropic.ratelimit_out(g.call.lease.headers).items():
            response.headers[name] = value
    return response


def _call(here: Any, asked: Request, kind: str, checker: Checker) -> Call:
    gateway: Gateway = here.gateway
    call = door.new_call(here, asked, kind, anthropic.name)
    body = read_json(asked, gateway.settings.server.max_body)
    checker.check(body)
    door.translate(call, _with_betas(body, asked.environ.get("HTTP_ANTHROPIC_BETA", "")))
    return call


def _with_betas(body: Json, sent: str) -> Json:
    """The body with the betas that a header names: they are told to Anthropic alone."""
    betas = [beta.strip() for beta in sent.split(",") if beta.strip()]
    for beta in betas:
        if not anthropic.BETA.fullmatch(beta):
            raise BadRequest("must be names of betas, divided by commas", param="anthropic-beta")
    named = anthropic.betas_of({"betas": [*anthropic.betas_of(body), *betas]})
    return {**body, "anthropic_beta": named} if betas else body
