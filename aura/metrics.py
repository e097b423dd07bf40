"""Every metric, once. Labels come from closed sets: tier, provider, model of the configuration, status, reason.

All workers of an instance count together: each writes the files of its slot (``AURA_WORKER_SLOT``, given by the
master) in ``PROMETHEUS_MULTIPROC_DIR``, and a scrape adds them up. A slot is used again after its worker has died, so
counters go on and files do not grow in number.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from .runtime import CACHE_FOLDER
from .samples import SlotValue
from .slots import FOLDER

SHARED = bool(os.environ.get(FOLDER))
if SHARED:
    values.ValueClass = SlotValue

registry = CollectorRegistry()


class Tally:
    """A counter's number: counted without the checks that ``Counter.inc`` makes each time."""

    __slots__ = ("add", "metric")

    def __init__(self, counter: Counter) -> None:
        self.metric = counter
        self.add: Callable[[float], None] = counter._value.inc
        """Adds to the number."""

    def inc(self, amount: float = 1.0) -> None:
        """Add to the number."""
        self.add(amount)


class Spread:
    """A histogram's numbers: the bucket is looked up, where ``Histogram.observe`` tries one after another."""

    __slots__ = ("_add", "_bounds", "_buckets", "metric")

    def __init__(self, histogram: Histogram) -> None:
        self.metric = histogram
        self._add: Callable[[float], None] = histogram._sum.inc
        self._bounds: list[float] = list(histogram._upper_bounds)
        self._buckets: list[Callable[[float], None]] = [bucket.inc for bucket in histogram._buckets]

    def observe(self, amount: float) -> None:
        """Note a value."""
        self._add(amount)
        self._buckets[bisect_left(self._bounds, amount)](1.0)


class Counters(dict[tuple[str, ...], Tally]):
    """A counter's series by their label values. ``labels()`` takes 2 µs each time, this but the first."""

    def __init__(self, metric: Counter) -> None:
        super().__init__()
        self.metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Tally:
        found = self[labels] = Tally(self.metric.labels(*labels))
        return found


class Histograms(dict[tuple[str, ...], Spread]):
    """A histogram's series by their label values."""

    def __init__(self, metric: Histogram) -> None:
        super().__init__()
        self.metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Spread:
        found = self[labels] = Spread(self.metric.labels(*labels))
        return found


# Latencies of language models double from 10 ms on (the buckets of OpenTelemetry's gen_ai conventions).
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_OVERHEAD = (0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)

requests = Counters(
    Counter("aura_requests_total", "Requests by tier and status.", ["tier", "status"], registry=registry)
)
request_duration = Histograms(
    Histogram(
        "aura_request_duration_seconds",
        "Seconds from a request's head to the end of its answer; streams are observed at their end.",
        ["tier", "stream"],
        buckets=_SECONDS,
        registry=registry,
    )
)
provider_requests = Counters(
    Counter("aura_provider_requests_total", "Attempts by provider and model.", ["provider", "model"], registry=registry)
)
provider_failures = Counters(
    Counter(
        "aura_provider_failures_total",
        "Failed attempts by provider and reason.",
        ["provider", "reason"],
        registry=registry,
    )
)
provider_duration = Histograms(
    Histogram(
        "aura_provider_duration_seconds",
        "Seconds of one attempt, from sending to its end.",
        ["provider"],
        buckets=_SECONDS,
        registry=registry,
    )
)
cache_hits = Tally(Counter("aura_cache_hits_total", "Answers that came from the cache.", registry=registry))
cache_misses = Tally(Counter("aura_cache_misses_total", "Look-ups that found no answer.", registry=registry))
# Workers that share a cache count the same answers.
_OF_ALL: Literal["livemostrecent", "livesum"] = "livemostrecent" if os.environ.get(CACHE_FOLDER) else "livesum"
cache_entries = Gauge("aura_cache_entries", "Answers in the local cache.", multiprocess_mode=_OF_ALL, registry=registry)
cache_bytes = Gauge(
    "aura_cache_bytes",
    "Bytes that the answers in the local cache take.",
    multiprocess_mode=_OF_ALL,
    registry=registry,
)
cache_evictions = Counter("aura_cache_evictions_total", "Answers that had to go for others.", registry=registry)
cache_coalesced = Counter(
    "aura_cache_coalesced_total", "Calls that were given the answer of one already in flight.", registry=registry
)
cache_semantic_hits = Counter(
    "aura_cache_semantic_hits_total",
    "The part of aura_cache_hits_total that was asked for in other words.",
    registry=registry,
)
redis_down = Gauge(
    "aura_redis_down",
    "1 while Redis is out of use for cache or limits (part), which go on by themselves; the worst of the workers.",
    ["part"],
    multiprocess_mode="livemax",
    registry=registry,
)
cache_saved_seconds = Tally(
    Counter(
        "aura_cache_saved_seconds_total", "Seconds that the providers took for answers given again.", registry=registry
    )
)
cache_saved_usd = Tally(
    Counter("aura_cache_saved_usd_total", "US dollars that answers given again had cost.", registry=registry)
)
time_to_first_token = Histograms(
    Histogram(
        "aura_time_to_first_token_seconds",
        "Seconds from sending a streamed attempt to its first content.",
        ["provider"],
        buckets=_SECONDS,
        registry=registry,
    )
)
overhead = Spread(
    Histogram(
        "aura_overhead_seconds",
        "Seconds that the gateway itself added before an answer began.",
        buckets=_OVERHEAD,
        registry=registry,
    )
)
tokens = Counters(
    Counter("aura_tokens_total", "Tokens as the providers counted them.", ["provider", "kind"], registry=registry)
)
cost = Counters(
    Counter("aura_cost_usd_total", "US dollars by the catalogue's prices.", ["provider", "model"], registry=registry)
)
failed_cost = Counters(
    Counter(
        "aura_failed_cost_usd_total",
        "The part of aura_cost_usd_total that failed attempts had.",
        ["provider", "model"],
        registry=registry,
    )
)
savings = Tally(
    Counter(
        "aura_savings_usd_total", "US dollars saved against asking the baseline model every time.", registry=registry
    )
)
failovers = Counter(
    "aura_failovers_total",
    "Moves from one provider to the next, by the reason of the first's failure.",
    ["from", "to", "reason"],
    registry=registry,
)
rescues = Counter("aura_rescues_total", "Broken streams continued, by outcome.", ["outcome"], registry=registry)
hedges = Counter(
    "aura_hedges_total",
    "Second calls beside a late one, by whether theirs was the answer.",
    ["outcome"],
    registry=registry,
)
streams_open = Gauge("aura_streams_open", "Streams being answered now.", multiprocess_mode="livesum", registry=registry)
circuit_state = Gauge(
    "aura_circuit_state",
    "Circuit of a target: 0 closed, 1 half open, 2 open, 3 throttled; the worst of the workers.",
    ["provider", "model"],
    multiprocess_mode="livemax",
    registry=registry,
)
guardrail_values = Counters(
    Counter(
        "aura_guardrail_values_total",
        "Personal values and keys found in prompts, by kind, and what was done.",
        ["kind", "action"],
        registry=registry,
    )
)
guardrail_moderations = Counters(
    Counter(
        "aura_guardrail_moderations_total",
        "Prompts by what their moderation came to: passed, remembered, flagged, failed.",
        ["outcome"],
        registry=registry,
    )
)
guardrail_moderation_seconds = Histogram(
    "aura_guardrail_moderation_seconds",
    "Seconds that a moderation endpoint took.",
    buckets=_SECONDS,
    registry=registry,
)
rate_limited = Counters(
    Counter(
        "aura_rate_limited_total",
        "Calls refused by a limit of Aura's own, of the key or of all (scope), on requests, tokens or open calls.",
        ["scope", "limit"],
        registry=registry,
    )
)
client_disconnects = Counter(
    "aura_client_disconnects_total", "Clients that left before their answer had ended.", registry=registry
)
spans_lost = Counter(
    "aura_spans_lost_total", "Spans of traces lost because the collector did not take them.", registry=registry
)
log_lost = Counter("aura_log_lost_total", "Log lines lost because nobody took them in time.", registry=registry)


class _Shown:
    """The instance's metrics: all workers' files, and the names that nothing has been counted under yet."""

    def collect(self) -> Iterator[Metric]:
        files = MultiProcessCollector(None, os.environ[FOLDER])  # type: ignore[no-untyped-call]
        found = {metric.name: metric for metric in files.collect()}  # type: ignore[no-untyped-call]
        for metric in registry.collect():
            if metric.name not in found:
                found[metric.name] = Metric(metric.name, metric.documentation, metric.type, metric.unit)
        yield from found.values()


def families() -> list[Metric]:
    """All metrics with their series, of all workers together. Takes as long as :func:`exposition`."""
    return list(_Shown().collect() if SHARED else registry.collect())


def exposition(accept: str) -> tuple[bytes, str]:
    """Render all metrics, OpenMetrics where ``accept`` asks for it. Returns body and content type.

    Takes some tens of milliseconds with many series: call it on a thread, not on the loop.
    """
    source: CollectorRegistry = registry
    if SHARED:
        source = CollectorRegistry()
        source.register(_Shown())
    if "application/openmetrics-text" in accept:
        body: bytes = openmetrics.generate_latest(source)  # type: ignore[no-untyped-call]
        return body, openmetrics.CONTENT_TYPE_LATEST
    return prometheus_client.generate_latest(source), prometheus_client.CONTENT_TYPE_LATEST
