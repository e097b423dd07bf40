"""Whether calls can be answered: for people, load balancers and Kubernetes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from typing import Any

import gevent
import orjson
from flask import Blueprint, Response, current_app, g

from ..circuit import State
from ..disconnect import draining
from ..errors import NotFound
from ..gateway import Gateway

blueprint = Blueprint("health", __name__, url_prefix="/actuator/health")
_LEAST_DISK = 10 * 1024 * 1024  # bytes free, as Spring's diskSpace asks by default
_UP, _DOWN = "UP", "DOWN"
# Redis is missed by nobody: cache and limits of this host go on without it.
_DISPENSABLE = frozenset(("redis",))
_GROUPS = {"liveness": ("ping",), "readiness": ("providers",)}

Component = dict[str, Any]


@blueprint.get("")
def health() -> Response:
    """Whether this worker can answer, and what that rests on; the details are for those who may call."""
    gateway: Gateway = current_app.extensions["aura"]
    components = _components(gateway)
    status = _status(components)
    return _answer({"status": status, "components": _told(components), "groups": list(_GROUPS)})


@blueprint.get("/liveness")
def liveness() -> Response:
    """Whether the worker runs at all; what does not is restarted, so neither draining nor broken providers count."""
    return _answer({"status": _UP, "components": {"ping": {"status": _UP}}})


@blueprint.get("/readiness")
def readiness() -> Response:
    """Whether calls should be sent here: not while draining, and not while no provider can answer."""
    components = {"providers": _providers(current_app.extensions["aura"])}
    return _answer({"status": _status(components), "components": _told(components)})


@blueprint.get("/<path:path>")
def component(path: str) -> Response:
    """One component, or one provider; by itself or as part of a group."""
    name, _, inner = path.partition("/")
    if name in _GROUPS and inner.partition("/")[0] in _GROUPS[name]:
        name, _, inner = inner.partition("/")
    found = _told(_components(current_app.extensions["aura"])).get(name)
    if found is not None and inner:
        found = found.get("components", {}).get(inner)
    if found is None:
        raise NotFound("Health has no such component.")
    return _answer(found)


def _components(gateway: Gateway) -> dict[str, Component]:
    found = {"diskSpace": _disk(), "ping": {"status": _UP}, "providers": _providers(gateway)}
    redis = _redis(gateway)
    if redis is not None:
        found["redis"] = redis
    return found


def _redis(gateway: Gateway) -> Component | None:
    """Redis as cache and limits use it, each with connections of its own; None where neither does."""
    asked = {"cache": gevent.spawn(gateway.cache.ping), "limits": gevent.spawn(gateway.quota.ping)}
    told = {part: answers for part, one in asked.items() if (answers := one.get()) is not None}
    if not told:
        return None
    well = all(told.values())
    return {"status": _UP if well else _DOWN, "details": {"answers": well, "fallback": "local", **told}}


def _disk() -> Component:
    """The disk of the working directory, as Spring looks at it."""
    usage = shutil.disk_usage(os.getcwd())
    details = {"total": usage.total, "free": usage.free, "threshold": _LEAST_DISK}
    return {"status": _UP if usage.free >= _LEAST_DISK else _DOWN, "details": details}


def _providers(gateway: Gateway) -> Component:
    """Every provider with its circuits as this worker knows them; what was never asked is taken to be well."""
    states = gateway.fleet.states()
    circuits: dict[str, dict[str, State]] = {}
    for target in gateway.router.targets():
        circuits.setdefault(target.provider, {})[target.model] = states.get(target, State.CLOSED)
    components = {
        name: {"status": _any_up(own.values()), "details": {"circuits": {model: own[model].value for model in own}}}
        for name, own in circuits.items()
    }
    well = not components or any(one["status"] == _UP for one in components.values())
    return {"status": _UP if well else _DOWN, "components": components}


def _any_up(states: Iterable[State]) -> str:
    return _UP if any(state is not State.OPEN for state in states) else _DOWN


def _status(components: dict[str, Component]) -> str:
    if draining():
        return "OUT_OF_SERVICE"
    down = any(one["status"] != _UP for name, one in components.items() if name not in _DISPENSABLE)
    return _DOWN if down else _UP


def _told(components: dict[str, Component]) -> dict[str, Component]:
    """The components as the client may see them."""
    return components if g.known else {name: {"status": one["status"]} for name, one in components.items()}


def _answer(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), 200 if body["status"] == _UP else 503, mimetype="application/json")
