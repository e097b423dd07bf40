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


# The Java service's own file, as an operator brings it along.
JAVA = """
aura:
  classifier: {premium-threshold: 0.7, balanced-threshold: 0.4}
  providers:
    openai:
      enabled: true
      models: {premium: gpt-4o, balanced: gpt-4o-mini, eco: gpt-3.5-turbo}
      timeout: 60s
    anthropic:
      enabled: true
      models: {premium: claude-3-5-sonnet-20241022, balanced: claude-3-sonnet-20240229, eco: claude-3-haiku-20240307}
      timeout: 60s
    azure: {enabled: false, deployment-name: "${AZURE_OPENAI_DEPLOYMENT_NAME:gpt-4}"}
    ollama: {enabled: false, base-url: "http://localhost:11434", models: {eco: llama3}}
spring:
  cache: {type: caffeine, caffeine: {spec: "maximumSize=10000,expireAfterWrite=1h"}}
  threads: {virtual: {enabled: true}}
logging: {level: {io.github.girisenji.ai.aura: INFO}}
"""
