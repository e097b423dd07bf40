"""Keys that look like keys: by what their makers begin them with, by their form, or by the name they are assigned to.

Facts
  - Makers mark their keys so that they can be found: GitHub ``ghp_`` and its sisters, AWS ``AKIA``, Slack ``xoxb-``,
    Google ``AIza``, Stripe ``sk_live_``, OpenAI and many after it ``sk-``.
  - A JWT is three parts in base64url with dots between; the first is JSON, so it begins with ``eyJ`` (RFC 7519).
  - A bare run of hexadecimal digits is a hash or a UUID more often than a key, so a name must stand before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import log2

from . import Kind, Span, begins

_DIGITS = str.maketrans("", "", "0123456789")
Check = Callable[[str], bool]


def random_looking(value: str) -> bool:
    """Whether a value mixes letters and digits, or cases, as words do not."""
    others = len(value.translate(_DIGITS))
    return 2 <= others < len(value) and _entropy(value) >= 2.5


def _entropy(value: str) -> float:
    """Bits for each character, of Shannon's measure."""
    size = len(value)
    return -sum(count / size * log2(count / size) for count in map(value.count, set(value)))


def _dashed(value: str) -> bool:
    """Whether a run with dashes is a key, and no words: ``sk-learn-pipeline`` is not."""
    longest = max(map(len, value[3:].replace("_", "-").split("-")))
    return longest >= 16 or len(value) - len(value.translate(_DIGITS)) >= 8


def _any(value: str) -> bool:  # noqa: ARG001  (the checks' shape)
    return True


# What must stand in a text for the pattern to be tried at all, the pattern, and what its match must pass.
_MADE: tuple[tuple[str, re.Pattern[str], Check], ...] = (
    ("sk-", re.compile(r"sk-[A-Za-z0-9_-]{12,}+"), _dashed),
    ("AKIA", re.compile(r"AKIA[0-9A-Z]{16}(?![0-9A-Za-z])"), _any),
    ("ASIA", re.compile(r"ASIA[0-9A-Z]{16}(?![0-9A-Za-z])"), random_looking),
    ("gh", re.compile(r"gh[pousr]_[A-Za-z0-9_]{20,}+"), _any),
    ("github_pat_", re.compile(r"github_pat_[A-Za-z0-9_]{20,}+"), _any),
    ("glpat-", re.compile(r"glpat-[A-Za-z0-9_-]{16,}+"), _any),
    ("xox", re.compile(r"xox[abeprs]-[A-Za-z0-9-]{10,}+"), random_looking),
    ("xapp-", re.compile(r"xapp-[A-Za-z0-9-]{10,}+"), random_looking),
    ("AIza", re.compile(r"AIza[A-Za-z0-9_-]{30,}+"), _any),
    ("ya29.", re.compile(r"ya29\.[A-Za-z0-9_-]{20,}+"), _any),
    ("k_", re.compile(r"k_(?:live|test)_[A-Za-z0-9]{10,}+"), random_looking),
    ("npm_", re.compile(r"npm_[A-Za-z0-9]{30,}+"), _any),
    ("hf_", re.compile(r"hf_[A-Za-z0-9]{30,}+"), _any),
    ("gsk_", re.compile(r"gsk_[A-Za-z0-9]{20,}+"), _any),
    ("xai-", re.compile(r"xai-[A-Za-z0-9]{20,}+"), _any),
    ("pypi-", re.compile(r"pypi-[A-Za-z0-9_-]{30,}+"), _any),
    ("SG.", re.compile(r"SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+"), _any),
    ("dop_v1_", re.compile(r"dop_v1_[0-9a-f]{32,}+"), _any),
    ("eyJ", re.compile(r"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+"), _any),
)
_BEARER = re.compile(r"earer\s{1,3}+([A-Za-z0-9._~+/-]{16,}+={0,2}+)")
_LOGIN = re.compile(r"://[^\s:/?#\[\]@\"'<>]{0,64}+:([^\s/?#\[\]@\"'<>{}$*]{3,128}+)@[A-Za-z0-9\[]")
# What is assigned, with a digit among its first signs; and the name before it, read backwards.
_SIGN = r"[^\s\"'`\\,;<>(){}\[\]&|"
_ASSIGNED = re.compile(rf"[:=>][ \t]{{0,3}}+\\?+[\"'`]?+(?={_SIGN}:=0-9]{{0,24}}+[0-9])({_SIGN}:=]{{3,256}}+)")
_VALUE = re.compile(rf"{_SIGN}]{{8,256}}+")
_NAME = re.compile(r"[:=]?+[ \t]{0,3}+[\"'`]?+\\?+([A-Za-z0-9_.-]{3,40}+)(?: ([A-Za-z]{3,10}+))?")
_NAMES = re.compile(
    r"secret|passw(?:or)?d|passwort|pwd|token(?!s)|credential"
    r"|(?:api|access|private|signing|encryption|account|shared|auth|license)[_. -]?key"
)
# Values that stand for one: variables, examples, calls.
_NO_VALUE = re.compile(
    r"[$%{]|[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9A-Za-z-]{8})|(?i:your|example|change|placeholder|xxx|\*\*\*|\.\.\.|process\.env|os\.|env\.)"
)
_PATH = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")
_PEM_BEGIN, _PEM_END = "-----BEGIN ", "-----END "
_PEM_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_TAIL = re.compile(r"-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_REST = re.compile(r"[A-Za-z0-9+/=\s\\]*+")


def keys(text: str, found: list[Span]) -> None:
    """Add the keys of a text."""
    for needle, pattern, check in _MADE:
        if needle in text:
            for match in pattern.finditer(text):
                start = match.start() - (needle == "k_" and text[match.start() - 1 : match.start()] in ("s", "p", "r"))
                if begins(text, start) and check(match[0]):
                    found.append((start, match.end(), Kind.KEY))
    if "earer" in text:
        found += [(*match.span(1), Kind.KEY) for match in _BEARER.finditer(text) if random_looking(match[1])]
    if "://" in text and "@" in text:
        found += [(*match.span(1), Kind.KEY) for match in _LOGIN.finditer(text)]
    _assigned(text, found)
    if _PEM_BEGIN in text:
        _pem(text, found)


def _assigned(text: str, found: list[Span]) -> None:
    for match in _ASSIGNED.finditer(text):
        at = match.start()
        name = _NAME.match(text[max(0, at - 48) : at][::-1])
        if name is None or not _NAMES.search(name[0][::-1].lower()):
            continue
        whole = _VALUE.match(text, match.start(1))
        value = whole[0].rstrip(".:!?") if whole else ""
        if len(value) >= 8 and random_looking(value) and not _NO_VALUE.match(value) and not _PATH.fullmatch(value):
            found.append((match.start(1), match.start(1) + len(value), Kind.KEY))


def _pem(text: str, found: list[Span]) -> None:
    """Private keys; of one that is cut off, what there is."""
    at = 0
    while (head := _PEM_HEAD.search(text, at)) is not None:
        tail = _PEM_TAIL.search(text, head.end())
        if tail is None:
            rest = _PEM_REST.match(text, head.end())
            found.append((head.start(), rest.end() if rest else head.end(), Kind.KEY))
            return
        found.append((head.start(), tail.end(), Kind.KEY))
        at = tail.end()
