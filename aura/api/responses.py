"""OpenAI's Responses: answered as all calls are, and kept for who comes back to them."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from flask import Blueprint, Request, Response, current_app, g, request

from ..cache import KeptResponses
from ..cache.kept import Kept
from ..call import Answer, Call, Json
from ..dialects.beyond import only_of
from ..dialects.responses.inbound import PREVIOUS
from ..dialects.responses.kept import history_of, numbered
from ..errors import BadRequest, NotFound
from ..gateway import Gateway
from . import door
from .application import present
from .reading import read_json
from .response_schemas import check_response

blueprint = Blueprint("responses", __name__)

MAX_LISTED = 100
_LISTED = 20


@blueprint.post("/v1/responses")
@blueprint.post("/openai/v1/responses")
@blueprint.post("/openai/responses")
def responses() -> Response:
    """Answer items, as one response or as a stream of events."""
    here, asked = present()
    gateway: Gateway = here.gateway
    call = door.new_call(here, asked, "responses", "responses")
    body = read_json(asked, gateway.settings.server.max_body)
    check_response(body)
    body = _resolved(gateway, call, body)
    door.translate(call, body)
    if only_of(call.body):  # what only its provider can look up may be another thing tomorrow
        call.headers["cache-control"] = "no-store"
    kept = _kept()
    if body.get("store") is not False and kept.on:
        items = numbered(body.get("input"), call)
        call.kept = partial(_keep, kept, items)
    return door.watched(gateway, call, asked, lambda: _answered(gateway, call))


def _answered(gateway: Gateway, call: Call) -> Answer:
    answer = gateway.answer(call)
    if call.kept is not None and answer.stream is None:
        call.kept(call, orjson.loads(answer.body))
    return answer


def _keep(kept: KeptResponses, items: list[Json], call: Call, response: Json) -> None:
    kept.put(call.caller, Kept(response, items), call.target)


def _resolved(gateway: Gateway, call: Call, body: Json) -> Json:
    """The body with the items of the response that it goes on with, if that was kept here.

    Where several hold keys, what was not kept here may be another's: it is not asked for at a provider.

    Raises:
        BadRequest: there is no such response.
    """
    name = body.get("previous_response_id")
    if not name:
        return body
    kept = _kept()
    found = kept.get(call.caller, name)
    if found is None:
        if len(gateway.settings.auth.keys) > 1:
            raise BadRequest(
                _not_found(kept), param="previous_response_id", code="previous_response_not_found", should_retry=False
            )
        return body
    resolved = {key: value for key, value in body.items() if key != "previous_response_id"}
    return resolved | {"input": history_of(found.items, found.response, body.get("input")), PREVIOUS: name}


@blueprint.get("/v1/responses/<name>")
@blueprint.get("/openai/v1/responses/<name>")
@blueprint.get("/openai/responses/<name>")
def response(name: str) -> Response:
    """Tell a response again."""
    if request.args.get("stream", "").lower() == "true":
        raise BadRequest("'stream' is not taken here: a kept response is told whole.", param="stream")
    return _json(_found(name).response)


@blueprint.delete("/v1/responses/<name>")
@blueprint.delete("/openai/v1/responses/<name>")
@blueprint.delete("/openai/responses/<name>")
def forget(name: str) -> Response:
    """Forget a response."""
    _found(name)
    _kept().delete(g.caller, name)
    return _json({"id": name, "object": "response", "deleted": True})


@blueprint.post("/v1/responses/<name>/cancel")
@blueprint.post("/openai/v1/responses/<name>/cancel")
@blueprint.post("/openai/responses/<name>/cancel")
def cancel(name: str) -> Response:
    """Refuse to end what has ended: no response is made in the background."""
    _found(name)
    raise BadRequest("Only a response that is made in the background can be cancelled.", param="response_id")


@blueprint.get("/v1/responses/<name>/input_items")
@blueprint.get("/openai/v1/responses/<name>/input_items")
@blueprint.get("/openai/responses/<name>/input_items")
def input_items(name: str) -> Response:
    """List what a response answered, the last first unless ``order`` is asc."""
    items = list(_found(name).items)
    order = request.args.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("'order' must be asc or desc.", param="order")
    if order == "desc":
        items.reverse()
    items = items[_after(items, request) :]
    limit = _limit(request)
    data = items[:limit]
    return _json(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(items) > limit,
        }
    )


def _after(items: list[Json], asked: Request) -> int:
    """Where a page begins: behind the item that ``after`` names."""
    after = asked.args.get("after")
    if not after:
        return 0
    for index, item in enumerate(items):
        if item["id"] == after:
            return index + 1
    raise BadRequest("'after' names no item of this response.", param="after")


def _limit(asked: Request) -> int:
    text = asked.args.get("limit", str(_LISTED))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    if not 1 <= limit <= MAX_LISTED:
        raise BadRequest(f"'limit' must lie between 1 and {MAX_LISTED}.", param="limit")
    return limit


def _kept() -> KeptResponses:
    found: KeptResponses = current_app.extensions["aura.responses"]
    return found


def _found(name: str) -> Kept:
    kept = _kept()
    found = kept.get(g.caller, name)
    if found is None:
        raise NotFound(_not_found(kept), param="response_id")
    return found


def _not_found(kept: KeptResponses) -> str:
    if kept.on:
        return "There is no such response: it was never kept, was deleted, or its time is over."
    return "Responses are not kept here: the gateway has no cache, so send the whole conversation in 'input'."


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), mimetype="application/json")
