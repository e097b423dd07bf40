"""What the tests of the configuration share."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.configuration import ConfigurationError, load
from aura.settings import Secret

CANARY = "sk-canary-0123456789"
KEYS = {"OPENAI_API_KEY": "sk-openai-1", "ANTHROPIC_API_KEY": "sk-ant-1"}
AZURE = {"AZURE_OPENAI_API_KEY": "azure-1", "AZURE_OPENAI_ENDPOINT": "https://unit.openai.azure.com/"}
VLLM = "base-url: http://vllm:8000/v1, models: {eco: qwen3}"


def loaded(text="", env=None, **overrides):
    """The settings of a file ``aura.yml`` and an environment."""
    if text:
        Path("aura.yml").write_text(text)
    return load(None, env or {}, overrides)


def reach(settings, dotted):
    """The value of a dotted path of attributes and keys."""
    value = settings
    for part in dotted.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value.reveal() if isinstance(value, Secret) else value


def names(provider):
    """The models' names per tier."""
    return {tier.lower(): [model.name for model in models] for tier, models in provider.models.items()}


def problems(text="", env=None):
    """What is wrong with a file ``aura.yml`` and an environment."""
    if text:
        Path("aura.yml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError) as caught:
        load(None, env or {})
    return caught.value.problems


def entry(keys, name="groq"):
    """A file with one provider entry."""
    return f"aura: {{providers: {{{name}: {{type: openai, api-key: none, models: {{eco: a}}, {keys}}}}}}}"
