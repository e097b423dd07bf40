"""What decides how clients are served: address, keys, limits, cache, log and what else operators see."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from .declaring import MOST, Secret, setting

# ruff: noqa: RUF009  (`setting` declares a field)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``aura.server``."""

    host: str = setting("127.0.0.1", "host", "The address to listen on; other than loopback needs `aura.auth.keys`.")
    port: int = setting(8080, "integer", "The port to listen on; 0 takes a free one.", least=0, most=65535)
    workers: int = setting(0, "integer", "Worker processes; 0: one for each core.", least=0, most=1024)
    max_body: int = setting(20 * 1024 * 1024, "size", "The largest request body; a larger one is a 413.", least=1)
    worker_connections: int = setting(
        0, "integer", "Connections of one worker; 0: (hard descriptor limit - 200) / 2.", least=0
    )
    graceful_timeout: float = setting(60.0, "duration", "How long open answers may go on when a worker stops.", least=0)
    keep_alive: float = setting(5.0, "duration", "How long an idle client connection is kept.", least=1)
    drain_delay: float = setting(
        0.0, "duration", "How long a stopping instance still accepts calls, so that load balancers notice.", least=0
    )


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key of Aura's own, and the name of who holds it (the tenant)."""

    name: str = setting(MISSING, "text", "Who holds it; log, cache and metrics know the name.")
    key: Secret = setting(MISSING, "secret", "The key.")
    admin: bool = setting(False, "boolean", "Whether it may administer.")
    models: tuple[str, ...] | None = setting(
        None,
        "names",
        "What it may use: tiers, models' names, `provider/model`, `provider/*`; default: everything.",
    )
    cache_ttl: float | None = setting(
        None, "duration", "How long its answers are cached; default: as `aura.cache` says.", least=0
    )
    pii: str | None = setting(None, "choice", "`aura.guardrails.pii` for its calls.", choices=("off", "mask", "block"))
    requests_per_minute: int | None = setting(
        None, "integer", "Its calls in a minute; 0: no limit; default: as `aura.limits` says.", least=0, most=MOST
    )
    tokens_per_minute: int | None = setting(
        None, "integer", "Its tokens in a minute; 0: no limit; default: as `aura.limits` says.", least=0, most=MOST
    )
    concurrent: int | None = setting(
        None, "integer", "Its calls at once; 0: no limit; default: as `aura.limits` says.", least=0, most=MOST
    )


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """``aura.auth``."""

    keys: tuple[ClientKey, ...] = setting(
        (), "keys", "The clients' keys: `[{name, key, admin: false}]`; in the environment `name:key,name:key`."
    )
    keys_file: str = setting(
        "", "text", "A file with more keys: lines `name:key`, with `admin` and `setting=value` behind."
    )
    allow_anonymous: bool = setting(
        False,
        "boolean",
        "Serve everyone who reaches the address, where no keys are configured.",
        environment=("AURA_ALLOW_ANONYMOUS",),
    )


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """``aura.cache``."""

    enabled: bool = setting(True, "boolean", "Whether answers are cached.")
    type: str = setting(
        "local", "choice", "Where: on this host or in Redis; `none`: nowhere.", choices=("local", "redis", "none")
    )
    spec: str = setting("maximumSize=10000,expireAfterWrite=1h", "text", "Size and age in Caffeine's words.")
    max_entries: int = setting(10_000, "integer", "The most answers kept; default: what `spec` says.", least=0)
    ttl: float = setting(3600.0, "duration", "How long an answer is kept; default: what `spec` says.", least=0)
    max_bytes: int = setting(128 * 1024 * 1024, "size", "The memory that cached answers may take.", least=1)
    max_entry: int = setting(1024 * 1024, "size", "The largest answer that is kept, compressed.", least=1)
    redis_url: Secret = setting(
        Secret("redis://localhost:6379/0"), "secret", "Where Redis is: `redis://[user:password@]host:port/database`."
    )
    deterministic_only: bool = setting(False, "boolean", "Cache only calls whose temperature is 0.")
    store_truncated: bool = setting(
        True, "boolean", "Whether answers are kept that were cut off at their token limit (`finish_reason: length`)."
    )
    eco_ttl: float | None = setting(None, "duration", "`ttl` for answers of the tier ECO.", least=0)
    balanced_ttl: float | None = setting(None, "duration", "`ttl` for answers of the tier BALANCED.", least=0)
    premium_ttl: float | None = setting(None, "duration", "`ttl` for answers of the tier PREMIUM.", least=0)
    max_ttl: float = setting(86400.0, "duration", "The longest time a call may ask for by `aura.cache.ttl`.", least=0)
    semantic: str = setting(
        "none",
        "text",
        "Gives an answer to the same question in other words: `local` compares wordings by a small model (the extra "
        "`semantic`), `provider/model` by that model's embeddings, `none` not at all; see `docs/semantic-cache.md`.",
    )
    semantic_threshold: float = setting(
        0.7, "number", "How alike two wordings must be, by the cosine of their embeddings.", least=0, most=1
    )
    semantic_timeout: float = setting(1.0, "duration", "The longest time an embeddings call may take.", least=0.01)


@dataclass(frozen=True, slots=True)
class LimitsSettings:
    """``aura.limits``."""

    requests_per_minute: int = setting(
        0, "integer", "The calls that each key may make in a minute; 0: no limit.", least=0, most=MOST
    )
    tokens_per_minute: int = setting(
        0, "integer", "The tokens that each key may use in a minute; 0: no limit.", least=0, most=MOST
    )
    concurrent: int = setting(
        0, "integer", "The calls that each key may have open at once; 0: no limit.", least=0, most=MOST
    )
    total_requests_per_minute: int = setting(0, "integer", "The calls of all keys in a minute.", least=0, most=MOST)
    total_tokens_per_minute: int = setting(0, "integer", "The tokens of all keys in a minute.", least=0, most=MOST)
    total_concurrent: int = setting(0, "integer", "The open calls of all keys at once.", least=0, most=MOST)
    storage: str = setting(
        "local", "choice", "Where it is counted: for this instance, or in Redis for all.", choices=("local", "redis")
    )
    redis_url: Secret = setting(Secret(""), "secret", "Where Redis is; default: `aura.cache.redis-url`.")


@dataclass(frozen=True, slots=True)
class ActuatorSettings:
    """``aura.actuator``."""

    public: tuple[str, ...] = setting(("health",), "names", "Endpoints that answer without a key.")


@dataclass(frozen=True, slots=True)
class DocsSettings:
    """``aura.docs``."""

    enabled: bool = setting(
        True, "boolean", "Whether `/swagger-ui.html`, `/v3/api-docs` and `/openapi.json` are served."
    )
    public: bool = setting(False, "boolean", "Whether they answer without a key, where keys are configured.")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``aura.log`` and ``logging.level``."""

    level: str = setting(
        "INFO",
        "level",
        "What is logged. TRACE, WARN, FATAL and OFF are understood too.",
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    )
    format: str = setting("json", "choice", "JSON lines, or text for people.", choices=("json", "text"))
    file: str = setting("", "text", "A file to log to; default: standard output.")
    record_prompts: str = setting(
        "", "text", "A file that every chat is written to, prompts and all, for `aura calibrate` and `aura replay`."
    )


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """``aura.tracing``."""

    enabled: bool = setting(
        False, "boolean", "Whether calls are traced by OpenTelemetry; needs `pip install 'aura-gateway[otel]'`."
    )
    endpoint: str = setting(
        "http://localhost:4318",
        "url",
        "The collector that takes OTLP over HTTP; `/v1/traces` is put behind it.",
        environment=("OTEL_EXPORTER_OTLP_ENDPOINT",),
    )
    sample: float = setting(
        1.0, "number", "The part of the calls that is traced; a client's own trace decides for itself.", least=0, most=1
    )
    service_name: str = setting(
        "aura-gateway", "text", "What the traces call this service.", environment=("OTEL_SERVICE_NAME",)
    )
