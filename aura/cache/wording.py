"""What a question asks, whatever its courtesies: one form for questions that may share an answer.

Likeness of meaning, as models measure it, does not tell "safe" from "unsafe", nor 5 from 6. So nothing that decides is
left to it: a few rules that keep the meaning bring a question into one form, and all that is then left must be equal,
in order: numbers, units, dates, names, negations, comparisons, and every word that no rule knows. A difference that no
rule speaks of is a difference.

Only English has rules, and a text that does not begin like an English question or request has no form. What stands
behind a colon or on further lines is taken as it is written: it is what a request is about.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import normalize

from .phrases import (
    ABOUT_WORDS,
    ALIKE,
    ASKING,
    AUXILIARIES,
    BESIDE,
    CASED,
    CLOSINGS,
    CONTRACTIONS,
    COURTESIES,
    FOREIGN,
    FRAMES,
    FRONTED,
    HOW_TO,
    INDIRECT,
    JOINED,
    NO_OWNERS,
    OF_YOU,
    OPENERS,
    PRESENT,
    REQUESTS,
    SAME,
)

MAX_LENGTH = 500  # characters; longer texts are seldom asked again in other words

_QUOTED = re.compile(r"""["“”„«»`]|(?<!\w)['‘]|'(?!\w)""")
_TOKEN = re.compile(r"[+-]?\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|\S")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.){2,}")
_BYTES = re.compile(r"[kKMGTP]i?[bB]")  # a small b is a bit
_ENDS = "?!."
_CURRENCIES = {"$": "dollar", "€": "euro"}
_POSSESSIVE = "'s"
_LONGEST = max(len(words.split()) for words in (*COURTESIES, *INDIRECT, *FRAMES, *JOINED))
_YOU, _OF_A_REQUEST = "you", 2

Form = tuple[str, ...]
Words = list[str]


def form(text: str) -> Form | None:
    """The form of a question; None where only the text itself tells what is asked."""
    return _form(text) if len(text) <= MAX_LENGTH else None


@lru_cache(maxsize=512)
def _form(text: str) -> Form | None:
    text = normalize("NFKC", text).replace("’", "'").strip()
    first, _, below = text.partition("\n")
    head, colon, behind = first.partition(":") if ": " in first or first.endswith(":") else (first, "", "")
    words = _words(head)
    if _QUOTED.search(head) or not (ABOUT_WORDS.isdisjoint(words) and FOREIGN.isdisjoint(words)):
        return None
    words = _plain(_to_the_end(words))
    if not words or (words[0] not in OPENERS and words[0] != HOW_TO):
        return None
    return (*_in_one_form(words), colon, behind.strip(), below.strip())


def _words(text: str) -> Words:
    """The words of a text, small but for names that small letters would make other words."""
    text = _INITIALS.sub(lambda found: found[0].replace(".", ""), text)
    found: Words = []
    for match in _TOKEN.finditer(text.rstrip(_ENDS + " ")):
        token = match[0]
        if _GROUPED.fullmatch(token):
            found.append(token.replace(",", ""))
        elif _BYTES.fullmatch(token) or (found and token in CASED):
            found.append(f"{token.lower()}^" if token in CASED else token)
        elif token.lower() == "am" and found and found[-1][-1].isdigit():
            found.append("a.m.")
        else:
            found += _parts(token.lower())
    for at in range(len(found) - 1):  # "$5" as it is read aloud
        if found[at] in _CURRENCIES and found[at + 1][0].isdigit():
            found[at : at + 2] = [found[at + 1], _CURRENCIES[found[at]]]
    return found


def _parts(word: str) -> Words:
    """A word without what is drawn together with it."""
    if word in CONTRACTIONS:
        return CONTRACTIONS[word]
    if word.endswith(_POSSESSIVE) and word != _POSSESSIVE:
        owner = word[: -len(_POSSESSIVE)]
        return [owner, "is"] if owner in NO_OWNERS else [owner, _POSSESSIVE]
    return [word]


def _to_the_end(words: Words) -> Words:
    """``in Python, how …`` as ``how … in Python``."""
    if words and words[0] in FRONTED and "," in words[2:6]:
        comma = words.index(",")
        if words[comma + 1 : comma + 2] and words[comma + 1] in OPENERS:
            words = [*words[comma + 1 :], *words[:comma]]
    return [word for word in words if word != ","]


def _plain(words: Words) -> Words:
    """Without courtesies, and with one way of asking for those that ask for the same."""
    for closing in CLOSINGS:
        size = len(closing.split())
        if words[-size:] == closing.split() and len(words) > size:
            words = words[:-size]
            while words and words[-1] in _ENDS:
                words = words[:-1]
    before: Words = []
    while words != before:
        before = words
        for size in range(min(_LONGEST, len(words) - 1), 0, -1):
            begin, rest = " ".join(words[:size]), words[size:]
            if (begin in COURTESIES and _goes_on(begin, rest)) or (begin in INDIRECT and rest[0] in ASKING):
                words = rest
                break
    return _framed(words)


def _goes_on(begin: str, rest: Words) -> bool:
    """Whether what follows a courtesy is a question or request: "can you write code" asks whether one can."""
    return rest[0] in REQUESTS and len(rest) > _OF_A_REQUEST if _YOU in begin.split() else rest[0] in OPENERS


def _framed(words: Words) -> Words:
    for size in range(min(_LONGEST, len(words) - 1), 1, -1):
        begin, rest = " ".join(words[:size]), words[size:]
        if begin in FRAMES and not (begin.endswith(_YOU) and rest[0] in OF_YOU):
            return [*FRAMES[begin].split(), *rest]
    return words


def _in_one_form(words: Words) -> Words:
    words = [SAME.get(word, word) for word in _joined(words)]
    words = _owned(words)
    short = words[:2] == ["what", "is"] and len(words) <= 4  # "what is python" and "what is a python"
    words = [word for word in words if short or word not in BESIDE]
    return _unordered(_upright(words))


def _joined(words: Words) -> Words:
    """With words that belong together as one."""
    found: Words = []
    at = 0
    while at < len(words):
        for size in range(4, 1, -1):
            instead = JOINED.get(" ".join(words[at : at + size])) if at + size <= len(words) else None
            if instead is not None:
                found += instead.split()
                at += size
                break
        else:
            found.append(words[at])
            at += 1
    return found


def _owned(words: Words) -> Words:
    """``France's capital`` at the end as ``capital of France``."""
    at = words.index(_POSSESSIVE) if words.count(_POSSESSIVE) == 1 else 0
    if 0 < at == len(words) - 2:
        return [*words[: at - 1], words[-1], "of", words[at - 1]]
    return words


def _upright(words: Words) -> Words:
    """With the auxiliary before all: ``why is the sky blue``, ``why the sky is blue``; "?" where it stood there."""
    if words[0] in AUXILIARIES:
        return ["?", AUXILIARIES[words[0]], *words[1:]]
    if words[0] not in ASKING:
        return words
    for at, word in enumerate(words):
        if word in AUXILIARIES:
            return [AUXILIARIES[word], *words[:at], *words[at + 1 :]]
    for at, word in enumerate(words):
        if word in PRESENT:
            return ["do", *words[:at], PRESENT[word], *words[at + 1 :]]
    return words


def _unordered(words: Words) -> Words:
    """What is asked of two things alike, with these in one order."""
    for at in range(len(words) - 4):
        rest = words[at + 2 :]
        if (words[at], words[at + 1]) in ALIKE and rest.count("and") == 1:
            cut = rest.index("and")
            one, other = sorted((rest[:cut], rest[cut + 1 :]))
            return [*words[: at + 2], *one, "and", *other]
    return words
