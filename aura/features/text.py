"""A prompt as it is measured: in one case, with single blanks, without courtesy, options and answer forms apart.

Letter case and white space are gone after :func:`read`, so nothing that is measured afterwards can depend on them.
Every expression here takes time linear in the text, and no more than :data:`HEAD` + :data:`TAIL` characters are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from . import courtesy, lexicon
from .tokens import beyond_ascii, marks_of, single_blanks, tokens

HEAD = 1400
TAIL = 1000
# Of a long text, the request stands at one of its ends: two sentences there, of no more tokens than this.
_LONG = 120
_ASK = 50

# By the sign that is in them all.
_LETTERED = tuple(
    (after[0], tuple(f"{before}{chr(97 + place)}{after}" for place in range(26)))
    for before, after in ((" ", ". "), (" ", ") "), ("(", ") "), (" ", ": "))
)
_ANSWER = re.compile(r"(?:the )?(?:correct |best )?answer(?: is)?:?\s*\(?$")
_SHOT = re.compile(r"(?:^|\s)(?:question|q|input|example|problem)(?: ?\d+)? ?:")
# Scripts without blanks between words, or that bind endings to them: from Hebrew on, but not Cyrillic or Greek.
_SCRIPT = re.compile("[\u0590-\u0fff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_QUOTES = ('"', "“", "«", "„", "「")
_QUOTED = re.compile(r"\"[^\"]{1,200}\"|“[^”]{1,200}”|«[^»]{1,200}»|„[^“”]{1,200}[“”]|「[^」]{1,200}」")
_ENDS = frozenset(".?!:。？！：؟।")
# Most texts have none of these, and need no second look for what they tell.
_TELLING = courtesy.TELLING | lexicon.SOFTENERS | lexicon.CODE | lexicon.LETTERS


@dataclass(slots=True)
class Text:
    """What is read of one prompt.

    Args:
        stem: the request and its material, in lower case and single blanks.
        tokens: words, numbers and signs of the stem.
        distinct: each of them once.
        marks: the characters of ASCII that are neither letters nor blanks; some may stand in what was dropped.
        telling: those of them that courtesy, softeners or code may be known by, and single letters.
        options: the answers to choose from, where the prompt lists them by letter.
        choices: how many there are.
        option_tokens: words, numbers and signs of the options.
        ask: the tokens at both ends, where the request of a long text stands.
        length: characters that were not courtesy.
        skipped: how many of them stand between the ends that are read.
        shots: questions that are answered in the prompt before the last one.
        beyond: the characters of the stem that are not ASCII's.
        dense: how many of them are of scripts that are looked through for phrases.
        courtesy: whether there is nothing but greetings and thanks.
    """

    stem: str
    tokens: list[str]
    distinct: set[str]
    marks: set[str]
    telling: frozenset[str]
    options: str = ""
    choices: int = 0
    option_tokens: Sequence[str] = ()
    ask: Sequence[str] = ()
    length: int = 0
    skipped: int = 0
    shots: int = 0
    beyond: str = ""
    dense: int = 0
    courtesy: bool = False


def read(prompt: str) -> Text:
    """Take a prompt apart."""
    prompt, skipped = ends(prompt)
    lowered = prompt.lower()
    marks, signs = marks_of(lowered)
    whole = single_blanks(lowered, signs)
    stem, shots = _last_shot(whole) if ":" in marks else (whole, 0)
    text = _apart(stem, marks, signs)
    length = len(whole) + skipped
    told = bool(text.telling or text.options)
    if courtesy.may_be(stem, text.tokens, text.option_tokens or text.tokens, told):
        asked = courtesy.dropped(stem)
        if asked != stem:
            length -= len(stem) - len(asked)
            text = _apart(asked, marks, signs)
            text.courtesy = not asked
    text.length, text.skipped, text.shots = length, skipped, shots
    _drop_softeners(text)
    if not text.stem.isascii():
        text.beyond = beyond_ascii(text.stem)
        text.dense = len(_SCRIPT.findall(text.beyond))
    text.ask = _request(text, signs)
    return text


def ends(prompt: str) -> tuple[str, int]:
    """All that is looked at of a prompt, and how many characters between its ends are not."""
    prompt = prompt.strip()
    skipped = len(prompt) - HEAD - TAIL
    return (f"{prompt[:HEAD]} {prompt[-TAIL:]}", skipped) if skipped > 0 else (prompt, 0)


def _apart(stem: str, marks: set[str], signs: set[str] | None) -> Text:
    """The question and the answers to choose from, each with its tokens; the form of the answer is dropped."""
    start, choices = _options(stem, marks)
    if stem.endswith((":", "(", "is")):
        stem = (stem[:-40] + _ANSWER.sub("", stem[-40:])).rstrip()
    question, options = (stem[:start], stem[start:]) if start else (stem, "")
    found = tokens(question, signs)
    distinct = set(found)
    text = Text(question, found, distinct, marks, _TELLING & distinct)
    if options:
        text.options, text.choices, text.option_tokens = options, choices, tokens(options, signs)
    return text


def _drop_softeners(text: Text) -> None:
    asked = _asked(text.tokens, bool(text.telling))
    if len(asked) < len(text.tokens):
        text.tokens, text.distinct = asked, set(asked)
        text.telling &= text.distinct


def _asked(tokens: list[str], softened: bool) -> list[str]:
    """Drop what a request begins with before it says what is asked, and what softens it if anything may."""
    start = 0
    while start < len(tokens) - 3 and (tokens[start] in lexicon.LEADS or tokens[start] in lexicon.SOFTENERS):
        start += 1
    if start:
        tokens = tokens[start:]
    if not softened or lexicon.SOFTENERS.isdisjoint(tokens):
        return tokens
    return [token for token in tokens if token not in lexicon.SOFTENERS]


def _request(text: Text, signs: set[str] | None) -> list[str]:
    """The tokens that ask: all of a short text but what it quotes, two sentences at each end of a long one."""
    stem, found = text.stem, text.tokens
    if len(found) > _LONG:
        return found[: _two_sentences(found[:_ASK])] + found[-_two_sentences(found[: -_ASK - 1 : -1][1:]) - 1 :]
    if '"' not in stem and not text.beyond:
        return found
    if not any(quote in stem for quote in _QUOTES):
        # The expression below would find nothing: the same tokens, but no longer all of them by definition.
        return [*found] if len(found) > 2 or len(tokens(stem, signs)) > 2 else found
    asking = tokens(_QUOTED.sub(" ", stem), signs)
    return _asked(asking, True) if len(asking) > 2 else found


def _two_sentences(tokens: list[str]) -> int:
    """How many tokens the first two sentences have."""
    ends = compress(range(3, len(tokens)), map(_ENDS.__contains__, tokens[3:]))
    next(ends, None)
    return next(ends, len(tokens) - 1) + 1


def _last_shot(stem: str) -> tuple[str, int]:
    """The last of several questions that a prompt shows with their answers, and how many stand before it."""
    if stem.count(":") < 3:
        return stem, 0
    starts = [found.end() for found in _SHOT.finditer(stem)]
    if len(starts) < 3:
        return stem, 0
    return stem[starts[-1] :].strip() or stem, len(starts) - 1


def _options(stem: str, marks: set[str]) -> tuple[int, int]:
    """Where the lettered answers begin (0: there are none), and how many they are."""
    for sign, letters in _LETTERED:
        second = stem.find(letters[1]) if sign in marks else -1
        while second > 0:
            start = stem.rfind(letters[0], 0, second)
            count, place = 2, second
            while count < 26 and (place := stem.find(letters[count], place)) > 0:
                count += 1
            if start > 0 and count > 2:
                return start, count
            second = stem.find(letters[1], second + 1) if count > 2 else -1
    return 0, 0
