"""Anthropic, and every server that speaks its Messages grammar.

Facts
  - The key goes in ``x-api-key``; an OAuth token (``sk-ant-oat...``) goes in ``Authorization`` with a beta of its own.
  - ``anthropic-version`` is mandatory and has not changed since 2023.
See https://platform.claude.com/docs/en/api/versioning
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..dialects import anthropic
from ..settings import ProviderSettings, Secret
from . import Provider, headers_of, key_of

BASE_URL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"
OAUTH_BETA = "oauth-2025-04-20"


def provider(settings: ProviderSettings) -> Provider:
    """Make the provider of a configuration entry of type ``anthropic``."""
    base = settings.base_url.rstrip("/").removesuffix("/messages").removesuffix("/v1") or BASE_URL
    own = {"anthropic-version": settings.api_version or API_VERSION, **_auth(key_of(settings))}
    headers = headers_of(settings, own)
    if "authorization" in {name.lower() for name in settings.headers}:
        headers.pop("x-api-key", None)  # the operator's own way in
    return Provider(name=settings.name, dialect=anthropic, url=f"{base}/v1/messages", headers=headers)


def _auth(key: str) -> Mapping[str, str | Secret]:
    """A key, or a bearer token: one that says ``Bearer`` or is Anthropic's OAuth token by its form."""
    token = re.sub(r"^(bearer\s+)+", "", key, flags=re.IGNORECASE)
    if token.startswith("sk-ant-oat"):
        return {"authorization": Secret(f"Bearer {token}"), "anthropic-beta": OAUTH_BETA}
    if token != key:
        return {"authorization": Secret(f"Bearer {token}")}
    return {"x-api-key": Secret(key)} if key else {}
