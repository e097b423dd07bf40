"""The demo: answers without any provider, so that a first request shows something, and says plainly that it is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import orjson

from ..call import Chunk, Json, Model, Usage
from ..dialects import openai
from ..estimate import estimate_tokens, text_tokens
from ..settings import ProviderSettings
from . import Provider

_DEPTH = 16
_VALUES = 200


def provider(settings: ProviderSettings) -> Provider:
    """Make the provider that answers in-process."""
    return Provider(name=settings.name, dialect=openai, url="", answer=answer)


def answer(body: Json, model: Model) -> Iterator[Chunk]:
    """Answer word by word, the same for the same request."""
    text = _text(body, model)
    head: Json = {"id": _id(body, model), "object": "chat.completion.chunk", "created": 0, "model": model.name}
    yield Chunk({**head, "choices": [_choice({"role": "assistant", "content": "", "refusal": None})]})
    for word in _words(text):
        yield Chunk({**head, "choices": [_choice({"content": word})]}, content=True)
    yield Chunk({**head, "choices": [_choice({}, "stop")]}, finished=1)
    usage = Usage(input=estimate_tokens(body), output=max(1, round(text_tokens(text))))
    told = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    yield Chunk({**head, "choices": [], "usage": told}, usage=usage, last=True)


def _choice(delta: Json, finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _text(body: Json, model: Model) -> str:
    tier = model.tier.value if model.tier else model.name.removeprefix("demo-").upper()
    said = (
        f"This is Aura's demo provider, answering for the {tier} tier. No provider is configured, so no model was "
        "asked: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or describe a provider in aura.yml, to get real answers."
    )
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        return orjson.dumps(_json(wanted, tier, said)).decode()
    return said


def _json(wanted: Json, tier: str, said: str) -> Any:
    wrapper = wanted.get("json_schema")
    schema = wrapper.get("schema") if isinstance(wrapper, dict) else None
    if isinstance(schema, dict):
        return _Instance(schema, said).of(schema, _DEPTH)
    return {"provider": "demo", "tier": tier, "note": said}


class _Instance:
    """Makes a small value of a schema: what is required, nothing else. A schema without an end is cut short."""

    def __init__(self, root: Json, said: str) -> None:
        self._root = root
        self._said = said
        self._left = _VALUES

    def of(self, schema: Any, depth: int) -> Any:
        """The value of one part of the schema."""
        schema = self._resolved(schema)
        self._left -= 1
        if depth <= 0 or self._left <= 0:
            return None
        fixed = [schema[key] for key in ("const", "default") if key in schema]
        fixed += _items(schema.get("enum"))
        if fixed:
            return fixed[0]
        for key in ("anyOf", "oneOf", "allOf"):
            if _items(schema.get(key)):
                return self.of(schema[key][0], depth - 1)
        return self._typed(schema, depth)

    def _typed(self, schema: Json, depth: int) -> Any:
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        kind = next(iter(kind), None) if isinstance(kind, list) else kind
        if kind == "object":
            parts = schema.get("properties")
            parts = parts if isinstance(parts, dict) else {}
            names = [name for name in _items(schema.get("required")) if isinstance(name, str)]
            return {name: self.of(parts.get(name), depth - 1) for name in names}
        if kind == "array":
            size = min(_number(schema.get("minItems"), 0), _VALUES)
            return [self.of(schema.get("items"), depth - 1) for _ in range(int(size))]
        if kind in ("number", "integer"):
            return min(max(0, _number(schema.get("minimum"), 0)), _number(schema.get("maximum"), _VALUES))
        most = max(0, int(_number(schema.get("maxLength"), len(self._said))))
        return {"boolean": False, "null": None}.get(str(kind), self._said[:most])

    def _resolved(self, schema: Any) -> Json:
        """A schema, or the one that its reference within the same document means."""
        for _ in range(_DEPTH):
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if not isinstance(reference, str):
                break
            schema = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                schema = schema.get(step) if step and isinstance(schema, dict) else schema
        return schema if isinstance(schema, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any, otherwise: int) -> float:
    return value if isinstance(value, int | float) else otherwise


def _words(text: str) -> list[str]:
    """The words of a text, each with the blank before it."""
    return re.findall(r"\s*\S+", text)


def _id(body: Json, model: Model) -> str:
    said = orjson.dumps([model.name, body.get("messages")], option=orjson.OPT_NON_STR_KEYS)
    return "chatcmpl-demo-" + blake2b(said, digest_size=8).hexdigest()
