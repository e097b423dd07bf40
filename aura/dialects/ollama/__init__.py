"""Ollama's native ``/api/chat``: why not its OpenAI-compatible door, and what is peculiar about it.

Facts
  - ``stream`` is true unless it is said to be false; a stream is NDJSON, one object a line.
  - ``content`` is a string, images are raw base64 beside it, tool arguments are objects, not JSON in a string.
  - An option that is left out is the Modelfile's; the compatible door puts 1.0 in its place.
  - A prompt longer than ``num_ctx`` is cut silently unless ``truncate`` is false; the compatible door knows neither.
  - An error in mid-stream is a line ``{"error": "..."}`` under status 200; the compatible door loses it.
  - ``prompt_eval_count`` is left out when the prompt was cached; a tool call comes whole, its ``id`` not always.
  - ``done_reason`` is ``stop`` after tool calls too; ``load`` and ``unload`` come with an empty answer.
Source: https://docs.ollama.com/api/chat (read 2026-11-24)
"""

from __future__ import annotations

from ...call import Call, Json
from ...sse import Decoder, LineDecoder
from .forward import request_forward
from .inbound import chat_in
from .request import request_out
from .response import LineReader, error_in, ratelimit_headers, reader, response_in
from .writer import MEDIA_TYPE, LineWriter, as_message, error_out, time_out, whole_out

name = "ollama"
DECODER: type[Decoder] | type[LineDecoder] = LineDecoder

request_in = chat_in

__all__ = [
    "DECODER",
    "MEDIA_TYPE",
    "LineReader",
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
    "time_out",
    "writer",
]


def response_out(completion: Json, call: Call) -> Json:
    """Translate a whole answer; see :class:`aura.dialects.Front`."""
    return whole_out(completion, call, as_message)


def writer(call: Call) -> LineWriter:
    """Begin to write a streamed answer; see :class:`aura.dialects.Front`."""
    return LineWriter(call, as_message)
