"""The metrics under dotted names and in JSON, as Spring Boot's actuator shows Micrometer's. Pure.

Facts
  - ``GET /actuator/metrics`` is ``{"names": [...]}``; one of them is ``{"name", "description", "baseUnit",
    "measurements": [{"statistic", "value"}], "availableTags": [{"tag", "values"}]}``. A counter measures COUNT, a
    gauge VALUE, a timer COUNT, TOTAL_TIME and MAX.
  - The tags of a query select; the measurements are those of all series that are left, taken together, and the tags
    that are left are those that tell them apart. Where nothing is left it is 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

COUNT, TOTAL_TIME, MAX, VALUE = "COUNT", "TOTAL_TIME", "MAX", "VALUE"
_UNITS = ("seconds", "bytes", "usd")
Tags = tuple[tuple[str, str], ...]
# Of several circuits the worst, of several timers the longest time; everything else adds up.
_WORST = ("aura.circuit.state",)
# One name of the old runbooks for two counters of ours.
_GETS = {"aura_cache_hits": "hit", "aura_cache_misses": "miss"}
_OLD_NAMES = {"aura_cache_entries": "cache.size", "aura_cache_evictions": "cache.evictions"}


class Sample(Protocol):
    """A number of a family, as ``prometheus_client`` has it."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family(Protocol):
    """A metric with all its series, as ``prometheus_client`` has it."""

    name: str
    documentation: str
    type: str
    samples: list[Any]


@dataclass(slots=True)
class Meter:
    """One metric: its series by tags, each with the value of every statistic."""

    description: str = ""
    unit: str | None = None
    statistics: tuple[str, ...] = (VALUE,)
    worst: bool = False
    series: dict[Tags, dict[str, float]] = field(default_factory=dict)


def meters(families: Iterable[Family], memory: int) -> dict[str, Meter]:
    """All metrics by dotted name.

    Args:
        memory: bytes that the instance takes.
    """
    found: dict[str, Meter] = {}
    for family in families:
        for name, meter in _named(family):
            known = found.setdefault(name, meter)
            known.series |= meter.series
    used = "Bytes of memory that the instance takes, all its processes together."
    found["process.memory.used"] = Meter(used, "bytes", series={(): {VALUE: memory}})
    areas: dict[Tags, dict[str, float]] = {
        (("area", "heap"),): {VALUE: memory},
        (("area", "nonheap"),): {VALUE: 0.0},
    }
    found["jvm.memory.used"] = Meter(f"{used} The same as process.memory.used.", "bytes", series=areas)
    return found


def dotted(name: str) -> str:
    """The dotted name of a metric; seconds are what a timer is in, so its name does not say them."""
    return name.removesuffix("_seconds").replace("_", ".")


def _named(family: Family) -> Iterator[tuple[str, Meter]]:
    meter = _meter(family)
    yield dotted(family.name), meter
    if family.name in _OLD_NAMES:
        yield _OLD_NAMES[family.name], meter
    if family.name in _GETS:
        tags = (("result", _GETS[family.name]),)
        count = sum(values[COUNT] for values in meter.series.values())
        yield "cache.gets", Meter("Look-ups in the cache.", None, (COUNT,), series={tags: {COUNT: count}})


def _meter(family: Family) -> Meter:
    statistics = {"counter": (COUNT,), "histogram": (COUNT, TOTAL_TIME, MAX)}.get(family.type, (VALUE,))
    unit = next((unit for unit in _UNITS if family.name.endswith(f"_{unit}")), None)
    meter = Meter(family.documentation, unit, statistics, dotted(family.name) in _WORST)
    if family.type == "histogram":
        meter.series = _timers(family)
    else:
        ends = ("_created",)
        for sample in family.samples:
            if not sample.name.endswith(ends):
                meter.series[_tags(sample.labels)] = {statistics[0]: sample.value}
    return meter


def _timers(family: Family) -> dict[Tags, dict[str, float]]:
    series: dict[Tags, dict[str, float]] = {}
    counted: dict[Tags, dict[float, float]] = {}
    for sample in family.samples:
        tags = _tags(sample.labels)
        if sample.name.endswith("_bucket"):
            counted.setdefault(tags, {})[float(sample.labels["le"])] = sample.value
        elif sample.name.endswith("_count"):
            series.setdefault(tags, {})[COUNT] = sample.value
        elif sample.name.endswith("_sum"):
            series.setdefault(tags, {})[TOTAL_TIME] = sample.value
    for tags, values in series.items():
        values[MAX] = _longest(counted.get(tags, {}), values.get(TOTAL_TIME, 0.0))
    return series


def _longest(buckets: dict[float, float], total: float) -> float:
    """What the longest time was at most: the bound of the last bucket that counted any, and never more than all."""
    last, before = 0.0, 0.0
    for bound in sorted(buckets):
        if buckets[bound] > before:
            last, before = bound, buckets[bound]
    return min(last, total)


def _tags(labels: Mapping[str, str]) -> Tags:
    return tuple((name, value) for name, value in labels.items() if name != "le")


def shown(name: str, meter: Meter, wanted: Tags) -> dict[str, Any] | None:
    """A metric as the endpoint shows it; None where no series has the tags that are wanted."""
    chosen = {tags: values for tags, values in meter.series.items() if set(wanted) <= set(tags)}
    if not chosen and (wanted or meter.series):
        return None
    measurements = [{"statistic": one, "value": _together(meter, one, chosen.values())} for one in meter.statistics]
    told: dict[str, Any] = {"name": name, "description": meter.description}
    if meter.unit:
        told["baseUnit"] = meter.unit
    return told | {"measurements": measurements, "availableTags": _available(chosen, {tag for tag, _ in wanted})}


def _together(meter: Meter, statistic: str, series: Iterable[Mapping[str, float]]) -> float:
    values = [one.get(statistic, 0.0) for one in series]
    return max(values, default=0.0) if statistic == MAX or meter.worst else float(sum(values))


def _available(chosen: Iterable[Tags], known: set[str]) -> list[dict[str, Any]]:
    values: dict[str, set[str]] = {}
    for tags in chosen:
        for tag, value in tags:
            if tag not in known:
                values.setdefault(tag, set()).add(value)
    return [{"tag": tag, "values": sorted(values[tag])} for tag in sorted(values)]
