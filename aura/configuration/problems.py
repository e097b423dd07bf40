"""What is wrong with a configuration: all of it at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ConfigurationError(Exception):
    """A configuration that cannot be served.

    Args:
        problems: pairs of where (a key and its file, or a variable) and what is wrong there; never a secret.
    """

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(_one_line("; ".join(f"{where}: {problem}" for where, problem in problems)))
        self.problems = list(problems)


def _one_line(text: str) -> str:
    """What a file names may hold line ends; who starts a service reads its last line."""
    return _BREAKS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def suggestion(word: str, known: Iterable[str]) -> str:
    """A clause naming the known word that is meant, or all of them where there are few; else empty."""
    known = sorted(known)
    folded = {squashed(one): one for one in known}
    close = get_close_matches(squashed(word), folded, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; known here: {', '.join(known)}" if 0 < len(known) <= 20 else ""


def unknown(key: str, known: Iterable[str]) -> str:
    """The sentence about a key that there is none of."""
    if ":" in key:
        return f"a blank is missing after {shown(key)!r} and its colon"
    return f"unknown key {shown(key)!r}{suggestion(key, known)}"


def shown(key: str) -> str:
    """A key as a problem may name it: cut where a forgotten blank has made a secret a part of it."""
    return key.partition(":")[0][:40]


def squashed(name: str) -> str:
    """A name without what relaxed binding ignores: case, dashes, underscores."""
    return name.replace("-", "").replace("_", "").lower()
