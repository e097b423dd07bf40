"""Traces by OpenTelemetry: a span for a call, below it one for each attempt, below that one for a stream's content.

Imported only where ``aura.tracing.enabled`` says so; needs the extra ``otel``. Spans are made and ended by hand, since
an answer outlives the functions that began it, and a call's work may be done in another green thread.

Facts
  - ``traceparent`` is ``00-<trace id>-<span id>-<flags>``; ``tracestate`` goes on as it came (W3C Trace Context).
  - The attributes are those of OpenTelemetry's conventions for generative AI, version 1.37 and later:
    ``gen_ai.provider.name`` has taken the place of ``gen_ai.system``. What is ours begins with ``aura.``.
  - A span of kind SERVER is an error from 500 on only; one of kind CLIENT from 400 on.
"""

from __future__ import annotations

import atexit
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import gevent
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from . import __version__, metrics, upstream
from .call import Attempt, Call, Json, Planned, Target
from .settings import ProviderSettings, TracingSettings

MAX_WAITING = 4096  # spans that wait for their export; what comes beyond them is lost
BATCH = 64  # exported at a time: to encode them takes the loop a few milliseconds
EVERY = 1.0
_TIMEOUT = 5.0  # seconds for one batch, all tries together
_LAST = 1.0  # seconds that a process which ends gives to what waits
# Our own word for a provider's type and the conventions'.
_NAMES = {"azure": "azure.ai.openai"}
# What is no chat is called as its door.
_OTHERS = frozenset("count_tokens embeddings moderations images speech transcriptions translations rerank".split())
_GOOD = frozenset(("ok", "cached", "client_left"))
_KNOBS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
_PROPAGATOR = TraceContextTextMapPropagator()


class Tracer:
    """Begins the traces of calls.

    Args:
        exporter: where spans go; by default the collector of the settings, by OTLP over HTTP.
    """

    def __init__(
        self,
        settings: TracingSettings,
        providers: Mapping[str, ProviderSettings],
        exporter: SpanExporter | None = None,
    ) -> None:
        resource = Resource.create(
            {"service.name": settings.service_name, "service.version": __version__, "process.pid": os.getpid()}
        )
        made = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample)),
            resource=resource,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attributes=64, max_span_attribute_length=256),
        )
        made.add_span_processor(_Batches(exporter or _exporter(settings)))
        self._tracer = made.get_tracer("aura", __version__)
        self._providers = {name: _described(entry) for name, entry in providers.items()}

    def begin(self, call: Call, environ: Mapping[str, Any]) -> None:
        """Begin the span of a call, as of its first moment; it continues the client's trace if there is one."""
        sent = {name: environ[key] for name, key in _SENT if key in environ}
        span = self._tracer.start_span(
            f"{environ['REQUEST_METHOD']} {call.route}",
            context=_PROPAGATOR.extract(sent) if sent else None,
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": environ["REQUEST_METHOD"],
                "http.route": call.route,
                "aura.request_id": call.id,
                "aura.door": call.door,
            },
            start_time=time.time_ns() - int((time.monotonic() - call.started) * 1e9),
        )
        call.trace = Trace(self._tracer, self._providers, span)


_SENT = (("traceparent", "HTTP_TRACEPARENT"), ("tracestate", "HTTP_TRACESTATE"))


class Trace:
    """The spans of one call; see :class:`aura.call.Traced`."""

    __slots__ = ("_attempts", "_providers", "_span", "_streams", "_tracer", "headers")

    def __init__(self, tracer: Any, providers: Mapping[str, Json], span: Span) -> None:
        self._tracer, self._providers, self._span = tracer, providers, span
        self._attempts: dict[Target, Span] = {}  # two at once where a late target is hedged
        self._streams: dict[Target, Span] = {}
        self.headers: dict[str, str] = {}

    def begun(self, call: Call, planned: Planned) -> None:
        """An attempt begins."""
        target, operation = planned.target, call.door if call.door in _OTHERS else "chat"
        span = self._attempts[target] = self._tracer.start_span(
            f"{operation} {target.model}",
            context=set_span_in_context(self._span),
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.request.model": target.model,
                "aura.provider": target.provider,
                **self._providers.get(target.provider, {}),
                **_knobs(call.body),
            },
        )
        self.headers = {}
        _PROPAGATOR.inject(self.headers, set_span_in_context(span))

    def first_content(self, call: Call, seconds: float) -> None:
        """The first content of the attempt's stream has come."""
        attempt = self._attempts.get(call.target) if call.target is not None else None
        if attempt is None or call.target is None:
            return
        attempt.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
        context = set_span_in_context(attempt)
        self._streams[call.target] = self._tracer.start_span(f"stream {call.target.model}", context=context)

    def ended(self, call: Call, attempt: Attempt) -> None:
        """The attempt has ended, and with it its stream."""
        span, stream = self._attempts.pop(attempt.target, None), self._streams.pop(attempt.target, None)
        if span is None:
            return
        if call.upstream_id:
            span.set_attribute("aura.upstream_request_id", call.upstream_id)
        if attempt.usage is not None:
            span.set_attributes(
                {
                    "gen_ai.response.model": attempt.target.model,
                    "gen_ai.usage.input_tokens": attempt.usage.input,
                    "gen_ai.usage.output_tokens": attempt.usage.output,
                    "gen_ai.usage.cache_read.input_tokens": attempt.usage.cached_read,
                    "gen_ai.usage.cache_creation.input_tokens": attempt.usage.cached_write,
                }
            )
        if attempt.failure is not None:
            reason = attempt.failure.reason.value
            if attempt.failure.status:
                span.set_attribute("http.response.status_code", attempt.failure.status)
            for one in (stream, span):
                if one is not None:
                    one.set_attribute("error.type", reason)
                    one.set_status(Status(StatusCode.ERROR, reason))
        elif attempt.outcome != "ok":
            span.set_attribute("aura.outcome", attempt.outcome)
        if stream is not None:
            stream.end()
        span.end()

    def finish(self, call: Call) -> None:
        """The call has ended."""
        span = self._span
        told: dict[str, Any] = {
            "http.response.status_code": call.status,
            "aura.outcome": call.outcome,
            "aura.tier": call.tier.value if call.tier else None,
            "aura.score": call.score,
            "aura.cache": call.cache,
            "aura.attempts": len(call.attempts),
            "aura.cost_usd": call.cost_usd,
            "aura.tenant": call.caller or None,
            "aura.stream": call.stream,
        }
        span.set_attributes({name: value for name, value in told.items() if value is not None})
        if call.status >= 500 or (call.status < 400 and call.outcome not in _GOOD):
            kind = str(call.status) if call.status >= 500 else call.outcome
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _described(entry: ProviderSettings) -> Json:
    address = urlsplit(entry.base_url)
    told: Json = {"gen_ai.provider.name": _NAMES.get(entry.type, entry.type)}
    if address.hostname:
        told["server.address"] = address.hostname
        told["server.port"] = address.port or (80 if address.scheme == "http" else 443)
    return told


def _knobs(body: Json) -> Json:
    """The numbers that a call asks for; nothing that a person wrote."""
    found = {name: body[key] for key, name in _KNOBS.items() if type(body.get(key)) in (int, float)}
    return {**found, "gen_ai.request.stream": True} if body.get("stream") else found


def _exporter(settings: TracingSettings) -> OTLPSpanExporter:
    endpoint = f"{settings.endpoint.rstrip('/')}/v1/traces"
    return OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT, session=upstream.session())


class _Batches(SpanProcessor):
    """Exports spans some at a time, on a green thread of its own; nobody waits for it."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._waiting: deque[ReadableSpan] = deque()
        gevent.spawn(self._run)
        atexit.register(self._last)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span for its export, or lose it."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if len(self._waiting) >= MAX_WAITING:
            metrics.spans_lost.inc()
        else:
            self._waiting.append(span)

    def _run(self) -> None:
        while True:
            gevent.sleep(EVERY)
            self._export()

    def _export(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not self._took(batch):
                metrics.spans_lost.inc(len(batch))

    def _took(self, batch: Sequence[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # whatever the exporter does: it is no call's matter
            return False

    def _last(self) -> None:
        with gevent.Timeout(_LAST, False):
            self._export()
