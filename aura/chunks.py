"""What the chunks of a streamed answer say, and a whole answer said in chunks. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .call import Chunk, Json, Usage
from .dialects import Writer
from .dialects.assembly import completion_chunks
from .dialects.openai import usage_in


def chunks_of(completion: Json, usage: Usage | None) -> Iterator[Chunk]:
    """The chunks that a whole answer would have come in."""
    for body in completion_chunks(completion, include_usage=usage is not None):
        choices = body["choices"]
        content = any(choice["delta"] for choice in choices)
        finished = sum(1 for choice in choices if choice["finish_reason"])
        yield Chunk(body, content=content, finished=finished, usage=None if choices else usage)


# What every chunk of a stream repeats; Azure's filter results come before it is known, and leave it empty.
_HEAD = ("id", "object", "created", "model")


def with_heads(chunks: list[Chunk]) -> list[Chunk]:
    """Complete the chunks that say nothing where their stream's name belongs, from the first that does.

    A chunk that lacks these members is a server's own way, and goes on as it came.
    """
    bodies = [chunk.body for chunk in chunks if chunk.body is not None]
    head = next((body for body in bodies if body.get("object") and body.get("id")), None)
    if head is None or head is bodies[0]:
        return chunks
    told = []
    for chunk in chunks:
        body = chunk.body
        if body is not None and body.get("object") == "":
            known = {key: body.get(key) or head.get(key) for key in _HEAD}
            chunk = chunk.reworded({**body, **known}, chunk.content)  # noqa: PLW2901  (the same one, completed)
        told.append(chunk)
    return told


def up_to_last(chunks: list[Chunk]) -> tuple[list[Chunk], bool]:
    """The chunks up to the terminal event, and whether it is among them; what stands behind it is not the answer's."""
    if len(chunks) == 1:
        return chunks, chunks[0].last
    for index, chunk in enumerate(chunks):
        if chunk.last:
            return chunks[: index + 1], True
    return chunks, False


def says_something(chunks: list[Chunk]) -> bool:
    """Whether some chunks end a silence: some servers fill it with deltas that hold nothing."""
    return bool(chunks) and (chunks[0].content or any(map(_says_something, chunks)))


def _says_something(chunk: Chunk) -> bool:
    if chunk.content or chunk.finished:
        return True
    choices = chunk.body.get("choices") if chunk.body else None
    return any(value for choice in choices or () for key, value in (choice.get("delta") or {}).items() if key != "role")


def tells_usage(chunks: list[Chunk]) -> bool:
    """Whether the usage event has come: nothing but ``[DONE]`` could follow it."""
    return bool(chunks) and chunks[-1].usage is not None and not (chunks[-1].body or {}).get("choices")


def frames_of(completion: Json, writer: Writer) -> Iterator[bytes]:
    """A stored answer as a stream, in one piece."""
    usage = usage_in(completion["usage"]) if completion.get("usage") else None
    yield writer.write(list(chunks_of(completion, usage)), verbatim=False) + writer.end()
