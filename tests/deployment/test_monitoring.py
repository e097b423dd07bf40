"""Prometheus' rules and Grafana's dashboards: held against Aura's metrics, by promtool, and in a
real Prometheus that scrapes a running Aura."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from aura import metrics
from tests.calls import chat, provider
from tests.echo import Echo
from tests.faulty import Faulty, closed_port
from tests.server import ROOT, gateway
from tests.wire import post

from .programs import found, needs, on_free_port

pytestmark = pytest.mark.xdist_group("monitoring")

FOLDER = ROOT / "prometheus"
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
RULES = sorted((FOLDER / "rules").glob("*.yml"))
KEY, LIMITED = "key-of-prometheus", "key-of-someone-limited"
# All that is counted is in use; Redis is a port where nothing listens.
CONFIG = f"""aura:
  auth:
    keys: [{{{{name: prometheus, key: {KEY}}}}}, {{{{name: limited, key: {LIMITED}, requests-per-minute: 1}}}}]
  cache: {{{{type: redis, redis-url: "redis://127.0.0.1:{{redis}}/0"}}}}
  guardrails: {{{{pii: mask, moderation: {{{{provider: judge}}}}}}}}
  router: {{{{hedge: {{{{after: 1s, at-most: 100%}}}}}}}}
  providers:
"""
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def panels() -> Iterator[tuple[str, dict[str, str]]]:
    """Every query of every dashboard, with the name of its panel."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.stem}: {panel['title']} {target['refId']}", target


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def names() -> set[str]:
    """Every name that a scrape can show."""
    return {f"{metric.name}{end}" for metric in metrics.registry.collect() for end in SUFFIXES.get(metric.type, ())}


def asked(expression: str) -> set[str]:
    """The metrics of an expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}', "", expression)
    return set(re.findall(r"(?<![\w:])aura_[a-z_]+(?![\w:])", bare))


# ---- without programs


def test_every_metric_that_a_dashboard_asks_for_exists():
    queries = dict(panels())

    assert len(queries) > 25
    for panel, target in queries.items():
        assert asked(target["expr"]) <= names(), panel
        assert asked(target["expr"]) or "up{" in target["expr"], panel


def test_every_metric_that_a_rule_asks_for_exists():
    records = {rule["record"] for rule in rules() if "record" in rule}

    for rule in rules():
        assert asked(rule["expr"]) <= names(), rule
        assert set(re.findall(r"\w+:\w+(?::\w+)?", re.sub(r'"[^"]*"', "", rule["expr"]))) <= records, rule


@pytest.mark.parametrize(
    "metric",
    [
        "aura_requests_total", "aura_request_duration_seconds_bucket", "aura_time_to_first_token_seconds_bucket",
        "aura_provider_requests_total", "aura_provider_failures_total", "aura_circuit_state", "aura_failovers_total",
        "aura_cache_hits_total", "aura_cache_misses_total", "aura_tokens_total", "aura_cost_usd_total",
        "aura_savings_usd_total", "aura_streams_open", "aura_rate_limited_total", "aura_guardrail_values_total",
        "aura_guardrail_moderations_total", "aura_redis_down", "aura_log_lost_total",
    ],
)  # fmt: skip
def test_a_dashboard_shows_it(metric):
    assert any(metric in asked(target["expr"]) for _, target in panels())


def test_dashboards_are_what_grafana_takes():
    (source,) = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]

    assert len({board["uid"] for board in boards}) == len(boards)
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        cells = [cell for panel in board["panels"] for cell in covered(panel["gridPos"])]

        assert len(set(ids)) == len(ids)
        assert len(set(cells)) == len(cells), "panels lie on one another"
        assert {used["uid"] for used in sources(board)} == {source["uid"]}


def covered(place: dict[str, int]) -> list[tuple[int, int]]:
    assert place["x"] + place["w"] <= 24
    rows, columns = range(place["y"], place["y"] + place["h"]), range(place["x"], place["x"] + place["w"])
    return [(y, x) for y in rows for x in columns]


def sources(value: object) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("datasource"), dict):
            yield value["datasource"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from sources(one)


# ---- promtool


def promtool(*arguments: str | Path) -> str:
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, cwd=FOLDER)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@needs("promtool", "prometheus")
def test_promtool_takes_configuration_and_rules():
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert promtool("check", "rules", *RULES).count("SUCCESS") == len(RULES)


@needs("promtool", "prometheus")
def test_the_rules_do_what_their_unit_tests_say():
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")


def test_every_alert_has_a_unit_test():
    tested = {
        alert["alertname"]
        for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
        for alert in test.get("alert_rule_test", [])
        if alert["exp_alerts"]
    }

    assert tested == {rule["alert"] for rule in rules() if "alert" in rule}


# ---- a real Prometheus


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def wait_until_ready(self) -> None:
        """It listens before it answers queries."""
        deadline = time.monotonic() + 60
        while requests.get(f"{self._url}/-/ready", timeout=20).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        return self.get("query", query=expression)["result"]

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression has a result."""
        deadline = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < deadline, f"no result of {expression}: {self.get('targets')}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[Prometheus]:
    """Scrapes a gateway that has seen all there is to see; the shipped files with the test's addresses and times."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Faulty() as first, Faulty() as second, Echo() as judge:
        config = CONFIG.format(redis=closed_port())
        config += provider("first", first.url, "gpt-4o-mini") + provider("second", second.url, "gpt-3.5-turbo")
        config += provider("judge", judge.url, "judge").replace("eco:", "premium:")
        with gateway(config, workers=2) as server:
            traffic(server.port, first)
            file = shipped(folder, server.port)

            def command(port: int) -> list[Any]:
                data, listen = f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"
                return [found("prometheus"), f"--config.file={file}", data, listen]

            with on_free_port(command, folder / "log") as port:
                running = Prometheus(port)
                running.wait_until_ready()
                running.wait_for('count_over_time(up{job="aura"}[1m]) > 3')
                yield running


def traffic(port: int, first: Faulty) -> None:
    """Good calls and hits, a failover, a rescue, a hedge, a client that leaves, one that may not call."""
    headers = {"Authorization": f"Bearer {KEY}"}
    for stream in (False, True) * 2:
        assert chat(port, "auto", "plain", stream=stream, headers=headers).status == 200
    first.next.append("status:code:500")
    assert chat(port, "auto", "failover", headers=headers).headers["x-aura-provider"] == "second"
    first.next.append("cut:after:3")
    assert chat(port, "auto", "rescue", headers=headers).done == 1
    first.next.append("silence")
    assert chat(port, "auto", "hedge", stream=False, headers=headers).headers["x-aura-provider"] == "second"
    assert chat(port, "auto", "ada@example.org asks", headers=headers).status == 200
    refused = {"Authorization": f"Bearer {LIMITED}"}
    assert [chat(port, "auto", f"limited{number}", headers=refused).status for number in range(2)] == [200, 429]
    first.next.append("stall:after:2")
    body = json.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": "leave"}]}).encode()
    lines = [f"Authorization: Bearer {KEY}", "Content-Type: application/json"]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(post("/v1/chat/completions", body, *lines))
        assert link.recv(65536).startswith(b"HTTP/1.1 200")
    first.end(first.asked[-1].connection)


def shipped(folder: Path, port: int) -> Path:
    """A copy of Prometheus' folder that scrapes this port, often; returns the configuration."""
    shutil.copytree(FOLDER, folder / "prometheus")
    (folder / "key").write_text(KEY)
    file = folder / "prometheus" / "prometheus.yml"
    changes = {
        "gateway:8080": f"127.0.0.1:{port}",
        "/run/aura/scrape-key": f"{folder}/key",
        "interval: 15s": "interval: 1s",
    }
    for old, new in changes.items():
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    return file


@needs("prometheus", "prometheus")
def test_prometheus_scrapes_the_gateway(prometheus):
    targets = prometheus.get("targets", state="active")["activeTargets"]
    aura = [(one["health"], one["lastError"]) for one in targets if one["labels"]["job"] == "aura"]

    assert aura == [("up", "")]
    assert prometheus.ask('aura_requests_total{status="200"}')


@needs("prometheus", "prometheus")
def test_every_query_of_the_dashboards_has_data(prometheus):
    """The variables of Grafana's are filled in as Grafana does."""
    empty, unlabelled = [], []
    for panel, target in panels():
        expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
        found = prometheus.ask(expression)
        if not found:
            empty.append(panel)
        labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        unlabelled += [panel for one in found if not labels <= one["metric"].keys()]

    assert empty == []
    assert unlabelled == []


@needs("prometheus", "prometheus")
def test_every_rule_is_evaluated_and_none_alarms(prometheus):
    prometheus.wait_for("aura:requests:rate5m")
    groups = prometheus.get("rules")["groups"]
    evaluated = [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in evaluated} == {rule.get("record") or rule["alert"] for rule in rules()}
    assert [rule["name"] for rule in evaluated if rule["health"] == "err"] == []
    assert [rule["name"] for rule in evaluated if rule.get("state") == "firing"] == []
