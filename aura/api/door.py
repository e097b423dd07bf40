"""What every door does: a call is made of a request, answered while its client is there, and sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Request, Response

from .. import disconnect
from ..call import Answer, Call
from ..forward import Passed
from ..fronts import FRONTS
from ..gateway import Gateway
from ..ledger import CLIENT_LEFT
from ..relay import Relay
from .application import Answered

# The client's headers that steer a call; no other header is looked at, and none is sent on.
_STEERING = tuple(
    (name, "HTTP_" + name.upper().replace("-", "_"))
    for name in ("x-aura-tier", "x-aura-timeout", "x-stainless-retry-count", "cache-control")
)
_UNBUFFERED = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))

OLLAMA = "/api/"
CALLS = frozenset(f"{OLLAMA}{path}" for path in ("chat", "generate", "embed", "embeddings")) | frozenset(
    f"/v1/{path}"
    for path in (
        "chat/completions",
        "completions",
        "messages",
        "responses",
        "messages/count_tokens",
        "embeddings",
        "moderations",
        "images/generations",
        "audio/speech",
        "audio/transcriptions",
        "audio/translations",
        "rerank",
    )
)
"""The rules where calls are made: what is refused there before it is a call counts all the same."""
_AZURES = ("/openai/deployments/<path:deployment>", "/openai/v1", "/openai")


def makes_calls(rule: str) -> bool:
    """Whether calls are made at a rule of the URL map."""
    for begin in _AZURES:
        if rule.startswith(begin):
            return "/v1" + rule.removeprefix(begin) in CALLS
    return rule in CALLS


def new_call(here: Any, asked: Request, door: str, grammar: str = "openai") -> Call:
    """Begin a call.

    Args:
        here: Flask's ``g``.
        door: the kind of call.

    Raises:
        RateLimited: its key can make none yet; nothing is read of it then.
    """
    environ = asked.environ
    call = here.call = Call(
        id=here.request_id,
        body={},
        door=door,
        grammar=grammar,
        route=asked.url_rule.rule if asked.url_rule else "",
        caller=here.caller,
        headers={name: environ[key] for name, key in _STEERING if key in environ},
        started=here.started,
        created=int(time.time()),
    )
    if here.gateway.tracer is not None:
        here.gateway.tracer.begin(call, environ)
    here.gateway.quota.check(call)
    return call


def translate(call: Call, native: dict[str, Any]) -> None:
    """Give a call what its client has sent, in canonical form and in the client's own."""
    call.body, call.lost = FRONTS[call.grammar].request_in(native)
    call.native = native
    call.stream = bool(native.get("stream"))


def answered(gateway: Gateway, call: Call, asked: Request) -> Response:
    """Answer a call, unless the client leaves first."""
    return watched(gateway, call, asked, partial(gateway.answer, call))


def watched(gateway: Gateway, call: Call, asked: Request, answering: Callable[[], Answer]) -> Response:
    """Answer a call that its caller's limits let in, while the client is there; then nothing is worth finishing."""
    environ = asked.environ
    watch = disconnect.watch(environ) if disconnect.can_watch(environ) else None
    streaming = False
    try:
        gateway.quota.admit(call)
        answer = answering()
        stream = answer.stream
        if watch is not None and stream is not None and isinstance(stream, (Relay, Passed)):
            streaming = True
            stream.closed = watch.stop
    except disconnect.ClientGone:
        gateway.ledger.finish(call, CLIENT_LEFT)
        raise
    finally:
        if watch is not None and not streaming:
            watch.stop()
    return respond(answer)


def respond(answer: Answer) -> Response:
    """Hand an answer to the server; a stream goes out unbuffered, also through nginx."""
    headers = list(answer.headers.items())
    if answer.stream is None:
        headers += (("content-type", answer.media_type), ("content-length", str(len(answer.body))))
        return Answered(answer.body, answer.status, headers)
    charset = "; charset=utf-8" if answer.media_type == "text/event-stream" else ""
    headers += (("content-type", answer.media_type + charset), *_UNBUFFERED)
    return Answered(answer.stream, answer.status, headers)
