"""What a client sees of a chat: headers, routing, errors, cache and keys, through a real worker to a real provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .classes import CLASSES, IDS
from .faulty import Faulty
from .server import Server, gateway

KEY = "key-of-team-a"
HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module", params=CLASSES, ids=IDS)
def server(provider: Faulty, request: pytest.FixtureRequest) -> Iterator[Server]:
    """Served by either worker class."""
    config = f"""
aura:
  server: {{max-body: 100KiB}}
  auth: {{keys: [{{name: team-a, key: {KEY}}}, {{name: team-b, key: key-of-team-b}}]}}
  providers:
    openai: {{base-url: "{provider.url}/v1", api-key: test-key-1}}
    spare: {{type: openai, base-url: "{provider.url}/v1", api-key: test-key-2, extra-models: "*"}}
"""
    with gateway(config, args=["-k", request.param]) as running:
        yield running


def post(
    server: Server, body: Any, key: str = KEY, path: str = "/v1/chat/completions", **headers: str
) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    return requests.post(f"{server.url}{path}", data=data, headers=headers, timeout=30)


def text_of(stream: requests.Response) -> str:
    """The text of a whole streamed answer."""
    events = [json.loads(line[6:]) for line in stream.content.split(b"\n") if line.startswith(b"data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])


def says(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **more}


def test_an_answer_says_how_it_came_about(server):
    answer = post(server, says("nonce-headers"), **{"X-Request-Id": "my-own-id"})

    assert answer.status_code == 200
    assert "nonce-headers" in answer.json()["choices"][0]["message"]["content"]
    names = ("x-aura-tier", "x-aura-provider", "x-aura-model", "x-aura-cache")
    assert {name: answer.headers.get(name) for name in names} == {
        "x-aura-tier": "ECO",
        "x-aura-provider": "openai",
        "x-aura-model": "gpt-3.5-turbo",
        "x-aura-cache": "miss",
    }
    assert answer.headers["x-aura-attempts"] == "1"
    assert float(answer.headers["x-aura-cost-usd"]) > 0
    assert 0 <= float(answer.headers["x-aura-score"]) <= 1
    assert answer.headers["x-request-id"] == "my-own-id"
    assert "aura;dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize(
    ("model", "tier", "target"),
    [
        ("premium", "PREMIUM", "openai/gpt-4o"),
        ("aura-balanced", "BALANCED", "openai/gpt-4o-mini"),
        ("gpt-4", "ECO", "openai/gpt-3.5-turbo"),
        ("no-such-model", "ECO", "openai/gpt-3.5-turbo"),
        ("openai/gpt-4o", "PREMIUM", "openai/gpt-4o"),
        ("spare/anything-at-all", None, "spare/anything-at-all"),
    ],
)
def test_the_model_in_the_request_is_a_key_into_a_closed_table(server, model, tier, target):
    answer = post(server, {**says("nonce-model"), "model": model})

    assert answer.status_code == 200
    assert answer.headers.get("x-aura-tier") == tier
    assert f"{answer.headers['x-aura-provider']}/{answer.headers['x-aura-model']}" == target


def test_options_of_the_call_steer_it_and_never_leave_the_gateway(server, provider):
    answer = post(server, says("nonce-options", aura={"tier": "premium"}, fallbacks=["spare/other"]))

    assert answer.headers["x-aura-model"] == "gpt-4o"
    sent = provider.asked[-1].json()
    assert "aura" not in sent
    assert "fallbacks" not in sent
    assert post(server, says("nonce-header"), **{"X-Aura-Tier": "balanced"}).headers["x-aura-tier"] == "BALANCED"


def test_a_limit_that_no_target_can_write_is_lowered_to_the_models_own(server, provider):
    """Agents ask for tens of thousands of tokens whatever the model; small models would refuse."""
    answer = post(server, {**says("nonce-limit"), "model": "openai/gpt-3.5-turbo", "max_tokens": 32_000})

    assert answer.status_code == 200
    assert provider.asked[-1].json()["max_tokens"] == 4096


def test_a_pinned_target_that_fails_is_followed_by_the_fallback_named_in_the_body(server, provider):
    body = {**says("nonce-fallback"), "model": "openai/gpt-4o", "fallbacks": ["spare/other"]}
    provider.next.append("status:code:503")
    answer = post(server, body)

    assert answer.status_code == 200
    assert (answer.headers["x-aura-provider"], answer.headers["x-aura-attempts"]) == ("spare", "2")


def test_a_repeat_is_answered_from_the_cache_in_either_form_and_for_its_own_tenant_only(server, provider):
    body = says("nonce-cache", temperature=0.5)
    asked = len(provider.asked)
    first = post(server, body)
    again = post(server, {**body, "user": "someone", "temperature": 0.5})
    stream = post(server, {**body, "stream": True})
    other = post(server, body, key="key-of-team-b")
    fresh = post(server, body, **{"Cache-Control": "no-cache"})

    told = [answer.headers["x-aura-cache"] for answer in (first, again, stream, other, fresh)]
    assert told == ["miss", "hit", "hit", "miss", "miss"]
    assert again.json()["choices"] == first.json()["choices"]
    assert int(again.headers["age"]) >= 0
    assert again.headers["x-aura-provider"] == "openai"
    assert stream.text.endswith("data: [DONE]\n\n")
    assert first.json()["choices"][0]["message"]["content"] == text_of(stream)
    assert len(provider.asked) == asked + 3


def turn(**message: Any) -> dict[str, Any]:
    """A chat of one message."""
    return {"model": "auto", "messages": [message]}


WRONG: list[tuple[str, Any, int, str | None]] = [
    ("no JSON", b"{not json", 400, None),
    ("no object", b"[]", 400, None),
    ("nothing", b"", 400, None),
    ("no messages", {"model": "auto"}, 400, "messages"),
    ("empty messages", {"model": "auto", "messages": []}, 400, "messages"),
    ("an unknown role", turn(role="robot", content="x"), 400, "messages[0].role"),
    ("a number as content", turn(role="user", content=7), 400, "messages[0].content"),
    ("a text as number", says("x", temperature="0.5"), 400, "temperature"),
    ("a number out of range", says("x", temperature=3), 400, "temperature"),
    ("a tool message without id", turn(role="tool", content="x"), 400, "messages[0].tool_call_id"),
    ("too large", says("x" * 200_000), 413, None),
    ("a path as model", {**HELLO, "model": "../../etc/passwd"}, 400, "model"),
    ("an unknown provider", {**HELLO, "model": "nowhere/model"}, 404, "model"),
    ("an unlisted model of a provider", {**HELLO, "model": "openai/no-such-model"}, 404, "model"),
    ("an address", says("x", api_base="http://127.0.0.1:1"), 400, "api_base"),
    ("a tier that is none", says("x", aura={"tier": "gold"}), 400, "aura.tier"),
]


@pytest.mark.parametrize(("body", "status", "param"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_bad_input_is_told_in_openais_shape_and_asks_no_provider(server, provider, body, status, param):
    asked = len(provider.asked)
    answer = post(server, body)

    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert len(error["message"]) > 10
    assert answer.headers["x-should-retry"] == "false"
    assert len(provider.asked) == asked


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "/v1/chat/completions", "", 401),
        ("POST", "/v1/chat/completions", "wrong", 401),
        ("GET", "/v1/models", "", 401),
        ("GET", "/actuator/prometheus", "", 401),
        ("GET", "/actuator/health", "", 200),
        ("GET", "/nowhere", "", 404),
        ("GET", "/v1/chat/completions", KEY, 405),
        ("OPTIONS", "/v1/chat/completions", KEY, 405),
        ("POST", "/v1/chat/completions/", KEY, 404),
        ("GET", "//v1/models", KEY, 404),
        ("POST", "/v1%2fchat%2fcompletions", KEY, 404),
    ],
)
def test_keys_methods_and_paths(server, method, path, key, status):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = requests.request(method, f"{server.url}{path}", headers=headers, timeout=20)

    assert answer.status_code == status
    if status >= 400:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.headers["content-type"] == "application/json"
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert ("allow" in answer.headers) == (status == 405)


def test_every_model_of_the_list_can_be_looked_up(server):
    headers = {"Authorization": f"Bearer {KEY}"}
    listed = requests.get(f"{server.url}/v1/models", headers=headers, timeout=20).json()

    assert listed["object"] == "list"
    assert {"eco", "openai/gpt-4o"} <= {model["id"] for model in listed["data"]}
    for model in listed["data"]:
        assert model == requests.get(f"{server.url}/v1/models/{model['id']}", headers=headers, timeout=20).json()
    missing = requests.get(f"{server.url}/v1/models/none", headers=headers, timeout=20)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


SPECIFIED = (
    "aura_requests_total",
    "aura_request_duration_seconds",
    "aura_provider_requests_total",
    "aura_provider_failures_total",
    "aura_cache_hits_total",
    "aura_cache_misses_total",
)


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_may_have_a_name_that_no_header_holds(provider, stream):
    """The provider has answered, and been paid, by the time that the headers are written."""
    entry = f'{{type: openai, base-url: "{provider.url}/v1", api-key: none, models: {{eco: [模型é]}}}}'
    with gateway(f"aura: {{providers: {{a: {entry}}}}}") as server:
        answer = post(server, says("nonce-named", stream=stream))

    assert answer.status_code == 200
    assert answer.headers["x-aura-model"] == "%E6%A8%A1%E5%9E%8B%C3%A9"
    assert "模型é" in answer.content.decode()


def test_the_specifications_metrics_are_there_from_the_first_scrape_and_count_all_workers(provider):
    config = f"""
aura:
  actuator: {{public: [health, prometheus]}}
  providers: {{openai: {{base-url: "{provider.url}/v1", api-key: test-key-1}}}}
"""
    with gateway(config, workers=2) as server:
        first = requests.get(f"{server.url}/actuator/prometheus", timeout=20).text
        for n in range(20):
            assert post(server, says(f"nonce-{n}"), Connection="close").status_code == 200
        then = requests.get(f"{server.url}/actuator/prometheus", timeout=20).text

    for name in SPECIFIED:
        assert f"# HELP {name} " in first
        assert f"# TYPE {name} " in first
    assert 'aura_requests_total{status="200",tier="ECO"} 20.0' in then
    assert 'aura_provider_requests_total{model="gpt-3.5-turbo",provider="openai"} 20.0' in then
    assert "aura_cache_misses_total 20.0" in then


def test_junk_adds_no_series(server):
    def series() -> set[str]:
        headers = {"Authorization": f"Bearer {KEY}"}
        text = requests.get(f"{server.url}/actuator/prometheus", headers=headers, timeout=20).text
        return {line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")}

    for name in ("warm", "up"):
        post(server, {**HELLO, "model": f"spare/{name}"})
        requests.request(name.upper(), f"{server.url}/{name}", timeout=20)
    series()
    before = series()
    for n in range(30):
        post(server, {**HELLO, "model": f"junk-{n}"})
        post(server, {**HELLO, "model": f"spare/junk-{n}"})
        requests.get(f"{server.url}/junk/{n}", timeout=20)

    assert series() == before


def test_one_line_is_logged_for_each_request_and_none_holds_a_prompt_or_a_key(server):
    post(server, says("a-secret-prompt"), **{"X-Request-Id": "logged-once"})
    requests.get(f"{server.url}/nowhere?logged=twice", headers={"X-Request-Id": "logged-too"}, timeout=20)
    server.wait_for("logged-too")
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    done = [line for line in lines if line["event"] == "request.done" and line["id"] in ("logged-once", "logged-too")]

    assert [line["status"] for line in done] == [200, 404]
    assert done[0]["tenant"] == "team-a"
    assert done[0]["tokens_in"] > 0
    assert "a-secret-prompt" not in server.log()
    assert KEY not in server.log()
    assert "test-key-1" not in server.log()


@pytest.mark.parametrize(
    ("fault", "status", "code", "again"),
    [
        ("status:code:401", 502, "provider_auth_failed", "false"),
        ("status:code:403", 502, "provider_auth_failed", "false"),
        ("status:code:400", 400, "invalid_request", "false"),
        ("status:code:422", 422, "invalid_request", "false"),
        ("status:code:404", 502, "provider_model_not_found", "false"),
        ("status:code:529", 503, "provider_unavailable", "true"),
    ],
)
def test_x4_a_providers_error_is_told_in_openais_form_with_its_status_and_our_key_is_not_the_clients_fault(
    server, provider, fault, status, code, again
):
    provider.next.extend([fault] * 3)
    answer = post(server, {**says("nonce-x4"), "model": f"spare/x4-{fault.rsplit(':', 1)[1]}"})
    provider.next.clear()

    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["code"] == code
    assert answer.headers["x-should-retry"] == again
    assert (status == 503) == ("retry-after" in answer.headers)


LEAKS = [
    "Incorrect API key provided: test-key-22222. See https://platform.example.com/keys",
    "<html><body>nginx 502</body></html>",
    'Traceback (most recent call last): File "/app/server/main.py", line 7',
    "cannot reach 10.1.2.3:8000/v1 or backend.internal:9000",
]


@pytest.mark.parametrize("text", LEAKS)
def test_nothing_internal_of_a_provider_reaches_the_client_or_the_log(server, provider, text):
    provider.next.append("status:code:400:message:echo")
    answer = post(server, {**says(f"nonce-leak {text}"), "model": "spare/leaks"})
    provider.next.clear()

    for leaked in ("test-key", "-22222", "http", "html", "Traceback", "main.py", "10.1.2.3", "internal"):
        assert leaked not in answer.text
        assert leaked not in "".join(line for line in server.log().splitlines() if "attempt.failed" in line)


def test_calls_that_are_refused_are_counted_too(server):
    def refused() -> float:
        headers = {"Authorization": f"Bearer {KEY}"}
        text = requests.get(f"{server.url}/actuator/prometheus", headers=headers, timeout=20).text
        found = [line for line in text.splitlines() if line.startswith('aura_requests_total{status="401",tier="none"}')]
        return float(found[0].rsplit(" ", 1)[1]) if found else 0.0

    before = refused()
    post(server, HELLO, key="wrong")

    assert refused() == before + 1
