"""Azure as an application of Entra ID, through the gateway: its tokens are fetched, kept, renewed, and fail over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import parse_qs

import gevent
import pytest
from gevent.pywsgi import WSGIServer

from .calls import chat, provider
from .faulty import Faulty
from .server import gateway

SECRET = "canary~secret.of-an_application"


class Login:
    """A token endpoint on loopback: a new token each time.

    Args:
        life: what it says in ``expires_in``.
        delay: seconds that it takes.
        refuse: status and body of a refusal.
    """

    def __init__(self, life: float = 3600, delay: float = 0.0, refuse: tuple[str, object] | None = None) -> None:
        self.life, self.delay, self.refuse = life, delay, refuse
        self.asked: list[tuple[str, dict[str, list[str]]]] = []

    def __enter__(self) -> Login:
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None, error_log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop()

    def _answer(self, environ, start):
        form = parse_qs(environ["wsgi.input"].read().decode(), strict_parsing=True)
        self.asked.append((f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['CONTENT_TYPE']}", form))
        token = {"token_type": "Bearer", "expires_in": self.life, "access_token": f"canary-token-{len(self.asked)}"}
        gevent.sleep(self.delay)
        status, body = self.refuse or ("200 OK", token)
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]


@contextmanager
def play(**login: object) -> Iterator[SimpleNamespace]:
    """A gateway, its Azure, the provider behind it, and the endpoint that gives out Azure's tokens."""
    with Faulty() as azure, Faulty() as backup, Login(**login) as endpoint:
        config = f"""
aura:
  cache: {{enabled: false}}
  providers:
    azure:
      base-url: "{azure.url}"
      tenant-id: contoso.example
      client-id: app-1
      client-secret: "{SECRET}"
      authority: "{endpoint.url}"
{provider("backup", backup.url)}"""
        with gateway(config) as server:
            yield SimpleNamespace(server=server, azure=azure, backup=backup, login=endpoint)


def bearers(azure: Faulty) -> list[str]:
    return [asked.headers["authorization"].removeprefix("Bearer canary-") for asked in azure.asked]


def test_fifty_first_calls_at_once_ask_for_one_token():
    with play(delay=0.5) as at:
        calls = [gevent.spawn(chat, at.server.port, "eco", f"nonce-{n}", stream=n % 2 == 0) for n in range(50)]
        gevent.joinall(calls)
        log = at.server.log()

    assert [200] * 50 == [call.value.status for call in calls]
    assert all(f"nonce-{n}" in call.value.text for n, call in enumerate(calls))
    assert ["token-1"] * 50 == bearers(at.azure)
    assert not any("api-key" in asked.headers for asked in at.azure.asked)
    assert at.login.asked == [
        (
            "POST /contoso.example/oauth2/v2.0/token application/x-www-form-urlencoded",
            {
                "grant_type": ["client_credentials"],
                "client_id": ["app-1"],
                "client_secret": [SECRET],
                "scope": ["https://cognitiveservices.azure.com/.default"],
            },
        )
    ]
    assert "canary" not in log


def test_a_token_is_renewed_while_calls_go_on():
    with play(life=1) as at:
        statuses = set()
        while "token-3" not in bearers(at.azure) and len(at.azure.asked) < 200:
            statuses.add(chat(at.server.port, "eco", stream=False).status)
            gevent.sleep(0.05)

    assert {200} == statuses
    assert ("token-1", "token-3") == (bearers(at.azure)[0], bearers(at.azure)[-1])
    assert not at.backup.asked


@pytest.mark.parametrize("stream", [False, True])
def test_a_token_that_azure_refuses_is_replaced_unseen(stream):
    with play() as at:
        chat(at.server.port, "eco", stream=stream)
        at.azure.next.append("status:code:401")
        answer = chat(at.server.port, "eco", "nonce-2", stream=stream)

    assert (200, "azure") == (answer.status, answer.headers["x-aura-provider"])
    assert "nonce-2" in answer.text
    assert ["token-1", "token-1", "token-2"] == bearers(at.azure)


@pytest.mark.parametrize(
    ("refuse", "told"),
    [
        (("401 Unauthorized", {"error": "invalid_client", "error_codes": [7000215]}), "AADSTS7000215"),
        (("503 Unavailable", {"error": SECRET}), "no access token: 503"),
    ],
)
def test_without_a_token_the_next_provider_answers(refuse, told):
    with play(refuse=refuse) as at:
        answers = [chat(at.server.port, "eco", f"nonce-{n}", stream=n == 0) for n in range(3)]
        log = at.server.log()

    assert [(200, "backup")] * 3 == [(answer.status, answer.headers["x-aura-provider"]) for answer in answers]
    assert at.login.asked
    assert not at.azure.asked
    assert told in log
    assert "canary" not in log


def test_a_client_is_told_that_the_gateways_credentials_were_refused():
    refuse = ("401 Unauthorized", {"error": "invalid_client", "error_description": SECRET})
    with play(refuse=refuse) as at:
        answer = chat(at.server.port, "azure/gpt-4", stream=False)

    assert (502, "provider_auth_failed") == (answer.status, answer.errors[0]["code"])
    assert b"canary" not in answer.body
