"""A prompt as it is measured: in one case, with single blanks, without courtesy, options and answer forms apart.

Letter case and white space are gone after :func:`read`, so nothing that is measured afterwards can depend on them.
Every expression here takes time linear in the text, and no more than :data:`HEAD` + :data:`TAIL` characters are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from . import lexicon, scripts

HEAD = 1400
TAIL = 1000
# How many characters and tokens from an end courtesy is looked for.
_END, _END_TOKENS = 125, 25
# Of a long text, the request stands at one of its ends: two sentences there, of no more tokens than this.
_LONG = 120
_ASK = 50

# Words (with what is bound by an apostrophe or a hyphen), numbers, and signs one by one.
_TOKEN = re.compile(r"\w[\w'’-]*|[^ \w]")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Where a sentence that could be courtesy ends, and everything that may follow its end.
_STOP = re.compile(r"[^\w\s'’-]|\d|\s[-–—]\s")
_STOPS = frozenset(".!?,;:。！？，、،؟।-–—")
_BETWEEN = " .!?,;:。！？，、،؟।-–—"
# The last sentence of a text that is read backwards, of words alone: what holds digits or brackets is never courtesy.
_LAST = re.compile(r"(?:[^\w\s\"'`)\]}>.!?]{0,3}[.!?。！？।~ :)]*+)((?:[^\W\d_]|['’-]|\s(?![-–—]\s)){1,120}+)(?!\w)")
_NAME = r"[^\W\d_]+(?:['’-][^\W\d_]+)*+[. ]*+"
# A closing with the name that follows it; words that often mean more are one only before a sign.
_SIGNED = re.compile(
    rf"(?:^|(?<=[^\w'’-]))(?:(?:{lexicon.WARMTH}) )*"
    rf"(?:(?:{lexicon.CLOSINGS})(?: (?:{lexicon.MUCH}))?(?: ?[,.!–—-]+ ?| )|"
    rf"(?:{lexicon.CLOSINGS_BEFORE_SIGNS}) ?[,–—-]+ ?)[–—-]? ?((?:{_NAME}){{1,3}})$"
)
_GREETED = re.compile(
    rf"(?:{lexicon.SALUTATIONS}) (?:(?:dr|mr|mrs|ms|prof|professor)\.? )?((?:{_NAME}){{1,2}})[,!:–—-]+ ?"
)
_HAIL = re.compile(r"(?:hi|hello|hey|hallo|bonjour|salut|hola|ciao|olá|привет|merhaba)\s(?:there\s|all\s)?")
_THANKS = re.compile(
    r"(?:\s(?:thanks|thank you|thx|ty|please|cheers|regards|danke|bitte|merci|gracias|grazie|obrigado|спасибо|"
    r"пожалуйста))+[.! ]*$"
)
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
    if _is_courteous(stem, text):
        asked = without_courtesy(stem)
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


def _is_courteous(stem: str, text: Text) -> bool:
    """Whether there may be courtesy at either end; where there is none, no more is looked for."""
    known, formulas = lexicon.COURTESY, lexicon.FORMULAS_IN_ORDER
    last = (text.option_tokens or text.tokens)[-_END_TOKENS:]
    return not (
        stem.isascii()
        and known.isdisjoint(text.tokens[:_END_TOKENS])
        and known.isdisjoint(last)
        and lexicon.LAST.isdisjoint(last[-6:])
        and not stem.startswith(formulas)
        and not stem.rstrip(_BETWEEN).endswith(formulas)
    )


def without_courtesy(text: str) -> str:
    """Drop greetings, thanks, good wishes and names at both ends of a text in lower case; empty if nothing remains."""
    text = _without_opening(_without_closing(text))
    return text if text.isascii() else _without_phrases(text)


def _without_opening(text: str) -> str:
    for _ in range(6):
        named = _GREETED.match(text)
        if named and all(map(_is_name, _WORD.findall(named[1]))):
            text = text[named.end() :]
            continue
        stop = _STOP.search(text, 0, _END)
        if not stop or stop[0].strip() not in _STOPS or not _is_courtesy(_WORD.findall(text, 0, stop.start())):
            break
        text = text[stop.end() :].lstrip(_BETWEEN).removeprefix("but ")
    if hail := _HAIL.match(text):
        text = text[hail.end() :]
    return text


def _without_closing(text: str) -> str:
    for _ in range(6):
        text = _without_signature(text)
        found = _LAST.match(text[: -_END - 1 : -1])
        if not found or not _is_courtesy(_WORD.findall(found[1][::-1])):
            break
        text = text[: len(text) - found.end()].rstrip(" ,;:-–—")
    if thanks := _THANKS.search(text, max(0, len(text) - 60)):
        text = text[: thanks.start()]
    return text


def _without_signature(text: str) -> str:
    start = max(0, len(text) - _END)
    while signed := _SIGNED.search(text, start):
        if all(map(_is_name, _WORD.findall(signed[1]))):
            return text[: signed.start()].rstrip(" ,;:-–—")
        start = signed.start() + 1
    return text


def _is_courtesy(words: list[str]) -> bool:
    if not words or len(words) > 24:
        return False
    if " ".join(words) in lexicon.FORMULAS:
        return True
    known = lexicon.COURTESY
    return not known.isdisjoint(words) and all(word in known or word in lexicon.COMPANY for word in words)


def _is_name(word: str) -> bool:
    """Whether a word may be somebody's name: no other meaning of it is known."""
    if word in lexicon.NAMES:
        return True
    return not (word in lexicon.WORDS or word in lexicon.COURTESY or word in lexicon.COMPANY or word in lexicon.CODE)


def _without_phrases(text: str) -> str:
    before = ""
    while text != before:
        before = text
        for phrase in scripts.COURTESY:
            text = text.removeprefix(phrase).lstrip("，、,!！。. ") if text.startswith(phrase) else text
            if phrase in text[-len(phrase) - 4 :]:
                short = text.rstrip("!！。.~ ")
                text = short[: -len(phrase)].rstrip("，、, ") if short.endswith(phrase) else text
    return text


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
