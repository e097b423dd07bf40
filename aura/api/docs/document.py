"""The API described by OpenAPI 3.1, from the routes, the schemas of requests and the table of operations.

Every rule of the URL map is in it: one that the table does not know is described by its view's docstring.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from ... import __version__, errors
from ...call import Json
from ...fronts import FRONTS, grammar_of
from .. import door, ollama_schemas
from . import answers, other_answers
from .operation import BINARY, FORM, JSON, Operation
from .operations import OPERATIONS, TAGS

_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
_ERRORS: dict[int, tuple[type[errors.AuraError], str]] = {
    400: (errors.BadRequest, "The request is wrong; param names the field."),
    401: (errors.Unauthorized, "The key is missing or unknown."),
    403: (errors.Forbidden, "The key may not do this."),
    404: (errors.NotFound, "There is no such path or model, or nobody serves it."),
    408: (errors.RequestTimeout, "The request came too slowly."),
    413: (errors.TooLarge, "The body is too large."),
    415: (errors.UnsupportedMediaType, "The body is not sent as plain JSON, or as a form where one is wanted."),
    429: (errors.RateLimited, "A limit of the key's, of all keys', or of the provider's is reached."),
    500: (errors.AuraError, "The gateway failed; the request id finds the cause in its log."),
    502: (errors.UpstreamError, "The provider could not be reached, refused the gateway, or answered nonsense."),
    503: (errors.Overloaded, "No provider can answer now, or the gateway is full or stopping."),
    504: (partial(errors.UpstreamError, code="upstream_timeout", status=504), "The provider did not answer in time."),  # type: ignore[dict-item]
}
_ERROR_OBJECTS = {"openai": answers.Error, "anthropic": answers.AnthropicError, "ollama": other_answers.OllamaError}
_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}
_HEADERS: dict[str, tuple[str, Json]] = {
    "x-request-id": ("The request's id: the client's own where it was well formed. The log has it too.", _TEXT),
    "x-aura-tier": ("The tier that answered.", {**_TEXT, "enum": ["ECO", "BALANCED", "PREMIUM"]}),
    "x-aura-score": ("How demanding the prompt is, from 0 to 1.", _NUMBER),
    "x-aura-provider": ("The provider that answered, or was asked last.", _TEXT),
    "x-aura-model": ("Its model.", _TEXT),
    "x-aura-attempts": ("How many requests to providers the call took; 0 from the cache.", {"type": "integer"}),
    "x-aura-cache": ("Whether the cache answered.", {**_TEXT, "enum": ["hit", "miss", "bypass"]}),
    "x-aura-cache-similarity": ("How alike the stored question was, where it was in other words.", _NUMBER),
    "x-aura-cost-usd": (
        "What the call cost; not of streams, whose cost is known at their end: the log has it.",
        _NUMBER,
    ),
    "x-aura-cost-failed-usd": ("What its failed attempts cost.", _NUMBER),
    "x-aura-unpriced": ("true where a price is not known.", _TEXT),
    "x-aura-dropped": ("Parameters that the provider does not know, left out.", _TEXT),
    "x-aura-estimated": ("true where tokens were estimated.", _TEXT),
    "server-timing": ("Milliseconds in the gateway and at the provider.", _TEXT),
    **{
        f"x-ratelimit-{part}-{what}": (f"The limit on {what} in a minute: {told}.", _TEXT)
        for what in ("requests", "tokens")
        for part, told in (
            ("limit", "how many"),
            ("remaining", "how many are left"),
            ("reset", "when it is whole again"),
        )
    },
    "retry-after": ("Whole seconds after which trying again helps.", {"type": "integer", "minimum": 1}),
    "x-should-retry": ("Whether the same call may succeed later.", {**_TEXT, "enum": ["true", "false"]}),
    "www-authenticate": ("How a key is sent.", _TEXT),
}
_ON_ERRORS = ("retry-after", "x-should-retry")
_STEERING = {
    "X-Request-Id": "An id of the client's own: letters, digits and . _ : -, at most 128.",
    "X-Aura-Tier": "eco, balanced or premium: answers without classifying.",
    "X-Aura-Timeout": "Seconds that the call may take, less than the operator's limit.",
    "Cache-Control": "no-cache, no-store, max-age=SECONDS or only-if-cached.",
}
_ABOUT = """An LLM gateway: each prompt is judged, sent to a cheap, a middling or a premium model, and failed over.

Errors are OpenAI's error object on every path and status (Anthropic's under `/v1/messages`, \
Ollama's under `/api/`). Unknown paths are 404, other methods 405. Streams are server-sent events, asked for by \
`stream: true`; Ollama's are lines of JSON, unless `stream: false`."""


def document(app: Flask, public: frozenset[str], keys: bool) -> Json:
    """Describe an application.

    Args:
        public: rules that answer without a key.
        keys: whether keys are configured; else none is needed.
    """
    spec = APISpec(
        title="Aura Gateway",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=_name)],
        info={"description": _ABOUT, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": "/"}],
        tags=[{"name": name, "description": told} for name, told in TAGS.items()],
        security=[{"bearer": []}] if keys else [{}, {"bearer": []}],
    )
    _components(spec)
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (_is_azures(rule), rule.rule)):
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            told = _operation(spec, rule, method, (view.__doc__ or rule.endpoint).partition("\n")[0])
            if rule.rule in public:
                told["security"] = [{}]
                told["responses"].pop("401")
            spec.path(path=_VARIABLE.sub(r"{\1}", rule.rule), operations={method.lower(): told})
    return _with_null(spec.to_dict())


def _is_azures(rule: Rule) -> bool:
    return rule.rule.startswith("/openai/")


def _name(schema: Any) -> str:
    """The name of a schema in the document: two grammars may have a schema of the same name."""
    kind: type[Schema] = schema if isinstance(schema, type) else type(schema)
    return f"Ollama{kind.__name__}" if kind.__module__ == ollama_schemas.__name__ else kind.__name__


def _components(spec: APISpec) -> None:
    spec.components.security_scheme(
        "bearer",
        {"type": "http", "scheme": "bearer", "description": "A key of aura.auth.keys."},
    )
    told = {"type": "apiKey", "in": "header"}
    spec.components.security_scheme(
        "x-api-key", {**told, "name": "x-api-key", "description": "As Anthropic's clients."}
    )
    spec.components.security_scheme("api-key", {**told, "name": "api-key", "description": "As Azure's clients."})
    for name, (description, shape) in _HEADERS.items():
        spec.components.header(name, {"description": description, "schema": shape})
    for name, description in _STEERING.items():
        spec.components.parameter(name, "header", {"description": description, "schema": _TEXT})
    for status, (kind, description) in _ERRORS.items():
        error = kind(description)
        for grammar, schema in _ERROR_OBJECTS.items():
            names = ["x-request-id", *_ON_ERRORS, *(("www-authenticate",) if status == 401 else ())]
            content = {"schema": schema, "example": FRONTS[grammar].error_out(error, "req_8f3a")}
            spec.components.response(
                _error_name(status, grammar),
                {"description": description, "headers": _headers(names), "content": {JSON: content}},
            )


def _error_name(status: int, grammar: str) -> str:
    return f"{'' if grammar == 'openai' else grammar.capitalize()}Error{status}"


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _operation(spec: APISpec, rule: Rule, method: str, summary: str) -> Json:
    about = OPERATIONS.get(rule.endpoint) or Operation("gateway", answers.Answer)
    calls = door.makes_calls(rule.rule)
    grammar = grammar_of({"PATH_INFO": rule.rule})
    told: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{rule.rule}").strip("_"),
        "summary": summary.rstrip("."),
        "tags": ["azure" if _is_azures(rule) else about.tag],
        "parameters": [*_parameters(rule, about), *(_STEERING if calls else ())],
        "responses": {str(about.status): _answer(spec, about, calls)},
    }
    if about.note:
        told["description"] = about.note
    if about.body is not None:
        told["requestBody"] = {"required": True, "content": {FORM if about.form else JSON: _body(spec, about)}}
    for status in sorted({401, 500, *about.errors}):
        told["responses"][str(status)] = _error_name(status, grammar)
    if about.answer is answers.Health:
        told["responses"]["503"] = _answer(spec, about, calls) | {"description": "It is not UP."}
    if grammar == "anthropic" or _is_azures(rule):
        own = "x-api-key" if grammar == "anthropic" else "api-key"
        told["security"] = [*spec.options["security"], {own: []}]
    return told


def _parameters(rule: Rule, about: Operation) -> list[Json]:
    """What stands in the path and in the query."""
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in _VARIABLE.findall(rule.rule)
    ]
    query = [*about.query]
    if _is_azures(rule):
        query.append(("api-version", "Azure's version of the API; any is taken."))
    found += [{"name": name, "in": "query", "description": told, "schema": _TEXT} for name, told in query]
    return found


def _body(spec: APISpec, about: Operation) -> Json:
    shape: Any = about.body
    if isinstance(shape, dict) and "allOf" in shape:
        shape = {"allOf": [_reference(spec, part) if isinstance(part, type) else part for part in shape["allOf"]]}
    told: Json = {"schema": shape}
    if about.bodies:
        told["examples"] = {name: {"value": value} for name, value in about.bodies.items()}
    return told


def _reference(spec: APISpec, schema: type[Schema]) -> Json:
    name = _name(schema)
    if name not in spec.components.schemas:
        spec.components.schema(name, schema=schema)
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(spec: APISpec, about: Operation, calls: bool) -> Json:
    names = [name for name in _HEADERS if calls and name not in (*_ON_ERRORS, "www-authenticate")]
    told: Json = {"description": "The answer.", "headers": _headers(names or ["x-request-id", *about.headers])}
    if not about.answer:
        return told | {"description": "Done."}
    if isinstance(about.answer, str):
        content: Json = {} if about.answer == BINARY else {"schema": _TEXT}
        told["content"] = {about.answer: content}
    else:
        content = {"schema": about.answer}
        told["content"] = {JSON: content}
    if about.example is not None:
        content["example"] = about.example
    if about.events:
        stream = told["content"][about.events_type] = {"schema": _TEXT, "example": about.events}
        if about.event is not None:
            stream["x-event-schema"] = _reference(spec, about.event)
    return told


def _with_null(told: Json) -> Json:
    """The document, in which an alternative that may be null says so: of it marshmallow's plugin knows nothing."""
    for schema in told["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if "oneOf" in field and name not in schema.get("required", ()):
                field["oneOf"] = [*field["oneOf"], {"type": "null"}]
    return told
