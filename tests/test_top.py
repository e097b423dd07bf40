"""``aura top``: what its figures say, and how it behaves in a terminal, in a pipe, and before a gateway that is not."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from aura.cli.watched import Scrape, difference, lines
from tests.calls import chat
from tests.faulty import Faulty, closed_port
from tests.server import ROOT, gateway

pytestmark = pytest.mark.xdist_group("top")

KEY = "key-of-a-0001"
INFINITE = "+Inf"


def counts(requests: float, failed: float = 0, *buckets: float) -> dict:
    """Counters of one tier; of its durations so many up to 1, 2 and any seconds."""
    shown = zip(("1.0", "2.0", INFINITE), buckets or (requests, requests, requests), strict=True)
    return {
        "aura_requests_total": {
            (("status", "200"), ("tier", "ECO")): requests - failed,
            (("status", "503"), ("tier", "ECO")): failed,
        },
        "aura_request_duration_seconds_bucket": {
            (("le", bound), ("stream", "true"), ("tier", "ECO")): value for bound, value in shown
        },
        "aura_request_duration_seconds_count": {(("stream", "true"), ("tier", "ECO")): requests},
        "aura_streams_open": {(): 3.0},
    }


def test_rates_are_of_the_time_between_two_looks():
    view = difference(Scrape(10.0, counts(100)), Scrape(14.0, counts(120, 5)))

    assert (view["requests"], view["requests_per_second"], view["failed_share"]) == (20, 5.0, 0.25)
    assert view["tiers"]["ECO"]["per_second"] == 5.0
    assert view["streams_open"] == 3


def test_a_first_look_knows_no_rate():
    view = difference(None, Scrape(10.0, counts(100)))

    assert (view["requests"], view["requests_per_second"]) == (100, None)


def test_a_gateway_that_began_anew_has_done_what_it_says():
    assert difference(Scrape(10.0, counts(100)), Scrape(11.0, counts(7)))["requests"] == 7


@pytest.mark.parametrize(
    ("buckets", "p50", "p95"),
    [((10, 10, 10), 0.5, 0.95), ((0, 10, 10), 1.5, 1.95), ((5, 9, 10), 1.0, 2.0), ((0, 0, 10), 2.0, 2.0)],
)
def test_quantiles_are_estimated_as_prometheus_does(buckets, p50, p95):
    tier = difference(None, Scrape(0.0, counts(10, 0, *buckets)))["tiers"]["ECO"]

    assert (tier["p50_s"], tier["p95_s"]) == (p50, p95)


def test_what_comes_from_a_configuration_cannot_steer_the_terminal():
    told = counts(1) | {
        "aura_provider_requests_total": {(("model", "m"), ("provider", "a\x1b[2Jb")): 1.0},
        "aura_circuit_state": {(("model", "m\x07"), ("provider", "a\x1b[2Jb")): 2.0},
    }
    text = "\n".join(lines(difference(None, Scrape(0.0, told))))

    assert "a?[2Jb" in text
    assert "\x1b" not in text
    assert "open" in text.splitlines()[-1]


# ---- the command


@pytest.fixture(scope="module")
def server():
    config = f"aura: {{auth: {{keys: [{{name: a, key: {KEY}}}]}}}}\n"
    with gateway(config, workers=2) as running:
        for number in range(6):
            chat(running.port, "auto", f"n{number // 2}", headers={"Authorization": f"Bearer {KEY}"})
        yield running


def top(*arguments: str, key: str = KEY, **more) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AURA_")} | {"AURA_KEY": key}
    command = [sys.executable, "-m", "aura", "top", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **more)


def test_once_shows_what_was_counted(server):
    ran = top("--url", server.url, "--once")

    assert ran.returncode == 0
    assert "requests 6 since its start" in ran.stdout
    assert "hits 3   misses 3   50.0% hit" in ran.stdout
    assert any(line.startswith("demo") and line.endswith("closed") for line in ran.stdout.splitlines())
    assert "\x1b" not in ran.stdout


def test_json_is_for_programs(server):
    view = json.loads(top("--url", server.url, "--once", "--json").stdout)

    assert view["cache"]["hits"] == 3
    assert view["providers"]["demo"]["count"] == 3
    assert view["providers"]["demo"]["first_token_p50_s"] > 0


def test_a_key_may_be_an_argument(server):
    assert top("--url", server.url, "--once", "--key", KEY, key="").returncode == 0


@pytest.mark.parametrize("key", ["", "wrong"])
def test_without_the_key_it_says_what_is_missing(server, key):
    ran = top("--url", server.url, "--once", key=key)

    assert ran.returncode == 1
    assert "AURA_KEY" in ran.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "ftp://x", "http://", "http://a:b"])
def test_what_is_no_gateway_is_told_in_one_line(url):
    ran = top("--url", url.format(port=closed_port()), "--once")

    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert "Traceback" not in ran.stderr


def test_another_server_is_no_gateway():
    with Faulty() as other:
        ran = top("--url", other.url, "--once")

    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "x", "1e9"])
def test_an_interval_must_be_one(interval):
    assert top("--interval", interval).returncode == 2


def test_in_a_pipe_it_goes_on_look_after_look_until_its_reader_has_enough(server):
    env = os.environ | {"AURA_KEY": KEY}
    command = [sys.executable, "-m", "aura", "top", "--url", server.url, "--interval", "0.1", "--json"]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.stdout.close()

        assert process.wait(20) == 1
    assert all(look["requests_per_second"] == 0 for look in looks)


def test_in_a_terminal_it_draws_over_what_it_drew_and_leaves_nothing_behind(server):
    ours, theirs = pty.openpty()
    env = os.environ | {"AURA_KEY": KEY}
    # Whoever runs the tests may have had interrupts ignored, which a process inherits.
    code = (
        "import signal; signal.signal(2, signal.default_int_handler); import aura.__main__ as m; m.sys.exit(m.main())"
    )
    command = [sys.executable, "-c", code, "top", "--url", server.url, "--interval", "0.1"]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while seen.count(b"\x1b[H") < 3:
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)

        assert process.wait(20) == 0
        seen += os.read(ours, 65536)
    os.close(ours)
    assert seen.startswith(b"\x1b[?1049h\x1b[?25l")
    assert seen.endswith(b"\x1b[?25h\x1b[?1049l")
    assert b"demo" in seen


def test_it_goes_on_when_the_gateway_is_away_for_a_while():
    with gateway() as server:
        command = [sys.executable, "-m", "aura", "top", "--url", server.url, "--interval", "0.1"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            server.signal(9)
            for worker in server.workers():
                os.kill(worker, 9)
            told = process.stderr.readline()
            time.sleep(0.3)

            assert process.poll() is None
            process.terminate()
    assert "does not answer" in told
