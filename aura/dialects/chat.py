"""OpenAI's chat grammar as clients speak it: the canonical form, so a body and an answer stay what they are."""

from __future__ import annotations

import orjson

from .. import sse
from ..call import Call, Chunk, Json, Model, Translation
from ..errors import AuraError
from . import openai
from .pieces import Piece, saying

name = openai.name
MEDIA_TYPE = "text/event-stream"
_DONE = b"data: [DONE]\n\n"


def request_in(body: Json) -> tuple[Json, list[str]]:
    """A client's body is canonical."""
    return body, []


def response_out(completion: Json, call: Call) -> Json:  # noqa: ARG001  (the shape of Front)
    """A canonical answer is the client's."""
    return completion


def error_out(error: AuraError, request_id: str) -> Json:  # noqa: ARG001  (the shape of Front)
    """OpenAI's error object."""
    return error.body()


def request_forward(body: Json, model: Model, max_tokens: int | None) -> Translation:
    """Forward the body with the target's model."""
    return openai.request_out(openai.capped(body, max_tokens), model)


class EventWriter:
    """Writes chunks as events, the provider's own bytes where they are chunks of this grammar."""

    alive = b": keep-alive\n\n"

    def __init__(self, wants_usage: bool) -> None:
        self._wants_usage = wants_usage
        self._head: Json | None = None
        self._before = self._behind = b""

    def write(self, chunks: list[Chunk], verbatim: bool) -> bytes:
        """Write some chunks; a usage that was not asked for is left out."""
        if verbatim and len(chunks) == 1 and chunks[0].text:
            data = chunks[0].data
            if data:
                return b"data: %b\n\n" % data.replace(b"\n", b" ")
        pieces: list[bytes] = []
        for chunk in chunks:
            if verbatim and chunk.text and chunk.data:
                data = chunk.data
            elif isinstance(chunk, Piece) and chunk.head is not None:
                data = self._worded(chunk.head, chunk.text)
            else:
                body = chunk.body
                if body is None or (chunk.usage is not None and not self._wants_usage and not body.get("choices")):
                    continue
                data = chunk.data if verbatim and chunk.data else orjson.dumps(body)
            # Where the provider wrote the event on several lines, they are but white space in JSON.
            pieces += (b"data: ", data.replace(b"\n", b" "), b"\n\n")
        return b"".join(pieces)

    def _worded(self, head: Json, text: str) -> bytes:
        """The chunk that says a piece of text; what is the same in all of them is written once."""
        if head is not self._head:
            self._head = head
            self._before, _, self._behind = orjson.dumps(saying(head, "")).rpartition(b'""')
        return self._before + orjson.dumps(text) + self._behind

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
    return EventWriter(call.wants_usage)
