"""Pieces of text: nine of ten events of a stream are like the one before them but for the text that they say.

The first such event is read as JSON is, and its bytes are remembered up to its text and behind it. Where later bytes
are the same on both sides, what lies between is the text: an event is JSON, and in JSON one string in another's place
changes nothing else. So the event is read without being parsed, by half of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ..call import Chunk, Json

_MOST_LEARNED = 16  # events of a stream: a server that never says two alike costs little
# What providers fill up their events with, so that their length says nothing of the text.
_FILLING, _FILLED = b'"obfuscation":"', b'"}'
_PROBE = "\N{REPLACEMENT CHARACTER}?"


class Piece(Chunk):
    """A chunk that says a piece of the first choice's text and nothing else.

    Args:
        head: what all chunks of the stream have in common; None: ``data`` is the canonical chunk.
    """

    __slots__ = ("head",)
    content, finished, usage, last = True, 0, None, False

    def __init__(self, text: str, data: bytes, name: str = "", head: Json | None = None) -> None:
        self.text, self.data, self.name, self.head = text, data, name, head

    def __getattr__(self, name: str) -> Any:
        """The body, which is made when somebody asks for it: who passes the piece on does not."""
        if name != "body":
            raise AttributeError(name)
        self.body = orjson.loads(self.data) if self.head is None else saying(self.head, self.text)
        return self.body


def saying(head: Json, text: str) -> Json:
    """The canonical chunk that says a piece of text."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return {**head, "choices": [choice]}


class Alike:
    """Knows events again that differ in their text alone.

    Args:
        text_of: the text of a parsed event that says nothing else; empty for any other.
    """

    __slots__ = ("_at", "_before", "_behind", "_left", "_text_of")

    def __init__(self, text_of: Callable[[Any], str]) -> None:
        self._text_of = text_of
        self._before = b""  # up to the text's first letter
        self._at = 0  # where that is
        self._behind: set[bytes] = set()  # what may stand behind the text
        self._left = _MOST_LEARNED

    def text(self, data: bytes) -> str:
        """The text of an event that is known; empty for one that must be parsed."""
        at = self._at
        if at and data.startswith(self._before):
            end = data.find(b'"', at) + 1
            behind = data[end:]
            if behind in self._behind or _unfilled(behind) in self._behind:
                try:
                    text = orjson.loads(data[at - 1 : end])
                except ValueError:  # an escaped quotation mark: that is not the text's end
                    return ""
                return text if text.__class__ is str else ""
        return ""

    def learn(self, data: bytes, text: str) -> None:
        """Know such events from now on. ``data`` was parsed, and says nothing but ``text``."""
        if not self._left:
            return
        self._left -= 1
        written = orjson.dumps(text)
        before, _, behind = data.partition(written)
        behind = _unfilled(behind)
        try:
            probed = self._text_of(orjson.loads(before + orjson.dumps(_PROBE) + behind))
        except (ValueError, LookupError, TypeError):
            return
        if probed != _PROBE:  # those letters stand elsewhere, too, or are written in another way
            return
        before += b'"'
        if before != self._before:
            self._before, self._at = before, len(before)
            self._behind.clear()
        self._behind.add(behind)

    def forget(self) -> None:
        """Know none any more."""
        self._at = 0
        self._before = b""


def _unfilled(behind: bytes) -> bytes:
    """What stands behind a text, without what only fills the event up; it is JSON's end all the same."""
    if not behind.strip(b" }"):
        return behind.replace(b" ", b"")
    rest, found, filling = behind.partition(_FILLING)
    if found and filling.endswith(_FILLED) and filling[:-2].isalnum():
        return rest + _FILLING + _FILLED
    return behind
