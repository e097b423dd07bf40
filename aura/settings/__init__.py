"""Every setting once: what it is called, its type, its default, and a sentence about it.

Validation, the names in the environment and ``docs/configuration.md`` are made from these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .asking import (
    ClassifierSettings,
    CostSettings,
    EmbeddingsSettings,
    ForwardSettings,
    GuardrailSettings,
    ModelSettings,
    ModerationSettings,
    ProviderSettings,
    ResponsesSettings,
    RouterSettings,
    UpstreamSettings,
)
from .declaring import CAPABILITIES, MOST, Secret, Setting, declared, setting
from .serving import (
    ActuatorSettings,
    AuthSettings,
    CacheSettings,
    ClientKey,
    DocsSettings,
    LimitsSettings,
    LogSettings,
    ServerSettings,
    TracingSettings,
)

# ruff: noqa: RUF009  (the records are frozen)

__all__ = [
    "BUILT_IN",
    "CAPABILITIES",
    "MOST",
    "SECTIONS",
    "VENDOR_VARIABLES",
    "ActuatorSettings",
    "AuthSettings",
    "CacheSettings",
    "ClassifierSettings",
    "ClientKey",
    "CostSettings",
    "DocsSettings",
    "EmbeddingsSettings",
    "ForwardSettings",
    "GuardrailSettings",
    "LimitsSettings",
    "LogSettings",
    "ModelSettings",
    "ModerationSettings",
    "ProviderSettings",
    "ResponsesSettings",
    "RouterSettings",
    "Secret",
    "ServerSettings",
    "Setting",
    "Settings",
    "TracingSettings",
    "UpstreamSettings",
    "declared",
    "setting",
]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator decided, checked. ``providers`` holds those that are on."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    cache: CacheSettings = CacheSettings()
    limits: LimitsSettings = LimitsSettings()
    router: RouterSettings = RouterSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    embeddings: EmbeddingsSettings = EmbeddingsSettings()
    responses: ResponsesSettings = ResponsesSettings()
    forward: ForwardSettings = ForwardSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    cost: CostSettings = CostSettings()
    guardrails: GuardrailSettings = GuardrailSettings()
    actuator: ActuatorSettings = ActuatorSettings()
    docs: DocsSettings = DocsSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the operator should be told at start, one sentence each (a provider off for want of its key)."""
    files: tuple[str, ...] = ()
    """The files that were read, the most general first."""


SECTIONS: dict[str, type[Any]] = {
    "server": ServerSettings,
    "auth": AuthSettings,
    "providers": ProviderSettings,
    "router": RouterSettings,
    "classifier": ClassifierSettings,
    "cache": CacheSettings,
    "limits": LimitsSettings,
    "embeddings": EmbeddingsSettings,
    "responses": ResponsesSettings,
    "forward": ForwardSettings,
    "upstream": UpstreamSettings,
    "cost": CostSettings,
    "guardrails": GuardrailSettings,
    "actuator": ActuatorSettings,
    "docs": DocsSettings,
    "log": LogSettings,
    "tracing": TracingSettings,
}

# The entries that need not be written: their settings where nothing else is said, and the vendors' own variables.
BUILT_IN: dict[str, dict[str, Any]] = {
    "openai": {
        "base-url": "https://api.openai.com/v1",
        "models": {"premium": "gpt-4o", "balanced": "gpt-4o-mini", "eco": "gpt-3.5-turbo"},
    },
    "anthropic": {
        "base-url": "https://api.anthropic.com",
        "models": {
            "premium": "claude-3-5-sonnet-20241022",
            "balanced": "claude-3-sonnet-20240229",
            "eco": "claude-3-haiku-20240307",
        },
    },
    "azure": {"deployment-name": "gpt-4"},
    "ollama": {"base-url": "http://localhost:11434", "models": {"eco": "llama3"}},
}
VENDOR_VARIABLES = {
    ("openai", "api-key"): "OPENAI_API_KEY",
    ("anthropic", "api-key"): "ANTHROPIC_API_KEY",
    ("azure", "base-url"): "AZURE_OPENAI_ENDPOINT",
    ("azure", "api-key"): "AZURE_OPENAI_API_KEY",
    ("azure", "deployment-name"): "AZURE_OPENAI_DEPLOYMENT_NAME",
    ("azure", "tenant-id"): "AZURE_TENANT_ID",
    ("azure", "client-id"): "AZURE_CLIENT_ID",
    ("azure", "client-secret"): "AZURE_CLIENT_SECRET",
}
