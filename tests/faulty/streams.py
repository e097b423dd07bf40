"""Faults of streams, by name; see :mod:`tests.faulty.faults`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faults import fault, slices, stream
from .grammar import Asked, error_event, frames, stream_kind

if TYPE_CHECKING:
    from .server import Conversation

_BLOCK = 64 * 1024


@fault
def cut(link: Conversation, asked: Asked) -> None:
    """End a stream ``after`` so many tokens or at ``byte`` of its body, ``how``: fin, rst or end (cleanly)."""
    opening, tokens, end = frames(asked)
    if "byte" in asked.options:
        events = [b"".join([*opening, *tokens, *end])[: int(asked.number("byte"))]]
    else:
        events = [*opening, *tokens[: int(asked.number("after", 0))]]
    how = asked.options.get("how", "fin")
    stream(link, asked, events, finish=how == "end")
    if how != "end":
        link.close(how)


@fault
def stall(link: Conversation, asked: Asked) -> None:
    """Say nothing more ``after`` so many tokens; the head comes at once."""
    opening, tokens, _ = frames(asked)
    stream(link, asked, [*opening, *tokens[: int(asked.number("after", 0))]], finish=False)
    link.hang()


@fault
def slow(link: Conversation, asked: Asked) -> None:
    """A stream whose first token comes ``first`` seconds after its head."""
    opening, tokens, end = frames(asked)
    link.head(kind=stream_kind(asked), transfer_encoding="chunked")
    link.pause(asked.number("first", 1))
    for event in [*opening, *tokens, *end]:
        link.chunk(event)
    link.finish()


@fault
def broken(link: Conversation, asked: Asked) -> None:
    """An error event ``after`` so many tokens; without tokens it is the first event."""
    opening, tokens, _ = frames(asked)
    after = int(asked.number("after", 0))
    stream(link, asked, [*(opening if after else []), *tokens[:after], error_event(asked)])


@fault
def torrent(link: Conversation, asked: Asked) -> None:
    """A stream of the first token over and over, ``size`` bytes (64 MiB) of it, then a good end."""
    opening, tokens, end = frames(asked)
    link.head(kind=stream_kind(asked), transfer_encoding="chunked")
    block = tokens[0] * (_BLOCK // len(tokens[0]))
    for piece in [*opening, *[block] * (int(asked.number("size", 64 << 20)) // len(block)), *end]:
        link.chunk(piece)
    link.finish()


@fault
def done(link: Conversation, asked: Asked) -> None:
    """A stream's end, ``kind``: twice, more (a token behind it), open (no end of the body), missing (no ``[DONE]``),
    alone (no ``finish_reason`` before it, no end of the body).
    """
    opening, tokens, end = frames(asked)
    kind = asked.options.get("kind", "twice")
    tails = {"twice": [*end, end[-1]], "more": [*end, *tokens[:1]], "open": end, "missing": end[:-1]}
    tails["alone"] = end[-1:]
    stream(link, asked, [*opening, *tokens, *tails[kind]], finish=kind not in ("open", "alone"))
    if kind in ("open", "alone"):
        link.hang()


@fault
def event(link: Conversation, asked: Asked) -> None:
    """One strange event ``after`` so many tokens (5), then a good end; see ``STRANGE`` for its ``kind``."""
    opening, tokens, end = frames(asked)
    after = int(asked.number("after", 5))
    strange = STRANGE[asked.options.get("kind", "json")]
    stream(link, asked, [*opening, *tokens[:after], strange, *tokens[after:], *end])


STRANGE = {
    "json": b'data: {"choices": [{"ind\n\n',
    "utf8": b'data: {"x": "\xe6\xbc"}\n\n',
    "large": b'data: {"x": "' + b"a" * (10 << 20) + b'"}\n\n',
    "empty": b"event: nothing\n\n",
    "comments": b": still here\n\n" * 10_000,
    "unknown": b'event: surprise\ndata: {"type": "surprise"}\n\n',
}


@fault
def says(link: Conversation, asked: Asked) -> None:
    """The next steps of the server's ``says``: pieces of a stream's body, seconds to wait, its end.

    Ends are ``fin``, ``rst``, ``hang`` and, if none is given, a good one.
    """
    link.head(kind=stream_kind(asked), transfer_encoding="chunked")
    for step in link.server.says.popleft():
        if isinstance(step, bytes):
            link.chunk(step)
        elif isinstance(step, float):
            link.pause(step)
        elif step == "hang":
            link.hang()
        else:
            link.close(step)
    link.finish()


@fault
def split(link: Conversation, asked: Asked) -> None:
    """A good stream in pieces of ``by`` bytes (1) whose lines end in ``ends``: lf, crlf or cr."""
    opening, tokens, end = frames(asked)
    data = b"".join([*opening, *tokens, *end])
    data = data.replace(b"\n", {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}[asked.options.get("ends", "lf")])
    link.head(kind=stream_kind(asked), transfer_encoding="chunked")
    for piece in slices(data, int(asked.number("by", 1))):
        link.chunk(piece)
    link.finish()
