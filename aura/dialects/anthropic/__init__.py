"""Anthropic's Messages grammar: what is peculiar about it, seen from a chat body.

Facts
  - ``max_tokens`` is mandatory, unknown fields are refused, temperature ends at 1.
  - System text stands beside the messages; newer models take it in mid-conversation too, right after a user turn and
    before an assistant turn or the end.
  - Turns alternate and begin with the user's; results of parallel tool calls share one user turn, before any text;
    every call has its result.
  - Thinking excludes other temperatures, forced tools and prefill; its signed blocks must come back unchanged.
  - ``input_tokens`` leaves cached tokens out; the usage of ``message_delta`` is cumulative.
  - A stream ends with ``message_stop``; an error in mid-stream is an event ``error`` under status 200.
Known from the types and texts of Anthropic's Python SDK 2.13 and from general knowledge; where to check them:
https://platform.claude.com/docs/en/api/messages, and the page that each module names.
"""

from __future__ import annotations

from ...sse import Decoder, LineDecoder
from .errors import error_in, error_out, ratelimit_headers, ratelimit_out, request_id
from .forward import counted, request_forward
from .inbound import request_in
from .outbound import response_out
from .request import BETA, betas_of, request_out
from .response import response_in
from .stream import EventReader, reader
from .writer import writer

name = "anthropic"
MEDIA_TYPE = "text/event-stream"
DECODER: type[Decoder] | type[LineDecoder] = Decoder

__all__ = [
    "BETA",
    "DECODER",
    "MEDIA_TYPE",
    "EventReader",
    "betas_of",
    "counted",
    "error_in",
    "error_out",
    "name",
    "ratelimit_headers",
    "ratelimit_out",
    "reader",
    "request_forward",
    "request_id",
    "request_in",
    "request_out",
    "response_in",
    "response_out",
    "writer",
]
