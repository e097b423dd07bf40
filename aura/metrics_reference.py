"""The generated part of ``docs/metrics.md``: ``python -m aura.metrics_reference docs/metrics.md`` fills it in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from . import metrics
from .configuration import reference
from .meters import dotted

_SUFFIX = {"counter": "_total"}


def declared() -> list[Any]:
    """All metrics, by name."""
    found = (getattr(one, "metric", one) for one in vars(metrics).values())
    return sorted(filter(_is_metric, found), key=lambda one: str(one._name))


def _is_metric(one: Any) -> bool:
    return isinstance(one, Counter | Gauge | Histogram)


def _rows() -> Iterator[tuple[str, ...]]:
    for one in declared():
        labels = ", ".join(f"`{label}`" for label in one._labelnames)
        name = one._name + _SUFFIX.get(one._type, "")
        yield f"`{name}`", one._type, labels, f"`{dotted(one._name)}`", one._documentation


PARTS = {"metrics": lambda: reference.table(("metric", "type", "labels", "in /actuator/metrics", ""), _rows())}


if __name__ == "__main__":
    reference.main(sys.argv[1:], PARTS)
