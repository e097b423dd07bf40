"""Addresses that are not there, as clients ask for them: each is told so in its own grammar, and which others are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from .server import Server, gateway

ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with gateway() as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/threads", "/v1/chat", "/v1/files/file_1/content", "/v1/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_told_in_openais_form_with_the_doors(server, method, path):
    answer = requests.request(method, f"{server.url}{path}", json={}, timeout=30)
    error = answer.json()["error"]

    assert answer.status_code == 404
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")
    assert error["message"].startswith(f"There is no {path} here. The doors are ")
    for door in ("POST /v1/chat/completions", "POST /v1/messages", "GET /v1/models/{name}", "POST /v1/embeddings"):
        assert door in error["message"]
    assert "/actuator" not in error["message"]


@pytest.mark.parametrize("headers", [ANTHROPIC, {"x-api-key": "sk-ant-none"}])
@pytest.mark.parametrize("path", ["/v1/complete", "/v1/messages/batches", "/v1/organizations/usage"])
def test_an_unknown_path_of_anthropics_clients_is_told_in_anthropics_form(server, path, headers):
    answer = requests.get(f"{server.url}{path}", headers=headers, timeout=30)

    assert answer.status_code == 404
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "not_found_error"
    assert "POST /v1/messages/count_tokens" in answer.json()["error"]["message"]
    assert answer.json()["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("path", ["/api/pull", "/api/create", "/api/blobs/sha256:1", "/api/"])
def test_an_unknown_path_of_ollamas_clients_is_told_in_ollamas_form(server, path):
    answer = requests.post(f"{server.url}{path}", json={}, timeout=30)

    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}
    assert "POST /api/chat" in answer.json()["error"]
    assert "/v1/" not in answer.json()["error"]


@pytest.mark.parametrize("headers", [{}, ANTHROPIC])
@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/api/event_logging/batch", "/v1/me", "/api/hello"])
def test_a_probe_is_answered_and_leaves_no_trace_of_a_failure(server, path, headers):
    """Clients look whether a server is there before they ask it anything."""
    got = requests.get(f"{server.url}{path}", headers=headers, timeout=30)
    headed = requests.head(f"{server.url}{path}", headers=headers, timeout=30)

    assert (got.status_code, headed.status_code) == (404, 404)
    assert got.headers["content-type"] == "application/json"
    assert headed.content == b""
    assert "Traceback" not in server.log()
    assert "request.failed" not in server.log()


def test_a_known_path_does_not_take_another_method(server):
    answer = requests.get(f"{server.url}/api/chat", timeout=30)

    assert (answer.status_code, answer.headers["allow"], answer.json().keys()) == (405, "POST", {"error"})
