"""Asks as the gateway asks, for tests of the HTTP client."""

from __future__ import annotations

import json
import time

from aura.call import HttpRequest
from aura.errors import Failure, Reason
from aura.upstream import Upstream

from .grammar import Asked, frames

LONG = 10.0


def chat(url: str, fault: str = "ok", nonce: str = "n1", stream: bool = False, more: str = "") -> HttpRequest:
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": f"{nonce} {more}"}]}
    headers = {"content-type": "application/json", "authorization": "Bearer sk-secret", "x-fault": fault}
    return HttpRequest(f"{url}/v1/chat/completions", headers, json.dumps(body).encode())


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def whole(upstream: Upstream, request: HttpRequest, seconds: float = LONG, fresh: bool = False) -> tuple[int, bytes]:
    """Ask as the gateway asks for a whole answer."""
    response = upstream.send(request, within(seconds), fresh=fresh)
    try:
        return response.status, response.read(within(seconds))
    finally:
        response.close()


def stream(upstream: Upstream, request: HttpRequest, seconds: float = LONG) -> tuple[bytes, Reason | None]:
    """Ask as the gateway asks for a stream: what came, and how it failed."""
    got = b""
    try:
        response = upstream.send(request, within(seconds))
        try:
            while piece := response.read_some(within(seconds)):
                got += piece
        finally:
            response.close()
    except Failure as failure:
        return got, failure.reason
    return got, None


def good_stream(nonce: str = "n1") -> bytes:
    asked = Asked(0, 0, "", "/v1/chat/completions", {}, chat("", nonce=nonce).body)
    return b"".join(part for parts in frames(asked) for part in parts)


def said(body: bytes) -> str:
    return json.loads(body)["choices"][0]["message"]["content"]
