"""A client's ``max_cost_usd``: what a call may still cost, before an attempt and while an answer is streaming. Pure.

Facts
  - OpenAI and Ollama send about a token in each event, Anthropic several; all of them heed ``max_tokens``. So an event
    of a few bytes counts as one token, a longer one by its length: no answer that heeds its limit is cut.
  - Prose is 4 to 5 characters a token; code, numbers, tables and encoded data may be 2 or fewer. Tokenizers split at
    the borders of letters, digits and signs. Of 10,000 prompts 57 have more tokens (cl100k_base) than reckoned here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from .call import Call, Chunk, Json, Planned, Price, Usage
from .catalogue import cost_usd
from .errors import BadRequest
from .estimate import estimate_tokens, text_tokens

# A prompt's tokens are estimated; a ceiling must hold all the same.
_MARGIN = 1.25
_PIECES = re.compile(r"[A-Z]?[a-z]{1,5}|[A-Z]{1,2}|[0-9]|[!-/:-@\[-`{-~]|\s{2,}|[^\S ]| (?=[0-9])")
_BEYOND_ASCII = 0.75  # tokens for each byte of a character beyond its first
_PICTURE = 1600  # tokens that vendors count for a large one, about
# So many characters of a long text's beginning and end stand for all of it.
_ENDS = 32_768
_ONE_TOKEN = 16  # bytes
_NOT_WRITTEN = frozenset({"role", "id", "type", "index", "image_url", "file", "input_audio"})
_PARAM = "aura.max_cost_usd"


def ceiling(call: Call) -> float | None:
    """The call's ceiling in US dollars; None if its client set none."""
    own = call.body.get("aura")
    return own.get("max_cost_usd") if isinstance(own, dict) else None


def prompt_tokens(body: Json) -> int:
    """Estimate the prompt tokens of a chat body so that it is hardly ever more."""
    texts = [text for message in body.get("messages") or () for text in _texts(message)]
    texts += [orjson.dumps(body[key]).decode() for key in ("tools", "functions", "response_format") if body.get(key)]
    frames = 4 + 4 * len(body.get("messages") or ())
    pieces = sum(map(_pieces, texts)) + frames + _PICTURE * _pictures(body)
    return round(max(estimate_tokens(body) * _MARGIN, pieces))


def _pieces(text: str) -> float:
    if len(text) > 2 * _ENDS:
        return _pieces(text[:_ENDS] + text[-_ENDS:]) * len(text) / (2 * _ENDS)
    beyond = 0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) - len(text)
    return len(_PIECES.findall(text)) + _BEYOND_ASCII * beyond


def _pictures(body: Json) -> int:
    contents = (message.get("content") for message in body.get("messages") or ())
    return sum(part.get("type") == "image_url" for parts in contents if isinstance(parts, list) for part in parts)


def max_tokens(call: Call, planned: Planned, body: Json) -> int | None:
    """The longest answer that an attempt may ask for; None: any.

    Args:
        body: what is sent, which may be longer than what the client sent.

    Raises:
        BadRequest: earlier attempts have spent what there was.
    """
    most, price = ceiling(call) if "aura" in call.body else None, planned.model.price
    if most is None or price is None:
        return planned.max_tokens
    limits = [] if planned.max_tokens is None else [planned.max_tokens]
    room = room_usd(most - call.cost_usd, price, prompt_tokens(body)) if call.cost_usd else None
    if room is not None:
        limits.append(int(room / (body.get("n") or 1)))
    if limits and planned.model.context_window:  # money may pay for more than a model can write
        limits.append(max(1, planned.model.context_window - estimate_tokens(body)))
    if limits and min(limits) < 1:
        raise BadRequest("aura.max_cost_usd is spent by attempts that failed", param=_PARAM)
    return min(limits, default=None)


def room_usd(usd: float, price: Price, prompt: int) -> float | None:
    """Tokens of answer that money pays for after the prompt; None: any number."""
    left = usd * 1_000_000 - prompt * price.input
    if left < 0:
        return 0
    return left / price.output if price.output else None


class Meter:
    """Counts an answer while it is streaming.

    Args:
        call: with what its earlier attempts have cost.
        planned: who answers.
    """

    def __init__(self, call: Call, planned: Planned) -> None:
        most = ceiling(call)
        self._price = planned.model.price
        self._usd = None if most is None or self._price is None else most - call.cost_usd
        self._prompt = Usage() if self._usd is None else Usage(input=prompt_tokens(call.body))
        self._tokens = 0
        self._head: Json = {}
        self._open: dict[int, bool] = {}

    @property
    def limited(self) -> bool:
        """Whether there is anything to count: a ceiling, and a price."""
        return self._usd is not None

    @property
    def usage(self) -> Usage:
        """What the answer has come to, as far as the provider told or else by estimate."""
        return replace(self._prompt, output=self._tokens)

    def within(self, chunks: list[Chunk]) -> tuple[list[Chunk], bool]:
        """The chunks that are still paid for, and whether the money ended with them."""
        if self._usd is None:
            return chunks, False
        for place, chunk in enumerate(chunks):
            if not self._pays(chunk, self._usd):
                return chunks[:place], True
        return chunks, False

    def pays_another(self) -> bool:
        """Whether what is left would pay for another attempt that goes on with this answer."""
        again = Usage(input=round((self._prompt.input + self._tokens) * _MARGIN), output=1)
        spent = cost_usd(self.usage, self._price) + cost_usd(again, self._price)
        return self._usd is None or spent <= self._usd

    def end(self) -> Chunk:
        """The end of an answer whose money is spent, for every choice that has not ended by itself."""
        indices = sorted(index for index, still in self._open.items() if still) or [0]
        choices = [{"index": index, "delta": {}, "finish_reason": "length"} for index in indices]
        return Chunk({**self._head, "choices": choices}, finished=len(choices))

    def _pays(self, chunk: Chunk, usd: float) -> bool:
        if chunk.usage is not None:
            self._heed(chunk.usage)
        if chunk.content:
            usage = replace(self._prompt, output=self._tokens + _tokens(chunk))
            if cost_usd(usage, self._price) > usd:
                return False
            self._tokens = usage.output
        if chunk.body is not None:
            self._head = {key: value for key, value in chunk.body.items() if key not in ("choices", "usage")}
            for choice in chunk.body.get("choices") or ():
                self._open[choice.get("index", 0)] = not choice.get("finish_reason")
        return True

    def _heed(self, usage: Usage) -> None:
        """The provider's own word is better than an estimate."""
        if usage.input:
            self._prompt = replace(usage, output=0, reasoning=0)
        self._tokens = max(self._tokens, usage.output)


def _tokens(chunk: Chunk) -> int:
    choices = (chunk.body or {}).get("choices") or ()
    return max(1, sum(_tokens_of("".join(_texts(choice.get("delta")))) for choice in choices))


def _tokens_of(text: str) -> int:
    size = len(text.encode("utf-8", "surrogatepass"))
    return round(text_tokens(text)) if size > _ONE_TOKEN else min(size, 1)


def _texts(value: Any) -> Iterator[str]:
    """What is written in a message or a delta: its texts, and the arguments of its tool calls."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _NOT_WRITTEN:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
