"""What of a client's own words, and the operator's, may stand in a header of an answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

MAX_NAMES, MAX_NAME = 32, 64
_STRANGE = re.compile(r"[^A-Za-z0-9_.$\[\]-]")


def names(given: Sequence[str]) -> str:
    """Names of members, divided by commas: a client may have called them anything, and have sent any number."""
    shown = [_STRANGE.sub("?", name[:MAX_NAME]) for name in given[:MAX_NAMES]]
    if len(given) > MAX_NAMES:
        shown.append(f"and {len(given) - MAX_NAMES} more")
    return ",".join(shown)


def word(name: str) -> str:
    """An operator's name; what is not ASCII in it is percent-encoded, as a header has no other letters."""
    return name if name.isascii() else quote(name, safe="/:@")
