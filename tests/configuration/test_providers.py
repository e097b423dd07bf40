"""Which providers are on, and what their entries mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.call import Price, Tier
from aura.configuration import load, providers
from aura.settings import ModelSettings

from .loading import AZURE, KEYS, loaded, names, problems, reach


def test_without_any_provider_the_demo_serves_and_says_so():
    settings = load(None, {})

    assert {name: names(provider) for name, provider in settings.providers.items()} == {
        "demo": {"eco": ["demo-eco"], "balanced": ["demo-balanced"], "premium": ["demo-premium"]}
    }
    assert "Provider openai is off: OPENAI_API_KEY is not set." in settings.notes
    assert sum("demo" in note for note in settings.notes) == 1


@pytest.mark.parametrize(
    ("entry", "env", "on", "told"),
    [
        ("openai: {}", KEYS, True, ""),
        ("openai: {enabled: true}", {}, False, "openai is off: OPENAI_API_KEY is not set"),
        ("openai: {enabled: true}", {"OPENAI_API_KEY": ""}, False, "openai is off: OPENAI_API_KEY is not set"),
        ("openai: {enabled: false}", KEYS, False, "openai is off: enabled is false, although OPENAI_API_KEY is set"),
        ("openai: {enabled: false, api-key: '${NOBODY}'}", {}, False, ""),
        ("openai: {api-key: none, base-url: 'http://localhost:1/v1'}", {}, True, ""),
        ("azure: {}", AZURE, True, ""),
        ("azure: {}", {"AZURE_OPENAI_API_KEY": "k"}, False, "azure is off: AZURE_OPENAI_ENDPOINT is not set"),
        ("ollama: {enabled: true}", {}, True, ""),
        ("ollama: {base-url: 'http://gpu:11434'}", {}, False, "ollama is off: enabled is not true"),
        ("gpu: {type: ollama, models: {eco: qwen3}}", {}, True, ""),
        ("groq: {type: openai, models: {eco: llama}}", {}, False, "groq is off: its api-key is not set"),
        ("groq: {type: openai, models: {eco: llama}}", {"AURA_PROVIDERS_GROQ_API_KEY": "k"}, True, ""),
        ("eu: {type: azure, api-key: k, models: {eco: d}}", {}, False, "eu is off: its base-url is not set"),
    ],
)
def test_a_provider_is_on_when_its_key_is_there(entry, env, on, told):
    settings = loaded(f"aura: {{providers: {{{entry}}}}}", env)
    name = entry.partition(":")[0]

    assert on == (name in settings.providers)
    assert bool(told) == any(note.startswith(f"Provider {name} ") for note in settings.notes)
    assert not told or f"Provider {told}." in settings.notes


APPLICATION = {"AZURE_TENANT_ID": "t-1", "AZURE_CLIENT_ID": "c-1", "AZURE_CLIENT_SECRET": "s-1"}
ENDPOINT = {"AZURE_OPENAI_ENDPOINT": "https://unit.openai.azure.com"}
WRITTEN = "tenant-id: t-2, client-id: c-2, client-secret: s-2"


@pytest.mark.parametrize(
    ("entry", "env", "expected"),
    [
        ("", APPLICATION, ("", "t-1", "c-1", "s-1")),
        (WRITTEN, {}, ("", "t-2", "c-2", "s-2")),
        (WRITTEN, APPLICATION, ("", "t-2", "c-2", "s-2")),
        ("client-id: c-2", APPLICATION, ("", "t-1", "c-2", "s-1")),
        ("clientSecret: '${MINE}'", APPLICATION | {"MINE": "s-3"}, ("", "t-1", "c-1", "s-3")),
        ("client-secret: s-2", APPLICATION | {"AURA_PROVIDERS_AZURE_CLIENT_SECRET": "s-4"}, ("", "t-1", "c-1", "s-4")),
        # Of a key and an application, the one that is said in the higher layer.
        ("", APPLICATION | AZURE, ("azure-1", "t-1", "c-1", "s-1")),
        (WRITTEN, AZURE, ("", "t-2", "c-2", "s-2")),
        (f"api-key: k, {WRITTEN}", {}, ("k", "t-2", "c-2", "s-2")),
        ("api-key: none", APPLICATION, ("none", "t-1", "c-1", "s-1")),
        ("client-secret: s-2", AZURE, ("azure-1", "", "", "s-2")),
    ],
)
def test_azure_is_on_by_an_application_in_place_of_a_key(entry, env, expected):
    azure = loaded(f"aura: {{providers: {{azure: {{{entry}}}}}}}", ENDPOINT | env).providers["azure"]

    assert expected == (
        azure.api_key.reveal(),
        azure.tenant_id,
        azure.client_id,
        azure.client_secret.reveal(),
    )
    assert azure.authority == "https://login.microsoftonline.com"


@pytest.mark.parametrize(
    ("entry", "env", "told"),
    [
        ("azure: {}", APPLICATION, "azure is off: AZURE_OPENAI_ENDPOINT is not set"),
        (
            "azure: {tenant-id: t}",
            ENDPOINT,
            "azure is off: AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are not set",
        ),
        (
            f"eu: {{type: azure, base-url: 'https://eu', {WRITTEN.replace('s-2', '')}}}",
            APPLICATION,
            "eu is off: its client-secret is not set",
        ),
    ],
)
def test_an_application_that_lacks_something_is_told(entry, env, told):
    settings = loaded(f"aura: {{providers: {{{entry}}}}}", env)

    assert f"Provider {told}." in settings.notes


@pytest.mark.parametrize(
    ("entry", "key", "told"),
    [
        ("authority: 'http://login.example.com'", "authority", "would be sent over http://"),
        ("authority: 'login.example.com'", "authority", "must be a URL"),
        ("authority: 'https://login.example.com/?x=1'", "authority", "must not hold a query"),
        ("tenant-id: ../x", "tenant-id", "must be a directory's id"),
        ("client-secret: 'a secret'", "client-secret", "holds white space"),
        ("base-url: 'http://api.example.com'", "base-url", "would be sent over http://"),
    ],
)
def test_an_applications_secret_is_fit_and_goes_only_where_it_is_safe(entry, key, told):
    lines = {key: value for key, _, value in (one.partition(": ") for one in WRITTEN.split(", "))}
    lines["base-url"] = "https://unit.example"
    lines |= dict([entry.split(": ", 1)])
    text = ", ".join(f"{name}: {value}" for name, value in lines.items())
    found = problems(f"aura: {{providers: {{azure: {{{text}}}}}}}")

    assert [f"aura.yml, line 1 (aura.providers.azure.{key})"] == [where for where, _ in found]
    assert told in found[0][1]
    assert "a secret'" not in str(found)


def test_an_empty_authority_or_scope_is_the_default():
    text = f"aura: {{providers: {{azure: {{{WRITTEN}, authority: '', scope: ''}}}}}}"
    azure = loaded(text, ENDPOINT).providers["azure"]

    assert (azure.authority, azure.scope) == (
        "https://login.microsoftonline.com",
        "https://cognitiveservices.azure.com/.default",
    )


def test_a_files_key_stands_above_the_vendors_variable():
    """Who writes ``api-key: none`` for another server must not have the vendor's key sent there."""
    settings = loaded("aura: {providers: {openai: {api-key: none, base-url: 'http://vllm:8000/v1'}}}", KEYS)

    assert reach(settings, "providers.openai.api_key") == "none"


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("{eco: a}", {"eco": [ModelSettings("a")]}),
        ("{eco: 'a, b'}", {"eco": [ModelSettings("a"), ModelSettings("b")]}),
        (
            "{eco: [a, b], PREMIUM: [c]}",
            {"eco": [ModelSettings("a"), ModelSettings("b")], "premium": [ModelSettings("c")]},
        ),
        ("{eco: {name: a, weight: 3}}", {"eco": [ModelSettings("a", weight=3)]}),
        (
            "{eco: [b, {name: a, base-model: gpt-4o, contextWindow: 128000, max-output: 4096, capabilities: [tools]}]}",
            {"eco": [ModelSettings("b"), ModelSettings("a", 1.0, "gpt-4o", 128_000, 4096, frozenset({"tools"}))]},
        ),
        (
            "{eco: {name: a, price: {input: 0.5, output: 1.5, cached-read: 0.05}}}",
            {"eco": [ModelSettings("a", price=Price(0.5, 1.5, 0.05))]},
        ),
    ],
)
def test_models_are_a_name_a_list_or_what_is_known_of_them(models, expected):
    settings = loaded(f"aura: {{providers: {{v: {{type: openai, api-key: none, models: {models}}}}}}}")

    assert {Tier(tier.upper()): tuple(listed) for tier, listed in expected.items()} == settings.providers["v"].models


def test_models_of_a_file_replace_the_built_in_ones_and_a_variable_changes_one_tier():
    written = loaded("aura: {providers: {openai: {models: {eco: mini}}}}", KEYS)
    Path("aura.yml").unlink()
    varied = load(None, KEYS | {"AURA_PROVIDERS_OPENAI_MODELS_ECO": "mini,nano"})

    assert names(written.providers["openai"]) == {"eco": ["mini"]}
    assert names(varied.providers["openai"]) == {
        "eco": ["mini", "nano"],
        "balanced": ["gpt-4o-mini"],
        "premium": ["gpt-4o"],
    }


def test_keys_without_a_value_say_nothing():
    settings = loaded("aura: {providers: {openai: {base-url: , models: , timeout: }, azure: {models: }}}", KEYS | AZURE)

    Path("aura.yml").unlink()
    assert settings.providers == load(None, KEYS | AZURE).providers


@pytest.mark.parametrize(
    ("entry", "env", "expected"),
    [
        ("{}", {}, ["gpt-4"] * 3),
        ("{}", {"AZURE_OPENAI_DEPLOYMENT_NAME": "prod"}, ["prod"] * 3),
        ("{deployment-name: d, models: {premium: p}}", {}, ["d", "d", "p"]),
        ("{models: {premium: p}}", {}, ["p"]),
    ],
)
def test_a_deployment_serves_every_tier_that_has_no_other_model(entry, env, expected):
    azure = loaded(f"aura: {{providers: {{azure: {entry}}}}}", AZURE | env).providers["azure"]

    assert expected == [model for models in names(azure).values() for model in models]


def test_two_entries_of_one_type_stand_side_by_side_in_the_files_order():
    text = """
aura:
  providers:
    azure-west: {type: azure, base-url: https://west.example, api-key: k1, deployment-name: gpt-4}
    azure-east: {type: azure, base-url: https://east.example, api-key: k2, deployment-name: gpt-4}
"""
    assert list(loaded(text, KEYS).providers) == ["azure-west", "azure-east", "openai", "anthropic"]


def test_an_entry_can_be_made_by_the_environment_alone():
    env = {
        "AURA_PROVIDERS_GROQ_CLOUD_TYPE": "openai",
        "AURA_PROVIDERS_GROQ_CLOUD_BASE_URL": "https://groq.example/openai/v1",
        "AURA_PROVIDERS_GROQ_CLOUD_API_KEY": "gsk-1",
        "AURA_PROVIDERS_GROQ_CLOUD_MODELS": '{"eco": ["llama", {"name": "big", "weight": 2}]}',
    }

    provider = load(None, env).providers["groq-cloud"]

    assert {Tier.ECO: (ModelSettings("llama"), ModelSettings("big", weight=2))} == provider.models


def test_the_demo_never_joins_a_real_provider():
    text = "aura: {providers: {show: {type: demo}}}"

    assert list(loaded(text).providers) == ["show"]
    real = loaded(text, KEYS)
    assert list(real.providers) == ["openai", "anthropic"]
    assert "Provider show is off: the demo never joins a real provider." in real.notes


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("vllm", True),
        ("ollama.models.svc.cluster.local", True),
        ("api.example.com", False),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("203.0.113.9", False),
        ("2001:db8::1", False),
        ("134744072", False),
        ("0x08080808", False),
        ("localhost.example.com", False),
        ("evil.localhost.example", False),
    ],
)
def test_a_private_host_is_told_by_its_address_or_name(host, private):
    assert private == providers.is_private(host)
