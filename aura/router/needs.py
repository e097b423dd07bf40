"""What a call asks of the model that answers it: what its body holds, how long it is, and Aura's own options in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..call import Call, Json, KnownBody, Model, Tier
from ..dialects.beyond import KEY, only_of
from ..errors import BadRequest
from ..estimate import SIZED, declared_tokens, message_tokens

# Bits of what a call needs and of what a target lacks, so that one `&` decides.
VISION, IMAGE_URL, AUDIO, DOCUMENTS, TOOLS, JSON_SCHEMA, JSON_OBJECT, CHAT, EMBEDDINGS = (1 << n for n in range(9))
ANTHROPIC, COMPLETIONS, RESPONSES, OLLAMA = (1 << n for n in range(9, 13))
# Of grammars whose clients may say what no other can carry.
GRAMMARS = {
    "anthropic": ANTHROPIC,
    "completions": COMPLETIONS,
    "responses": RESPONSES,
    "ollama": OLLAMA,
    "ollama.generate": OLLAMA,
}
# What is missing, as the client is told of it, and the field that asked for it.
MISSING: dict[int, tuple[str, str]] = {
    EMBEDDINGS: ("makes no embeddings", "model"),
    CHAT: ("is no chat model", "model"),
    ANTHROPIC: ("does not speak Anthropic's grammar, which alone has that", "messages"),
    OLLAMA: ("does not speak Ollama's grammar, which alone has that", "prompt"),
    COMPLETIONS: ("is a chat model, and chats have no like of that: the prompt must be one text", "prompt"),
    RESPONSES: ("does not speak OpenAI's Responses, which alone has that", "input"),
    VISION: ("takes no images (vision)", "messages"),
    IMAGE_URL: ("takes images as data URLs only", "messages"),
    AUDIO: ("takes or gives no audio", "messages"),
    DOCUMENTS: ("takes no documents", "messages"),
    TOOLS: ("has no tools", "tools"),
    JSON_SCHEMA: ("cannot follow a JSON schema (json_schema)", "response_format"),
    JSON_OBJECT: ("has no JSON mode (json_object)", "response_format"),
}
_PARTS = {"input_audio": AUDIO, "file": DOCUMENTS, "document": DOCUMENTS}
_FORMATS = {"json_schema": JSON_SCHEMA, "json_object": JSON_OBJECT}
_OPENAIS = ("openai", "azure")
_TIERS = {name: tier for tier in Tier for name in (tier.value.lower(), f"aura-{tier.value.lower()}")}
_OPTIONS = frozenset({"tier", "fallbacks", "cache", "max_cost_usd"})
_LATER = ("assistant", "tool")
_DEMANDING = SIZED | {"modalities", KEY}
TIER_HEADER = "X-Aura-Tier"


@dataclass(slots=True)
class Needs:
    """What a target must bring.

    Args:
        mask: the bits above.
        tokens: the prompt, estimated.
        max_tokens: the longest answer that the client allows, 0 if it does not say.
        choices: how many answers it wants.
        only: the path of what only the client's own grammar has, as it wrote it; empty if there is nothing.
        goes_on: it is more than a conversation's beginning: it has a turn after the first of the user.
    """

    mask: int
    tokens: int
    max_tokens: int
    choices: int = 1
    only: str = ""
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """How the client steers this one call."""

    tier: Tier | None = None
    fallbacks: tuple[tuple[str, str], ...] = ()  # (target, the path of the field)
    max_cost_usd: float | None = None


NO_OPTIONS = Options()


def tier_named(name: str) -> Tier | None:
    """The tier that ``eco``, ``aura-eco`` and the like mean, in any case."""
    return _TIERS.get(name.lower())


def lacks(model: Model, provider_type: str, base_url: str = "") -> int:
    """The bits of what a target cannot do.

    A grammar may serve a need that its model does not know (a schema as a forced tool), or fail to carry one that it
    does (an image's address to a server that fetches nothing).
    """
    can = set(model.capabilities)
    if provider_type == "ollama":
        can -= {"audio", "documents"}
    if _speaks_anthropic(provider_type, base_url):
        can -= {"audio"}
        can |= {"json_object", "json_schema"} if "tools" in can else {"json_object"}
    if provider_type == "azure":
        can.add("json_schema")
    if "json_schema" in can:
        can.add("json_object")
    words = {"vision": VISION, "audio": AUDIO, "documents": DOCUMENTS, "tools": TOOLS}
    words |= {"json_schema": JSON_SCHEMA, "json_object": JSON_OBJECT}
    mask = sum(bit for word, bit in words.items() if word not in can)
    if provider_type == "ollama":
        mask |= IMAGE_URL
    else:
        mask |= OLLAMA
    mask |= _unspoken(model, provider_type, base_url)
    if "embeddings" in can:
        mask |= CHAT
    elif model.known:
        mask |= EMBEDDINGS
    return mask


def _unspoken(model: Model, provider_type: str, base_url: str) -> int:
    """The bits of the grammars that a target does not speak."""
    anthropic = _speaks_anthropic(provider_type, base_url)
    mask = 0 if anthropic else ANTHROPIC
    if model.known or provider_type not in _OPENAIS:
        mask |= COMPLETIONS
    if provider_type not in _OPENAIS or anthropic:
        mask |= RESPONSES
    return mask


def _speaks_anthropic(provider_type: str, base_url: str) -> bool:
    base = base_url.partition("?")[0].rstrip("/").removesuffix("/v1")
    return provider_type == "anthropic" or (provider_type == "azure" and base.endswith("/anthropic"))


def needs_of(call: Call) -> Needs:
    """What a call needs; read once of a body that many calls share."""
    body = call.body
    if body.__class__ is not KnownBody:
        return _read(call)
    known = body.needs
    if known is None or known[0] != call.door or known[1] != call.grammar:
        known = body.needs = call.door, call.grammar, _read(call)
    needs: Needs = known[2]
    return needs


def _read(call: Call) -> Needs:
    """Read what a call needs, in one pass over its messages; nothing is looked into deeper than a part's type."""
    body, only, goes_on, tokens = call.body, "", False, 0.0
    mask = EMBEDDINGS if call.door == "embeddings" else CHAT
    for message in body.get("messages") or ():
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        tokens += message_tokens(message, content)
        if message.get("role") in _LATER:
            goes_on = True
        if content.__class__ is list:
            for part in content:
                if isinstance(part, dict):
                    mask |= _need_of_part(part)
    if not _DEMANDING.isdisjoint(body):
        only = only_of(body)
        mask |= _demands(body) | (GRAMMARS[call.grammar] if only else 0)
        tokens += declared_tokens(body)
    limit = _count(body.get("max_completion_tokens")) or _count(body.get("max_tokens"))
    choices = (_count(body["n"]) or 1) if "n" in body else 1
    return Needs(mask, round(tokens), limit, choices, only, goes_on)


def _demands(body: Json) -> int:
    """The bits of what the fields of a body need that are not its messages."""
    mask = 0
    if (body.get("tools") and body.get("tool_choice") != "none") or body.get("functions"):
        mask |= TOOLS
    wanted = body.get("response_format")
    if isinstance(wanted, dict):
        mask |= _FORMATS.get(str(wanted.get("type")), 0)
    modalities = body.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        mask |= AUDIO
    return mask


def place_of(body: Json, bit: int) -> str | None:
    """The path of the first part of a message that needs something, None where none does."""
    for index, message in enumerate(body.get("messages") or ()):
        content = message.get("content") if isinstance(message, dict) else None
        for number, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict) and _need_of_part(part) & bit:
                return f"messages[{index}].content[{number}]"
    return None


def _need_of_part(part: Json) -> int:
    kind = part.get("type")
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        return VISION if isinstance(url, str) and url[:5].lower() == "data:" else VISION | IMAGE_URL
    return _PARTS.get(kind, 0) if isinstance(kind, str) else 0


def _count(value: Any) -> int:
    return value if value.__class__ is int and value > 0 else 0


def options_of(call: Call) -> Options:
    """Read Aura's options: the body's ``aura`` and ``fallbacks``, the header ``X-Aura-Tier``.

    Raises:
        BadRequest: one of them is not what it should be; ``param`` is its path.
    """
    body = call.body
    header = call.headers.get("x-aura-tier")
    given, named = body.get("aura"), body.get("fallbacks")
    if header is None and given is None and named is None:
        return NO_OPTIONS
    own = _checked(given)
    tier = _tier(header, TIER_HEADER)
    inner = _tier(own.get("tier"), "aura.tier")
    fallbacks = (*_fallbacks(named, "fallbacks"), *_fallbacks(own.get("fallbacks"), "aura.fallbacks"))
    return Options(inner or tier, fallbacks, _dollars(own.get("max_cost_usd")))


def _checked(own: Any) -> Json:
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise BadRequest("aura must be an object of options", param="aura")
    for name in own:
        if name not in _OPTIONS:
            raise BadRequest(f"aura takes {', '.join(sorted(_OPTIONS))}", param=f"aura.{name}"[:64])
    return own


def _tier(value: Any, param: str) -> Tier | None:
    if value is None:
        return None
    tier = _TIERS.get(value.strip().lower()) if isinstance(value, str) else None
    if tier is None:
        raise BadRequest(f"{param} must be eco, balanced or premium", param=param)
    return tier


def _fallbacks(value: Any, param: str) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRequest(f"{param} must be a list of provider/model", param=param)
    for index, name in enumerate(value):
        if not isinstance(name, str):
            raise BadRequest("a fallback must be a provider/model", param=f"{param}[{index}]")
    return tuple((name, f"{param}[{index}]") for index, name in enumerate(value))


def _dollars(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise BadRequest("aura.max_cost_usd must be a number of US dollars, not negative", param="aura.max_cost_usd")
    return float(value)
