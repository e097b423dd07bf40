"""What an operator asks: health and metrics."""

from __future__ import annotations

import os
import shutil
from typing import Any

import gevent
import orjson
from flask import Blueprint, Response, current_app, request

from .. import metrics
from ..circuit import State
from ..disconnect import draining
from ..gateway import Gateway

blueprint = Blueprint("actuator", __name__, url_prefix="/actuator")
# The health groups, for probes: they answer without a key, as health itself does.
PROBES = frozenset(("/actuator/health/liveness", "/actuator/health/readiness"))
_LEAST_DISK = 10 * 1024 * 1024  # bytes free, as Spring's diskSpace asks by default


@blueprint.get("/health")
def health() -> Response:
    """Whether this worker can answer, and what that rests on."""
    gateway: Gateway = current_app.extensions["aura"]
    components: dict[str, Any] = {
        "diskSpace": _up(shutil.disk_usage(os.getcwd()).free >= _LEAST_DISK),
        "ping": _up(True),
        "providers": _up(can_answer(gateway)),
    }
    return _healthy(components, draining())


@blueprint.get("/health/liveness")
def liveness() -> Response:
    """Whether the worker runs at all; what does not is restarted, so neither draining nor broken providers count."""
    return _healthy({"ping": _up(True)}, False)


@blueprint.get("/health/readiness")
def readiness() -> Response:
    """Whether calls should be sent here: not while draining, and not while no provider can answer."""
    return _healthy({"providers": _up(can_answer(current_app.extensions["aura"]))}, draining())


def _healthy(components: dict[str, Any], leaving: bool) -> Response:
    down = any(part["status"] != "UP" for part in components.values())
    status = "OUT_OF_SERVICE" if leaving else "DOWN" if down else "UP"
    body = orjson.dumps({"status": status, "components": components})
    return Response(body, 503 if leaving or down else 200, mimetype="application/json")


def can_answer(gateway: Gateway) -> bool:
    """Whether a target is left whose circuit is not open; what was never asked is taken to be well."""
    states = gateway.fleet.states()
    listed = gateway.router.targets()
    return not listed or any(states.get(target) is not State.OPEN for target in listed)


def _up(well: bool) -> dict[str, str]:
    return {"status": "UP" if well else "DOWN"}


@blueprint.get("/prometheus")
def prometheus() -> Response:
    """All metrics of all workers, in Prometheus' text or OpenMetrics by ``Accept``."""
    accept = request.headers.get("Accept", "")
    body, content_type = gevent.get_hub().threadpool.apply(metrics.exposition, (accept,))
    return Response(body, content_type=content_type)
