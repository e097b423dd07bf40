"""What ``aura top`` shows: two looks at a gateway's counters, told as rates and shares, and as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Labels = tuple[tuple[str, str], ...]
Counts = dict[str, dict[Labels, float]]
View = dict[str, Any]
_STATES = ("closed", "half open", "open", "throttled")
_ENDS = ("_total", "_bucket", "_sum", "_count")
_TIERS = ("ECO", "BALANCED", "PREMIUM", "none")


@dataclass(frozen=True, slots=True)
class Scrape:
    """All counters at a moment, in monotonic seconds."""

    at: float
    counts: Counts


def difference(before: Scrape | None, now: Scrape) -> View:
    """What has happened between two looks; since the gateway's start where there is no look before.

    Rates are None where there is no time to divide by.
    """
    seconds = now.at - before.at if before else 0.0
    grown = _grown(before.counts, now.counts) if before else now.counts

    def rate(count: float) -> float | None:
        return round(count / seconds, 3) if seconds > 0 else None

    requests = grown.get("aura_requests_total", {})
    failed = sum(count for labels, count in requests.items() if dict(labels)["status"].startswith("5"))
    hits, misses = _sum(grown, "aura_cache_hits_total"), _sum(grown, "aura_cache_misses_total")
    return {
        "seconds": round(seconds, 3) or None,
        "requests": _count(sum(requests.values())),
        "requests_per_second": rate(sum(requests.values())),
        "failed_share": _share(failed, sum(requests.values())),
        "streams_open": _count(_sum(now.counts, "aura_streams_open")),
        "tiers": {tier: _timed(grown, "aura_request_duration_seconds", rate, tier=tier) for tier in _tiers(now)},
        "providers": {name: _provider(grown, now, rate, name) for name in _names(now, "provider")},
        "circuits": dict(_circuits(now)),
        "cache": {
            "hits": _count(hits),
            "misses": _count(misses),
            "hit_share": _share(hits, hits + misses),
            "entries": _count(_sum(now.counts, "aura_cache_entries")),
            "bytes": _count(_sum(now.counts, "aura_cache_bytes")),
        },
        "tokens": {kind: _count(_sum(grown, "aura_tokens_total", kind=kind)) for kind in ("input", "output")},
        "cost_usd": round(_sum(grown, "aura_cost_usd_total"), 6),
        "savings_usd": round(_sum(grown, "aura_savings_usd_total"), 6),
        "cost_total_usd": round(_sum(now.counts, "aura_cost_usd_total"), 6),
        "savings_total_usd": round(_sum(now.counts, "aura_savings_usd_total"), 6),
    }


def _grown(before: Counts, now: Counts) -> Counts:
    """By how much counters have grown; one that fell began anew with its gateway. Gauges stand as they are."""
    grown: Counts = {}
    for name, series in now.items():
        known = before.get(name, {}) if name.endswith(_ENDS) else {}
        fell = any(series.get(labels, 0.0) < value for labels, value in known.items())
        grown[name] = series if fell else {at: value - known.get(at, 0.0) for at, value in series.items()}
    return grown


def _sum(counts: Counts, name: str, **wanted: str) -> float:
    chosen = set(wanted.items())
    return sum(value for labels, value in counts.get(name, {}).items() if chosen <= set(labels))


def _names(now: Scrape, label: str) -> list[str]:
    found = (dict(labels).get(label) for labels in now.counts.get("aura_provider_requests_total", {}))
    return sorted({name for name in found if name})


def _tiers(now: Scrape) -> list[str]:
    seen = {dict(labels)["tier"] for labels in now.counts.get("aura_requests_total", {})}
    return [tier for tier in _TIERS if tier in seen]


def _circuits(now: Scrape) -> Iterator[tuple[str, str]]:
    for labels, level in sorted(now.counts.get("aura_circuit_state", {}).items()):
        told = dict(labels)
        yield f"{told['provider']}/{told['model']}", _STATES[min(int(level), len(_STATES) - 1)]


def _timed(counts: Counts, name: str, rate: Any, **wanted: str) -> View:
    count = _sum(counts, f"{name}_count", **wanted)
    p50, p95 = (_quantile(counts, name, share, **wanted) for share in (0.5, 0.95))
    return {"count": _count(count), "per_second": rate(count), "p50_s": p50, "p95_s": p95}


def _provider(grown: Counts, now: Scrape, rate: Any, name: str) -> View:
    first = _timed(grown, "aura_time_to_first_token_seconds", rate, provider=name)
    levels = [level for at, level in now.counts.get("aura_circuit_state", {}).items() if ("provider", name) in at]
    return {
        **_timed(grown, "aura_provider_duration_seconds", rate, provider=name),
        "failures": _count(_sum(grown, "aura_provider_failures_total", provider=name)),
        "first_token_p50_s": first["p50_s"],
        "first_token_p95_s": first["p95_s"],
        "circuit": _STATES[min(int(max(levels, default=0)), len(_STATES) - 1)],
    }


def _quantile(counts: Counts, name: str, share: float, **wanted: str) -> float | None:
    """A quantile of a histogram, as Prometheus estimates it: evenly spread within a bucket; None of nothing."""
    buckets: dict[float, float] = {}
    for labels, value in counts.get(f"{name}_bucket", {}).items():
        if set(wanted.items()) <= set(labels):
            bound = float(dict(labels)["le"])
            buckets[bound] = buckets.get(bound, 0.0) + value
    total = buckets.get(float("inf"), 0.0)
    if not total:
        return None
    below, under = 0.0, 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= share * total:
            if bound == float("inf"):
                return below
            return round(below + (bound - below) * (share * total - under) / (buckets[bound] - under), 4)
        below, under = bound, buckets[bound]
    return below


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _count(value: float) -> int:
    return round(value)


# ---- as text


def lines(view: View) -> list[str]:
    """The view as lines for people."""
    cache, tokens = view["cache"], view["tokens"]
    span = f"in {view['seconds']:.1f} s" if view["seconds"] else "since its start"
    told = [
        f"requests {view['requests']} {span}   {_number(view['requests_per_second'])}/s   "
        f"failed {_percent(view['failed_share'])}   open streams {view['streams_open']}",
        f"cache    hits {cache['hits']}   misses {cache['misses']}   {_percent(cache['hit_share'])} hit   "
        f"{cache['entries']} answers, {cache['bytes'] / 2**20:.1f} MiB",
        f"tokens   {tokens['input']} in   {tokens['output']} out   cost ${view['cost_usd']:.4f}   "
        f"saved ${view['savings_usd']:.4f}   (in all ${view['cost_total_usd']:.4f}, "
        f"saved ${view['savings_total_usd']:.4f})",
        "",
        f"{'tier':<24}{'calls':>8}{'/s':>9}{'p50':>9}{'p95':>9}",
        *(f"{_plain(tier):<24}{_row(one)}" for tier, one in view["tiers"].items()),
        "",
        f"{'provider':<24}{'attempts':>8}{'/s':>9}{'p50':>9}{'p95':>9}{'first p50':>11}{'p95':>9}"
        f"{'failed':>8}  circuit",
    ]
    for name, one in view["providers"].items():
        first = f"{_time(one['first_token_p50_s']):>11}{_time(one['first_token_p95_s']):>9}"
        told.append(f"{_plain(name):<24}{_row(one)}{first}{one['failures']:>8}  {one['circuit']}")
    ill = [f"{_plain(name):<48}{state}" for name, state in view["circuits"].items() if state != _STATES[0]]
    return [*told, "", "circuits that are not closed", *ill] if ill else told


def _row(one: View) -> str:
    return f"{one['count']:>8}{_number(one['per_second']):>9}{_time(one['p50_s']):>9}{_time(one['p95_s']):>9}"


def _plain(name: str) -> str:
    """A name without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.2f}s"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
