"""Azure OpenAI: OpenAI's grammar under a deployment's address, and the other doors of the same resource.

Facts
  - The deployment, not the body's ``model``, chooses the model; its name says nothing of what is behind it.
  - The key goes in ``api-key``; ``Authorization: Bearer`` is for Entra ID tokens.
  - An application has its token at ``{authority}/{tenant}/oauth2/v2.0/token``, for a scope that ends in ``/.default``.
  - An API version is a date: it refuses what came later. ``/openai/v1`` has none and takes the model from the body.
  - Claude answers on the same resource below ``/anthropic``, other makers' models below ``/models``.
Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

import orjson

from ..call import Json, Model
from ..dialects import anthropic, embeddings, openai
from ..settings import ProviderSettings, Secret
from . import Adapt, Provider, TokenRequest, headers_of, key_of, streams
from . import openai as plain

API_VERSION = "2024-10-21"
MODELS_API_VERSION = "2024-05-01-preview"
# The first version, by date, that takes a parameter. The form without versions takes them all.
_TOOLS_SINCE = "2023-12-01"
_REQUIRED_SINCE = "2024-06-01"
_SCHEMA_SINCE = "2024-08-01"
_USAGE_SINCE = "2024-08-01"
_COMPLETION_TOKENS_SINCE = "2024-09-01"
_ID_HEADERS = ("x-request-id", "x-ms-client-request-id")
_RESPONSES_SINCE = "2025-03-01"
_LATEST = "9999-12-31"
_TAIL = re.compile(r"(/openai)?(/v1|/deployments(/[^/?]*)?)?/?$")


def provider(settings: ProviderSettings) -> Provider:
    """Make the provider of a configuration entry of type ``azure``; the endpoint's form tells which door is meant."""
    base = settings.base_url.split("?")[0].rstrip("/")
    if base.removesuffix("/v1").endswith("/anthropic"):
        return _claude(settings, base.removesuffix("/v1"))
    url, version = _address(base, settings.api_version)
    return plain.with_others(
        Provider(
            name=settings.name,
            dialect=openai,
            url=url,
            headers=headers_of(settings, _auth(key_of(settings), "api-key")),
            adapt=_adapt(version, own=not base.endswith("/models")),
            streams=streams,
            usage_in_streams=version >= _USAGE_SINCE,
            address=url.replace("chat/completions", "{door}"),
            embedder=embeddings.OPENAI,
            token=_token(settings),
            id_headers=_ID_HEADERS,
        ),
        _responses_address(base, settings.api_version),
    )


def _claude(settings: ProviderSettings, base: str) -> Provider:
    own = {"anthropic-version": "2023-06-01", **_auth(key_of(settings), "x-api-key")}
    return Provider(
        name=settings.name,
        dialect=anthropic,
        url=f"{base}/v1/messages",
        headers=headers_of(settings, own),
        token=_token(settings),
        id_headers=_ID_HEADERS,
    )


def _address(base: str, version: str) -> tuple[str, str]:
    """The URL of a chat, and the date that its version stands for."""
    if base.endswith("/models"):
        return f"{base}/chat/completions?api-version={version or MODELS_API_VERSION}", _LATEST
    unversioned = base.endswith("/openai/v1") or version in ("v1", "preview", "latest")
    root = _TAIL.sub("", base)
    if unversioned:
        query = "?api-version=preview" if version == "preview" else ""
        return f"{root}/openai/v1/chat/completions{query}", _LATEST
    version = version or API_VERSION
    return f"{root}/openai/deployments/{{model}}/chat/completions?api-version={version}", version[:10]


def _responses_address(base: str, version: str) -> str:
    """The URL of Responses, whose model is in the body; empty for versions that have none."""
    if base.endswith("/models"):
        return ""
    url, date = _address(base, version)
    if date == _LATEST:
        return url.replace("/chat/completions", "/responses")
    root = _TAIL.sub("", base)
    return f"{root}/openai/responses?api-version={version}" if date >= _RESPONSES_SINCE else ""


def _auth(key: str, header: str) -> Mapping[str, str | Secret]:
    """A key, or an Entra ID token: one that says ``Bearer`` (once or twice) or has a token's three parts."""
    token = re.sub(r"^(bearer\s+)+", "", key, flags=re.IGNORECASE)
    if token != key or (key.startswith("eyJ") and key.count(".") == 2):
        return {"authorization": Secret(f"Bearer {token}")}
    return {header: Secret(key)} if key else {}


def _token(settings: ProviderSettings) -> TokenRequest | None:
    """How an application asks for its token; None where there is a key, or the operator writes ``Authorization``."""
    told = settings.tenant_id and settings.client_id and settings.client_secret
    if not told or settings.api_key or "authorization" in map(str.lower, settings.headers):
        return None
    return TokenRequest(
        f"{settings.authority}/{quote(settings.tenant_id, safe='')}/oauth2/v2.0/token",
        (
            ("grant_type", "client_credentials"),
            ("client_id", settings.client_id),
            ("client_secret", settings.client_secret),
            ("scope", settings.scope),
        ),
    )


def _adapt(version: str, own: bool) -> Adapt:
    def adapt(body: Json, model: Model) -> tuple[Json, list[str]]:
        out, dropped = plain.adapt(body, model, own)
        out = dict(out)
        if model.known and not model.can("max_completion_tokens") and version < _COMPLETION_TOKENS_SINCE:
            _older_limit(out)
        _tools(out, version, dropped)
        if version < _SCHEMA_SINCE or (model.known and not model.can("json_schema")):
            _schema_as_text(out, model, dropped)
        if version < _USAGE_SINCE and out.get("stream_options"):
            dropped.append("stream_options")
        return out, dropped

    return adapt


def _older_limit(body: Json) -> None:
    limit = body.pop("max_completion_tokens", None)
    if limit is not None:
        body.setdefault("max_tokens", limit)


def _tools(body: Json, version: str, dropped: list[str]) -> None:
    """``tool_choice`` where it is taken; what it would have meant otherwise."""
    choice, tools = body.get("tool_choice"), body.get("tools")
    if choice is None:
        return
    if not tools:
        del body["tool_choice"]
    elif version < _TOOLS_SINCE:
        del body["tool_choice"]
        if choice == "none":
            del body["tools"]
        elif choice != "auto":
            dropped.append("tool_choice")
    elif choice == "required" and version < _REQUIRED_SINCE:
        # To require one of one is to name it, which these versions understand.
        if len(tools) == 1 and isinstance(tools[0].get("function"), dict):
            body["tool_choice"] = {"type": "function", "function": {"name": tools[0]["function"].get("name")}}
        else:
            body["tool_choice"] = "auto"
            dropped.append("tool_choice")


def _schema_as_text(body: Json, model: Model, dropped: list[str]) -> None:
    """Ask for JSON, and show the schema to the model: it is followed, but not enforced."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return
    wrapper = wanted.get("json_schema")
    schema = wrapper.get("schema") if isinstance(wrapper, dict) else None
    text = f"Answer in JSON that matches this JSON schema, and in nothing else:\n{orjson.dumps(schema or {}).decode()}"
    if model.can("json_object"):
        body["response_format"] = {"type": "json_object"}
    else:
        del body["response_format"]
    body["messages"] = [{"role": "system", "content": text}, *body["messages"]]
    dropped.append("response_format")
