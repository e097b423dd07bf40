"""Telephone numbers: international ones, and national ones in forms that other numbers seldom have.

Facts
  - A number has at most 15 digits, country code included (E.164). +1 has ten more, neither the area nor the exchange
    begins with 0 or 1.
  - A run of digits without any mark is as well an order, a time or a customer: it counts only where a word says so.
"""

from __future__ import annotations

import re

from . import MAX_VALUES, Kind, Span, begins

_SIGN = r"[ \xa0\u2009\u202f().\-\u2010\u2011/]"
# Where seven digits stand together, with little between them: all else is not looked at.
_REGION = re.compile(rf"[0-9](?:{_SIGN}{{0,3}}+[0-9]){{6,}}+")
_ABROAD = re.compile(rf"\+{_SIGN}{{0,2}}+[1-9](?:{_SIGN}{{0,3}}+[0-9]){{6,}}+(?![A-Za-z0-9_])")
_ZEROS = re.compile(rf"(?<![0-9])00[ \xa0]?[1-9](?:{_SIGN}{{0,3}}+[0-9]){{7,}}+(?![A-Za-z0-9_])")
_AT_HOME = re.compile(
    # (212) 555-1234, 212-555-1234, 212.555.1234, 1-212-555-1234, 212 555-1234
    r"(?<![0-9])(?:(?:1[ .\-])?(?:\([0-9]{3}\)[ \xa0]?[0-9]{3}[ .\-]|[0-9]{3}([.\-])[0-9]{3}\1)[0-9]{4}"
    r"|[0-9]{3} [0-9]{3}-[0-9]{4}"
    # 06.12.34.56.78, 06 12 34 56 78
    r"|0[1-9](?:\.[0-9]{2}){4}(?!\.)|0[1-9](?:[ \xa0\-][0-9]{2}){4}(?!-)"
    # 030 1234567, 0171/1234567, 06 12 34 56 78, 03-1234-5678, 020 7946 0958
    r"|(?:\(0[1-9][0-9]{0,4}+\)[ \xa0/\-]{0,2}+[0-9]{2,8}+|0[1-9][0-9]{0,4}+)"
    r"(?:[ \xa0/\-\u2011]{1,3}+[0-9]{2,8}+){0,5}+"
    r"(?![.,:][0-9])"
    # (11) 91234-5678, (495) 123-45-67
    r"|\([1-9][0-9]{1,4}\)[ \xa0]?[0-9]{2,8}+(?:[ \-][0-9]{2,5}+){1,3}+"
    # 8 (495) 123-45-67, 8-800-555-35-35
    r"|8[ \-]?\(?[3489][0-9]{2}\)?[ \-]?[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{2}"
    # 138 1234 5678
    r"|1[3-9][0-9][ \-][0-9]{4}[ \-][0-9]{4})(?![0-9A-Za-z_])"
)
_NAMED = re.compile(rf"\(?[0-9](?:{_SIGN}{{0,3}}+[0-9]){{6,}}+(?![0-9A-Za-z_])")
_DATE = re.compile(
    r"\(?(?:[0-9]{4}[./\- ][0-9]{1,2}[./\- ][0-9]{1,2}|[0-9]{1,2}[./\- ][0-9]{1,2}[./\- ](?:19|20)[0-9]{2}"
    r"|(?:0[1-9]|1[0-2])[./\- ](?:19|20)[0-9]{2})(?![0-9])"
)
_POSTCODE = re.compile(r"[0-9]{5}-[0-9]{4}\Z")
_YEAR = re.compile(r"\((?:19|20)[0-9]{2}\)")
_FRACTION = re.compile(r"\+[0-9]+\.[0-9]+")
# Country codes of one and two digits, and what those of three begin with.
_SHORT_CODES = frozenset(
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86"
    " 90 91 92 93 94 95 98".split()
)
_LONG_CODES = frozenset("21 22 23 24 25 26 29 35 37 38 42 50 59 67 68 69 80 85 87 88 96 97 99".split())
_SIGNS = str.maketrans("", "", "+ \xa0\u2009\u202f().-\u2010\u2011/")
_WORDS = tuple(
    "tel tél tlf tfn fax phon cell mobil móvil portable whatsapp signal sms call dial ring text handy ruf puhelin"
    " numéro номер тел моб звони 电话 電話 手机 手機 携帯 전화 휴대폰 هاتف جوال טלפון फ़ोन फोन मोबाइल โทร".split()
)
# An IBAN up to here: what follows is a part of it, even if its check digits are wrong.
_ACCOUNT = re.compile(r"[A-Za-z]{2}[0-9]{2}(?: [A-Za-z0-9]{4}){1,7} \Z")
# What leads into a longer number or a price, before a digit and before a plus sign.
_GOING_ON = ("+.-$€£/", "+.")
_LEAST, _MOST = 9, 12  # digits of a national number, with its area
_LOCAL = 7
_LEAST_ABROAD, _MOST_ABROAD = 8, 15
_WIDEST = 40
_BEFORE = 32
_CALLED = re.compile(
    r"(?<![^\W_])(?:tele?(?:f|ph)on\w*|teléf\w*|téléph\w*|tel|tél|tlf|tfn|fax|phones?|cell(?:ular)?e?|cellphone|mobil\w*"
    r"|móvil|portable|whatsapp|signal|sms|call(?: me)?|dial|ring|text me|handy\w*|ruf\w*|puhelin\w*|numéro|номер\w*"
    r"|тел\w*|моб\w*|звони\w*)(?![^\W_])[^0-9\n]{0,18}\Z"
    r"|(?:电话|電話|手机|手機|携帯|전화|휴대폰|هاتف|جوال|טלפון|फ़ोन|फोन|मोबाइल|โทร)[^0-9\n]{0,12}\Z",
    re.IGNORECASE,
)
# Numbers of other things; and words that leave open what is numbered.
_NUMBERED = re.compile(
    r"(?:(?<![^\W_])(?:orders?|invoice|ref\w*|ids?|isbn\w*|issn|ean|upc|sku|part|serial|ticket|case|tracking|account|acct"
    r"|konto\w*|kunden\w*|bestell\w*|auftrag\w*|rechnung\w*|factura|fattura|facture|commande|pedido|imei|vin|model|item"
    r"|batch|lot|policy|claim|version|заказ\w*|счет\w*|счёт\w*|артикул)|订单\w{0,2}|訂單\w{0,2}|注文\w{0,2}|주문\w{0,2})"
    r"(?:\W{1,3}(?:no|nr|num\w*|nummer|ids?|code))?[^\w\n]{0,4}\Z",
    re.IGNORECASE,
)
_OPEN = re.compile(r"(?:(?<![^\W_])(?:no|nr|num\w*|nummer)[^\w\n]{0,4}|#[ ]?)\Z", re.IGNORECASE)


def phones(text: str, found: list[Span]) -> None:
    """Add the telephone numbers of a text."""
    words: bool | None = None
    for region in _REGION.finditer(text):
        if len(found) > MAX_VALUES:
            return
        first, end = region.span()
        start = first
        while start > 0 and first - start < 3 and text[start - 1] in "+( ":
            start -= 1
        # Most numbers are runs of digits without any mark, and nobody says that they are called.
        if start != first or not region[0].isdigit() or region[0].startswith("00"):
            _marked(text, start, min(len(text), end + 2), found)
        words = _speaks_of_calls(text) if words is None else words
        if words and not (found and found[-1][2] is Kind.PHONE and found[-1][1] > start):
            _called(text, first, min(len(text), end + 2), found)


def _speaks_of_calls(text: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in _WORDS)


def _marked(text: str, start: int, end: int, found: list[Span]) -> None:
    """Add the numbers of a region that their form tells."""
    for pattern in (_ABROAD, _ZEROS):
        for match in pattern.finditer(text, start, end):
            number = _abroad(match[0])
            if number and _alone(text, match.start()):
                found.append((match.start(), match.start() + len(number), Kind.PHONE))
    at_home = _AT_HOME.search(text, start, end)
    while at_home is not None:
        size = _at_home(text, at_home)
        if size:
            found.append((at_home.start(), at_home.start() + size, Kind.PHONE))
        at_home = _AT_HOME.search(text, at_home.start() + (size or 1), end)


def _called(text: str, first: int, end: int, found: list[Span]) -> None:
    """Add the first number of a region if a word before it says what it is."""
    named = _NAMED.match(text, first - (text[first - 1 : first] == "("), end)
    if named is None or _DATE.match(named[0]):
        return
    written = _cut(named[0], _MOST)
    if len(written.translate(_SIGNS)) >= _LOCAL and _told(text[max(0, first - _BEFORE) : first]) is True:
        found.append((named.start(), named.start() + len(written), Kind.PHONE))


def _told(before: str) -> bool | None:
    """Whether the words before a number say that it is called, or that it is none; None if they say nothing."""
    if _NUMBERED.search(before):
        return False
    if _CALLED.search(before):
        return True
    return False if _OPEN.search(before) else None


def _cut(written: str, most: int) -> str:
    """A number without the groups behind it that make it longer than one can be; empty if it is one run."""
    written = written[:_WIDEST]
    while len(written.translate(_SIGNS)) > most:
        written = written[: max(0, *map(written.rfind, " \xa0-./("))].rstrip(" \xa0-./(")
    return written


def _alone(text: str, start: int) -> bool:
    """Whether a number begins here: no word, price, path, or longer number goes on."""
    last = text[start - 1 : start]
    if not begins(text, start) or (last and last in _GOING_ON[text[start] == "+"]):
        return False
    account = last == " " and text[start] not in "+(" and _ACCOUNT.search(text[max(0, start - 48) : start])
    return not account


def _abroad(written: str) -> str:
    """The part of a number with a country code that is one; empty if none is."""
    if _FRACTION.fullmatch(written):
        return ""
    plus = written.startswith("+")
    most = _MOST_ABROAD if plus else _MOST_ABROAD + 2
    while written := _cut(written, most):
        digits = written.translate(_SIGNS)
        own = digits if plus else digits[2:]
        if len(own) < _LEAST_ABROAD:
            break
        code = own[: 3 if own[:2] in _LONG_CODES else 2 if own[:2] in _SHORT_CODES else 1]
        if _plausible(own, code) and (plus or code != "1" or not written.isdigit()):
            return written
        most = len(digits) - 1
    return ""


def _plausible(digits: str, code: str) -> bool:
    national = digits[len(code) :]
    if (len(code) == 1 and code not in _SHORT_CODES) or len(set(national)) < 3:
        return False
    if code == "1":
        return len(national) == 10 and national[0] in "23456789" and national[3] in "0123456789"
    return len(digits) >= 9 or len(code) == 3


def _at_home(text: str, match: re.Match[str]) -> int:
    """How long a national number is, where it stands by itself, and for nothing else; 0 if there is none."""
    start, written = match.start(), match[0]
    if not _alone(text, start) or _YEAR.match(written):
        return 0
    written = _cut(written, _MOST)
    if len(written.translate(_SIGNS)) < _LEAST:
        return 0
    told = _told(text[max(0, start - _BEFORE) : start])
    if told is False or (told is None and (_DATE.match(written) or _POSTCODE.match(written))):
        return 0
    return len(written)
