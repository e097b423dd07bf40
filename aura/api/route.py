"""Aura's own route: what a chat would do, without doing it."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, g, request

from ..call import Call
from ..gateway import Gateway
from ..preview import preview
from ..router.needs import TIER_HEADER
from . import schemas
from .openai import request_id
from .reading import read_json

blueprint = Blueprint("route", __name__)


@blueprint.post("/v1/route")
def route() -> Response:
    """Explain a chat: its body is judged and planned as a call's, no provider is asked, nothing is remembered."""
    gateway: Gateway = g.gateway
    body = read_json(request, gateway.settings.server.max_body)
    schemas.check_chat(body)
    tier = request.headers.get(TIER_HEADER)
    call = Call(request_id(), body, caller=g.caller, headers={} if tier is None else {TIER_HEADER.lower(): tier})
    plan, told = preview(call, gateway.router, gateway.judge, gateway.settings, gateway.fleet)
    headers = {"x-aura-score": f"{told['score']:.4f}"}
    if plan.tier:
        headers["x-aura-tier"] = plan.tier.value
    return Response(orjson.dumps(told), 200, headers, mimetype="application/json")
