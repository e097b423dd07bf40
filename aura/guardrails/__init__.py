"""What must not leave as it is: personal values and keys in a body, found, named, replaced and put back. Pure.

:mod:`.detection` finds values in a text, :mod:`.texts` finds the texts of a body, :mod:`.masking` replaces the values
by placeholders, and :mod:`.unmasking` puts them back into what a model answers.
"""

from __future__ import annotations

from enum import StrEnum

Span = tuple[int, int, "Kind"]
"""Where a value begins and ends in a text, and what it is."""

MAX_VALUES = 5_000
"""So many values of one body are masked; no prompt holds more, and each of them takes time."""


class Kind(StrEnum):
    """What a value is; label of metrics, word of errors and, in capitals, of placeholders."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    IBAN = "iban"
    IP = "ip"
    KEY = "key"


def begins(text: str, start: int) -> bool:
    """Whether no word or number goes on here; a line end that is written as ``\\n`` is none."""
    last = text[start - 1 : start] if start else ""
    if not (last.isalnum() or last == "_"):
        return True
    return start > 1 and last in "nrt" and text[start - 2] == "\\"
