"""What the deployment files say about each other and about Aura: names, paths, times that must fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from aura.api import forward
from aura.api.actuator import PROBES
from aura.configuration import load
from aura.configuration.units import duration
from aura.dialects import anthropic
from aura.errors import AuraError
from aura.settings import ServerSettings, Settings
from tests.server import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
KUBERNETES = {one["kind"]: one for one in yaml.safe_load_all((ROOT / "k8s" / "aura.yaml").read_text())}
UNIT = (ROOT / "systemd" / "aura.service").read_text()
NGINX = (ROOT / "nginx" / "aura.conf").read_text()


def variables(text: str) -> dict[str, str]:
    """The variables of an environment file, those that are commented out too."""
    return dict(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]*)=(.*)$", text))


def from_environment(**environ: str) -> Settings:
    return load(None, environ)


def unknown(settings: Settings) -> list[str]:
    return [note for note in settings.notes if "not known" in note or "ignored" in note]


def stopping(server: ServerSettings) -> float:
    """Seconds that an instance takes at most from being told to stop."""
    return server.drain_delay + server.graceful_timeout


@pytest.mark.parametrize("name", [".env.example", "systemd/aura.env.example"])
def test_every_variable_of_the_examples_means_something(name):
    said = variables((ROOT / name).read_text())
    own = {key: re.sub(r"\$\{PROMETHEUS_KEY\}", "another-long-text", value) for key, value in said.items()}
    settings = from_environment(**own)

    assert "OPENAI_API_KEY" in said
    assert unknown(settings) == []


def test_no_example_holds_a_key():
    texts = [(ROOT / name).read_text() for name in (".env.example", "systemd/aura.env.example", "docker-compose.yml")]

    assert not any(re.search(r"sk-\w{4}|KEY=\w{20}", text) for text in texts)


# ---- Compose


def test_compose_has_the_whole_stack_on_loopback_only():
    published = {name: service.get("ports") for name, service in COMPOSE["services"].items()}

    assert published == {
        "gateway": ["127.0.0.1:8080:8080"],
        "redis": None,
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_compose_starts_with_an_environment_file_that_holds_nothing_but_keys():
    """And without one: everything else has a default."""
    text = (ROOT / "docker-compose.yml").read_text()

    assert COMPOSE["services"]["gateway"]["env_file"] == [{"path": ".env", "required": False}]
    assert all(":-" in name for name in re.findall(r"\$\{[^}]*\}", text))
    assert set(re.findall(r"\$\{(\w+)", text)) <= variables((ROOT / ".env.example").read_text()).keys()


def test_compose_tells_the_gateway_what_it_understands():
    settings = from_environment(**COMPOSE["services"]["gateway"]["environment"], AURA_ALLOW_ANONYMOUS="true")

    assert unknown(settings) == []
    assert settings.cache.type == "redis"
    assert duration(COMPOSE["services"]["gateway"]["stop_grace_period"]) > stopping(settings.server)


def test_what_compose_mounts_is_there():
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]

            assert (ROOT / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]


def test_prometheus_finds_gateway_and_key_where_compose_puts_them():
    config = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    job = next(job for job in config["scrape_configs"] if job["job_name"] == "aura")
    mounted = [one["target"] for one in COMPOSE["services"]["prometheus"]["configs"]]

    assert job["static_configs"] == [{"targets": ["gateway:8080"]}]
    assert [job["authorization"]["credentials_file"]] == mounted


def test_grafana_finds_prometheus_and_dashboards_where_compose_puts_them():
    provisioning = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (boards,) = yaml.safe_load((provisioning / "dashboards" / "aura.yml").read_text())["providers"]
    grafana = COMPOSE["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert source["url"] == "http://prometheus:9090"
    assert mounts["./grafana/dashboards"] == boards["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert (ROOT / "grafana" / "dashboards" / Path(home).name).is_file()


# ---- Kubernetes


def container() -> dict[str, Any]:
    (only,) = KUBERNETES["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def configured(tmp_path: Path) -> Settings:
    """The settings of the ConfigMap's file, with the pod's environment."""
    path = tmp_path / "aura.yml"
    path.write_text(KUBERNETES["ConfigMap"]["data"]["aura.yml"])
    environ = {one["name"]: one.get("value", "some:long-secret-text") for one in container()["env"]}
    return load(str(path), environ)


def test_kubernetes_pods_start_with_what_they_are_given(tmp_path):
    settings = configured(tmp_path)

    assert unknown(settings) == []
    assert settings.server.host == "0.0.0.0"
    assert settings.auth.keys
    assert not settings.auth.allow_anonymous
    assert settings.server.workers == int(container()["resources"]["limits"]["cpu"])


def test_kubernetes_pods_have_the_time_that_they_need_to_stop(tmp_path):
    pause = float(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = KUBERNETES["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert grace >= pause + stopping(configured(tmp_path).server) + 10


def test_kubernetes_asks_the_health_groups():
    asked = {name: probe["httpGet"]["path"] for name, probe in container().items() if name.endswith("Probe")}

    assert set(asked.values()) == PROBES
    assert asked["livenessProbe"] == asked["startupProbe"] == "/actuator/health/liveness"
    assert asked["readinessProbe"] == "/actuator/health/readiness"


def test_kubernetes_objects_mean_the_same_pods():
    labels = KUBERNETES["Deployment"]["spec"]["template"]["metadata"]["labels"]
    target = KUBERNETES["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    mounted = {volume["name"] for volume in KUBERNETES["Deployment"]["spec"]["template"]["spec"]["volumes"]}

    assert KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert KUBERNETES["Service"]["spec"]["selector"].items() <= labels.items()
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert target["name"] == KUBERNETES["Deployment"]["metadata"]["name"]
    assert {mount["name"] for mount in container()["volumeMounts"]} == mounted


def test_kubernetes_holds_secrets_by_reference_only():
    secret = [one for one in container()["env"] if "KEY" in one["name"]]

    assert secret
    assert all("secretKeyRef" in one["valueFrom"] for one in secret)
    assert "Secret" not in KUBERNETES


def test_kubernetes_scales_by_a_metric_that_exists():
    from aura import metrics

    (pods,) = [one["pods"] for one in KUBERNETES["HorizontalPodAutoscaler"]["spec"]["metrics"] if one["type"] == "Pods"]

    assert pods["metric"]["name"] in {metric.name for metric in metrics.registry.collect()}


# ---- systemd and nginx


def test_the_service_has_the_time_that_it_needs_to_stop():
    said = dict(re.findall(r"(?m)^Environment=(AURA_\w+)=(.*)$", UNIT))
    settings = from_environment(**{name: value for name, value in said.items() if "%" not in value})

    assert unknown(settings) == []
    assert settings.server.drain_delay == 5
    assert float(re.search(r"TimeoutStopSec=(\d+)", UNIT)[1]) >= stopping(settings.server) + 10


def test_the_documentation_says_the_times_that_the_files_have(tmp_path):
    """Once for systemd, once for Kubernetes, once for Docker."""
    text = (ROOT / "docs" / "deployment.md").read_text()
    pod = configured(tmp_path).server
    pause = container()["lifecycle"]["preStop"]["exec"]["command"][1]
    grace = KUBERNETES["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    unit = from_environment(AURA_SERVER_DRAIN_DELAY=re.search(r"AURA_SERVER_DRAIN_DELAY=(\w+)", UNIT)[1]).server
    drain, open_answers = f"{unit.drain_delay:.0f} s", f"{unit.graceful_timeout:.0f} s"
    limit = re.search(r"TimeoutStopSec=(\d+)", UNIT)[1]
    stop = duration(COMPOSE["services"]["gateway"]["stop_grace_period"])
    said = [
        f"takes up to {stopping(unit):.0f} s (`drain-delay` {drain}, `graceful-timeout` {open_answers})",
        f"`TimeoutStopSec={limit}`",
        f"takes calls for {pause} s more (`preStop`)",
        f"readiness for {pod.drain_delay:.0f} s (`drain-delay`), and has {pod.graceful_timeout:.0f} s for open answers",
        f"the grace of {grace} s is above the sum",
        f"--stop-timeout {stop:.0f}",
    ]

    assert [one for one in said if one not in text] == []
    assert (pod.drain_delay, pod.graceful_timeout) == (unit.drain_delay, unit.graceful_timeout)


def test_kubernetes_sends_no_calls_to_a_pod_that_takes_none(tmp_path):
    """Readiness is asked, and has failed, before the pod that drains takes no more calls."""
    probe = container()["readinessProbe"]
    pause = float(container()["lifecycle"]["preStop"]["exec"]["command"][1])

    assert probe["periodSeconds"] * probe["failureThreshold"] <= pause + configured(tmp_path).server.drain_delay


def test_nginx_ends_idle_connections_before_aura_does():
    """Else a request may go out on a connection that Aura is about to close."""
    (upstream,) = re.findall(r"upstream aura \{(.*?)\}", NGINX, re.DOTALL)
    kept = duration(re.search(r"keepalive_timeout (\w+);", upstream)[1])
    drain = duration(re.search(r"AURA_SERVER_DRAIN_DELAY=(\w+)", UNIT)[1])

    assert kept < Settings().server.keep_alive
    assert kept < drain


def test_nginx_waits_as_long_as_a_call_may_take_and_takes_as_much():
    settings = Settings()
    bodies = [1024 * 1024 * int(size) for size in re.findall(r"client_max_body_size (\d+)m;", NGINX)]

    assert duration(re.search(r"proxy_read_timeout (\w+);", NGINX)[1]) > settings.router.long_timeout
    assert bodies == [settings.server.max_body, settings.forward.max_upload]


def test_nginx_takes_large_bodies_wherever_aura_takes_files():
    app = Flask("doors")
    app.register_blueprint(forward.blueprint)
    (pattern,) = re.findall(r"location ~ (\S+) \{", NGINX)
    rules = {rule.rule.replace("<path:deployment>", "gpt-4o") for rule in app.url_map.iter_rules()}
    uploads = {rule for rule in rules if rule.endswith(("/transcriptions", "/translations"))}

    assert len(uploads) == 6
    assert {rule for rule in rules if re.search(pattern, rule)} == uploads


def nginx_map(name: str) -> dict[str, str]:
    """What one of nginx's maps says by status or path."""
    (body,) = re.findall(rf"map \$\w+ \${name} \{{\n(.*?)\n\}}", NGINX, re.DOTALL)
    lines = [line.strip().rstrip(";").split(None, 1) for line in body.splitlines()]
    return {key.strip('"'): value.strip().strip("\"'") for key, value in lines}


def test_every_error_that_nginx_words_is_said_in_the_grammar_of_the_path():
    told = set(re.search(r"error_page ([\d ]+) /aura-error", NGINX)[1].split()) - {"500"}
    bodies = {path: json.loads(body) for path, body in nginx_map("aura_error").items()}

    assert {"400", "413", "502", "503", "504"} <= told <= nginx_map("aura_message").keys()
    assert told <= nginx_map("aura_code").keys()
    assert bodies["default"]["error"].keys() == {"message", "type", "param", "code"}
    assert bodies["~^/v1/messages"].keys() == {"type", "error", "request_id"}
    assert bodies["~^/api/"] == {"error": "$aura_message"}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 408, 413, 414, 431, 501, 502, 503, 504])
def test_nginx_names_errors_for_anthropics_clients_as_aura_does(status):
    types = nginx_map("aura_anthropic_type")
    named = types.get(str(status)) or (types["~^4"] if status < 500 else types["default"])

    assert named == anthropic.error_out(AuraError("", status=status), "")["error"]["type"]
