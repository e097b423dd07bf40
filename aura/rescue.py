"""Joins a continued answer to what the client already has. Pure: text in, text out.

A model that is asked to go on does one of three things: it goes on exactly there, it begins again from the start, or it
repeats some of the last words first. :class:`Seam` tells them apart as the text comes in, and lets through only what
the client does not have yet. White space never decides: models lay it out anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .call import Json, Model

# A repetition of so many letters is no coincidence; white space counts for nothing, other scripts' signs for two.
SURE = 8
# How far back a repetition is looked for, in characters without white space.
REACH = 4000
QUOTED_WORDS = 8

_BLANK = re.compile(r"\s+")
_GO_ON = (
    "Your previous answer broke off. Continue it exactly where it stops. Begin by repeating its last words, "
    "which are between the lines below, then go on. Say nothing about the interruption.\n---\n{tail}\n---"
)


def possible(body: Json) -> bool:
    """Whether an answer to this body can be continued at all: one choice of plain text.

    Args:
        body: the client's, canonical.
    """
    form = body.get("response_format")
    plain = not isinstance(form, dict) or form.get("type") in (None, "text")
    return plain and body.get("n") in (None, 1) and not body.get("logprobs") and not body.get("audio")


def by_prefill(body: Json, model: Model) -> bool:
    """Whether the model continues a conversation that ends with its own turn."""
    thinking = body.get("thinking")
    return model.can("prefill") and not (isinstance(thinking, dict) and thinking.get("type") != "disabled")


def request(body: Json, sent: str, prefill: bool) -> Json:
    """The body that asks to go on.

    Args:
        body: the client's; it is not changed.
        sent: the text that the client has.
        prefill: end with the partial answer, instead of asking in a user turn.
    """
    partial = sent.rstrip()
    messages = [*body["messages"], {"role": "assistant", "content": partial}]
    if not prefill:
        tail = " ".join(partial.split()[-QUOTED_WORDS:]) or partial
        messages.append({"role": "user", "content": _GO_ON.format(tail=tail)})
    return {**body, "messages": messages}


class Seam:
    """Lets through what follows the text that was sent.

    Args:
        sent: what the client has.
        repeats: the model was asked to repeat the last words, so that even a short repetition is one.
    """

    def __init__(self, sent: str, repeats: bool) -> None:
        self._leading = sent[: len(sent) - len(sent.lstrip())]
        self._trailing = sent[len(sent.rstrip()) :]
        self._solid = _BLANK.sub("", sent)
        self._starts = _word_starts(sent)
        self._mid_word = bool(sent) and not self._trailing
        self._repeats = repeats
        self._raw = ""
        self._new = ""  # the same without white space
        self._joined = not self._solid
        self._begun = False  # whether something solid was let through

    def feed(self, text: str) -> str:
        """Take the next text; returns what is to be sent, often nothing until it is clear where the text begins."""
        if self._begun:
            return text
        self._raw += text
        if not self._joined:
            self._new += _BLANK.sub("", text)
            cut = self._cut(final=False)
            if cut is None:
                return ""
            self._raw, self._joined = self._raw[cut:], True
        return self._after_blank(final=False)

    def finish(self) -> str:
        """Take the end; returns what was held back and is new."""
        if self._begun:
            return ""
        if not self._joined:
            self._raw, self._joined = self._raw[self._cut(final=True) or 0 :], True
        return self._after_blank(final=True)

    def _after_blank(self, final: bool) -> str:
        """Drop the blanks that the client has already."""
        rest = self._raw.lstrip()
        if not rest and not final:
            return ""
        blank, sent = self._raw[: len(self._raw) - len(rest)], self._trailing
        if blank.startswith(sent):
            blank = blank[len(sent) :]
        elif "\n" not in sent or "\n" in blank:  # what follows a line's end is an indentation
            blank = ""
        self._raw, self._begun = "", bool(rest)
        return blank + rest

    def _cut(self, final: bool) -> int | None:
        """Where in the raw text the new begins; None while that is open."""
        solid, whole = self._new, len(self._solid)
        if not solid:
            return 0 if final else None
        for start in self._candidates(solid):
            size = whole - start
            if size > len(solid):
                if not final:
                    return None  # it may still be a longer repetition
                if start == 0 or _weight(solid) >= SURE:
                    return len(self._raw)  # it ended inside what the client has
                continue
            believed = self._believed(start, final)
            if believed is None:
                return None
            if believed:
                return _raw_index(self._raw, size)
        return 0

    def _candidates(self, solid: str) -> Iterator[int]:
        """Where in the sent text the new text may begin, longest repetition first: mostly the first decides."""
        whole = self._solid
        if _agree(whole, 0, solid):
            yield 0
        start = max(1, len(whole) - REACH)
        probe = solid[: min(len(solid), 32)]
        while (start := self._next(probe, start)) >= 0:
            if _agree(whole, start, solid):
                yield start
            start += 1

    def _next(self, probe: str, start: int) -> int:
        """The next place where the sent text goes on, or ends, like the new text begins."""
        at = self._solid.find(probe, start)
        if at >= 0:
            return at
        # Near the end less than the probe is left to compare with.
        for tail in range(max(start, len(self._solid) - len(probe) + 1), len(self._solid)):
            if probe.startswith(self._solid[tail:]):
                return tail
        return -1

    def _believed(self, start: int, final: bool) -> bool | None:
        """Whether a repetition from here on is one, and no coincidence; None while that is open."""
        if _weight(self._solid[start:]) >= SURE:
            return True
        if start != 0 and not (self._repeats and start in self._starts):
            return False
        if self._mid_word:
            blank = self._raw[: len(self._raw) - len(self._raw.lstrip())]
            # A blank after a word: the answer goes on, unless it began with one.
            return not blank or (start == 0 and blank == self._leading)
        # The last word was whole, so it is whole here too.
        behind = self._raw[_raw_index(self._raw, len(self._solid) - start) :]
        return behind[:1].isspace() if behind else True if final else None


def _weight(text: str) -> int:
    return len(text) if text.isascii() or len(text) >= SURE else sum(1 if sign < "\x80" else 2 for sign in text)


def _agree(whole: str, start: int, solid: str) -> bool:
    if len(whole) - start >= len(solid):
        return whole.startswith(solid, start)
    return solid.startswith(whole[start:])


def _word_starts(text: str) -> frozenset[int]:
    """Where words begin, counted in characters that are not white space."""
    starts, index = set(), 0
    for word in text.split():
        starts.add(index)
        index += len(word)
    return frozenset(starts)


def _raw_index(raw: str, solid: int) -> int:
    """The place in the raw text behind so many characters that are not white space."""
    seen = 0
    for index, character in enumerate(raw):
        if seen == solid:
            return index
        if not character.isspace():
            seen += 1
    return len(raw)
