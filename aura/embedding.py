"""How alike two texts are, by the embeddings of a configured provider: one request for both."""

from __future__ import annotations

import logging
import math
import time
from typing import Any
from urllib.parse import quote

import orjson

from .call import HttpRequest
from .errors import Failure
from .providers import Provider, str_of
from .tokens import Sender

log = logging.getLogger("aura.cache")

PAUSE = 5.0  # seconds for which a provider that has failed is not asked
_CHAT, _EMBEDDINGS = "/chat/completions", "/embeddings"


class Embeddings:
    """A model of a provider that speaks OpenAI's grammar.

    A failure costs no call more than the time it takes: it means that nothing can be told, and the log says it once.

    Args:
        seconds: the longest time that a request may take.

    Raises:
        ValueError: the provider offers no embeddings in OpenAI's grammar.
    """

    def __init__(self, provider: Provider, model: str, sender: Sender, seconds: float) -> None:
        if provider.answer is not None or _CHAT not in provider.url:
            raise ValueError("offers no embeddings in OpenAI's grammar")
        self._url = provider.url.replace("{model}", quote(model, safe="")).replace(_CHAT, _EMBEDDINGS)
        self._provider, self._model, self._sender, self._seconds = provider, model, sender, seconds
        self._failed = False
        self._again = 0.0

    def __call__(self, one: str, other: str) -> float | None:
        """How alike two texts are, 0 to 1; None if that cannot be told now."""
        if time.monotonic() < self._again:
            return None
        try:
            likeness = cosine(*self._vectors(one, other))
        except Failure as failure:
            self._fails(failure.reason.value)
            return None
        except (ValueError, TypeError, KeyError, IndexError):
            self._fails("bad_response")
            return None
        if self._failed:
            self._failed = False
            log.info("cache.changed", extra={"store": "embeddings", "to": "up"})
        return likeness

    def _fails(self, reason: str) -> None:
        self._again = time.monotonic() + PAUSE
        if not self._failed:
            self._failed = True
            log.warning("cache.changed", extra={"store": "embeddings", "to": "down", "reason": reason})

    def _vectors(self, one: str, other: str) -> tuple[list[float], list[float]]:
        provider, deadline = self._provider, time.monotonic() + self._seconds
        body = {"model": self._model, "input": [one, other], "encoding_format": "float"}
        headers = {name: str_of(value) for name, value in provider.headers.items()}
        request = HttpRequest(self._url, headers, orjson.dumps(body))
        response = self._sender.send(request, deadline, token=provider.token)
        try:
            data = response.read(deadline)
        finally:
            response.close()
        if response.status != 200:
            raise provider.failure(response.status, response.headers, data, time.time())
        found: list[Any] = orjson.loads(data)["data"]
        first, second = sorted(found, key=lambda item: item["index"])
        return first["embedding"], second["embedding"]


def cosine(one: list[float], other: list[float]) -> float:
    """The cosine of two vectors, 0 where it is negative.

    Raises:
        ValueError: they are no two of one length and some size.
    """
    product: float = sum(x * y for x, y in zip(one, other, strict=True))
    sizes = math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))
    if not sizes > 0:
        raise ValueError("a vector of no size")
    return min(1.0, max(0.0, product / sizes))
