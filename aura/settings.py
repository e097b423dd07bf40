"""Every setting once: what it is called, its type, its default, and a sentence about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from .call import Price, Tier


class Secret:
    """A text that does not print: not in a log, a traceback, JSON or a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A model of a tier, with what the operator says of it against the catalogue."""

    name: str
    weight: float = 1.0
    base_model: str | None = None
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One entry below ``aura.providers``."""

    name: str
    type: str
    enabled: bool = True
    base_url: str = ""
    api_key: Secret = Secret("")
    models: dict[Tier, tuple[ModelSettings, ...]] = field(default_factory=dict)
    extra_models: tuple[str, ...] = ()
    timeout: float = 60.0
    headers: dict[str, str] = field(default_factory=dict)
    deployment_name: str = ""
    api_version: str = ""
    keep_alive: str = ""
    num_ctx: int | None = None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``aura.server``."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 0
    max_body: int = 20 * 1024 * 1024
    worker_connections: int = 0
    graceful_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key of Aura's own, and the name of who holds it (the tenant)."""

    name: str
    key: Secret
    admin: bool = False


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """``aura.auth``."""

    keys: tuple[ClientKey, ...] = ()
    allow_anonymous: bool = False


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """``aura.cache``."""

    enabled: bool = True
    type: str = "local"
    max_entries: int = 10_000
    ttl: float = 3600.0
    redis_url: Secret = Secret("redis://localhost:6379/0")
    deterministic_only: bool = False


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """``aura.router``."""

    strategy: str = "priority"
    requested_model: str = "route"
    stream_rescue: bool = True
    spill: str = "any"


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """``aura.classifier``."""

    type: str = "heuristic"
    premium_threshold: float = 0.7
    balanced_threshold: float = 0.4


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``aura.log`` and ``logging.level``."""

    level: str = "INFO"
    format: str = "json"
    file: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator decided, checked."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    cache: CacheSettings = CacheSettings()
    router: RouterSettings = RouterSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    log: LogSettings = LogSettings()
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What the operator should be told at start, one sentence each (a provider off for want of its key)."""
