"""OpenAI's older completions grammar: clients speak it, and a target that speaks it too gets the body forwarded.

Facts
  - ``prompt`` is a text, a list of texts, a list of tokens, or a list of those; each text of a list has answers of its
    own.
  - ``suffix``, ``best_of``, tokens and several prompts have no like in a chat; nor has ``max_tokens`` 0, by which the
    prompt's own probabilities are asked for.
  - ``echo`` puts the prompt before the answer; ``logprobs`` is a number, and its result has another form than a chat's.
  - A chunk is a ``text_completion`` like a whole answer; usage comes in a last chunk with ``choices: []``.
Source: https://platform.openai.com/docs/api-reference/completions (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import orjson

from .. import sse
from ..call import Call, Chunk, Json, Model, Translation
from ..errors import AuraError, Failure, Reason
from ..sse import Decoder, Event, LineDecoder
from . import openai
from .beyond import KEY, Beyond

name = "completions"
DECODER: type[Decoder] | type[LineDecoder] = Decoder
MEDIA_TYPE = "text/event-stream"
error_in, ratelimit_headers = openai.error_in, openai.ratelimit_headers
_DONE = b"data: [DONE]\n\n"
# What a chat has under the same name, or Aura.
_SHARED = frozenset(
    {
        "model",
        "max_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "stream",
        "stream_options",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "seed",
        "user",
        "aura",
        "fallbacks",
    }
)
_REASONS = (None, "stop", "length", "content_filter")
_NEUTRAL: Json = {"echo": False, "best_of": 1, "logprobs": None, "suffix": None}


# ---- what clients send


def request_in(body: Json) -> tuple[Json, list[str]]:
    """The prompt as a user's message; see :class:`aura.dialects.Front`."""
    beyond = Beyond()
    out = {key: value for key, value in body.items() if key in _SHARED}
    out["messages"] = [{"role": "user", "content": _prompt(body.get("prompt"), beyond)}]
    if body.get("suffix"):
        beyond.needs("suffix")
    if body.get("max_tokens") == 0:  # the prompt is all that is asked about
        beyond.needs("max_tokens")
    lost = []
    for key, value in body.items():
        if key not in _SHARED and key not in ("prompt", "suffix", "echo") and value != _NEUTRAL.get(key, value is None):
            lost.append(key)
    if beyond.only:
        out[KEY] = beyond.json()
    return out, lost


def _prompt(prompt: Any, beyond: Beyond) -> str:
    """The one text of a prompt; what is none can only be forwarded."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list) and all(isinstance(text, str) for text in prompt):
        if len(prompt) > 1:
            beyond.needs("prompt")
        return "\n\n".join(prompt)
    beyond.needs("prompt")
    return ""


def request_forward(body: Json, model: Model, max_tokens: int | None) -> Translation:
    """The client's body with the target's model."""
    return openai.request_out(openai.capped(body, max_tokens), model)


def request_out(body: Json, model: Model) -> Translation:
    """A chat is never asked for in this grammar: whoever speaks it speaks OpenAI's chat grammar too."""
    return openai.request_out(body, model)


# ---- what providers answer


def response_in(body: Json, translation: Translation) -> Json:
    """A whole answer as a chat's; see :class:`aura.dialects.Dialect`."""
    if body.get("error"):
        raise openai.error_inside(body["error"])
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(one.get("text"), str) for one in choices):
        raise Failure(Reason.BAD_RESPONSE, "the answer has no choices with a text")
    told = []
    for choice in choices:
        message = {"role": "assistant", "content": choice["text"], "refusal": None}
        told.append({**_beside(choice), "message": message, "finish_reason": choice.get("finish_reason") or "stop"})
    model = body.get("model") or translation.model
    return {**body, "object": "chat.completion", "model": model, "choices": told}


def _beside(choice: Json) -> Json:
    return {"index": choice.get("index") or 0, "logprobs": choice.get("logprobs")}


class EventReader:
    """Reads ``text_completion`` events."""

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._chunks = openai.ChunkReader(translation)

    def feed(self, event: Event) -> list[Chunk]:
        """Read one event; see :class:`aura.dialects.Reader`."""
        if event.data[:6] == b"[DONE]":
            ended = self._chunks.feed(event)
            self.complete = self._chunks.complete
            return ended
        body = orjson.loads(event.data)
        if not isinstance(body, dict):
            raise ValueError("a chunk is an object")
        if body.get("error"):
            raise openai.error_inside(body["error"])
        told = []
        for choice in body.get("choices") or ():
            text, finish = choice.get("text"), choice.get("finish_reason")
            told.append({**_beside(choice), "delta": {"content": text} if text else {}, "finish_reason": finish})
        chat = {**body, "object": "chat.completion.chunk", "choices": told}
        chunks = self._chunks.feed(Event(event.name, orjson.dumps(chat)))
        self.complete = self._chunks.complete
        for chunk in chunks:
            chunk.data = event.data
        return chunks


def reader(translation: Translation) -> EventReader:
    """Begin to read a streamed answer."""
    return EventReader(translation)


# ---- what clients get


def response_out(completion: Json, call: Call) -> Json:
    """A whole answer as a completion; see :class:`aura.dialects.Front`."""
    before = _echo(call)
    choices = [
        {
            "text": before + _text(choice["message"]),
            "index": choice.get("index") or 0,
            "logprobs": _logprobs(choice.get("logprobs"), len(before)),
            "finish_reason": _finish(choice.get("finish_reason")) or "stop",
        }
        for choice in completion["choices"]
    ]
    return {**_head(completion, call), "choices": choices}


def _head(body: Json, call: Call) -> Json:
    """What every object of an answer says; the client needs it also where its server does not tell it."""
    told = {key: body[key] for key in ("id", "created", "model", "usage") if body.get(key) is not None}
    return {"id": f"cmpl-{call.id}", "created": call.created, "model": "", **told, "object": "text_completion"}


def _text(said: Json) -> str:
    """What a message or a delta says, or why it says nothing."""
    text = said.get("content") or said.get("refusal")
    return text if isinstance(text, str) else ""


def _finish(reason: Any) -> Any:
    """Why an answer ended: this grammar has three words for it."""
    return reason if reason in _REASONS else "stop"


def _echo(call: Call) -> str:
    """The prompt, where the client wants it repeated."""
    native = call.native or {}
    prompt = native.get("prompt")
    texts = [prompt] if isinstance(prompt, str) else prompt
    told = native.get("echo") is True and isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    return "".join(texts) if told and isinstance(texts, list) else ""


def _logprobs(logprobs: Any, offset: int) -> Any:
    """Probabilities in the older form; those that came in it stay as they are."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return logprobs
    tokens = [one.get("token") or "" for one in content]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [one.get("logprob") for one in content],
        "top_logprobs": [{top["token"]: top["logprob"] for top in one.get("top_logprobs") or ()} for one in content],
        "text_offset": offsets,
    }


def error_out(error: AuraError, request_id: str) -> Json:  # noqa: ARG001  (the shape of Front)
    """OpenAI's error object; what is wrong with the messages of a chat is wrong with the prompt."""
    told = error.body()
    if (error.param or "").startswith("messages"):
        told["error"]["param"] = "prompt"
    return told


class EventWriter:
    """Writes chunks as ``text_completion`` events, the provider's own bytes where they are such."""

    alive = b": keep-alive\n\n"

    def __init__(self, call: Call) -> None:
        self._call, self._wants_usage = call, call.wants_usage
        self._before = _echo(call)
        self._begun: set[int] = set()

    def write(self, chunks: list[Chunk], verbatim: bool) -> bytes:
        """Write some chunks; see :class:`aura.dialects.Writer`."""
        pieces: list[bytes] = []
        for chunk in chunks:
            body = chunk.body
            if body is None or (chunk.usage is not None and not self._wants_usage and not body.get("choices")):
                continue
            data = chunk.data if verbatim and chunk.data else orjson.dumps(self._told(body))
            pieces += (b"data: ", data.replace(b"\n", b" "), b"\n\n")
            self._begun.update(choice.get("index") or 0 for choice in body.get("choices") or ())
        return b"".join(pieces)

    def _told(self, body: Json) -> Json:
        choices = [self._choice(choice) for choice in body.get("choices") or ()]
        return {**_head(body, self._call), "choices": choices}

    def _choice(self, choice: Json) -> Json:
        index = choice.get("index") or 0
        before = "" if index in self._begun else self._before
        return {
            "text": before + _text(choice.get("delta") or {}),
            "index": index,
            "logprobs": _logprobs(choice.get("logprobs"), 0),
            "finish_reason": _finish(choice.get("finish_reason")),
        }

    def comment(self, text: str) -> bytes:
        """Write a comment."""
        return sse.comment(text)

    def end(self) -> bytes:
        """Write the terminal event."""
        return _DONE

    def error(self, error: AuraError) -> bytes:
        """Write an error as an event; no ``[DONE]`` follows."""
        return sse.encode(orjson.dumps(error.body()))


def writer(call: Call) -> EventWriter:
    """Begin to write a streamed answer."""
    return EventWriter(call)
