"""OpenAI's Responses grammar: clients speak it, and a target that speaks it too gets the body forwarded.

Facts
  - ``input`` is a text or a list of items: messages, calls of tools and their results, reasoning, references.
  - ``instructions`` hold for one call; they are no part of what ``previous_response_id`` brings back.
  - A stream's events are numbered; every item has its index, and is told whole once more when it is done.
  - An error in a stream is an event ``error``, then ``response.failed``.
  - Published schemas are stricter than OpenAI is: ``usage`` and ``user`` are left out rather than null.
Source: https://platform.openai.com/docs/api-reference/responses (read 2026-11-24)
"""

from __future__ import annotations

from ...sse import Decoder, LineDecoder
from .. import openai
from .forward import request_forward
from .inbound import request_in
from .outbound import error_out, response_out
from .stream import EventReader, reader, response_in
from .writer import writer

name = "responses"
MEDIA_TYPE = "text/event-stream"
DECODER: type[Decoder] | type[LineDecoder] = Decoder
error_in, ratelimit_headers = openai.error_in, openai.ratelimit_headers
# A chat is never asked for in this grammar: whoever speaks it speaks OpenAI's chat grammar too.
request_out = openai.request_out

__all__ = [
    "DECODER",
    "MEDIA_TYPE",
    "EventReader",
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
