"""E-mail and IP addresses.

Facts
  - The part before the @ has at most 64 characters, a name's label 63 (RFC 5321, RFC 1035). Of what the grammar allows
    before the @, people use letters, digits and ``._%+'-``; names and domains may be in other scripts (RFC 6531).
  - Chinese, Japanese, Korean and Thai text has no blank before an address, so their signs are no part of one.
  - Four numbers with dots are a version, a section or an object identifier as often as an address.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from . import Kind, Span, begins

_LETTER = "A-Za-z0-9\u00c0-\u024f\u0370-\u052f"
_DOMAIN = re.compile(rf"@[{_LETTER}][{_LETTER}-]{{0,62}}+(?:\.[{_LETTER}][{_LETTER}-]{{0,62}}+){{1,16}}+")
_LOCAL = re.compile(rf"[{_LETTER}_.%+'-]{{1,64}}+")
_TOP = re.compile(r"[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59}", re.IGNORECASE)
_SCALED = re.compile(r"@[0-9]+x\.")  # icon@2x.png
# Last labels that are kinds of files or units, and no domains.
_NO_TOP = frozenset(
    "png jpg jpeg gif svg webp bmp ico pdf css scss js mjs jsx tsx json yml yaml toml xml html htm txt csv log lock tgz"
    " whl jar exe dll service timer socket slice mount target scope path conf ini cfg".split()
)

_IPV4 = re.compile(r"[0-9][0-9]{0,2}+\.[0-9]{1,3}+\.[0-9]{1,3}+\.[0-9]{1,3}+(?![0-9A-Za-z_]|\.[0-9])")
_BEFORE = 24
# The word before a number, read backwards.
_WORD = re.compile(r"[\s.:=#]{0,4}+([^\W\d_]{1,20}+)")
_NUMBERED = (
    "versi", "ver", "верси", "版本", "バージョン", "버전", "release", "build", "firmware", "rev", "update", "section",
    "chapter", "clause", "abschnitt", "kapitel", "figure", "table", "oid", "art",
)  # fmt: skip
_NO_ADDRESS = re.compile(r"[=~<>!]=\s?\Z|[~^§]\s?\Z|[^\W\d_][/_-]\Z|[0-9]-\Z")
_SURE = re.compile(
    r"(?:\bip|\bips|ip[_ -]?(?:address|adresse)|addr\w*|adress\w*|\bhost\w*|server|\bping|\bdns|\bfrom|resolver|\bssh"
    r"|gateway|client|remote|адрес\w*|地址)(?:\s(?:is|was|ist|of|to|est|es))?[\s:=\"'(]{0,4}\Z|://\Z|@\Z",
    re.IGNORECASE,
)
_BEHIND = re.compile(r":[0-9]|/[0-9]")

_COLONS = re.compile(r":(?:[0-9A-Fa-f]{0,4}+:){1,6}+[0-9A-Fa-f]{0,4}+(?![A-Za-z0-9_:])")
_HEX = frozenset("0123456789abcdefABCDEF")


def emails(text: str, found: list[Span]) -> None:
    """Add the e-mail addresses of a text."""
    if "@" not in text:
        return
    for match in _DOMAIN.finditer(text):
        at = match.start()
        before = _LOCAL.match(text[max(0, at - 64) : at][::-1])
        domain = _domain(match[0])
        if before is None or not domain:
            continue
        local = before[0][::-1].lstrip(".%+'-")
        if (
            local[:1] in ("n", "r", "t") and text[at - len(local) - 1 : at - len(local)] == "\\"
        ):  # a line end, in a program or JSON
            local = local[1:]
        git = local == "git" and text[match.end() : match.end() + 1] in (":", "/")  # a repository's address
        if local and not git:
            found.append((at - len(local), at + len(domain), Kind.EMAIL))


def _domain(written: str) -> str:
    """What of a domain is one, a file's ending left out; empty if nothing is."""
    domain = written.rstrip("-")
    while "." in domain:
        rest, _, top = domain.rpartition(".")
        if _TOP.fullmatch(top) and top.lower() not in _NO_TOP:
            return "" if _SCALED.match(domain) else domain
        domain = rest
    return ""


def networks(text: str, found: list[Span]) -> None:
    """Add the IP addresses of a text. Those that mean this machine, or none, tell nothing of anyone."""
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            if _is_ipv4(text, match):
                found.append((*match.span(), Kind.IP))
    if text.count(":") >= 2:
        _ipv6(text, found)


def _is_ipv4(text: str, match: re.Match[str]) -> bool:
    start = match.start()
    before = text[max(0, start - _BEFORE) : start]
    if before.endswith(".") or not begins(text, start):
        return False
    parts = match[0].split(".")
    if parts[0] in ("0", "127", "255") or any(len(part) > 1 and (part[0] == "0" or int(part) > 255) for part in parts):
        return False
    word = _WORD.match(before[::-1])
    if (word and _is_numbered(word[1][::-1].lower())) or _NO_ADDRESS.search(before):
        return False
    # Single digits are a version, a section or a well-known server, where nothing says otherwise.
    single = len(match[0]) == 7
    return not single or bool(_SURE.search(before)) or bool(_BEHIND.match(text, match.end()))


def _is_numbered(word: str) -> bool:
    """Whether a word before four numbers says that they are none of a network."""
    return word == "v" or word.startswith(_NUMBERED)


def _ipv6(text: str, found: list[Span]) -> None:
    for match in _COLONS.finditer(text):
        start, end = match.span()
        for _ in range(4):
            if start and text[start - 1] in _HEX:
                start -= 1
        if text[start - 1 : start] != ":" and begins(text, start) and _is_ipv6(text[start:end]):
            found.append((start, end, Kind.IP))


def _is_ipv6(written: str) -> bool:
    groups = [group for group in written.split(":") if group]
    if "::" not in written:
        # Eight pairs are a hardware address.
        return len(groups) == 8 and not all(len(group) == 2 for group in groups) and _parses(written)
    # In programs :: stands between names: two short ones are no address.
    told = len(groups) >= 3 or (bool(groups) and len(groups[0]) == 4 and groups[0][0] in "23fF")
    return told and any(sign.isdigit() for sign in written) and _parses(written)


def _parses(written: str) -> bool:
    try:
        IPv6Address(written)
    except AddressValueError:
        return False
    return True
