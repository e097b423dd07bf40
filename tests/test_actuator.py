"""The actuator, as operators, their runbooks and their tools ask it."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest
import requests

from tests.calls import chat, provider
from tests.faulty import Faulty, closed_port
from tests.server import Server, gateway

pytestmark = pytest.mark.xdist_group("actuator")

KEY, ADMIN = {"Authorization": "Bearer key-of-a-0001"}, {"Authorization": "Bearer key-of-admin-01"}
KEYS = "  auth: {keys: [{name: a, key: key-of-a-0001}]}\n"
BOTH = "  auth: {keys: [{name: a, key: key-of-a-0001}, {name: root, key: key-of-admin-01, admin: true}]}\n"
WORKERS = 3


@pytest.fixture(scope="module")
def server():
    """Three workers that have answered: two different chats, one of them twice more."""
    with gateway("aura:\n" + KEYS, workers=WORKERS) as running:
        for nonce in ("one", "two", "two", "two"):
            assert chat(running.port, "auto", nonce, stream=nonce == "one", headers=KEY).status == 200
        yield running


def get(server: Server, path: str, headers: dict[str, str] | None = KEY, **more) -> requests.Response:
    """Ask whichever worker accepts the connection."""
    sent = {"Connection": "close", **(headers or {})}
    return requests.get(f"{server.url}/actuator{path}", headers=sent, timeout=20, **more)


def metric(server: Server, name: str, *tags: str) -> dict:
    answer = get(server, f"/metrics/{name}", params=[("tag", tag) for tag in tags])
    assert answer.status_code == 200, answer.text
    return answer.json()


def measured(told: dict) -> dict[str, float]:
    return {one["statistic"]: one["value"] for one in told["measurements"]}


# ---- who may ask, and how errors look


@pytest.mark.parametrize(
    "path", ["", "/info", "/prometheus", "/metrics", "/metrics/cache.gets", "/loggers", "/loggers/aura"]
)
def test_only_health_is_open_without_a_key(server, path):
    assert get(server, path, None).status_code == 401
    assert get(server, path).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ping", "/health/liveness", "/health/readiness"])
def test_health_is_open_to_all(server, path):
    assert get(server, path, None).json()["status"] == "UP"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/health", 405), ("DELETE", "/metrics", 405), ("PUT", "/loggers/aura", 405),
        ("GET", "/env", 404), ("GET", "/health/nothing", 404), ("GET", "/health/ping/inner", 404),
        ("GET", "/health/liveness/providers", 404),
        ("GET", "/metrics/nothing", 404), ("GET", "/metrics/cache.gets?tag=result:other", 404),
        ("GET", "/metrics/cache.gets?tag=result", 400), ("GET", "/loggers/nothing", 404),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_as_everywhere(server, method, path, status):
    answer = requests.request(method, f"{server.url}/actuator{path}", headers=KEY, timeout=20)

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_endpoints_can_be_opened():
    with gateway("aura:\n  actuator: {public: [health, info, metrics]}\n" + KEYS) as server:
        assert get(server, "/info", None).status_code == 200
        assert get(server, "/metrics/cache.gets", None).status_code == 200
        assert get(server, "/loggers", None).status_code == 401


def test_the_index_links_to_what_is_there(server):
    links = get(server, "").json()["_links"]

    assert {"self", "health", "health-path", "info", "prometheus", "metrics", "loggers"} <= links.keys()
    for link in links.values():
        path = link["href"].removeprefix("/actuator")
        path = path.replace("{*path}", "ping").replace("{requiredMetricName}", "cache.gets").replace("{name}", "aura")
        assert link["templated"] == ("{" in link["href"])
        assert get(server, path).status_code == 200


# ---- health


def test_health_without_a_key_says_no_more_than_whether(server):
    components = get(server, "/health", None).json()["components"]

    assert {"diskSpace", "ping", "providers"} == components.keys()
    assert all(one == {"status": "UP"} for one in components.values())
    assert get(server, "/health", {"Authorization": "Bearer wrong"}).json()["components"] == components


def test_health_with_a_key_says_what_it_rests_on(server):
    components = get(server, "/health").json()["components"]

    assert components["diskSpace"]["details"].keys() == {"total", "free", "threshold"}
    assert components["providers"]["components"]["demo"]["details"]["circuits"]["demo-eco"] == "closed"
    assert get(server, "/health/providers/demo").json() == components["providers"]["components"]["demo"]
    assert get(server, "/health/providers/demo", None).status_code == 404
    assert get(server, "/health/readiness/providers").json() == components["providers"]
    assert get(server, "/health/liveness/ping").json() == components["ping"]


def test_a_provider_that_fails_is_shown_with_its_circuit_while_another_answers():
    with Faulty() as well:
        config = provider("ill", f"http://127.0.0.1:{closed_port()}") + provider("well", well.url, "n")
        with gateway("aura:\n  providers:\n" + config) as server:
            while get(server, "/health/providers/ill").status_code == 200:
                assert chat(server.port, "auto", str(time.monotonic()), stream=False).status == 200
            health = get(server, "/health")

    components = health.json()["components"]["providers"]["components"]
    assert health.status_code == 200
    assert components["ill"] == {"status": "DOWN", "details": {"circuits": {"m": "open"}}}
    assert components["well"]["status"] == "UP"


def test_no_redis_is_no_component(server):
    assert get(server, "/health/redis").status_code == 404


def test_a_redis_that_is_down_does_not_take_the_gateway_with_it():
    """The cache of this host goes on without it."""
    config = f"aura:\n  cache: {{type: redis, redis-url: 'redis://127.0.0.1:{closed_port()}/0'}}\n"
    with gateway(config) as server:
        health = get(server, "/health")

        assert (health.status_code, health.json()["status"]) == (200, "UP")
        assert health.json()["components"]["redis"]["status"] == "DOWN"
        assert get(server, "/health/redis").status_code == 503


def test_the_redis_of_the_limits_is_looked_at_too():
    """It may be another than the cache's; without the cache it is the only one."""
    config = f"aura:\n  cache: {{enabled: false}}\n  limits: {{storage: redis, concurrent: 5, redis-url: 'redis://127.0.0.1:{closed_port()}/0'}}\n"
    with gateway(config) as server:
        redis = get(server, "/health/redis")

    assert redis.status_code == 503
    assert redis.json()["details"] == {"answers": False, "fallback": "local", "limits": False}


def test_a_redis_that_says_nothing_does_not_hold_health():
    with Faulty(accept="silence") as silent:
        config = f"aura:\n  cache: {{type: redis, redis-url: 'redis://127.0.0.1:{silent.port}/0'}}\n"
        with gateway(config) as server:
            health = get(server, "/health")

    assert health.json()["components"]["redis"]["status"] == "DOWN"
    assert health.status_code == 200


# ---- info


def test_info_says_what_runs_and_nothing_of_the_environment():
    with gateway(env={"OPENAI_API_KEY": "sk-in-the-environment"}) as server:
        info = get(server, "/info")

    assert info.json()["app"]["name"] == "aura-gateway"
    assert info.json()["gateway"]["tiers"] == {"ECO": 1, "BALANCED": 1, "PREMIUM": 1}
    assert "sk-in" not in info.text


# ---- metrics


def test_hits_and_misses_are_those_of_all_workers(server):
    told = metric(server, "cache.gets")

    assert told["availableTags"] == [{"tag": "result", "values": ["hit", "miss"]}]
    assert measured(told) == {"COUNT": 4}
    assert measured(metric(server, "cache.gets", "result:hit")) == {"COUNT": 2}
    assert measured(metric(server, "cache.gets", "result:miss")) == {"COUNT": 2}


def test_a_timer_measures_count_total_and_longest(server):
    told = metric(server, "aura.provider.duration")

    assert told["baseUnit"] == "seconds"
    assert told["availableTags"] == [{"tag": "provider", "values": ["demo"]}]
    assert measured(told)["COUNT"] == 2
    assert 0 < measured(told)["MAX"] <= measured(told)["TOTAL_TIME"]


def test_tags_drill_down_one_after_the_other(server):
    assert measured(metric(server, "aura.requests")) == {"COUNT": 4}
    tier = metric(server, "aura.requests")["availableTags"][1]["values"][0]
    told = metric(server, "aura.requests", f"tier:{tier}")

    assert [one["tag"] for one in told["availableTags"]] == ["status"]
    assert metric(server, "aura.requests", f"tier:{tier}", "status:200")["availableTags"] == []


def test_memory_is_that_of_the_whole_instance_under_the_old_name_too(server):
    used = measured(metric(server, "process.memory.used"))["VALUE"]

    assert 20e6 < used < 2e9
    assert metric(server, "jvm.memory.used")["availableTags"] == [{"tag": "area", "values": ["heap", "nonheap"]}]
    assert measured(metric(server, "jvm.memory.used", "area:heap"))["VALUE"] == pytest.approx(used, rel=0.3)


def test_every_name_that_is_listed_can_be_asked_for(server):
    names = get(server, "/metrics").json()["names"]

    assert names == sorted(names)
    assert {"cache.gets", "aura.requests", "aura.provider.duration", "process.memory.used"} <= set(names)
    for name in names:
        assert metric(server, name)["name"] == name


def test_a_metric_that_nothing_was_counted_under_is_nothing(server):
    assert measured(metric(server, "aura.client.disconnects")) == {"COUNT": 0}


@pytest.mark.parametrize(
    ("accept", "kind", "end"),
    [
        ("*/*", "text/plain", "\n"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text", "# EOF\n"),
    ],
)
def test_prometheus_gets_the_form_it_asks_for(server, accept, kind, end):
    answer = get(server, "/prometheus", {**KEY, "Accept": accept})

    assert answer.headers["content-type"].startswith(kind)
    assert answer.text.endswith(end)
    assert re.search(r"^aura_cache_hits_total 2\.0$", answer.text, re.MULTILINE)


# ---- log levels


def set_level(server: Server, name: str, body: object, headers: dict[str, str] | None = KEY) -> int:
    return requests.post(f"{server.url}/actuator/loggers/{name}", json=body, headers=headers, timeout=20).status_code


def levels(server: Server, name: str) -> set[str]:
    """The level that holds, as the workers see it."""
    return {get(server, f"/loggers/{name}").json()["effectiveLevel"] for _ in range(4 * WORKERS)}


def test_a_level_holds_in_all_workers_at_once_until_it_is_taken_back(server):
    assert set_level(server, "aura.gateway", {"configuredLevel": "debug"}) == 204
    assert levels(server, "aura.gateway") == {"DEBUG"}
    assert levels(server, "aura") == {"INFO"}
    assert set_level(server, "aura.gateway", {"configuredLevel": None}) == 204
    assert levels(server, "aura.gateway") == {"INFO"}


@pytest.mark.parametrize("name", ["ROOT", "io.github.girisenji.ai.aura"])
def test_the_names_of_the_java_service_mean_all_of_aura(server, name):
    assert set_level(server, name, {"configuredLevel": "ERROR"}) == 204
    assert levels(server, "aura.app") == {"ERROR"}
    chat(server.port, "auto", f"unseen-{name}", headers={**KEY, "X-Request-Id": f"unseen-{name}"})
    assert set_level(server, name, {}) == 204
    assert f"unseen-{name}" not in server.log()


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [("aura", {"configuredLevel": "LOUD"}, 400), ("aura", {"configuredLevel": 5}, 400), ("nothing", {}, 404)],
)
def test_a_level_or_logger_that_there_is_none_of(server, name, body, status):
    assert set_level(server, name, body) == status


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_level_may_be_sent_as_tools_for_spring_send_it(server, version):
    sent = {**KEY, "Content-Type": f"application/vnd.spring-boot.actuator.{version}+json; charset=UTF-8"}
    url, body = f"{server.url}/actuator/loggers/aura.cache", '{"configuredLevel": "WARN"}'
    answer = requests.post(url, data=body, headers=sent, timeout=20)
    held = levels(server, "aura.cache")
    set_level(server, "aura.cache", {"configuredLevel": None})

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert held == {"WARN"}


def test_a_level_is_sent_as_json(server):
    url, form = f"{server.url}/actuator/loggers/aura", {**KEY, "Content-Type": "application/x+json"}

    assert requests.post(url, data="{}", headers=form, timeout=20).status_code == 415


def test_setting_a_level_needs_a_key(server):
    assert set_level(server, "aura", {"configuredLevel": "OFF"}, None) == 401


def test_setting_a_level_needs_an_administrators_key_where_there_is_one():
    with gateway("aura:\n  actuator: {public: [loggers]}\n" + BOTH) as server:
        assert set_level(server, "aura", {"configuredLevel": "DEBUG"}, None) == 401
        assert set_level(server, "aura", {"configuredLevel": "DEBUG"}) == 403
        assert set_level(server, "aura", {"configuredLevel": "DEBUG"}, ADMIN) == 204


def test_setting_a_level_needs_a_key_even_where_calling_needs_none():
    with gateway() as server:
        assert set_level(server, "aura", {"configuredLevel": "OFF"}, None) == 401


def test_a_worker_that_comes_later_has_the_level_too_and_a_reload_begins_anew():
    with gateway("aura:\n" + KEYS) as server:
        (worker,) = server.workers()
        assert set_level(server, "gunicorn", {"configuredLevel": "WARN"}) == 204
        server.signal(signal.SIGTTIN)
        while len(server.workers()) < 2:
            time.sleep(0.01)
        server.signal(signal.SIGTTOU)
        while worker in server.workers():
            time.sleep(0.01)
        assert levels(server, "gunicorn") == {"WARN"}
        before = server.workers()
        server.signal(signal.SIGHUP)
        while set(before) & set(server.workers()):
            time.sleep(0.01)

        assert levels(server, "gunicorn") == {"INFO"}


def test_a_log_line_says_everything_about_a_call():
    with gateway("aura:\n" + KEYS) as server:
        chat(server.port, "auto", headers={**KEY, "X-Request-Id": "told"})
        line = json.loads(server.wait_for(r'\{.*"id":"told".*\}')[0])

    assert line["event"] == "request.done"
    assert {
        "id", "tenant", "door", "tier", "score", "target", "attempts", "outcome", "status", "ttft_s", "duration_s",
        "tokens_in", "tokens_out", "cost_usd", "cache", "upstream_request_id",
    } <= line.keys()  # fmt: skip
    assert (line["door"], line["tenant"], line["outcome"], line["cache"]) == ("chat", "a", "ok", "miss")


def test_a_scrape_of_many_providers_stays_small():
    """Twelve providers with six models each, all of them asked."""
    entries = "".join(f"    p{number}: {{type: demo, models: {{eco: [a, b, c, d, e, f]}}}}\n" for number in range(12))
    with gateway(f"aura:\n  providers:\n{entries}", workers=4) as server:
        for number in range(12):
            for model in "abcdef":
                assert chat(server.port, f"p{number}/{model}", f"{number}{model}", stream=model > "c").status == 200
        scrape = get(server, "/prometheus", None)

    assert scrape.text.count("aura_provider_requests_total{") == 72
    assert len(scrape.content) < 256 * 1024
