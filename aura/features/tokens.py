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
_PLAIN = bytes(place for place in range(128) if chr(place).isalnum() or chr(place) in "_'- ")
_ASCII = bytes(range(128))
_WHITE = frozenset(filter(str.isspace, map(chr, range(0x3001))))
_MOST_SIGNS, _MOST_BEYOND = 24, 160


def signs_of(text: str) -> set[str] | None:
    """The signs of a text, white space among them; None where an expression finds tokens sooner."""
    left = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN)
    if text.isascii():
        found = set(left.decode())
    elif len(left) > _MOST_BEYOND:
        return None
    else:
        found = {sign for sign in left.decode("utf-8", "surrogatepass") if not sign.isalnum() and sign != "’"}
    return found if len(found) <= _MOST_SIGNS else None


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
        signs: as :func:`signs_of` found them.
    """
    if signs is None:
        return TOKEN.findall(text)
    for sign in signs:
        text = text.replace(sign, f" {sign} ")
    # What binds inside a word is a sign before it.
    if text[:1] in _BINDING or " '" in text or " ’" in text or text.count(" -") > text.count(" - "):
        return TOKEN.findall(text)
    return text.split()
