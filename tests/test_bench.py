"""The tools that measure: provider and load generator, in C and in Python, say the same of one another."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bench import chart, curves, instructions
from bench.phases import phase, request
from bench.tools import tools

NATIVE = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")),
]


@pytest.mark.parametrize("native", NATIVE)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_streams_are_counted_to_their_last_event(native, path):
    with tools(native) as having, having.provider() as provider:
        provider.behave(wait=1, chunks=5, gap=100)
        data = request(phase("stream", 1), provider.port, path, {}, "gpt-4o-mini", 1)
        told = having.load(data, port=provider.port, connections=3, requests=12, patience=20)
        counts = provider.behave()

    assert (12, 0, 0) == (told["answered"], told["failed"], told["incomplete"])
    assert {"200": 12} == told["statuses"]
    events = 5 + (4 if path == "/v1/chat/completions" else 5)
    assert 12 * events == told["events"]
    assert told["late_us"]["max"] >= told["late_us"]["p50"] >= 0
    assert 12 == counts["requests"]


@pytest.mark.parametrize("mode", instructions.MODES)
def test_a_request_is_answered_without_sockets(mode):
    command = [sys.executable, "-m", "bench.inside", mode, "2"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize(
    ("points", "bend"),
    [([(1, 10), (10, 19), (20, 29)], 1.0), ([(1, 1), (10, 100), (20, 400)], 30 / 11), ([(1, 5), (2, 5), (3, 5)], 0.0)],
)
def test_a_curve_tells_whether_one_more_costs_more_at_its_end(points, bend):
    assert pytest.approx(bend) == curves.bend(points)


def test_a_chart_holds_every_point():
    drawn = chart.drawn("Tools", "tools", "µs", [(1.0, 5.0), (64.0, 70.0), (128.0, 130.0)])

    assert 3 == drawn.count("<circle")
