"""The metrics and their documentation."""

from __future__ import annotations

import re

import pytest

from aura import metrics, metrics_reference
from aura.configuration import reference
from aura.meters import meters, shown
from tests.server import ROOT

METRICS = ROOT / "docs" / "metrics.md"


def test_the_generated_table_is_up_to_date():
    """If not: ``python -m aura.metrics_reference docs/metrics.md``."""
    text = METRICS.read_text("utf-8")

    assert reference.filled_in(text, metrics_reference.PARTS) == text


def test_every_metric_has_its_row():
    text = METRICS.read_text("utf-8")
    own = [family.name for family in metrics.registry.collect() if family.name.startswith("aura_")]

    assert len(own) > 20
    assert [name for name in own if not re.search(rf"^\| `{name}(_total)?` \|", text, re.MULTILINE)] == []


def test_every_metric_that_a_document_names_exists():
    names = {f"{one._name}{end}" for one in metrics_reference.declared() for end in ("", "_total")}
    for path in sorted((ROOT / "docs").glob("*.md")):
        asked = set(re.findall(r"`(aura_[a-z_]+[a-z])`", path.read_text("utf-8")))

        assert asked <= names, path.name


class Family:
    """A metric as ``prometheus_client`` has it."""

    def __init__(self, name: str, kind: str, *samples: tuple[str, dict[str, str], float]) -> None:
        self.name, self.type, self.documentation = name, kind, "What it counts."
        self.samples = [Sample(f"{name}{end}", labels, value) for end, labels, value in samples]


class Sample:
    def __init__(self, name: str, labels: dict[str, str], value: float) -> None:
        self.name, self.labels, self.value = name, labels, value


def histogram(name: str, buckets: dict[str, float], total: float) -> Family:
    samples = [("_bucket", {"provider": "p", "le": bound}, value) for bound, value in buckets.items()]
    count = ("_count", {"provider": "p"}, buckets["+Inf"])
    return Family(name, "histogram", *samples, count, ("_sum", {"provider": "p"}, total))


@pytest.mark.parametrize(
    ("buckets", "total", "longest"),
    [
        ({"1.0": 2, "2.0": 2, "+Inf": 2}, 1.5, 1.0),
        ({"1.0": 1, "2.0": 2, "+Inf": 2}, 1.5, 1.5),
        ({"1.0": 0, "2.0": 0, "+Inf": 3}, 90.0, 90.0),
        ({"1.0": 0, "2.0": 0, "+Inf": 0}, 0.0, 0.0),
    ],
)
def test_the_longest_time_is_known_by_its_bucket_and_is_never_more_than_all(buckets, total, longest):
    found = meters([histogram("aura_x_seconds", buckets, total)], 0)
    told = shown("aura.x", found["aura.x"], ())

    assert told is not None
    assert told["measurements"][2] == {"statistic": "MAX", "value": longest}


def test_of_several_circuits_the_worst_is_told_of_streams_the_sum():
    families = [
        Family(name, "gauge", ("", {"model": "a"}, 1.0), ("", {"model": "b"}, 2.0))
        for name in ("aura_circuit_state", "aura_streams_open")
    ]
    found = meters(families, 0)

    assert shown("", found["aura.circuit.state"], ())["measurements"][0]["value"] == 2.0
    assert shown("", found["aura.streams.open"], ())["measurements"][0]["value"] == 3.0
