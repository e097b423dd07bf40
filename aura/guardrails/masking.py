"""Values replaced by placeholders, the same value by the same one throughout a call.

A placeholder is ``<EMAIL_1>``: models keep it as it is, and know what it stands for. Numbers begin above any that the
client's own texts hold in this form, so that what is put back is never the client's word.
"""

from __future__ import annotations

import re
from collections import Counter

from ..call import Json
from ..errors import BadRequest
from . import MAX_VALUES, Kind, Span, begins, texts
from .detection import apart, find

_ALIKE = re.compile(rf"(?:{'|'.join(kind.value.upper() for kind in Kind)})_([0-9]{{1,9}}+)")
# Kinds that a word before them may have told: their values are looked for where no such word stands.
_TOLD = (Kind.KEY, Kind.PHONE)
MAX_SOUGHT = 64


class Mask:
    """What stands for what in one call.

    Args:
        first: the first number of a placeholder.
        sought: values that are replaced wherever they stand.
    """

    def __init__(self, first: int = 1, sought: dict[str, Kind] | None = None) -> None:
        self.body: Json = {}
        self.values: dict[str, str] = {}
        """Values by their placeholders, without brackets: ``EMAIL_1``."""
        self.counts: Counter[Kind] = Counter()
        self.quoted = False
        """Whether the answer is JSON, so that a value is written as a string holds it."""
        self.dropped: list[str] = []
        """Members that do not go out."""
        self._first, self._sought = first, sought or {}
        self._names: dict[str, str] = {}

    def text(self, text: str) -> str:
        """A text with placeholders; the same object if it holds no value."""
        return self.placed(text, find(text))

    def again(self, text: str) -> str:
        """A part of the answer, values put back, as it may go out again: all values known here are replaced."""
        spans = find(text)
        for value, name in self._names.items():
            spans += _places(text, value, Kind(name.partition("_")[0].lower()))
        return self.placed(text, spans)

    def placed(self, text: str, spans: list[Span]) -> str:
        """A text with placeholders where values stand, and wherever those stand that are sought."""
        for value, kind in self._sought.items():
            spans += _places(text, value, kind)
        if not spans:
            return text
        pieces, at = list[str](), 0
        for start, end, kind in apart(spans):
            pieces += (text[at:start], "<", self._name(text[start:end], kind), ">")
            at = end
        return "".join(pieces) + text[at:]

    def _name(self, value: str, kind: Kind) -> str:
        name = self._names.get(value)
        if name is None:
            number = self._first + self.counts[kind]
            self.counts[kind] += 1
            name = self._names[value] = f"{kind.value.upper()}_{number}"
            self.values[name] = value
        return name


def _places(text: str, value: str, kind: Kind) -> list[Span]:
    """Where a known value stands; a number within a longer one is another."""
    places, at = list[Span](), text.find(value)
    while at >= 0:
        end = at + len(value)
        if kind is Kind.KEY or (begins(text, at) and not text[end : end + 1].isalnum()):
            places.append((at, end, kind))
        at = text.find(value, end)
    return places


def masked(body: Json) -> Mask:
    """Replace the values in all texts of a body; the mask holds the body as it may go out, the same if nothing is.

    Raises:
        BadRequest: it holds more values than are masked.
    """
    found: dict[str, Kind] = {}
    spans_of: dict[str, list[Span]] = {}
    least = 0

    def look(text: str, place: str) -> str:
        nonlocal least
        spans = find(text)
        if spans:
            spans_of[text] = spans
        for start, end, kind in spans:
            found.setdefault(text[start:end], kind)
        if len(spans) > MAX_VALUES or len(found) > MAX_VALUES:
            raise BadRequest(
                f"The request holds over {MAX_VALUES} personal values or keys: more than are masked.",
                param=place,
                code="pii_detected",
            )
        if "_" in text:
            least = max((least, *map(int, _ALIKE.findall(text))))
        return text

    out = texts.replaced(body, look, personal=False)
    told = [(value, kind) for value, kind in found.items() if kind in _TOLD]
    mask = Mask(least + 1, dict(told[:MAX_SOUGHT]))
    if found:

        def put(text: str, place: str) -> str:  # noqa: ARG001  (the shape of Replace)
            return mask.placed(text, list(spans_of.get(text, ())))

        out = texts.replaced(body, put, personal=False)
    mask.dropped = [name for name in texts.PERSONAL if body.get(name) is not None]
    if mask.dropped:
        out = {name: value for name, value in out.items() if name not in texts.PERSONAL}
    mask.body = out
    form = body.get("response_format")
    mask.quoted = isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")
    return mask


def masked_each(body: Json) -> Mask:
    """Replace the values in a body of embeddings, each input by itself: no vector depends on what stands beside it."""
    given = body.get("input")
    each = [masked({"input": text}) for text in (given if isinstance(given, list) else [given])]
    mask = masked({name: value for name, value in body.items() if name != "input"})
    inputs = [one.body["input"] for one in each]
    for one in each:
        mask.counts += one.counts
    mask.body = {**mask.body, "input": inputs if isinstance(given, list) else inputs[0]}
    return mask


def places(body: Json) -> dict[tuple[Kind, str], int]:
    """How many values of each kind stand at each place of a body."""
    counted: Counter[tuple[Kind, str]] = Counter()

    def look(text: str, place: str) -> str:
        for _, _, kind in find(text):
            counted[kind, place] += 1
        return text

    texts.replaced(body, look)
    return counted
