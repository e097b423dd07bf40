"""Words, numbers and signs of a text in lower case, found with few steps of the interpreter.

Most of a text is letters, digits and blanks. What is none of these is looked up once: with blanks put around each such
sign, one split finds all tokens, in a third of the time that an expression takes. A text of many different signs, or of
many characters beyond ASCII, is left to the expression, which says what a token is.
"""

from __future__ import annotations

import re

# Words (with what is bound by an apostrophe or a hyphen), numbers, and signs one by one.
TOKEN = re.compile(r"\w[\w'’-]*|[^ \w]")
_BINDING = "'’-"  # part of a word inside it and at its end, a sign elsewhere
_LETTERS = bytes(place for place in range(128) if chr(place).isalpha() or place == 32)
DIGITS = frozenset("0123456789")
# What may stand inside words, too.
INSIDE = DIGITS | frozenset("_'-")
_ASCII = bytes(range(128))
_BEYOND = bytes(range(128, 256))
_WHITE = frozenset(filter(str.isspace, map(chr, range(0x3001))))
_MOST_SIGNS, _MOST_BEYOND = 24, 160


def marks_of(text: str) -> tuple[set[str], set[str] | None]:
    """What a text has beside letters and blanks.

    Returns:
        the characters of ASCII that are neither, and the signs to cut the text at, white space among them; None in
        their place where an expression finds tokens sooner.
    """
    left = text.encode("utf-8", "surrogatepass").translate(None, _LETTERS)
    if text.isascii():
        marks = set(left.decode())
        signs = marks - INSIDE
        return marks, signs if len(signs) <= _MOST_SIGNS else None
    marks = set(left.translate(None, _BEYOND).decode())
    beyond = left.translate(None, _ASCII)
    if len(beyond) > _MOST_BEYOND:
        return marks, None
    signs = marks - INSIDE
    signs.update(sign for sign in beyond.decode("utf-8", "surrogatepass") if not sign.isalnum() and sign != "’")
    return marks, signs if len(signs) <= _MOST_SIGNS else None


def beyond_ascii(text: str) -> str:
    """The characters of a text that are not ASCII's, in their order."""
    return text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")


def single_blanks(text: str, signs: set[str] | None) -> str:
    """Write a single blank for all white space between words; none stands at the text's ends."""
    if signs is None:
        return " ".join(text.split())
    for white in _WHITE.intersection(signs):
        text = text.replace(white, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def tokens(text: str, signs: set[str] | None) -> list[str]:
    """Cut a text in single blanks.

    Args:
        text: the whole of which the signs are known, or a part of it.
        signs: as :func:`marks_of` found them.
    """
    if signs is None:
        return TOKEN.findall(text)
    for sign in signs:
        text = text.replace(sign, f" {sign} ")
    # What binds inside a word is a sign before it.
    if text[:1] in _BINDING or (
        # The first look is the soonest, and finds none in most texts.
        ("'" in text and " '" in text) or " ’" in text or ("-" in text and text.count(" -") > text.count(" - "))
    ):
        return TOKEN.findall(text)
    return text.split()
