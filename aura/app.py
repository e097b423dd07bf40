"""Builds the parts, hands them over, and registers the blueprints."""

from __future__ import annotations

import logging
import os
import random
import time
from typing import Any

from flask import Flask, Response
from flask_caching import Cache
from prometheus_flask_exporter import PrometheusMetrics

from . import catalogue, classifier, configuration, levels, log, metrics, slots
from .api import (
    actuator,
    anthropic,
    auth,
    cache,
    docs,
    door,
    errors,
    forward,
    health,
    ollama,
    openai,
    responses,
    route,
)
from .api.application import Application, present
from .cache import AnswerCache, KeptResponses, Semantic
from .call import Call
from .configuration.problems import ConfigurationError
from .embedding import Embeddings
from .errors import NotFound
from .fleet import Fleet
from .forward import Forwarder
from .gateway import Gateway
from .guarded import Guard, wanted
from .ledger import Ledger
from .moderation import Moderation
from .providers import Provider, build
from .quota import Quota
from .quota.table import shared
from .recording import Recorder
from .request_id import new_request_id
from .router import Router
from .settings import Settings, UpstreamSettings
from .tokens import Sender
from .upstream import Upstream

logger = logging.getLogger("aura.app")


def create_app(settings: Settings | None = None) -> Flask:
    """Make the WSGI application.

    Args:
        settings: as :func:`aura.configuration.load` gives them; None loads them.
    """
    if settings is None:
        settings = configuration.load()
    log.setup(settings.log, metrics.log_lost.inc)
    app = Application("aura", prefix=("/v1/", door.OLLAMA), aside=("prometheus_flask_exporter",))
    app.url_map.merge_slashes = False  # a redirect would answer HTML
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    known = catalogue.load()
    gateway = app.extensions["aura"] = _gateway(app, settings, known)
    app.extensions["aura.forward"] = Forwarder(gateway, known)
    app.extensions["aura.levels"] = levels.Levels(os.environ.get(slots.FOLDER, ""))
    _observe(app)
    public = actuator.public_rules(settings.actuator.public) | (docs.RULES if settings.docs.public else frozenset())
    auth.register(app, settings.auth, public)
    errors.register(app)
    app.register_blueprint(openai.blueprint)
    app.register_blueprint(anthropic.blueprint)
    app.register_blueprint(responses.blueprint)
    app.register_blueprint(forward.blueprint)
    app.register_blueprint(ollama.blueprint)
    app.register_blueprint(route.blueprint)
    app.register_blueprint(cache.blueprint)
    app.register_blueprint(actuator.blueprint)
    app.register_blueprint(health.blueprint)
    if settings.docs.enabled:
        docs.register(app, public, bool(settings.auth.keys))
    return app


def _gateway(app: Flask, settings: Settings, known: catalogue.Catalogue) -> Gateway:
    router = Router(settings, known, random.random)
    fleet = Fleet(set(router.targets()))
    baseline = router.baseline()
    providers = {name: build(entry) for name, entry in settings.providers.items() if entry.enabled}
    sender = Sender(_upstream(settings.upstream), time.monotonic)
    guard = _guard(settings, providers, sender)
    gateway = Gateway(
        settings,
        router,
        classifier.build(settings.classifier),
        providers,
        fleet,
        Ledger(fleet, baseline.price if baseline else None),
        sender,
        _cache(app, settings, _semantic(settings, providers, sender, guard)),
        _quota(settings),
    )
    gateway.guard = guard
    if settings.log.record_prompts:
        gateway.recorder = Recorder(settings.log.record_prompts)
    if settings.tracing.enabled:
        from .tracing import Tracer  # takes 0.2 s and what the extra brings: only where it is wanted

        gateway.tracer = Tracer(settings.tracing, settings.providers)
    return gateway


def _upstream(own: UpstreamSettings) -> Upstream:
    proxies = {}
    if own.proxy:
        proxies = {"all": own.proxy.reveal(), **{f"all://{host}": "" for host in own.no_proxy}}
    return Upstream(ca_bundle=own.ca_bundle or None, proxies=proxies)


def _quota(settings: Settings) -> Quota:
    own = settings.limits
    if own.storage != "redis":
        return Quota(own, settings.auth.keys)
    # Its client is imported where a configuration asks for it.
    from .quota.remote import Remote

    url = (own.redis_url or settings.cache.redis_url).reveal()
    return Quota(own, settings.auth.keys, lambda windows, rows: Remote(url, shared(windows, rows)))


def _guard(settings: Settings, providers: dict[str, Provider], sender: Sender) -> Guard | None:
    """What refuses or masks, where the operator wants that."""
    if not wanted(settings):
        return None
    rail, moderation = settings.guardrails.moderation, None
    if rail is not None:
        moderation = Moderation(rail, providers[rail.provider], sender, time.monotonic)
    return Guard(settings, moderation)


def _semantic(
    settings: Settings, providers: dict[str, Provider], sender: Sender, guard: Guard | None
) -> Semantic | None:
    """What tells questions in other words, where the operator wants it; what is masked has no part in it."""
    own, apart = settings.cache, guard.masks if guard is not None else None
    if not own.enabled or own.semantic == "none":
        return None
    if own.semantic == "local":
        # An extra's, half a second and 50 MB: imported where a configuration asks for it.
        from .cache.likeness import StaticModel

        return Semantic(StaticModel(), own.semantic_threshold, apart)
    provider, _, model = own.semantic.partition("/")
    try:
        likeness = Embeddings(providers[provider], model, sender, own.semantic_timeout)
    except ValueError as error:
        raise ConfigurationError([("aura.cache.semantic", f"{provider} {error}")]) from None
    return Semantic(likeness, own.semantic_threshold, apart)


def _cache(app: Flask, settings: Settings, semantic: Semantic | None) -> AnswerCache:
    """The cache, with the clock that its store's users share: this host's, or that of all hosts."""
    own = settings.cache
    store: Any = Cache(
        app,
        config={
            "CACHE_TYPE": "aura.cache.remote.RedisCache" if own.type == "redis" else "aura.cache.LocalCache",
            "CACHE_THRESHOLD": own.max_entries,
            "CACHE_MAX_BYTES": own.max_bytes,
            "CACHE_MAX_ENTRY": own.max_entry,
            "CACHE_DEFAULT_TIMEOUT": own.ttl,
            "CACHE_REDIS_URL": own.redis_url.reveal(),
        },
    ).cache
    clock = time.time if own.type == "redis" else time.monotonic
    app.extensions["aura.responses"] = KeptResponses(store, own, settings.responses.ttl, clock)
    ttls = {key.name: key.cache_ttl for key in settings.auth.keys if key.cache_ttl is not None}
    return AnswerCache(store, own, clock, ttls, semantic)


def _observe(app: Flask) -> None:
    """Note every request once: calls by the ledger at their end, all others here."""
    PrometheusMetrics(
        app,
        path=None,
        group_by="url_rule",
        excluded_paths=["^/v1/", "^/openai/", f"^{door.OLLAMA}"],
        registry=metrics.registry,
        buckets=(0.01, 0.1, 1.0),
    )

    gateway: Gateway = app.extensions["aura"]
    known: levels.Levels = app.extensions["aura.levels"]

    @app.before_request
    def begin() -> None:
        here, request = present()
        environ = request.environ
        here.started = time.monotonic()
        here.request_id = new_request_id(environ)
        here.gateway = gateway
        here.call = None
        known.follow()
        raw = environ.get("RAW_URI", "")
        if ("%2" in raw or "//" in raw) and _passes_for_another(raw):
            raise NotFound("There is no such path; its slashes must be single and not encoded.")

    @app.after_request
    def end(response: Response) -> Response:
        here, request = present()
        call: Call | None = here.call
        if call is not None:
            if not response.is_streamed:
                gateway.ledger.finish(call, response.status_code)
            return response
        response.headers.setdefault("x-request-id", here.request_id)
        if request.url_rule is not None and door.makes_calls(request.url_rule.rule) and response.status_code >= 400:
            gateway.ledger.refused(response.status_code)
        logger.info(
            "request.done",
            extra={
                "id": here.request_id,
                "route": request.url_rule.rule if request.url_rule else None,
                "method": request.method if request.method in _METHODS else "other",
                "tenant": here.get("caller") or None,
                "status": response.status_code,
                "duration_s": round(time.monotonic() - here.started, 4),
            },
        )
        return response


def _passes_for_another(raw: str) -> bool:
    """Whether a path is written so that a proxy in front may take it for another; models' names may hold a slash."""
    path = raw.partition("?")[0].lower()
    if not path.startswith("/"):  # the absolute form: http://host/path
        path = "/" + path.partition("://")[2].partition("/")[2]
    return "//" in path or ("%2f" in path and not path.startswith(_NAMES))


_NAMES = ("/v1/models/", "/openai/v1/models/", "/openai/models/", "/openai/deployments/")


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
