"""What decides who is asked, and how: providers and their models, routing, guardrails."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from ..call import Hedge, Price, Tier
from .declaring import CAPABILITIES, Secret, setting

# ruff: noqa: RUF009  (`setting` declares a field)


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
class UpstreamSettings:
    """``aura.upstream``: the way to all providers."""

    ca_bundle: str = setting(
        "", "text", "A PEM file of certificates that are trusted beside the public ones: those of your own authority."
    )
    proxy: Secret = setting(
        Secret(""),
        "secret",
        "The proxy that providers are asked through: `http://[user:password@]host:port`. TLS goes through it unopened.",
    )
    no_proxy: tuple[str, ...] = setting((), "names", "Hosts that are asked without it, each as `base-url` names it.")


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
