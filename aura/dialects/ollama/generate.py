"""``/api/generate``, a prompt without a conversation: clients speak it, and an Ollama server gets it forwarded.

Facts
  - ``raw``, ``template``, ``suffix`` and ``context`` have no like in a chat.
  - The text is ``response``; all else of an answer is as a chat's.
Source: https://docs.ollama.com/api/generate (read 2026-11-24)
"""

from __future__ import annotations

import orjson

from ...call import Call, Chunk, Json, Translation
from ...estimate import text_tokens
from ...sse import Decoder, Event, LineDecoder
from . import response
from .forward import request_forward
from .inbound import generate_in
from .request import request_out
from .response import error_in, ratelimit_headers
from .writer import MEDIA_TYPE, LineWriter, as_response, error_out, whole_out

name = "ollama.generate"
DECODER: type[Decoder] | type[LineDecoder] = LineDecoder
request_in = generate_in

__all__ = [
    "DECODER",
    "MEDIA_TYPE",
    "error_in",
    "error_out",
    "name",
    "ratelimit_headers",
    "reader",
    "request_forward",
    "request_in",
    "request_out",
    "response_in",
    "response_out",
    "writer",
]


def response_in(body: Json, translation: Translation) -> Json:
    """A whole answer as a chat's; see :class:`aura.dialects.Dialect`."""
    return response.response_in(_as_chat(body, translation), translation)


def _as_chat(line: Json, translation: Translation) -> Json:
    if "response" not in line:
        return line
    message = {"role": "assistant", "content": line["response"], "thinking": line.get("thinking")}
    told = {**line, "message": message}
    if line.get("done") and line.get("prompt_eval_count") is None:
        told["prompt_eval_count"] = round(text_tokens(str(translation.body.get("prompt") or "")))
    return told


class LineReader:
    """Reads the lines of one streamed answer."""

    def __init__(self, translation: Translation) -> None:
        self.complete = False
        self._translation = translation
        self._chat = response.LineReader(translation)

    def feed(self, event: Event) -> list[Chunk]:
        """Read one line; see :class:`aura.dialects.Reader`."""
        line = orjson.loads(event.data)
        if isinstance(line, dict):
            line = _as_chat(line, self._translation)
        chunks = self._chat.read(line, event.data)
        self.complete = self._chat.complete
        return chunks


def reader(translation: Translation) -> LineReader:
    """Begin to read a streamed answer."""
    return LineReader(translation)


def response_out(completion: Json, call: Call) -> Json:
    """Translate a whole answer; see :class:`aura.dialects.Front`."""
    return whole_out(completion, call, as_response)


def writer(call: Call) -> LineWriter:
    """Begin to write a streamed answer; see :class:`aura.dialects.Front`."""
    return LineWriter(call, as_response)
