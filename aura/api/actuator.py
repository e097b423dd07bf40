"""What an operator asks: what runs here, metrics in three forms, log levels. Health is in a module of its own.

The shapes are those of Spring Boot's actuator, which the old runbooks and tools know.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, TypeVar

import gevent
import orjson
from flask import Blueprint, Response, current_app, g, request

from .. import __version__, memory, meters, metrics
from ..call import TIERS
from ..errors import BadRequest, Forbidden, NotFound, Unauthorized
from ..gateway import Gateway
from ..levels import NAMES, Levels
from .reading import JSON, read_json

blueprint = Blueprint("actuator", __name__, url_prefix="/actuator")
BASE = "/actuator"
# What belongs to each endpoint: the rules, and how the index calls those with a variable.
_ENDPOINTS = {
    "health": {"health": "/health", "health-path": "/health/<path:path>"},
    "info": {"info": "/info"},
    "prometheus": {"prometheus": "/prometheus"},
    "metrics": {"metrics": "/metrics", "metrics-requiredMetricName": "/metrics/<name>"},
    "loggers": {"loggers": "/loggers", "loggers-name": "/loggers/<name>"},
}
# The health groups, for probes: they answer without a key, as health itself does.
PROBES = frozenset((f"{BASE}/health/liveness", f"{BASE}/health/readiness"))
_PACKAGE = "aura-gateway"
_SPRING_JSON = re.compile(r"application/vnd\.spring-boot\.actuator\.v\d\+json\s*(;|$)", re.IGNORECASE)

Result = TypeVar("Result")


def public_rules(endpoints: Iterable[str]) -> frozenset[str]:
    """The rules that answer without a key: those of health, and of what the operator names."""
    named = [rule for name in ("health", *endpoints) for rule in _ENDPOINTS.get(name, {}).values()]
    return frozenset([*PROBES, *(BASE + rule for rule in named)])


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), mimetype="application/json")


def _aside(work: Callable[[], Result]) -> Result:
    """Do what takes milliseconds on a thread, so that the loop goes on."""
    found: Result = gevent.get_hub().threadpool.apply(work)
    return found


@blueprint.get("")
def index() -> Response:
    """What there is, as HAL links. They are relative: what a client calls this host is not to be trusted."""
    links = {"self": {"href": BASE, "templated": False}}
    for rules in _ENDPOINTS.values():
        for name, rule in rules.items():
            path = rule.replace("<path:path>", "{*path}").replace("<name>", f"{{{name.partition('-')[2]}}}")
            links[name] = {"href": BASE + path, "templated": path != rule}
    return _json({"_links": links})


@blueprint.get("/info")
def info() -> Response:
    """What runs here; nothing of the environment."""
    gateway: Gateway = current_app.extensions["aura"]
    on = [entry for entry in gateway.settings.providers.values() if entry.enabled]
    tiers = {tier.value: sum(len(entry.models.get(tier, ())) for entry in on) for tier in TIERS}
    return _json(
        {
            "app": {"name": _PACKAGE, "version": __version__},
            "build": {"artifact": _PACKAGE, "name": "Aura Gateway", "version": __version__},
            **_git(),
            "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
            "gateway": {"providers": len(on), "models": len(gateway.router.targets()), "tiers": tiers},
        }
    )


def _git() -> dict[str, Any]:
    """The commit that was installed, where pip was given a repository (``direct_url.json``, PEP 610)."""
    try:
        told = orjson.loads(distribution(_PACKAGE).read_text("direct_url.json") or b"{}")
    except (PackageNotFoundError, ValueError):
        return {}
    commit = (told.get("vcs_info") or {}).get("commit_id")
    return {"git": {"commit": {"id": commit}}} if commit else {}


@blueprint.get("/prometheus")
def prometheus() -> Response:
    """All metrics of all workers, in Prometheus' text or OpenMetrics by ``Accept``."""
    accept = request.headers.get("Accept", "")
    body, content_type = _aside(lambda: metrics.exposition(accept))
    return Response(body, content_type=content_type)


@blueprint.get("/metrics")
def metric_names() -> Response:
    """The names of all metrics."""
    return _json({"names": sorted(_aside(_meters))})


@blueprint.get("/metrics/<name>")
def metric(name: str) -> Response:
    """One metric, of all workers together; ``?tag=key:value``, which may be repeated, selects among its series."""
    wanted = tuple(_tag(text) for text in request.args.getlist("tag"))
    meter = _aside(_meters).get(name)
    told = meters.shown(name, meter, wanted) if meter is not None else None
    if told is None:
        raise NotFound("There is no such metric, or none with these tags; GET /actuator/metrics lists the names.")
    return _json(told)


def _meters() -> dict[str, meters.Meter]:
    return meters.meters(metrics.families(), memory.used())


def _tag(text: str) -> tuple[str, str]:
    key, colon, value = text.partition(":")
    if not colon or not key:
        raise BadRequest("A tag is written key:value.", param="tag")
    return key, value


@blueprint.get("/loggers")
def loggers() -> Response:
    """The loggers and their levels."""
    levels: Levels = current_app.extensions["aura.levels"]
    return _json({"levels": NAMES[::-1], "loggers": {name: levels.of(name) for name in levels.known()}, "groups": {}})


@blueprint.get("/loggers/<name>")
def logger(name: str) -> Response:
    """One logger's level."""
    return _json(_levels_with(name).of(name))


@blueprint.post("/loggers/<name>")
def set_level(name: str) -> Response:
    """Set a logger's level in all workers; ``null`` gives it back the one of the configuration."""
    gateway: Gateway = current_app.extensions["aura"]
    _check_may_administer(gateway)
    levels = _levels_with(name)
    if _SPRING_JSON.match(request.content_type or ""):
        request.environ["CONTENT_TYPE"] = JSON
    level = read_json(request, gateway.settings.server.max_body).get("configuredLevel")
    if level is not None and (not isinstance(level, str) or level.upper() not in NAMES):
        raise BadRequest(f"A level is one of {', '.join(NAMES)}, or null.", param="configuredLevel")
    levels.set(name, level.upper() if level else None)
    done = Response(status=204)
    del done.headers["Content-Type"]
    return done


def _levels_with(name: str) -> Levels:
    levels: Levels = current_app.extensions["aura.levels"]
    if name not in levels.known():
        raise NotFound("There is no such logger; GET /actuator/loggers lists them.")
    return levels


def _check_may_administer(gateway: Gateway) -> None:
    """A key is needed even where reading needs none; an administrator's, where there is such a key."""
    if not g.caller:
        raise Unauthorized("Setting a level needs one of the keys of aura.auth.keys.")
    if not g.admin and any(key.admin for key in gateway.settings.auth.keys):
        raise Forbidden("Only a key with admin: true may set a level.")
