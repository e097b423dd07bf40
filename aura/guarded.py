"""The guardrails of a call: what may not be sent is refused or masked, and the answer has the values again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import gevent
import orjson

from . import metrics
from .call import Call, Chunk, Json, Translation
from .errors import BadRequest
from .estimate import estimate_tokens
from .exchange import CANONICAL, Incoming, Opened, Whole
from .guardrails import masking, unmasking
from .guardrails.masking import Mask
from .moderation import Moderation
from .settings import Settings

_MOST_PLACES = 10
# Tokens, about, of a body that is looked through at once; a longer one, on a thread, so that others go on meanwhile.
_AT_ONCE = 10_000

Result = TypeVar("Result")


class Guard:
    """What the operator wants to be done with values and prompts.

    Args:
        moderation: asked before any provider is; None where that is not wanted.
    """

    def __init__(self, settings: Settings, moderation: Moderation | None) -> None:
        self._pii = settings.guardrails.pii
        self._of_tenant = {key.name: key.pii for key in settings.auth.keys if key.pii is not None}
        self._moderation = moderation

    def admit(self, call: Call, deadline: float) -> None:
        """Let a call pass, or not: before the cache is looked into, and before any provider sees it.

        Args:
            deadline: of the call, in monotonic seconds.

        Raises:
            BadRequest: it holds what may not be sent, or was flagged.
            AuraError: that could not be found out.
        """
        mode = self._mode(call)
        if mode == "block":
            _refuse_values(call)
        if self._moderation is not None:
            self._moderation.check(call, _masked if mode == "mask" else None, deadline)

    def masks(self, call: Call) -> bool:
        """Whether a call holds values that are masked before it goes out."""
        return self._mode(call) == "mask" and bool(_through(masking.masked, call.body).counts)

    def mask(self, call: Call) -> Json:
        """The body as it may go out; the call then has its mask."""
        if self._mode(call) != "mask":
            return call.body
        return self._out(call, call.body)

    def outgoing(self, call: Call, content: bytes) -> bytes:
        """JSON that is passed on to a provider, as it may go out; the call then has its mask."""
        if self._mode(call) != "mask":
            return content
        body = orjson.loads(content)
        out = self._out(call, body)
        return content if out is body else orjson.dumps(out)

    def _out(self, call: Call, body: Json) -> Json:
        look = masking.masked_each if call.door == "embeddings" else masking.masked
        mask = call.mask = _through(look, body)
        for kind, count in mask.counts.items():
            metrics.guardrail_values[kind.value, "masked"].inc(count)
        # The client's own body may hold more than its canonical form: it is not forwarded.
        return dict(mask.body) if mask.body is body and call.native is not None else mask.body

    def _mode(self, call: Call) -> str:
        return self._of_tenant.get(call.caller, self._pii)


def wanted(settings: Settings) -> bool:
    """Whether there is anything to guard."""
    rails = settings.guardrails
    return rails.pii != "off" or rails.moderation is not None or any(key.pii for key in settings.auth.keys)


def _through(look: Callable[[Json], Result], body: Json) -> Result:
    """Look through a body, which takes 0.1 ms for a KiB, at worst 1 ms."""
    return look(body) if estimate_tokens(body) <= _AT_ONCE else _aside(look, body)


def _masked(text: str) -> str:
    return Mask().text(text) if len(text) <= 4 * _AT_ONCE else _aside(Mask().text, text)


def _aside(look: Callable[[Any], Result], value: Any) -> Result:
    result: Result = gevent.get_hub().threadpool.apply(look, (value,))
    return result


def _refuse_values(call: Call) -> None:
    found = _through(masking.places, call.body)
    if not found and call.native is not None:
        found = _through(masking.places, call.native)
    if not found:
        return
    for (kind, _), count in found.items():
        metrics.guardrail_values[kind.value, "blocked"].inc(count)
    named = [f"{kind.value} in {place}" for kind, place in found]
    told = ", ".join(named[:_MOST_PLACES]) + (f" and {len(named) - _MOST_PLACES} more" if named[_MOST_PLACES:] else "")
    raise BadRequest(
        f"The request holds personal data or keys that may not be sent: {told}.",
        param=next(iter(found))[1],
        code="pii_detected",
    )


def restored(whole: Whole, mask: Mask) -> Whole:
    """A whole answer with the values in it."""
    whole.translation.dropped[:0] = mask.dropped
    if not mask.values:
        return whole
    choices = whole.body["choices"]
    new = [_choice(choice, mask) for choice in choices]
    if all(one is choice for one, choice in zip(new, choices, strict=True)):
        return whole
    body = {**whole.body, "choices": new}
    return replace(whole, body=body, data=orjson.dumps(body))


def _choice(choice: Json, mask: Mask) -> Json:
    said = choice["message"]
    new = unmasking.message(said, mask.values, mask.quoted)
    return choice if new is said else {**choice, "message": new}


def incoming(data: bytes, mask: Mask) -> bytes:
    """What is passed on to the client, with the values in it where it is JSON."""
    if not mask.values:
        return data
    try:
        body = orjson.loads(data)
    except ValueError:
        return data
    new = unmasking.other(body, mask.values)
    return data if new is body else orjson.dumps(new)


class Unmasked:
    """An incoming stream with the values in it; chunks that hold none go on as they came."""

    def __init__(self, incoming: Incoming, mask: Mask) -> None:
        # Other grammars' events build upon each other: none of them can be replaced alone.
        self.dialect = incoming.dialect if incoming.dialect == CANONICAL else ""
        self._incoming, self._mask = incoming, mask
        self._choices: dict[Any, unmasking.Stream] = {}

    @property
    def translation(self) -> Translation:
        """Of the stream itself."""
        return self._incoming.translation

    @property
    def complete(self) -> bool:
        """Whether the terminal event was seen."""
        return self._incoming.complete

    def pull(self, deadline: float) -> list[Chunk] | None:
        """The next chunks; see :class:`aura.exchange.Incoming`."""
        chunks = self._incoming.pull(deadline)
        return None if chunks is None else self.restored(chunks)

    def close(self) -> None:
        """Let go of the connection."""
        self._incoming.close()

    def restored(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks with the values in them."""
        return [said for chunk in chunks for said in self._said(chunk)]

    def _said(self, chunk: Chunk) -> list[Chunk]:
        body = chunk.body
        choices = body.get("choices") if body is not None else None
        if body is None or not choices:
            return [chunk]
        said, new, changed = list[Chunk](), [], False
        for choice in choices:
            stream = self._choices.get(choice.get("index") or 0)
            if stream is None:
                stream = self._choices[choice.get("index") or 0] = unmasking.Stream(
                    self._mask.values, self._mask.quoted
                )
            delta = choice.get("delta")
            told = stream.delta(delta) if delta else delta
            changed = changed or told is not delta
            new.append(choice if told is delta else {**choice, "delta": told})
            if choice.get("finish_reason"):
                said += [_chunk(body, choice, held) for held in stream.finish()]
        if changed:
            chunk = chunk.reworded({**body, "choices": new}, chunk.content)
        if not said or not any(choice.get("delta") for choice in new):
            return [*said, chunk]
        return _in_order(chunk, said)


def _chunk(body: Json, choice: Json, delta: Json) -> Chunk:
    """What was held back of a choice that ends, under its chunk's head."""
    head = {key: value for key, value in body.items() if key not in ("choices", "usage")}
    told = {"index": choice.get("index") or 0, "delta": delta, "finish_reason": None}
    return Chunk({**head, "choices": [told]}, content=True)


def _in_order(chunk: Chunk, held: list[Chunk]) -> list[Chunk]:
    """A last chunk that says something itself: its words, then what was held back of them, then the end."""
    body = chunk.body or {}
    words = [{**choice, "finish_reason": None} for choice in body["choices"]]
    ends = [{**choice, "delta": {}} for choice in body["choices"]]
    head = {key: value for key, value in body.items() if key != "usage"}
    first = Chunk({**head, "choices": words}, content=chunk.content)
    return [first, *held, chunk.reworded({**body, "choices": ends}, content=False)]


def put_in_place(opened: Opened, mask: Mask) -> None:
    """Let a stream that has begun say the values again."""
    opened.incoming.translation.dropped[:0] = mask.dropped
    if mask.values:
        unmasked = Unmasked(opened.incoming, mask)
        opened.incoming = unmasked
        opened.held = unmasked.restored(opened.held)
