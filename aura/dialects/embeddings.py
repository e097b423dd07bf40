"""Embeddings: OpenAI's grammar is the canonical one, Ollama's ``/api/embed`` is translated.

Facts
  - ``input`` is a text, a list of texts, a list of tokens or a list of those; OpenAI takes 2,048 of them at once.
  - ``encoding_format: "base64"`` is what OpenAI's SDK asks for: float32, little-endian. Ollama only knows numbers.
  - Ollama cuts a text that is too long unless ``truncate`` is false.
Sources: https://platform.openai.com/docs/api-reference/embeddings, https://docs.ollama.com/api/embed (read 2026-11-24)
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

from ..call import Json, Model
from ..errors import BadRequest, Failure, Reason
from .beyond import KEY, quiet_of


class Embedder(NamedTuple):
    """A grammar of embeddings: the request away from the canonical form, the answer towards it."""

    request_out: Callable[[Json, Model], Json]
    response_in: Callable[[Json, Json, Model], Json]


def inputs(body: Json) -> list[Any]:
    """The inputs of a body, each by itself."""
    given = body["input"]
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        return [given]
    return list(given)


def split(body: Json, most: int) -> list[Json]:
    """Bodies of at most so many inputs, in their order; the body itself where it has no more."""
    every = inputs(body)
    if len(every) <= most:
        return [body]
    return [{**body, "input": every[start : start + most]} for start in range(0, len(every), most)]


def join(answers: list[Json]) -> Json:
    """One answer of several, numbered through."""
    if len(answers) == 1:
        return answers[0]
    data: list[Json] = []
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    for answer in answers:
        data += [{**one, "index": len(data) + at} for at, one in enumerate(answer["data"])]
        told = answer.get("usage")
        for name in usage:
            usage[name] += told.get(name) or 0 if isinstance(told, dict) else 0
    return {**answers[0], "data": data, "usage": usage}


def _openai_out(body: Json, model: Model) -> Json:
    left_out = ("aura", "fallbacks", KEY, *quiet_of(body))
    out = {name: value for name, value in body.items() if name not in left_out}
    out["model"] = model.name
    return out


def _openai_in(answer: Json, body: Json, model: Model) -> Json:
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(one, dict) and one.get("embedding") for one in data):
        raise Failure(Reason.BAD_RESPONSE, "the answer holds no embeddings")
    if len(data) != len(inputs(body)):
        raise Failure(Reason.BAD_RESPONSE, "the answer holds another number of embeddings than was asked for")
    wanted = body.get("encoding_format") or "float"
    in_order = sorted(data, key=lambda one: one.get("index") or 0)
    if in_order == data and all(isinstance(one["embedding"], str) == (wanted == "base64") for one in data):
        return answer if isinstance(answer.get("model"), str) else {**answer, "model": model.name}
    told = [{**one, "embedding": _encoded(one["embedding"], wanted)} for one in in_order]
    return {"object": "list", "model": model.name, **answer, "data": told}


def _encoded(embedding: Any, wanted: str) -> Any:
    """An embedding in the form that was asked for, which some servers do not know."""
    if wanted == "base64" and isinstance(embedding, list):
        return b64encode(struct.pack(f"<{len(embedding)}f", *embedding)).decode()
    if wanted != "base64" and isinstance(embedding, str):
        raw = b64decode(embedding)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    return embedding


def _ollama_out(body: Json, model: Model) -> Json:
    texts = inputs(body)
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest("This model's provider takes texts, not tokens.", param="input")
    out: Json = {"model": model.name, "input": texts, "truncate": False}
    return out | {name: body[name] for name in ("dimensions", "keep_alive", "options", "truncate") if name in body}


def _ollama_in(answer: Json, body: Json, model: Model) -> Json:
    found = answer.get("embeddings")
    if found is None and isinstance(answer.get("embedding"), list):  # the older form, of one text
        found = [answer["embedding"]]
    if not isinstance(found, list) or not all(isinstance(one, list) and one for one in found):
        raise Failure(Reason.BAD_RESPONSE, "the answer holds no embeddings")
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(found)]
    tokens = answer.get("prompt_eval_count") or 0
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    made = {"object": "list", "data": data, "model": answer.get("model") or model.name, "usage": usage}
    return _openai_in(made, body, model)


OPENAI = Embedder(_openai_out, _openai_in)
OLLAMA = Embedder(_ollama_out, _ollama_in)
