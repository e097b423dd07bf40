"""A prompt as it is measured: in one case, with single blanks, without courtesy, options and answer forms apart.

Letter case and white space are gone after :func:`read`, so nothing that is measured afterwards can depend on them.
Every expression here takes time linear in the text, and no more than :data:`HEAD` + :data:`TAIL` characters are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from . import courtesy, lexicon

HEAD = 1400
TAIL = 1000
# Of a long text, the request stands at one of its ends: two sentences there, of no more tokens than this.
_LONG = 120
_ASK = 50

# Words (with what is bound by an apostrophe or a hyphen), numbers, and signs one by one.
_TOKEN = re.compile(r"\w[\w'’-]*|[^ \w]")
_MARKS = ((" ", ". "), (" ", ") "), ("(", ") "), (" ", ": "))
_ANSWER = re.compile(r"(?:the )?(?:correct |best )?answer(?: is)?:?\s*\(?$")
_SHOT = re.compile(r"(?:^|\s)(?:question|q|input|example|problem)(?: ?\d+)? ?:")
# Scripts without blanks between words, or that bind endings to them: from Hebrew on, but not Cyrillic or Greek.
_SCRIPT = re.compile("[\u0590-\u0fff\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_QUOTED = re.compile(r"\"[^\"]{1,200}\"|“[^”]{1,200}”|«[^»]{1,200}»|„[^“”]{1,200}[“”]|「[^」]{1,200}」")
_ENDS = frozenset(".?!:。？！：؟।")


@dataclass(slots=True)
class Text:
    """What is read of one prompt.

    Args:
        length: characters that were not courtesy.
        skipped: how many of them stand between the ends that are read.
        stem: the request and its material, in lower case and single blanks.
        options: the answers to choose from, where the prompt lists them by letter.
        choices: how many there are.
        shots: questions that are answered in the prompt before the last one.
        tokens: words, numbers and signs of the stem.
        ask: the tokens at both ends, where the request of a long text stands.
        option_tokens: words, numbers and signs of the options.
        dense: characters of scripts that are looked through for phrases.
        courtesy: whether there is nothing but greetings and thanks.
    """

    length: int = 0
    skipped: int = 0
    stem: str = ""
    options: str = ""
    choices: int = 0
    shots: int = 0
    tokens: list[str] = field(default_factory=list)
    ask: list[str] = field(default_factory=list)
    option_tokens: list[str] = field(default_factory=list)
    dense: int = 0
    courtesy: bool = False


def read(prompt: str) -> Text:
    """Take a prompt apart."""
    prompt = prompt.strip()
    skipped = max(0, len(prompt) - HEAD - TAIL)
    if skipped:
        prompt = f"{prompt[:HEAD]} {prompt[-TAIL:]}"
    whole = " ".join(prompt.lower().split())
    stem, shots = _last_shot(whole)
    text = _apart(stem)
    length = len(whole) + skipped
    if courtesy.may_be(stem, text.tokens, text.option_tokens or text.tokens):
        asked = courtesy.dropped(stem)
        if asked != stem:
            length -= len(stem) - len(asked)
            text = _apart(asked)
            text.courtesy = not asked
    text.length, text.skipped, text.shots = length, skipped, shots
    text.tokens = _drop_softeners(text.tokens)
    text.ask = _request(text.stem, text.tokens)
    if not text.stem.isascii():
        text.dense = len(_SCRIPT.findall(text.stem))
    return text


def _apart(stem: str) -> Text:
    """The question and the answers to choose from, each with its tokens; the form of the answer is dropped."""
    start, choices = _options(stem)
    if stem.endswith((":", "(", "is")):
        stem = (stem[:-40] + _ANSWER.sub("", stem[-40:])).rstrip()
    if not start:
        return Text(stem=stem, tokens=_TOKEN.findall(stem))
    question, options = stem[:start], stem[start:]
    return Text(
        stem=question,
        options=options,
        choices=choices,
        tokens=_TOKEN.findall(question),
        option_tokens=_TOKEN.findall(options),
    )


def _drop_softeners(tokens: list[str]) -> list[str]:
    start = 0
    while start < len(tokens) - 3 and (tokens[start] in lexicon.LEADS or tokens[start] in lexicon.SOFTENERS):
        start += 1
    if start:
        tokens = tokens[start:]
    if lexicon.SOFTENERS.isdisjoint(tokens):
        return tokens
    return [token for token in tokens if token not in lexicon.SOFTENERS]


def _request(stem: str, tokens: list[str]) -> list[str]:
    """The tokens that ask: all of a short text but what it quotes, two sentences at each end of a long one."""
    if len(tokens) <= _LONG:
        if '"' in stem or not stem.isascii():
            asking = _TOKEN.findall(_QUOTED.sub(" ", stem))
            return _drop_softeners(asking) if len(asking) > 2 else tokens
        return tokens
    return tokens[: _two_sentences(tokens[:_ASK])] + tokens[-_two_sentences(tokens[: -_ASK - 1 : -1][1:]) - 1 :]


def _two_sentences(tokens: list[str]) -> int:
    """How many tokens the first two sentences have."""
    ends = 0
    for place, token in enumerate(tokens):
        if token in _ENDS and place > 2:
            ends += 1
            if ends == 2:
                return place + 1
    return len(tokens)


def _last_shot(stem: str) -> tuple[str, int]:
    """The last of several questions that a prompt shows with their answers, and how many stand before it."""
    if stem.count(":") < 3:
        return stem, 0
    starts = [found.end() for found in _SHOT.finditer(stem)]
    if len(starts) < 3:
        return stem, 0
    return stem[starts[-1] :].strip() or stem, len(starts) - 1


def _options(stem: str) -> tuple[int, int]:
    """Where the lettered answers begin (0: there are none), and how many they are."""
    for before, after in _MARKS:
        second = stem.find(f"{before}b{after}")
        while second > 0:
            start = stem.rfind(f"{before}a{after}", 0, second)
            count, place = 2, second
            while count < 26 and (place := stem.find(f"{before}{chr(97 + count)}{after}", place)) > 0:
                count += 1
            if start > 0 and count > 2:
                return start, count
            second = stem.find(f"{before}b{after}", second + 1) if count > 2 else -1
    return 0, 0
