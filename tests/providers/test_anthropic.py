"""The provider around Anthropic's grammar: address, key, version, betas."""

import json

import pytest

from aura.catalogue import unknown
from aura.providers import anthropic, build
from aura.settings import ProviderSettings, Secret

USER = {"role": "user", "content": "Hello"}


def provider(**settings):
    return anthropic.provider(ProviderSettings("claude", "anthropic", **{"api_key": Secret("sk-1"), **settings}))


def sent(body=None, **settings):
    request, _ = provider(**settings).request(
        {"model": "auto", "messages": [USER], **(body or {})}, unknown("claude-x")
    )
    return request


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("", "https://api.anthropic.com/v1/messages"),
        ("https://proxy.example", "https://proxy.example/v1/messages"),
        ("https://proxy.example/", "https://proxy.example/v1/messages"),
        ("https://proxy.example/anthropic/v1/", "https://proxy.example/anthropic/v1/messages"),
        ("https://proxy.example/v1/messages", "https://proxy.example/v1/messages"),
    ],
)
def test_the_address_is_the_bare_host(base_url, url):
    assert provider(base_url=base_url).url == url


def test_a1_key_and_version():
    headers = sent().headers

    assert headers == {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "sk-1"}


@pytest.mark.parametrize(
    ("operators", "clients", "told"),
    [
        (None, ["a-1"], "a-1"),
        ("b-2", None, "b-2"),
        ("b-2", ["a-1"], "b-2,a-1"),
        (None, None, None),
    ],
)
def test_a1_the_betas_of_the_operator_and_of_the_client_are_sent(operators, clients, told):
    headers = {"Anthropic-Beta": operators} if operators else {}

    assert sent({"anthropic_beta": clients}, headers=headers).headers.get("anthropic-beta") == told


def test_a1_the_operators_version_stands():
    assert sent(api_version="2024-01-01").headers["anthropic-version"] == "2024-01-01"


@pytest.mark.parametrize(
    ("key", "authorization", "api_key"),
    [
        ("Bearer tok", "Bearer tok", None),
        ("bearer Bearer tok", "Bearer tok", None),
        ("sk-ant-oat01-x", "Bearer sk-ant-oat01-x", None),
        ("sk-ant-api03-x", None, "sk-ant-api03-x"),
        ("none", None, None),
        ("", None, None),
    ],
)
def test_a2_a_token_goes_as_a_bearer(key, authorization, api_key):
    headers = sent(api_key=Secret(key)).headers

    assert (headers.get("authorization"), headers.get("x-api-key")) == (authorization, api_key)


def test_a2_an_oauth_token_asks_for_its_beta():
    headers = sent({"betas": ["a-1"]}, api_key=Secret("sk-ant-oat01-x")).headers

    assert headers["anthropic-beta"] == "oauth-2025-04-20,a-1"


def test_a2_the_operators_own_authorization_stands_alone():
    headers = sent(headers={"Authorization": "Bearer own"}).headers

    assert (headers["authorization"], headers.get("x-api-key")) == ("Bearer own", None)


def test_a3_nothing_of_the_clients_headers_is_forwarded():
    assert sent().headers.keys() == {"content-type", "anthropic-version", "x-api-key"}


def test_the_key_does_not_print():
    assert "sk-1" not in repr(provider())


def test_a100_a_rate_limit_says_how_long_to_wait():
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}'
    failure = provider().failure(429, {"retry-after": "4"}, body, 0)

    assert (failure.reason.value, failure.retry_after) == ("rate_limited", 4.0)


def test_the_provider_is_found_by_its_type():
    request, _ = build(ProviderSettings("claude", "anthropic")).request({"messages": [USER]}, unknown("claude-x"))

    assert json.loads(request.body)["model"] == "claude-x"
