"""A conversation as named numbers: one pass over the last user turn, and a look at what surrounds it.

:func:`measure` gives one number for each of :data:`NAMES`, none of them negative, and the words and pairs of words that
were met. None of it depends on letter case or white space. Nothing is learned here: what the numbers mean for a model
is the classifier's to know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, filterfalse, pairwise
from operator import add, itemgetter

from ..call import Json
from . import lexicon, scripts
from .surroundings import apart
from .text import Text, read

_SIZE = """
    words ask_words material_words characters word_length long_words very_long_words sentences sentence_words
    distinct_words common_share"""
_STRUCTURE = """
    options option_words numeric_options all_or_none shots list_items blanks questions exclamations quotes parentheses
    colons commas pipes links ends_open"""
_SIGNS = """
    code_words code_marks code_density fences semicolons underscores numbers big_numbers decimals latex operators
    heavy_maths maths_marks money variables"""
_FORM = """
    first_who_when_where first_what first_which first_why first_how first_conditional first_order long_trivial
    long_moderate short_hard plain_lookup hard_kinds named_hard courtesy_only fragment demands code_scope"""
_LANGUAGE = "accents cyrillic dense_script foreign_share"
_CONVERSATION = """
    system_words turns history_words history_code tools tool_results images documents audio json_format json_schema
    effort"""
NAMES: tuple[str, ...] = (
    *" ".join((_SIZE, _STRUCTURE, _SIGNS, _FORM, _LANGUAGE, _CONVERSATION)).split(),
    *(f"asks_{name}" for name in lexicon.CLASSES),
    *(f"about_{name}" for name in lexicon.TOPICS),
)

_SURROUNDINGS = NAMES.index(_CONVERSATION.split(maxsplit=1)[0])

# Not counts, but shares and means.
FRACTIONS = frozenset(
    ("word_length", "sentence_words", "common_share", "option_words", "code_density", "foreign_share")
)

_HARD = ("prove", "design", "analyse", "hard_tech", "debug", "code_hard")
_HARD_KINDS = (*_HARD, "depth", "constraint", "math_term", "code_verb")
_ORDERS = frozenset(("prove", "design", "analyse", "explain", "summarise", "compose", "code_verb", "find", "translate"))
_FIRST = ("who_when_where", "what", "which", "why", "how", "conditional")
# Which of these, and whether an order, a sentence that begins with a word of a class begins with.
_OPENINGS: dict[str | None, tuple[int, ...]] = {
    opening: (*[opening == name for name in _FIRST], opening in _ORDERS) for opening in (None, *lexicon.CLASSES)
}
_hard, _hard_kinds = itemgetter(*_HARD), itemgetter(*_HARD_KINDS)
_PLAIN = frozenset(("who_when_where", "what", "which", "how"))

Counts = dict[str | None, int]
_class_of = lexicon.WORDS.get
_NONE: Counts = dict.fromkeys(lexicon.CLASSES, 0)
_NO_TOPIC = dict.fromkeys(lexicon.TOPICS, 0)
_TOPICAL = frozenset(word for word, name in lexicon.WORDS.items() if name in _NO_TOPIC)
_every_class = itemgetter(*lexicon.CLASSES)
_every_topic = itemgetter(*lexicon.TOPICS)
_COMMON = frozenset(word for word, name in lexicon.WORDS.items() if name in ("common", "what", "conditional"))
_PAIRS = frozenset(lexicon.PAIRS)
_HEAVY_MATHS = frozenset("∫∑∏√∂∇∞≤≥≠≡∈∀∃→⇒⇔⊂⊃∪∩∧∨¬±×÷π∼~^")
_MONEY = frozenset("€£¥₹₽")
_SENTENCE_ENDS = (".", "?", "!")
_CODE_MARKS = ("```", "==", "();", "->", "=>", "</", "/>", "!=", "::", ">>>", "){", ") {", "[/")
_ACCENTS = re.compile("[\u00df-\u00f6\u00f8-\u024f]")
_CYRILLIC = re.compile("[\u0370-\u052f]")
_ENDS = (".", "?", "!", "。", "？", ":", "`")
# Signs of other scripts, by the place of their like in the list of structure.
_WIDE = ((5, "•"), (6, "…"), (7, "？؟"), (8, "！"), (9, "“”「«"), (10, "（"), (11, "："), (12, "，、"))
_PRICE = re.compile(r"\$ ?\d")


Term = str | tuple[str, str]


@dataclass(slots=True)
class Measures:
    """What was found in a conversation.

    Args:
        values: one number for each of :data:`NAMES`.
        tokens: words, numbers and signs of the last user turn.
        option_tokens: those of the answers that it lists.
    """

    values: list[float]
    tokens: Sequence[str]
    option_tokens: Sequence[str]

    def terms(self) -> Iterator[Term]:
        """The tokens and the pairs of neighbours; some come more than once."""
        return chain(self.tokens, pairwise(self.tokens), self.option_tokens, pairwise(self.option_tokens))


def measure(body: Json) -> Measures:
    """Measure an OpenAI chat body; what is not as it should be counts as absent."""
    prompt, surroundings = apart(body)
    found = turn(prompt)
    return Measures(joined(found.values, surroundings), found.tokens, found.option_tokens)


def joined(turn: Sequence[float], surroundings: Sequence[float]) -> list[float]:
    """One number for each of :data:`NAMES`, of those of a turn and those of what surrounds it."""
    return [*turn[:_SURROUNDINGS], *surroundings, *turn[_SURROUNDINGS:]]


def turn(prompt: str) -> Measures:
    """Measure a user's turn by itself: numbers of what surrounds it are not among the values."""
    text = read(prompt)
    asks, about = _classes(text)
    words, numbers, others = _kinds(text.bag)
    ends = [sign for sign in _SENTENCE_ENDS if sign in text.bag]
    size = _size(text, words, len(text.tokens) - others, ends)
    values = [
        *size,
        *_structure(text, numbers),
        *_signs(text, numbers),
        *_form(text, asks, size[0], ends),
        *_language(text, asks),
        *_every_class(asks),
        *about,
    ]
    return Measures(values, text.tokens, text.option_tokens)


def _kinds(bag: Counter[str]) -> tuple[list[str], list[str], int]:
    """The distinct words, the distinct numbers, and how many tokens are no words."""
    words = [*filter(str.isalpha, bag)]
    numbers, others = [], 0
    for token in filterfalse(str.isalpha, bag):
        if token[0].isalpha():
            words.append(token)
            continue
        others += bag[token]
        if token[0].isdigit():
            numbers.append(token)
    return words, numbers, others


def _classes(text: Text) -> tuple[Counts, tuple[int, ...]]:
    """Count the classes of words in the request, and the topics in everything."""
    ask = text.ask
    asks = _counted(ask)
    for pair in _PAIRS.intersection(pairwise(ask)):
        asks[lexicon.PAIRS[pair]] += 1
    if asks["foreign"] or text.beyond:
        for token in ask:
            if len(token) > 5 and token not in lexicon.WORDS and (name := lexicon.STEMS.get(token[:5])):
                asks[name] += 1
    if text.dense:
        ends = text.stem if len(text.stem) <= 300 else text.stem[:80] + text.stem[-80:]
        for name, phrases in scripts.WORDS:
            asks[name] += sum(phrase in ends for phrase in phrases)
    if ask is text.tokens:
        about = _every_topic(asks)
    else:
        topics = _NO_TOPIC.copy()
        for word in _TOPICAL.intersection(text.bag):
            topics[lexicon.WORDS[word]] += text.bag[word]
        about = tuple(topics.values())
    return asks, tuple(map(add, about, _every_topic(_counted(text.option_tokens)))) if text.options else about


def _counted(tokens: Sequence[str]) -> Counts:
    """How many words of each class there are."""
    return _NONE | Counter(map(_class_of, tokens))


def _size(text: Text, words: list[str], count: float, ends: list[str]) -> list[float]:
    # A character of Chinese or Japanese is about 0.6 words.
    if text.dense > count:
        count += 0.6 * text.dense
    count += text.skipped / 6
    long = [word for word in words if len(word) > 7]
    sentences = sum([text.stem.count(end + " ") for end in ends]) + (text.stem.count("。") if text.beyond else 0) + 1
    return [
        count,
        len(text.ask),
        max(0.0, count - len(text.ask)) if len(text.tokens) > 120 else 0,
        text.length,
        len("".join(words)) / len(words) if words else 0,
        len(long),
        len([word for word in long if len(word) > 11]),
        sentences,
        count / sentences,
        len(words),
        len(_COMMON.intersection(words)) / len(words) if words else 0,
    ]


def _structure(text: Text, numbers: list[str]) -> list[float]:
    stem, options, bag = text.stem, text.options, text.bag
    sign = bag.get
    count = stem.count
    values: list[float] = [
        text.choices,
        len(text.option_tokens) / text.choices if text.choices else 0,
        len([token for token in text.option_tokens if token[0].isdigit()]),
        "all of the" in options or "none of the" in options or "both a" in options,
        text.shots,
        (count(" - ") if "-" in bag else 0) + (_numbered(stem) if numbers else 0),
        count("__") + count("..."),
        sign("?", 0),
        sign("!", 0),
        sign('"', 0),
        sign("(", 0),
        sign(":", 0),
        sign(",", 0),
        sign("|", 0),
        count("://") if ":" in bag else 0,
        not stem.endswith(_ENDS),
    ]
    if text.beyond:
        for place, signs in _WIDE:
            values[place] += sum([sign(one, 0) for one in signs])
    return values


def _numbered(stem: str) -> int:
    """How many numbers of one or two digits stand before a mark, as in a list."""
    pieces = [*stem.split(". ")[:-1], *stem.split(") ")[:-1]]
    return len([piece for piece in pieces if (end := piece[-3:].rpartition(" ")[2]).isdigit() and len(end) < 3])


def _between_digits(stem: str, sign: str, after: int) -> int:
    """How often a sign stands behind a digit and before so many."""
    pieces = stem.split(sign)
    return len(
        [
            True
            for before, behind in pairwise(pieces)
            if behind[:after].isdigit() and len(behind) >= after and before[-1:].isdigit()
        ]
    )


def _signs(text: Text, numbers: list[str]) -> list[float]:
    stem, bag, telling = text.stem, text.bag, text.telling
    sign = bag.get
    equals, less, more, semicolons = sign("=", 0), sign("<", 0), sign(">", 0), sign(";", 0)
    braces, ticks = sign("{", 0) + sign("[", 0), sign("`", 0)
    coded = equals or less or more or semicolons or braces or ticks
    # A dollar before a digit is money; any other closes a formula.
    dollars = sign("$", 0)
    prices = len(_PRICE.findall(stem)) if dollars else 0
    return [
        len(lexicon.CODE & telling),
        sum(map(stem.count, _CODE_MARKS)) if coded else 0,
        100.0 * (sign("(", 0) + braces + equals + semicolons) / (len(stem) + 40),
        stem.count("```") if ticks else 0,
        semicolons,
        stem.count("_"),
        *(_numbers(stem, bag, numbers) if numbers else (0, 0, 0)),
        sign("\\", 0),
        sign("+", 0) + equals + sign("*", 0) + less + more + sign("/", 0) + sign("^", 0),
        sum([sign(one, 0) for one in _HEAVY_MATHS]) if text.beyond else 0,
        dollars - prices,
        prices + sign("%", 0) + (sum([sign(one, 0) for one in _MONEY]) if text.beyond else 0),
        len(lexicon.LETTERS & telling),
    ]


def _numbers(stem: str, bag: Counter[str], numbers: list[str]) -> tuple[float, float, float]:
    return (
        sum([bag[token] for token in numbers]),
        sum([bag[token] for token in numbers if len(token) > 3]) + _between_digits(stem, ",", 3),
        _between_digits(stem, ".", 1),
    )


def _form(text: Text, asks: Counts, words: float, ends: list[str]) -> list[float]:
    tokens = text.ask
    first = lexicon.WORDS.get(tokens[0]) if tokens else None
    last = lexicon.WORDS.get(_last_sentence_start(tokens, ends))
    hard = sum(_hard(asks))
    simple = asks["brevity"] + asks["classify"] + asks["translate"] + asks["lookup"]
    moderate = asks["summarise"] + asks["translate"] + asks["explain"]
    plain = first in _PLAIN and not asks["explain"] and not asks["prove"]
    named = first == "who_when_where" or asks["lookup"] > 0
    codes = asks["code_noun"] or asks["code_verb"] or asks["code_hard"]
    return [
        *(map(add, _OPENINGS[first], _OPENINGS[last]) if last else _OPENINGS[first]),
        simple if words > 80 and not hard else 0,
        moderate if words > 80 and not hard else 0,
        hard if words <= 40 else 0,
        plain and words <= 14,
        len([*filter(None, _hard_kinds(asks))]),
        hard if named and words <= 14 else 0,
        text.courtesy,
        0 < words <= 12 and not asks["what"] and first not in _ORDERS and "?" not in text.stem,
        asks["constraint"] + asks["depth"] + asks["analyse"] + asks["design"] + asks["prove"],
        len(tokens) if codes else 0,
    ]


def _last_sentence_start(tokens: Sequence[str], ends: list[str]) -> str:
    """The first word of the last sentence, if it is not also the first sentence; looked for among some tokens."""
    last = tokens[-3 : max(0, len(tokens) - 40) : -1]
    places = [last.index(end) for end in ends if end in last]
    return tokens[len(tokens) - 2 - min(places)] if places else ""


def _language(text: Text, asks: Counts) -> tuple[float, ...]:
    foreign = asks["foreign"] / (len(text.ask) + 3)
    if not text.beyond:
        return 0, 0, 0, foreign
    return len(_ACCENTS.findall(text.beyond)), len(_CYRILLIC.findall(text.beyond)), text.dense, foreign
