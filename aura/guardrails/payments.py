"""Cards and IBANs: told from other numbers by their check digits, their lengths and where they begin.

Facts
  - A card's last digit makes Luhn's sum a multiple of ten: one number in ten passes by chance, so its issuer's first
    digits and the length that belongs to them count too (ISO/IEC 7812). EAN and ISBN begin otherwise.
  - An IBAN modulo 97 is 1, letters counted from A = 10, its first four signs put last (ISO 13616). Each country has one
    length: https://www.swift.com/standards/data-standards/iban-international-bank-account-number (read 2026-11-24)
"""

from __future__ import annotations

import re

from . import Kind, Span, begins

_GROUPED = re.compile(
    r"[2-6](?<![0-9].)[0-9]{3}([ .\-\xa0])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?![0-9A-Za-z_])(?:\1[0-9]{3}(?![0-9]))?"
)
_AMEX = re.compile(r"3(?<![0-9].)[0-9]{3}([ .\-\xa0])[0-9]{6}\1[0-9]{4,5}+(?![0-9A-Za-z_])")
_SOLID = re.compile(r"[0-9][0-9]{13,}+(?![A-Za-z_])")
_SIGNS = str.maketrans("", "", " .-\xa0\u202f")
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_LONGEST = 19
_OF_FOUR = 19  # signs of four groups of four digits
# First digits, as a range of the first four, with the lengths that belong to them.
_ISSUERS = (
    (2221, 2720, (16,)),
    (3000, 3059, (14, 16)),
    (3400, 3499, (15,)),
    (3528, 3589, (16, 17, 18, 19)),
    (3600, 3699, (14, 16)),
    (3700, 3799, (15,)),
    (3800, 3999, (14, 16)),
    (4000, 4999, (16, 18, 19)),
    (5000, 5099, (16, 18, 19)),
    (5100, 5599, (16,)),
    (5600, 5899, (16, 18, 19)),
    (6000, 6999, (16, 17, 18, 19)),
)
_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI FO FK GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ DJ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_LENGTH = {country: length for length, countries in _LENGTHS.items() for country in countries.split()}
# The check digits, with the letters before them.
_IBAN_BEGINS = re.compile(r"[0-9][0-9](?=[ \-\xa0\u202f]?[A-Za-z0-9]{4})(?<=[A-Za-z]{2}[0-9]{2})")
_IBAN_REST = {
    length: re.compile(rf"(?:[ \-\xa0\u202f]?[A-Za-z0-9]){{{length - 4}}}(?![A-Za-z0-9_])")
    for length in set(_LENGTH.values())
}
_LETTERS = {ord("A") + number: str(10 + number) for number in range(26)}


def cards(text: str, found: list[Span]) -> None:
    """Add the card numbers of a text."""
    for match in _SOLID.finditer(text):
        start, end = match.span()
        if end - start <= _LONGEST and _stands_alone(text, start) and _is_card(match[0]):
            found.append((start, end, Kind.CARD))
    for pattern in (_GROUPED, _AMEX):
        grouped = pattern.search(text)
        while grouped is not None:
            size = _size(text, grouped)
            if size:
                found.append((grouped.start(), grouped.start() + size, Kind.CARD))
            # The groups of another number may stand before those of a card.
            grouped = pattern.search(text, grouped.start() + (size or 4))


def _size(text: str, match: re.Match[str]) -> int:
    """How long a card's number in groups is, 0 if it is none; what stands behind it may be its code."""
    start, end = match.span()
    if not _stands_alone(text, start) or _goes_on(text, match[1], end):
        return 0
    digits = match[0].translate(_SIGNS)
    if _is_card(digits):
        return end - start
    return _OF_FOUR if len(digits) > 16 and _is_card(digits[:16]) else 0


def _stands_alone(text: str, start: int) -> bool:
    """Whether a number begins here, and no longer one or a fraction goes on."""
    fraction = start > 1 and text[start - 1] in ".-" and text[start - 2].isdigit()
    return begins(text, start) and not fraction


def _goes_on(text: str, sign: str, end: int) -> bool:
    """Whether hyphens or dots lead on to further digits; behind a blank they are another number."""
    return sign in ".-" and text[end : end + 1] == sign and text[end + 1 : end + 2].isdigit()


def _is_card(digits: str) -> bool:
    begin, length = int(digits[:4]), len(digits)
    return luhn(digits) and any(low <= begin <= high and length in lengths for low, high, lengths in _ISSUERS)


def luhn(digits: str) -> bool:
    """Whether the check digit is right."""
    signs = digits.encode()[::-1]
    return (sum(signs[::2]) + sum(signs[1::2].translate(_DOUBLED)) - 48 * len(signs)) % 10 == 0


def ibans(text: str, found: list[Span]) -> None:
    """Add the IBANs of a text."""
    for match in _IBAN_BEGINS.finditer(text):
        start, end = match.start() - 2, match.end()
        length = _LENGTH.get(text[start : start + 2].upper())
        if length is None or not begins(text, start):
            continue
        rest = _IBAN_REST[length].match(text, end)
        if rest is not None and mod97(text[start : rest.end()].translate(_SIGNS).upper()):
            found.append((start, rest.end(), Kind.IBAN))


def mod97(iban: str) -> bool:
    """Whether the check digits are right.

    Args:
        iban: without blanks, its letters capital.
    """
    return int((iban[4:] + iban[:4]).translate(_LETTERS)) % 97 == 1
