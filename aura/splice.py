"""The stream that goes on with a broken answer, in the place of the stream that broke."""

from __future__ import annotations

from .call import Chunk, Json, Translation, Usage
from .exchange import Incoming, Opened
from .rescue import Seam

# Of the first stream's chunks: what every chunk of an answer repeats.
_HEAD = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


class Spliced:
    """An incoming stream whose chunks say only what the client does not have yet, under the first stream's head.

    Args:
        head: a chunk or answer of the first stream.
        before: the usage of the attempts that broke; the client is shown the sum.
    """

    dialect = ""

    def __init__(self, incoming: Incoming, seam: Seam, head: Json, before: Usage) -> None:
        self._incoming, self._seam, self._before = incoming, seam, before
        self._head = {key: head[key] for key in _HEAD if key in head}
        self._head["object"] = "chat.completion.chunk"
        self._told = False

    @property
    def translation(self) -> Translation:
        """Of the stream that goes on."""
        return self._incoming.translation

    @property
    def complete(self) -> bool:
        """Whether the terminal event was seen."""
        return self._incoming.complete

    def pull(self, deadline: float) -> list[Chunk] | None:
        """The next chunks; see :class:`aura.exchange.Incoming`."""
        chunks = self._incoming.pull(deadline)
        return None if chunks is None else [said for chunk in chunks for said in self.said(chunk)]

    def close(self) -> None:
        """Let go of the connection."""
        self._incoming.close()

    def said(self, chunk: Chunk) -> list[Chunk]:
        """What a chunk of the stream that goes on says to the client."""
        body = chunk.body
        if body is None:
            return [Chunk(None, last=chunk.last, usage=chunk.usage)]
        said = []
        for choice in body.get("choices") or ():
            delta = choice.get("delta") or {}
            text = self._seam.feed(delta["content"]) if isinstance(delta.get("content"), str) else ""
            if chunk.finished or delta.get("tool_calls"):
                text += self._seam.finish()
            if text:
                said.append(Chunk(self._chunk({"content": text}, None), content=True))
            if delta.get("tool_calls"):
                said.append(Chunk(self._chunk({"tool_calls": delta["tool_calls"]}, None), content=True))
            elif chunk.content and not text:
                said.append(Chunk(None, content=True))  # it speaks, though nothing of it is new yet
            if choice.get("finish_reason"):
                said.append(Chunk(self._chunk({}, choice["finish_reason"]), finished=chunk.finished))
        if chunk.usage is not None:
            said.append(self._usage(chunk, bool(body.get("choices"))))
        return said

    def _chunk(self, delta: Json, finish_reason: str | None) -> Json:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    def _usage(self, chunk: Chunk, beside_text: bool) -> Chunk:
        """The ledger bills each attempt by itself; the client sees the sum, once: some servers tell it all the time."""
        usage = chunk.usage or Usage()
        if self._told or (beside_text and not chunk.finished):
            return Chunk(None, usage=usage)
        self._told = True
        told = added(self._before, usage)
        body = {
            **self._head,
            "choices": [],
            "usage": {
                "prompt_tokens": told.input,
                "completion_tokens": told.output,
                "total_tokens": told.input + told.output,
                "prompt_tokens_details": {"cached_tokens": told.cached_read},
                "completion_tokens_details": {"reasoning_tokens": told.reasoning},
            },
        }
        return Chunk(body, usage=usage)


def put_in_place(opened: Opened, seam: Seam, head: Json, before: Usage) -> None:
    """Let a stream go on in the place of the one that broke; arguments as of :class:`Spliced`."""
    spliced = Spliced(opened.incoming, seam, head, before)
    opened.incoming = spliced
    opened.held = [said for chunk in opened.held for said in spliced.said(chunk)]


def added(one: Usage, other: Usage) -> Usage:
    """The sum of two usages."""
    return Usage(
        one.input + other.input,
        one.output + other.output,
        one.cached_read + other.cached_read,
        one.cached_write + other.cached_write,
        one.reasoning + other.reasoning,
        one.cached_write_1h + other.cached_write_1h,
    )
