"""The API's description: complete, valid, and true of what is answered."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from aura.api import docs
from aura.api.docs.operations import OPERATIONS
from aura.app import create_app
from aura.configuration import load

KEYS = "a:key-of-a-0001"
BEARER = {"Authorization": "Bearer key-of-a-0001"}
HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


def app_with(**environ: str):
    return create_app(load(None, {"AURA_LOG_LEVEL": "ERROR", **environ}))


@pytest.fixture(scope="module")
def app():
    return app_with()


@pytest.fixture(scope="module")
def client(app):
    return app.test_client()


@pytest.fixture(scope="module")
def document(client) -> dict[str, Any]:
    return client.get("/v3/api-docs").get_json()


def documented(path: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


def rules(app) -> list[tuple[str, str, str]]:
    """Method, path and view of all that is served."""
    return [
        (method.lower(), documented(rule.rule), rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    ]


def test_it_is_valid_openapi_and_the_same_under_both_addresses(client, document):
    validate(document)

    assert document["openapi"] == "3.1.0"
    assert client.get("/openapi.json").get_json() == document


def test_every_route_is_in_it_and_nothing_else(app, document):
    served = {(method, path) for method, path, _ in rules(app)}

    assert {(method, path) for path, item in document["paths"].items() for method in item} == served


def test_every_view_has_its_place_in_the_table(app):
    """A new route wants an entry in ``aura/api/docs/operations.py``."""
    assert {view for _, _, view in rules(app)} == OPERATIONS.keys()


def test_every_operation_says_what_it_takes_and_answers(document):
    for path, item in document["paths"].items():
        for method, told in item.items():
            where = f"{method} {path}"
            assert told["summary"], where
            for status, response in told["responses"].items():
                if status != "204" and "$ref" not in response:
                    assert response["content"], where
            if method == "post" and not path.endswith(("/transcriptions", "/translations", "/cancel")):
                assert told["requestBody"]["content"]["application/json"]["examples"], where
            assert "500" in told["responses"], where


def test_names_of_operations_differ(document):
    names = [told["operationId"] for item in document["paths"].values() for told in item.values()]

    assert len(names) == len(set(names))


def test_examples_hold_what_their_schemas_say(document):
    for item in document["paths"].values():
        for told in item.values():
            for content in contents(told):
                examples = [one["value"] for one in content.get("examples", {}).values()]
                for example in [*examples, *([content["example"]] if "example" in content else [])]:
                    check(document, content["schema"], example)
    for response in document["components"]["responses"].values():
        for content in response["content"].values():
            check(document, content["schema"], content["example"])


def contents(told: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [told.get("requestBody", {}), *told["responses"].values()]
    return [content for part in parts for content in part.get("content", {}).values() if "schema" in content]


def check(document: dict[str, Any], schema: Any, value: Any) -> None:
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def answer_schema(document: dict[str, Any], method: str, path: str, status: int) -> tuple[Any, set[str]]:
    """The schema of an answer, and the names of its headers."""
    response = document["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response["content"]["application/json"]["schema"], set(response["headers"])


PROMPT = {"prompt": "Once"}
MESSAGES = {**HELLO, "max_tokens": 50}
ASKED = [
    ("POST", "/v1/chat/completions", None, HELLO, 200),
    ("POST", "/v1/chat/completions", None, {"model": "auto"}, 400),
    ("POST", "/openai/deployments/{deployment}/completions", "/openai/deployments/eco/completions", PROMPT, 200),
    ("POST", "/v1/completions", None, {"model": "auto", "prompt": "Once"}, 200),
    ("POST", "/v1/messages", None, MESSAGES, 200),
    ("POST", "/v1/messages", None, HELLO, 400),
    ("POST", "/v1/messages/count_tokens", None, HELLO, 200),
    ("POST", "/v1/embeddings", None, {"model": "text-embedding-3-small", "input": "x"}, 404),
    ("POST", "/v1/moderations", None, {"input": "x"}, 404),
    ("POST", "/v1/route", None, HELLO, 200),
    ("POST", "/v1/responses", None, {"model": "auto", "input": "Hello"}, 200),
    ("GET", "/v1/responses/{name}", "/v1/responses/none", None, 404),
    ("POST", "/api/chat", None, {**HELLO, "stream": False}, 200),
    ("POST", "/api/chat", None, {}, 400),
    ("POST", "/api/generate", None, {"model": "auto", "prompt": "Once", "stream": False}, 200),
    ("POST", "/api/embed", None, {"model": "nomic-embed-text", "input": "x"}, 404),
    ("POST", "/api/show", None, {"model": "auto"}, 200),
    ("GET", "/api/tags", None, None, 200),
    ("GET", "/api/ps", None, None, 200),
    ("GET", "/api/version", None, None, 200),
    ("GET", "/v1/models", None, None, 200),
    ("GET", "/v1/models/{name}", "/v1/models/demo-eco", None, 200),
    ("GET", "/v1/models/{name}", "/v1/models/none", None, 404),
    ("DELETE", "/v1/cache", None, None, 403),
    ("GET", "/actuator", None, None, 200),
    ("GET", "/actuator/health", None, None, 200),
    ("GET", "/actuator/health/{path}", "/actuator/health/ping", None, 200),
    ("GET", "/actuator/info", None, None, 200),
    ("GET", "/actuator/metrics", None, None, 200),
    ("GET", "/actuator/metrics/{name}", "/actuator/metrics/aura.requests", None, 200),
    ("GET", "/actuator/loggers", None, None, 200),
    ("GET", "/actuator/loggers/{name}", "/actuator/loggers/aura", None, 200),
    ("POST", "/actuator/loggers/{name}", "/actuator/loggers/aura", {"configuredLevel": "INFO"}, 401),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "asked", "body", "status"), ASKED)
def test_answers_and_their_headers_are_as_described(client, document, method, path, asked, body, status):
    sent = {"json": body} if body is not None else {}
    answer = client.open(asked or path, method=method, **sent)

    assert answer.status_code == status
    schema, headers = answer_schema(document, method, path, status)
    check(document, schema, answer.get_json())
    own = {name.lower() for name, _ in answer.headers if name.lower().startswith(("x-aura-", "x-request", "retry-"))}
    if status == 200:
        assert own <= headers


@pytest.mark.parametrize(
    ("path", "example"),
    [
        ("/v1/chat/completions", "streamed"), ("/v1/completions", "streamed"), ("/v1/messages", "streamed"),
        ("/v1/responses", "streamed"), ("/api/chat", "line by line"), ("/api/generate", "line by line"),
    ],
)  # fmt: skip
def test_streams_are_described_and_their_events_too(client, document, path, example):
    told = document["paths"][path]["post"]
    body = told["requestBody"]["content"]["application/json"]["examples"][example]["value"]
    answer = client.post(path, json=body)

    content = told["responses"]["200"]["content"][answer.mimetype]
    assert answer.mimetype in ("text/event-stream", "application/x-ndjson")
    assert content["example"].endswith("\n")
    if "x-event-schema" in content:
        events = re.findall(r"(?m)^(?:data: )?(\{.*\})$", answer.get_data(as_text=True))
        assert events
        for event in events:
            check(document, content["x-event-schema"], json.loads(event))


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 3}, {"stream": "yes"}, {"max_tokens": 0}, {"stop": 5}, {"stop": []}, {"n": 1.5},
        {"messages": []}, {"model": "../etc"}, {"messages": None}, {"tools": {}}, {"stop": None}, {"tool_choice": None},
        {"temperature": 1, "unknown": {"a": 1}},
    ],
)  # fmt: skip
def test_the_described_body_is_the_one_that_is_taken(client, document, body):
    schema = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    valid = Draft202012Validator({**schema, "components": document["components"]}).is_valid({**HELLO, **body})

    assert valid == (client.post("/v1/chat/completions", json={**HELLO, **body}).status_code == 200)


def paths() -> list[str]:
    return sorted(path.replace("<name>", "swagger-ui.css") for path in docs.RULES)


@pytest.mark.parametrize("path", paths())
def test_it_wants_a_key_like_everything_else_unless_it_is_made_public(path):
    closed, opened = (app_with(AURA_AUTH_KEYS=KEYS, AURA_DOCS_PUBLIC=told).test_client() for told in ("false", "true"))

    assert closed.get(path).status_code == 401
    assert closed.get(path, headers=BEARER).status_code == 200
    assert opened.get(path).status_code == 200


def test_what_wants_a_key_says_so():
    told = app_with(AURA_AUTH_KEYS=KEYS).test_client().get("/openapi.json", headers=BEARER).get_json()

    assert told["security"] == [{"bearer": []}]
    assert told["paths"]["/actuator/health"]["get"]["security"] == [{}]
    assert "401" not in told["paths"]["/actuator/health"]["get"]["responses"]
    assert {"x-api-key": []} in told["paths"]["/v1/messages"]["post"]["security"]
    assert {"api-key": []} in told["paths"]["/openai/v1/embeddings"]["post"]["security"]


@pytest.mark.parametrize("path", paths())
def test_it_can_be_switched_off(path):
    assert app_with(AURA_DOCS_ENABLED="false").test_client().get(path).status_code == 404


def test_the_page_loads_nothing_from_elsewhere_and_holds_no_script(client):
    answer = client.get("/swagger-ui.html")
    text = answer.get_data(as_text=True)

    assert "://" not in text
    assert re.findall(r"<script(?! src=\"/)|<style|\son\w+=", text) == []
    assert "'unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_browser_loads_the_page_s_parts_once(client):
    answer = client.get("/swagger-ui/swagger-ui-bundle.js")
    again = client.get("/swagger-ui/swagger-ui-bundle.js", headers={"If-None-Match": answer.headers["etag"]})

    assert len(answer.data) > 1_000_000
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", ["index.css", "..%2fsetup.py", "VERSION", "oauth2-redirect.html"])
def test_no_other_file_is_given(client, name):
    assert client.get(f"/swagger-ui/{name}").status_code == 404
