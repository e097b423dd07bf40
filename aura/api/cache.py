"""What an administrator does with the cache: empty it, or a part of it."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, g, request

from ..errors import BadRequest, Forbidden, Overloaded
from ..gateway import Gateway
from ..strict_json import MAX_SHOWN

blueprint = Blueprint("cache", __name__)
_PARTS = ("tenant", "namespace", "model")


@blueprint.delete("/v1/cache")
def delete() -> Response:
    """Forget stored answers: all, or those of the ``tenant``, ``namespace`` and ``model`` that the query names."""
    if not g.admin:
        raise Forbidden("Only a key with admin: true may empty the cache.")
    for name in request.args:
        if name not in _PARTS:
            raise BadRequest(f"The query takes {', '.join(_PARTS)}.", param=name[:MAX_SHOWN])
    gateway: Gateway = g.gateway
    try:
        deleted = gateway.cache.purge(**{name: request.args.get(name) for name in _PARTS})
    except TimeoutError:
        raise Overloaded("The cache could not be emptied now; try again.", retry_after=1) from None
    return Response(orjson.dumps({"object": "cache.deleted", "deleted": deleted}), mimetype="application/json")
