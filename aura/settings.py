"""Every setting once: what it is called, its type, its default, and a sentence about it.

Validation, the names in the environment and ``docs/configuration.md`` are made from these declarations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, NoReturn

from .call import Hedge, Price, Tier

# ruff: noqa: RUF009  (`setting` declares a field)

# What a model can do, as a configuration may say it; see :mod:`aura.catalogue` for the meaning.
CAPABILITIES = (
    "adaptive_thinking",
    "audio",
    "developer_role",
    "documents",
    "effort_xhigh",
    "embeddings",
    "json_object",
    "json_schema",
    "max_completion_tokens",
    "prefill",
    "reasoning",
    "sampling",
    "streaming",
    "system_anywhere",
    "temperature_and_top_p",
    "thinks_when_asked",
    "tools",
    "vision",
)


MOST = 10**12  # that a limit may be


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
class Setting:
    """One declaration.

    Args:
        key: its name in a file, the last word of its path.
        kind: what its value is: text, secret, url, host, integer, number, duration, size, boolean, names, choice,
            level, or one of the shapes models, headers, keys, price, moderation, hedge.
        default: the value where nothing is said; None where that depends on something else.
        sentence: what it does, for the documentation.
        environment: names in the environment beside the one made of its path.
        aliases: further names in a file.
        choices: the words allowed.
        least: the smallest value allowed.
        most: the largest value allowed.
    """

    key: str
    kind: str
    default: Any
    sentence: str
    environment: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def setting(default: Any, kind: str, sentence: str, **more: Any) -> Any:
    """Declare a field of a settings record; ``more`` as in :class:`Setting`."""
    metadata = {"kind": kind, "sentence": sentence, **more}
    return (
        field(default_factory=dict, metadata=metadata) if default is dict else field(default=default, metadata=metadata)
    )


def declared(record: type[Any]) -> Iterator[tuple[str, Setting]]:
    """The declarations of a settings record, each with its field's name."""
    for one in fields(record):
        if one.metadata:
            more = {"key": one.name.replace("_", "-"), **one.metadata}
            yield one.name, Setting(default=_default(one), **more)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return None if one.default is MISSING else one.default


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A model of a tier, with what the operator says of it against the catalogue."""

    name: str = setting(MISSING, "text", "What the provider calls the model; for Azure, the deployment.")
    weight: float = setting(1.0, "number", "Its share where the strategy is `weighted`.", least=0)
    base_model: str | None = setting(
        None, "text", "The model of the catalogue that it is, where its name does not tell (a deployment, a fine-tune)."
    )
    context_window: int | None = setting(None, "integer", "Tokens that prompt and answer may have together.", least=1)
    max_output: int | None = setting(None, "integer", "Tokens that an answer may have.", least=1)
    capabilities: frozenset[str] | None = setting(
        None,
        "names",
        "What it takes (vision, tools, JSON, audio, …), instead of what the catalogue says; other words are added.",
        choices=CAPABILITIES,
    )
    price: Price | None = setting(
        None, "price", "US dollars per million tokens: `{input, output, cached-read, cached-write, cached-write-1h}`."
    )


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One entry below ``aura.providers``."""

    name: str
    type: str = setting(
        MISSING, "text", "What it speaks: `openai`, `anthropic`, `azure`, `ollama`, or what an installed package adds."
    )
    enabled: bool = setting(
        True, "boolean", "`false` switches it off. Ollama's entry is on when this is `true`, the others with their key."
    )
    base_url: str = setting(
        "",
        "url",
        "Where it is: ending in `/v1` for openai, the bare host for anthropic and ollama, the endpoint for azure.",
        aliases=("endpoint",),
    )
    api_key: Secret = setting(Secret(""), "secret", "Its key; `none` for a server that wants none.")
    models: dict[Tier, tuple[ModelSettings, ...]] = setting(
        dict, "models", "Its models per tier: a name, a list of names, or models with what is known of them."
    )
    extra_models: tuple[str, ...] = setting(
        (), "names", "Models that can be asked for as `provider/model` without belonging to a tier; `*` allows any."
    )
    timeout: float = setting(60.0, "duration", "How long an answer that is not streamed may take.", least=0.001)
    headers: dict[str, str | Secret] = setting(dict, "headers", "Headers sent with every request, never printed.")
    deployment_name: str = setting(
        "", "text", "Azure: the deployment that serves every tier for which `models` names none."
    )
    api_version: str = setting("", "text", "Azure: the API version, a date; `v1` for the form without versions.")
    tenant_id: str = setting(
        "", "text", "Azure, in place of a key: the directory (Entra ID) in which Aura is registered as an application."
    )
    client_id: str = setting("", "text", "Azure: the application's id.")
    client_secret: Secret = setting(Secret(""), "secret", "Azure: the application's secret, for which it gets a token.")
    authority: str = setting("https://login.microsoftonline.com", "url", "Azure: where the token is asked for.")
    scope: str = setting("https://cognitiveservices.azure.com/.default", "text", "Azure: what the token is good for.")
    keep_alive: str = setting("", "text", "Ollama: how long a model stays loaded (`10m`, `-1`).")
    num_ctx: int | None = setting(None, "integer", "Ollama: the context size to load a model with.", least=1)


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
class RouterSettings:
    """``aura.router``."""

    strategy: str = setting(
        "priority",
        "choice",
        "The order of a tier's targets.",
        choices=("priority", "cost", "latency", "weighted", "least-busy"),
    )
    requested_model: str = setting(
        "route",
        "choice",
        "What a catalogue name in `model` is worth: a hint, the highest tier allowed, or asked first.",
        choices=("route", "ceiling", "respect"),
    )
    stream_rescue: bool = setting(True, "boolean", "Continue a stream that broke off at another target.")
    spill: str = setting(
        "any",
        "choice",
        "Which other tiers continue a plan whose own targets are spent.",
        choices=("any", "up", "none"),
    )
    max_attempts: int = setting(3, "integer", "The most requests for one call.", least=1, most=100)
    max_attempts_per_target: int = setting(2, "integer", "The most of them at one target.", least=1, most=100)
    total_timeout: float = setting(120.0, "duration", "How long one call may take in all.", least=0.001)
    long_timeout: float = setting(600.0, "duration", "The same for streams and reasoning models.", least=0.001)
    content_policy_failover: bool = setting(
        False, "boolean", "Ask the next target when one refuses a prompt by its content policy."
    )
    hedge: Hedge | None = setting(
        None, "hedge", "Ask the next target too when one is late: `{after: p95, at-most: 5%}`; default: never."
    )


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """``aura.classifier``."""

    type: str = setting("learned", "text", "Which classifier judges the prompts.")
    premium_threshold: float = setting(0.7, "number", "The score from which a prompt is PREMIUM.", least=0, most=1)
    balanced_threshold: float = setting(0.4, "number", "The score from which a prompt is BALANCED.", least=0, most=1)


@dataclass(frozen=True, slots=True)
class EmbeddingsSettings:
    """``aura.embeddings``."""

    models: dict[str, tuple[str, ...]] = setting(
        dict,
        "targets",
        "Names for embedding models, each with the targets (`provider/model`) that have that very model, in order.",
    )
    batch: int = setting(
        2048, "integer", "The most inputs of one request to a provider; a longer list is divided.", least=1
    )


@dataclass(frozen=True, slots=True)
class ResponsesSettings:
    """``aura.responses``."""

    ttl: float = setting(
        2_592_000.0,
        "duration",
        "How long responses are kept for `previous_response_id`, as far as the cache has room; 0: not at all.",
        least=0,
    )


@dataclass(frozen=True, slots=True)
class ForwardSettings:
    """``aura.forward``: who serves the doors whose calls are passed on as they are."""

    moderations: tuple[str, ...] = setting((), "names", "Providers of `/v1/moderations`, in order.")
    images: tuple[str, ...] = setting((), "names", "Providers of `/v1/images/generations`, in order.")
    speech: tuple[str, ...] = setting((), "names", "Providers of `/v1/audio/speech`, in order.")
    transcriptions: tuple[str, ...] = setting((), "names", "Providers of `/v1/audio/transcriptions`, in order.")
    translations: tuple[str, ...] = setting((), "names", "Providers of `/v1/audio/translations`, in order.")
    rerank: tuple[str, ...] = setting((), "names", "Providers of `/v1/rerank`, in order.")
    max_upload: int = setting(
        64 * 1024 * 1024,
        "size",
        "The largest body of a request with a file; it is kept on disk, not in memory.",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class CostSettings:
    """``aura.cost``."""

    baseline_model: str = setting(
        "", "text", "The model that savings are counted against; default: the first PREMIUM target."
    )


@dataclass(frozen=True, slots=True)
class ModerationSettings:
    """``aura.guardrails.moderation``."""

    provider: str = setting(MISSING, "text", "The entry of `aura.providers` that is asked; its type must be `openai`.")
    model: str = setting("omni-moderation-latest", "text", "The moderation model.")
    timeout: float = setting(5.0, "duration", "How long it may take.", least=0.001)
    on_failure: str = setting(
        "block",
        "choice",
        "What becomes of a call that could not be judged: refused with status 503, or let pass.",
        choices=("block", "allow"),
    )


@dataclass(frozen=True, slots=True)
class GuardrailSettings:
    """``aura.guardrails``."""

    pii: str = setting(
        "off",
        "choice",
        "What becomes of personal values and keys in a prompt: sent, masked and put back in the answer, or refused.",
        choices=("off", "mask", "block"),
    )
    moderation: ModerationSettings | None = setting(
        None,
        "moderation",
        "A provider's moderation endpoint that is asked before each call: `{provider, model, timeout, on-failure}`.",
    )


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
