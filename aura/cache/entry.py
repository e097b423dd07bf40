"""A stored answer as bytes: one line of JSON that says what it is, then the answer, compressed.

Whatever else is found in a store (a pickle, another schema, a part of an entry, a bomb) is told apart before it is
unpacked, and is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import zstandard

from ..call import Json, Target
from .key import SCHEMA

MAX_HEAD = 1024
_LEVEL = 3


class Poisoned(ValueError):
    """Bytes that are no entry of this schema."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a stored answer without unpacking it.

    Args:
        at: when it was stored, in seconds of the store's clock.
        ttl: for how many seconds.
        seconds: how long the provider took for it.
        usd: what it cost.
        size: bytes of the answer.
        dropped: names of the client's parameters that its target could not take.
    """

    at: float
    ttl: float
    target: Target
    seconds: float
    usd: float
    size: int
    dropped: tuple[str, ...] = ()


def head_of(entry: bytes) -> tuple[Head, int]:
    """Read an entry's head; returns it and where the answer begins.

    Raises:
        Poisoned: it is no entry.
    """
    end = entry.find(b"\n", 0, MAX_HEAD)
    try:
        schema, at, ttl, provider, model, seconds, usd, size, dropped = orjson.loads(entry[: max(0, end)])
        if schema != SCHEMA or not (isinstance(provider, str) and isinstance(model, str) and isinstance(size, int)):
            raise Poisoned("another schema")
        if not (isinstance(dropped, list) and all(isinstance(name, str) for name in dropped)):
            raise Poisoned("another schema")
        target = Target(provider, model)
        saved = max(0.0, float(seconds)), max(0.0, float(usd))
        return Head(float(at), float(ttl), target, *saved, size, tuple(dropped)), end + 1
    except (ValueError, TypeError) as error:
        raise Poisoned("no head") from error


class Codec:
    """Makes and reads entries; keeps what zstandard needs for that, which costs more to make than to use."""

    def __init__(self) -> None:
        self._compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def pack(self, head: Head, data: bytes) -> bytes:
        """Make an entry of an answer's JSON."""
        target = head.target
        line = [
            SCHEMA,
            head.at,
            head.ttl,
            target.provider,
            target.model,
            head.seconds,
            head.usd,
            len(data),
            head.dropped,
        ]
        return orjson.dumps(line) + b"\n" + self._compress(data)

    def unpack(self, entry: bytes, most: int) -> tuple[Head, Json, bytes]:
        """Take an entry apart.

        Args:
            most: bytes that the answer may have.

        Returns:
            Its head, the answer, and the answer's JSON.

        Raises:
            Poisoned: it is no entry.
        """
        head, data = self.open(entry, most)
        try:
            body = orjson.loads(data)
        except ValueError as error:
            raise Poisoned("no answer") from error
        if not well_formed(body):
            raise Poisoned("not the shape of an answer")
        return head, body, data

    def open(self, entry: bytes, most: int) -> tuple[Head, bytes]:
        """Take an entry apart, whatever was packed in it; arguments and errors as of :meth:`unpack`."""
        head, begin = head_of(entry)
        packed = memoryview(entry)[begin:]
        try:
            # A frame tells its size first; python-zstandard would believe any.
            if head.size > most or zstandard.get_frame_parameters(packed).content_size != head.size:
                raise Poisoned("another size")
            return head, self._decompress(packed)
        except (ValueError, zstandard.ZstdError) as error:
            raise Poisoned("no answer") from error


def well_formed(body: Any) -> bool:
    """Whether a body has the shape of a whole answer: every choice has a message and has ended."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return False
    if "choices" not in body:
        data = body.get("data")  # of an embedding
        return isinstance(data, list) and bool(data)
    choices, usage = body["choices"], body.get("usage")
    if not isinstance(choices, list) or not choices or not (usage is None or isinstance(usage, dict)):
        return False
    return all(isinstance(choice, dict) and _ended(choice) for choice in choices)


def _ended(choice: Json) -> bool:
    message = choice.get("message")
    if not isinstance(message, dict) or not isinstance(choice.get("finish_reason"), str):
        return False
    calls = message.get("tool_calls")
    return calls is None or (isinstance(calls, list) and all(isinstance(call, dict) for call in calls))
