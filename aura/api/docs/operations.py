"""What the documentation says of each route, by Flask's name of its view, beside the first line of its docstring."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema

from ...call import Json
from .. import requests, schemas
from . import answers
from .grammars import GRAMMARS
from .operation import BINARY, CALL_ERRORS, CHAT, PLAIN, Operation

TAGS = {
    "chat": "Conversations and texts: classified, routed, failed over, streamed, cached.",
    "embeddings": "Texts as numbers.",
    "ollama": "For Ollama's clients.",
    "passed on": "What goes to the provider as it came.",
    "gateway": "What the gateway itself can do, and how it decides.",
    "actuator": "For operators and their tools, as Spring Boot's actuator answers.",
    "documentation": "This document.",
    "azure": "The same for Azure's clients: the deployment is the model.",
}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
_COMPLETION_EXAMPLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795554008,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It computes with amplitudes."},
            "finish_reason": "stop",
        }
    ],
    "usage": _USAGE,
}
_MODEL = {"id": "auto", "object": "model", "created": 0, "owned_by": "aura"}
_LEVEL = {"configuredLevel": "INFO", "effectiveLevel": "INFO"}


def _chunk(delta: str, finish: str) -> str:
    return (
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795554008,"model":"gpt-4o-mini",'
        f'"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}\n\n'
    )


def _passed(needed: str, example: Json, answer: type[Schema] | str, told: Any) -> Operation:
    return Operation(
        "passed on",
        answer,
        told,
        body={"allOf": [requests.PassedRequest, {"type": "object", "required": [needed]}]},
        bodies={"an example": example},
        errors=CALL_ERRORS,
    )


def _uploaded() -> Operation:
    shape = {
        "type": "object",
        "required": ["model", "file"],
        "properties": {
            "model": {"type": "string", "description": "The provider's model, without the provider's name."},
            "file": {"type": "string", "contentMediaType": BINARY, "description": "The sound."},
        },
    }
    told = {"text": "Good morning."}
    return Operation("passed on", answers.Answer, told, body=shape, form=True, errors=CALL_ERRORS)


OPERATIONS: dict[str, Operation] = {
    **GRAMMARS,
    "openai.chat_completions": Operation(
        "chat",
        answers.ChatCompletion,
        _COMPLETION_EXAMPLE,
        body=schemas.ChatRequest,
        bodies={
            "whole": CHAT,
            "streamed": {**CHAT, "stream": True, "stream_options": {"include_usage": True}},
            "steered": {**CHAT, "aura": {"tier": "eco", "max_cost_usd": 0.01}, "fallbacks": ["openai/gpt-4o-mini"]},
        },
        events=_chunk('{"role":"assistant","content":"It computes"}', "null")
        + _chunk("{}", '"stop"')
        + "data: [DONE]\n\n",
        event=answers.ChatCompletionChunk,
        errors=CALL_ERRORS,
        note="The first chunk comes with the first content: a provider that fails before it is never seen. A stream "
        "that cannot be completed ends in an error object in place of [DONE]. Lines that a colon begins are comments.",
    ),
    "openai.completions": Operation(
        "chat",
        answers.Completion,
        {
            **{name: _COMPLETION_EXAMPLE[name] for name in ("id", "created", "model", "usage")},
            "object": "text_completion",
            "choices": [{"index": 0, "text": " there was a gateway.", "logprobs": None, "finish_reason": "length"}],
        },
        body=requests.CompletionRequest,
        bodies={
            "whole": {"model": "auto", "prompt": "Once upon a time", "max_tokens": 50},
            "streamed": {"model": "auto", "prompt": "Once upon a time", "max_tokens": 50, "stream": True},
        },
        events='data: {"id":"cmpl-1","object":"text_completion","created":1795554008,"model":"gpt-4o-mini",'
        '"choices":[{"index":0,"text":" there","logprobs":null,"finish_reason":null}]}\n\ndata: [DONE]\n\n',
        event=answers.Completion,
        errors=CALL_ERRORS,
    ),
    "openai.models": Operation(
        "gateway",
        answers.Models,
        {"object": "list", "data": [_MODEL]},
        note="With the header anthropic-version the list has Anthropic's form, a page at a time "
        "(limit, after_id, before_id).",
    ),
    "openai.model": Operation("gateway", answers.Model, _MODEL, errors=(404,)),
    "forward.embeddings": Operation(
        "embeddings",
        answers.Embeddings,
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.0123, -0.0456]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        },
        body=requests.EmbeddingsRequest,
        bodies={"an example": {"model": "text-embedding-3-small", "input": ["Quantum computing", "Cooking"]}},
        errors=CALL_ERRORS,
    ),
    "forward.moderations": _passed(
        "input", {"input": "A text to judge"}, answers.Answer, {"id": "modr-1", "results": [{"flagged": False}]}
    ),
    "forward.images": _passed(
        "prompt",
        {"model": "gpt-image-1", "prompt": "A lighthouse at dusk"},
        answers.Answer,
        {"created": 1795554008, "data": [{"b64_json": "iVBORw0KGgo="}]},
    ),
    "forward.speech": _passed(
        "input", {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Good morning."}, BINARY, None
    ),
    "forward.rerank": _passed(
        "query",
        {"model": "rerank-1", "query": "a lighthouse", "documents": ["A tower with a lamp", "A recipe"]},
        answers.Answer,
        {"results": [{"index": 0, "relevance_score": 0.9}]},
    ),
    "forward.transcriptions": _uploaded(),
    "forward.translations": _uploaded(),
    "route.route": Operation(
        "gateway",
        answers.Route,
        {
            "object": "aura.route",
            "tier": "ECO",
            "score": 0.08,
            "decided_by": "classifier",
            "contributions": {"base": 0.26, "courtesy_only": -0.18},
            "probabilities": {"ECO": 0.99, "BALANCED": 0.01, "PREMIUM": 0.0},
            "plan": [
                {"target": "openai/gpt-3.5-turbo", "tier": "ECO", "available": True, "cost_usd": 0.0007, "priced": True}
            ],
            "left_out": [],
        },
        body=schemas.ChatRequest,
        bodies={"an example": CHAT},
        errors=(400, 404, 408, 413, 415),
        headers=("x-aura-tier", "x-aura-score"),
    ),
    "cache.delete": Operation(
        "gateway",
        answers.CacheDeleted,
        {"object": "cache.deleted", "deleted": 3},
        query=(
            ("tenant", "Only answers of the key with this name."),
            ("namespace", "Only answers of this namespace."),
            ("model", "Only answers to this model."),
        ),
        errors=(400, 403, 503),
        note="Needs a key with admin: true.",
    ),
    "actuator.index": Operation(
        "actuator", answers.Links, {"_links": {"health": {"href": "/actuator/health", "templated": False}}}
    ),
    "actuator.info": Operation("actuator", answers.Info, {"app": {"name": "aura-gateway", "version": "26.11.0"}}),
    "actuator.prometheus": Operation(
        "actuator",
        PLAIN,
        'aura_requests_total{status="200",tier="ECO"} 7.0\n',
        note="OpenMetrics where Accept asks for it.",
    ),
    "actuator.metric_names": Operation("actuator", answers.MetricNames, {"names": ["aura.requests", "cache.gets"]}),
    "actuator.metric": Operation(
        "actuator",
        answers.Metric,
        {
            "name": "aura.requests",
            "description": "Requests by tier and status.",
            "measurements": [{"statistic": "COUNT", "value": 7.0}],
            "availableTags": [{"tag": "status", "values": ["200"]}],
        },
        query=(("tag", "key:value, chooses among the series; may be repeated."),),
        errors=(400, 404),
    ),
    "actuator.loggers": Operation(
        "actuator", answers.Loggers, {"levels": ["OFF", "ERROR", "INFO", "DEBUG"], "loggers": {"aura": _LEVEL}}
    ),
    "actuator.logger": Operation("actuator", answers.LoggerLevel, _LEVEL, errors=(404,)),
    "actuator.set_level": Operation(
        "actuator",
        "",
        body=answers.LevelRequest,
        bodies={"set": {"configuredLevel": "DEBUG"}, "give back": {"configuredLevel": None}},
        errors=(400, 403, 404, 408, 413, 415),
        note="Needs a key, an administrator's where there is one.",
        status=204,
    ),
    "docs.page": Operation("documentation", "text/html", errors=()),
    "docs.asset": Operation("documentation", BINARY, errors=(404,)),
    "docs.document": Operation("documentation", answers.Answer, {"openapi": "3.1.0"}),
    **{
        f"health.{name}": Operation(
            "actuator",
            answers.Health,
            {"status": "UP"},
            errors=(404,) if name == "component" else (),
            note="503 with the same body where it is not UP.",
        )
        for name in ("health", "liveness", "readiness", "component")
    },
}
