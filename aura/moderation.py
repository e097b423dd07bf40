"""A provider's moderation endpoint, asked about what users say before any provider is asked to answer.

Facts
  - ``POST /v1/moderations`` takes a list of texts in ``input`` and answers with one of ``results`` for each, with
    ``flagged`` and the ``categories`` by name.
  - OpenAI bills nothing for it. A long text is judged in pieces: the model reads at most 32,768 tokens.
Source: https://platform.openai.com/docs/guides/moderation (read 2026-11-24)
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import orjson

from . import metrics
from .call import Call, HttpRequest
from .errors import BadRequest, Failure, Overloaded, Reason
from .guardrails.texts import users
from .providers import Provider, str_of
from .settings import ModerationSettings
from .tokens import Sender

log = logging.getLogger("aura.moderation")

KEPT = 300.0  # seconds for which it is remembered that a text has passed
MOST_KEPT = 10_000
PIECE = 16_000  # characters of one text
BATCH = 32  # texts of one request
_OK = 200
_DOOR = "/chat/completions"
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z0-9_/ -]{0,63}")
_MOST_CATEGORIES = 20
Clock = Callable[[], float]


class Moderation:
    """Asks a moderation endpoint.

    Args:
        provider: whose address and key are used; it speaks OpenAI's grammar.
        clock: monotonic seconds.
    """

    def __init__(self, settings: ModerationSettings, provider: Provider, upstream: Sender, clock: Clock) -> None:
        self._settings, self._provider, self._upstream, self._clock = settings, provider, upstream, clock
        self._url = provider.url.partition("?")[0].removesuffix(_DOOR) + "/moderations"
        self._passed: OrderedDict[bytes, float] = OrderedDict()

    def check(self, call: Call, mask: Callable[[str], str] | None, deadline: float) -> None:
        """Have what users say in a call judged.

        Args:
            mask: takes out of a text what may not be sent to any provider; None where nothing need be.
            deadline: of the call, in monotonic seconds.

        Raises:
            BadRequest: it was flagged.
            Overloaded: it could not be judged, and then must not pass.
        """
        said = [(place, text, _name(call, text)) for place, text in users(call.body)]
        began = self._clock()
        asked = [
            (place, text if mask is None else mask(text), name)
            for place, text, name in said
            if self._passed.get(name, 0.0) < began
        ]
        if not asked:
            metrics.guardrail_moderations[("remembered",)].inc()
            return
        try:
            self._ask(asked, min(deadline, began + self._settings.timeout))
        except Failure as failure:
            self._failed(call, failure)
        else:
            metrics.guardrail_moderations[("passed",)].inc()
        finally:
            seconds = self._clock() - began
            call.upstream_s += seconds
            metrics.guardrail_moderation_seconds.observe(seconds)

    def _ask(self, asked: list[tuple[str, str, bytes]], deadline: float) -> None:
        """Judge texts in batches; stops at the first that is flagged."""
        pieces = [
            (place, text[at : at + PIECE], name if at + PIECE >= len(text) else None)
            for place, text, name in asked
            for at in range(0, len(text), PIECE)
        ]
        for at in range(0, len(pieces), BATCH):
            batch = pieces[at : at + BATCH]
            judged = self._send([text for _, text, _ in batch], deadline)
            for (place, _, name), categories in zip(batch, judged, strict=True):
                if categories:
                    self._refuse(place, categories)
                if name is not None:
                    self._remember(name)

    def _send(self, texts: list[str], deadline: float) -> list[tuple[str, ...]]:
        """The categories of each text that it was flagged for; none for a good one."""
        headers = {name: str_of(value) for name, value in self._provider.headers.items()}
        body = orjson.dumps({"model": self._settings.model, "input": texts})
        for fresh in (False, True):
            try:
                request = HttpRequest(self._url, dict(headers), body)
                response = self._upstream.send(request, deadline, fresh=fresh, token=self._provider.token)
                break
            except Failure as failure:
                if failure.reason is not Reason.STALE or fresh:
                    raise
        try:
            data = response.read(deadline)
        finally:
            response.close()
        if response.status != _OK:
            raise self._provider.failure(response.status, response.headers, data, 0.0)
        return _read(data, len(texts))

    def _refuse(self, place: str, categories: tuple[str, ...]) -> None:
        metrics.guardrail_moderations[("flagged",)].inc()
        raise BadRequest(
            f"The prompt was refused by content moderation: {', '.join(categories)}.",
            param=place,
            code="content_policy_violation",
        )

    def _failed(self, call: Call, failure: Failure) -> None:
        metrics.guardrail_moderations[("failed",)].inc()
        log.warning(
            "moderation.failed",
            extra={
                "id": call.id,
                "reason": failure.reason.value,
                "upstream_status": failure.status or None,
                "passed": self._settings.on_failure == "allow",
            },
        )
        if self._settings.on_failure != "allow":
            raise Overloaded(
                "The prompt could not be moderated now.", code="moderation_unavailable", retry_after=1
            ) from None

    def _remember(self, name: bytes) -> None:
        self._passed[name] = self._clock() + KEPT
        self._passed.move_to_end(name)
        if len(self._passed) > MOST_KEPT:
            self._passed.popitem(last=False)


def _name(call: Call, text: str) -> bytes:
    """What it is remembered by that a text has passed; each tenant's by itself."""
    return blake2b(orjson.dumps([call.caller, text]), digest_size=16).digest()


def _read(data: bytes, count: int) -> list[tuple[str, ...]]:
    """Read an answer.

    Raises:
        Failure: it judges not each of so many texts.
    """
    try:
        results = orjson.loads(data)["results"]
        if isinstance(results, list) and len(results) == count:
            return [_categories(result) for result in results]
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Failure(Reason.BAD_RESPONSE, "the moderation's answer is not of its form")


def _categories(result: Any) -> tuple[str, ...]:
    if not isinstance(result["flagged"], bool):
        raise TypeError("flagged is true or false")
    if not result["flagged"]:
        return ()
    named = [name for name, on in result["categories"].items() if on is True and _CATEGORY.fullmatch(name)]
    return tuple(named[:_MOST_CATEGORIES]) or ("flagged",)
