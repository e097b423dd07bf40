"""Keys: fit to be sent, sent only where it is safe, and never shown."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from aura.configuration import load

from .loading import CANARY, entry, problems


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"OPENAI_API_KEY": f"{CANARY} x"}, "holds white space"),
        ({"OPENAI_API_KEY": f"{CANARY}\r\nx: y"}, "holds a line end"),
        ({"OPENAI_API_KEY": f"{CANARY}\n"}, "begins or ends with white space (a line end, often)"),
        ({"OPENAI_API_KEY": f" {CANARY}"}, "begins or ends with white space (a line end, often)"),
        ({"OPENAI_API_KEY": f"“{CANARY}”"}, "holds a character that cannot stand in a header"),
        ({"OPENAI_API_KEY": f"{CANARY}\x00"}, "holds a character that cannot stand in a header"),
        ({"OPENAI_API_KEY": f"Bearer {CANARY}"}, "holds white space; write it without 'Bearer'"),
    ],
)
def test_a_malformed_key_is_refused_and_not_shown(env, told):
    assert [("OPENAI_API_KEY (aura.providers.openai.api-key)", told)] == problems(env=env)


def test_an_azure_token_may_say_bearer():
    env = {"AZURE_OPENAI_API_KEY": "Bearer eyJ.a.b", "AZURE_OPENAI_ENDPOINT": "https://unit.openai.azure.com"}

    assert list(load(None, env).providers) == ["azure"]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("api.example.com/v1", "must be a URL that begins with https:// or http:// and a host"),
        ("ftp://example.com", "must be a URL that begins with https:// or http:// and a host"),
        ("file:///etc/passwd", "must be a URL that begins with https:// or http:// and a host"),
        ("https://", "must be a URL that begins with https:// or http:// and a host"),
        (f"https://user:{CANARY}@example.com", "must not hold a user or a password"),
        (f"https://example.com/v1?key={CANARY}", "must not hold a query or a fragment"),
        ("https://example.com/#x", "must not hold a query or a fragment"),
        ("https://exa mple.com", "must be a URL without blanks, control or non-ASCII characters"),
        ("https://example.com/\r\nx", "must be a URL without blanks, control or non-ASCII characters"),
        ("https://exämple.com", "must be a URL without blanks, control or non-ASCII characters"),
        ("https://example.com:99999", "is not a valid URL"),
        ("https://example.com:http", "is not a valid URL"),
        ("https://[::1", "is not a valid URL"),
        ("https://exa{m}ple.com", "is not a valid URL"),
    ],
)
def test_a_bad_url_is_refused(url, told):
    env = {"OPENAI_API_KEY": CANARY, "AURA_PROVIDERS_OPENAI_BASE_URL": url}

    assert [("AURA_PROVIDERS_OPENAI_BASE_URL (aura.providers.openai.base-url)", told)] == problems(env=env)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("http://api.example.com/v1", False),
        ("HTTP://8.8.8.8/v1", False),
        ("http://2130706433/v1", False),
        ("https://api.example.com/v1", True),
        ("http://127.0.0.1:1/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://10.0.0.1/v1", True),
        ("http://vllm:8000/v1", True),
    ],
)
def test_a_key_never_crosses_an_open_network_in_clear(url, safe):
    env = {"OPENAI_API_KEY": CANARY, "AURA_PROVIDERS_OPENAI_BASE_URL": url}
    told = "a key would be sent over http:// to a host that is not private; use https://"
    if safe:
        assert list(load(None, env).providers) == ["openai"]
    else:
        assert [("AURA_PROVIDERS_OPENAI_BASE_URL (aura.providers.openai.base-url)", told)] == problems(env=env)


def test_a_header_that_holds_a_credential_is_a_key_too():
    open_network = "base-url: 'http://api.example.com/v1', headers: {NAME: x}"

    assert problems(entry(open_network.replace("NAME", "X-Api-Key")))
    Path("aura.yml").write_text(entry(open_network.replace("NAME", "X-Team")))
    assert list(load(None, {}).providers) == ["groq"]


@pytest.mark.parametrize(
    "text",
    [
        f"aura: {{providers: {{openai: {{api-key: [{CANARY}]}}}}}}",
        f"aura: {{providers: {{openai: {{api-key:{CANARY}}}}}}}",
        f"aura:\n  providers:\n    openai:\n      api-key:{CANARY}",
        f"aura: {{auth: {{keys: [{{name: a, kee: {CANARY}}}]}}}}",
        f"aura: {{auth: {{keys: {{a: {CANARY}}}}}}}",
        f"aura: {{auth: {{keys: [a:{CANARY}]}}}}",
        f"aura: {{auth: {{keys: [{{name: a, key: '{CANARY} {CANARY}'}}]}}}}",
        f"aura: {{providers: {{openai: {CANARY}}}}}",
        f"aura: {{cache: {{redis-url: {CANARY}}}}}",
        f"aura: {{server: {{port: {CANARY}}}}}",
        f"aura: {{router: {{spill: {CANARY}}}}}",
        f"aura: {{providers: {{openai: {{api-key: {CANARY}, api-key: {CANARY}}}}}}}",
        f"aura: {{providers: {{openai: {{api-key: '{CANARY}${{X}}'}}}}}}",
        f"aura: {{providers: {{openai: {{headers: {{authorization: ['{CANARY}']}}}}}}}}",
        f'aura: {{providers: {{openai: {{api-key: "{CANARY}',
    ],
)
def test_no_problem_shows_a_secret(text):
    found = problems(text)

    assert found
    assert "canary" not in str(found)


def test_settings_show_no_secret():
    text = entry(f"headers: {{authorization: '{CANARY}'}}").replace("api-key: none", f"api-key: {CANARY}")
    Path("aura.yml").write_text(text)
    made = load(None, {"AURA_AUTH_KEYS": f"a:{CANARY}2", "AURA_CACHE_REDIS_URL": f"redis://:{CANARY}@r:1/0"})

    assert list(made.providers) == ["groq"]
    assert "canary" not in repr(made) + str(made) + f"{made}"
    with pytest.raises(TypeError):
        pickle.dumps(made)
    with pytest.raises(TypeError):
        json.dumps(made.auth.keys[0].key)
    assert made == copy.copy(made)


def test_a_line_of_a_file_of_keys_is_named_without_its_key():
    Path("keys").write_text(f"ada:{CANARY}\n{CANARY}\nbob :{CANARY} root\n")

    assert problems(env={"AURA_AUTH_KEYS_FILE": "keys"}) == [
        ("keys, line 2", "must be name:key"),
        ("keys, line 3", "must be name:key, with 'admin' or 'setting=value' behind it"),
    ]
