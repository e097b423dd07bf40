"""Errors in the client's grammar, on every path and status."""

from __future__ import annotations

import logging
import math
import re

import orjson
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from .. import errors
from ..dialects import anthropic, openai
from ..errors import AuraError, ShuttingDown, scrub
from ..fronts import FRONTS, grammar_at_nothing, grammar_of
from .door import OLLAMA

log = logging.getLogger("aura.api")
MAX_RETRY_AFTER = 120
# A path that may be repeated: helpful where a client's base URL is wrong, and nothing that looks like a file's.
_PLAIN_PATH = re.compile(r"(?=.{1,64}\Z)(?:/[a-z0-9_-]+){1,6}/?")
# Of the paths whose clients are told which others there are.
_BEGINNINGS = ("/v1/", OLLAMA)
_VARIABLE, _NAMED = re.compile(r"<(?:\w+:)?(\w+)>"), r"{\1}"


def register(app: Flask) -> None:
    """Word every exception that reaches Flask."""
    app.register_error_handler(AuraError, answer)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(ShuttingDown, _shutting_down)
    app.register_error_handler(Exception, _unexpected)


def answer(error: AuraError, grammar: str = "") -> Response:
    """The response of an error, in the grammar of the path's clients.

    Args:
        grammar: another one.
    """
    grammar, request_id = grammar or grammar_of(request.environ), g.get("request_id", "")
    call = g.get("call")
    # OpenAI has several grammars with one form of errors, and other names for what is wrong.
    words = call.grammar if call is not None and grammar == openai.name else grammar
    body = orjson.dumps(FRONTS[words].error_out(error, request_id))
    response = Response(body, error.status, mimetype="application/json")
    # A provider's limits are told where the caller has none of Aura's own.
    limits = error.headers if call is None or call.lease is None else call.lease.headers
    if grammar == anthropic.name:
        response.headers["request-id"] = request_id
        limits = limits | anthropic.ratelimit_out(limits)
    if call is not None:
        call.outcome = error.code or "error"
        for name, value in g.gateway.headers(call, cost=False).items():
            response.headers[name] = value
    for name, value in limits.items():
        response.headers[name] = scrub(value)
    response.headers["x-should-retry"] = "true" if error.should_retry else "false"
    if error.retry_after is not None:
        response.headers["retry-after"] = str(max(1, min(MAX_RETRY_AFTER, math.ceil(error.retry_after))))
    if error.status == 401:
        response.headers["www-authenticate"] = 'Bearer realm="aura"'
    return response


def _http(error: HTTPException) -> Response:
    request.routing_exception = None  # each holds the other, and both wait for the garbage collector
    if isinstance(error, NotFound):
        return _nothing_there()
    if isinstance(error, MethodNotAllowed):
        response = answer(errors.MethodNotAllowed(f"This path does not take {_shown(request.method)}."))
        response.headers["allow"] = ", ".join(sorted(error.valid_methods or ()))
        return response
    status = error.code or 500
    if status >= 500:
        return _unexpected(error)
    return answer(errors.BadRequest(error.name, status=status))


def _nothing_there() -> Response:
    """What is told of an address that is not there: which doors are, where it begins as theirs do."""
    where = request.path if _PLAIN_PATH.fullmatch(request.path) else "such path"
    message = f"There is no {where} here."
    begin = next((begin for begin in _BEGINNINGS if request.path.startswith(begin)), "")
    if begin:
        message += f" The doors are {', '.join(_doors(current_app, begin))}."
    return answer(errors.NotFound(message), grammar_at_nothing(request.environ))


def _doors(app: Flask, begin: str) -> list[str]:
    """Methods and paths that begin alike, in their order."""
    rules = sorted(
        (rule.rule, rule.methods or set()) for rule in app.url_map.iter_rules() if rule.rule.startswith(begin)
    )
    return [
        f"{method} {_VARIABLE.sub(_NAMED, path)}"
        for path, methods in rules
        for method in sorted(methods - {"HEAD", "OPTIONS"})
    ]


def _shown(text: str) -> str:
    """A piece of the request that may stand in a message: short, printable ASCII."""
    return "".join(c if " " < c < "\x7f" and c not in "<>&\"'" else "?" for c in text[:64])


def _shutting_down(_error: ShuttingDown) -> Response:
    return answer(errors.Overloaded("The gateway is shutting down.", code="server_shutting_down", retry_after=1))


def _unexpected(error: Exception) -> Response:
    """A bug: the log has the traceback, the client only the request's id."""
    log.error("request.failed", extra={"id": g.get("request_id", "")}, exc_info=error)
    return answer(AuraError("The gateway failed; the request id finds the cause in its log."))
