"""A conversation as named numbers: one pass over the last user turn, and a look at what surrounds it.

:func:`measure` gives one number for each of :data:`NAMES`, none of them negative, and the words and pairs of words that
were met. None of it depends on letter case or white space. Nothing is learned here: what the numbers mean for a model
is the classifier's to know.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain, filterfalse, pairwise
from operator import add, itemgetter

from ..call import Json
from . import lexicon, scripts
from .surroundings import apart
from .text import Text, read
from .tokens import DIGITS, INSIDE

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
_APART = (0,) * len(_CONVERSATION.split())

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
_PLAIN = frozenset(("who_when_where", "what", "which", "how"))

# Counts of classes stand in the order of the names.
_CLASS = {name: place for place, name in enumerate(lexicon.CLASSES)}
_TOPIC = {name: place for place, name in enumerate(lexicon.TOPICS)}
_NO_CLASS, _NO_TOPIC = [0] * len(_CLASS), [0] * len(_TOPIC)


def _counts_of(names: Iterable[str]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    return itemgetter(*map(_CLASS.__getitem__, names))


_class_of = {word: _CLASS[name] for word, name in lexicon.WORDS.items()}.get
_PAIR_CLASS = {pair: _CLASS[name] for pair, name in lexicon.PAIRS.items()}
_PAIRS = frozenset(_PAIR_CLASS)
_FOREIGN = _CLASS["foreign"]
_TOPIC_OF = {word: _TOPIC[name] for word, name in lexicon.WORDS.items() if name in _TOPIC}
_TOPICAL = frozenset(_TOPIC_OF)
_topics, _hard, _hard_kinds = _counts_of(lexicon.TOPICS), _counts_of(_HARD), _counts_of(_HARD_KINDS)
_ASKED = "brevity classify translate lookup summarise explain prove what constraint depth analyse design"
_asked, _codes = _counts_of(_ASKED.split()), _counts_of(("code_noun", "code_verb", "code_hard"))
_COMMON = frozenset(word for word, name in lexicon.WORDS.items() if name in ("common", "what", "conditional"))
_HEAVY_MATHS = frozenset("∫∑∏√∂∇∞≤≥≠≡∈∀∃→⇒⇔⊂⊃∪∩∧∨¬±×÷∼~^")
_MONEY = frozenset("€£¥₹₽")
_SENTENCE_ENDS = (".", "?", "!")
# Prose may be of these alone: they are no sign of code, numbers, mathematics or money.
_PROSE = frozenset(".,?!:'\"-\n")
_NO_SIGNS = (0,) * len(_SIGNS.split())
_CODE_MARKS = ("```", "==", "();", "->", "=>", "</", "/>", "!=", "::", ">>>", "){", ") {", "[/")
_ACCENTS = re.compile("[\u00df-\u00f6\u00f8-\u024f]")
_CYRILLIC = re.compile("[\u0370-\u052f]")
_ENDS = (".", "?", "!", "。", "？", ":", "`")
# Signs of other scripts, by the place of their like in the list of structure.
_WIDE = ((5, "•"), (6, "…"), (7, "？؟"), (8, "！"), (9, "“”「«"), (10, "（"), (11, "："), (12, "，、"))
_PRICE = re.compile(r"\$ ?\d")
# A sign of mathematics that is a letter.
_PI = "π"
_NUMBERED = DIGITS | {"_"}
_NO_WORDS: frozenset[str] = frozenset()
# From this many on, how often words occur is counted in one look at all tokens.
_MANY = 12


Term = str | tuple[str, str]


@dataclass(slots=True)
class Measures:
    """What was found in a conversation.

    Args:
        values: one number for each of :data:`NAMES`.
        tokens: words, numbers and signs of the last user turn.
        distinct: each of them once.
        neighbours: each pair of neighbours among them once, where that is known.
        option_tokens: those of the answers that it lists.
    """

    values: list[float]
    tokens: Sequence[str]
    distinct: Set[str]
    neighbours: set[tuple[str, str]] | None
    option_tokens: Sequence[str]

    def pairs(self) -> Iterable[tuple[str, str]]:
        """The pairs of neighbours among the tokens; some may come more than once."""
        return pairwise(self.tokens) if self.neighbours is None else self.neighbours

    def terms(self) -> Iterator[Term]:
        """The tokens and the pairs of neighbours; some come more than once."""
        return chain(self.distinct, self.pairs(), self.option_tokens, pairwise(self.option_tokens))


def measure(body: Json) -> Measures:
    """Measure an OpenAI chat body; what is not as it should be counts as absent."""
    prompt, surroundings = apart(body)
    found = turn(prompt)
    found.values = joined(found.values, surroundings)
    return found


def joined(turn: Sequence[float], surroundings: Sequence[float]) -> list[float]:
    """One number for each of :data:`NAMES`, of those of a turn and those of what surrounds it."""
    values = [*turn]
    values[_SURROUNDINGS : _SURROUNDINGS + len(surroundings)] = surroundings
    return values


def turn(prompt: str) -> Measures:
    """Measure a user's turn by itself: the numbers of what surrounds it are zero."""
    text = read(prompt)
    # Of a short text, pairs of neighbours are looked through more than once.
    pairs = set(pairwise(text.tokens)) if text.ask is text.tokens else None
    asks = _asks(text, pairwise(text.ask) if pairs is None else pairs)
    bag, words, numbers, topics = _kinds(text)
    ends = [sign for sign in _SENTENCE_ENDS if sign in bag]
    size = _size(text, words, bag, ends)
    values = [
        *size,
        *_structure(text, bag, numbers),
        *_signs(text, bag, numbers),
        *_form(text, asks, size[0], ends),
        *_language(text, asks),
        *_APART,
        *asks,
        *_about(text, asks, topics),
    ]
    return Measures(values, text.tokens, text.distinct, pairs, text.option_tokens)


def _occurrences(tokens: Sequence[str], words: Set[str]) -> dict[str, int]:
    """How often each of some words is among tokens."""
    if len(words) >= _MANY:
        return Counter(filter(words.__contains__, tokens))
    # Each stands between blanks of its own, so that neighbours that are alike are all found.
    apart = f" {'  '.join(tokens)} "
    return {word: apart.count(f" {word} ") for word in words}


def _kinds(text: Text) -> tuple[dict[str, int], set[str], dict[str, int], dict[str, int]]:
    """Kinds of tokens.

    Returns:
        how often each is there that is no word; the distinct words; how often each of the first that is a number, and
        each word that tells a topic where not all of the text asks.
    """
    stem, distinct = text.stem, text.distinct
    # A sign that is never inside a word is a token wherever it stands.
    bag = {sign: stem.count(sign) for sign in text.marks & distinct if sign not in INSIDE}
    words, others = distinct.difference(bag), set()
    if text.beyond or "-" in words or "'" in words or not _NUMBERED.isdisjoint(text.marks):
        others = {token for token in filterfalse(str.isalpha, words) if not token[0].isalpha()}
        words -= others
    topical = _NO_WORDS if text.ask is text.tokens else _TOPICAL & words
    if not others and not topical:
        return bag, words, {}, {}
    found = _occurrences(text.tokens, others | topical)
    topics = {word: found.pop(word) for word in topical}
    bag |= found
    return bag, words, {token: count for token, count in found.items() if token[0].isdigit()}, topics


def _asks(text: Text, pairs: Iterable[tuple[str, str]]) -> list[int]:
    """Count the classes of words in the request."""
    ask, asks = text.ask, _NO_CLASS.copy()
    for place in map(_class_of, ask):
        if place is not None:
            asks[place] += 1
    for pair in _PAIRS.intersection(pairs):
        asks[_PAIR_CLASS[pair]] += 1
    if asks[_FOREIGN] or text.beyond:
        for token in ask:
            if len(token) > 5 and token not in lexicon.WORDS and (name := lexicon.STEMS.get(token[:5])):
                asks[_CLASS[name]] += 1
    if text.dense:
        ends = text.stem if len(text.stem) <= 300 else text.stem[:80] + text.stem[-80:]
        for name, phrases in scripts.WORDS:
            asks[_CLASS[name]] += sum(phrase in ends for phrase in phrases)
    return asks


def _about(text: Text, asks: Sequence[int], topics: dict[str, int]) -> list[int]:
    """Count the topics in everything; where all of it asks, that is done but for the options.

    Args:
        topics: how often each word is there that tells one, otherwise.
    """
    if text.ask is text.tokens:
        about = [*_topics(asks)]
    else:
        about = _NO_TOPIC.copy()
        for word, count in topics.items():
            about[_TOPIC_OF[word]] += count
    for word in filter(_TOPICAL.__contains__, text.option_tokens):
        about[_TOPIC_OF[word]] += 1
    return about


def _size(text: Text, words: set[str], bag: dict[str, int], ends: list[str]) -> list[float]:
    count: float = len(text.tokens) - sum(bag.values())
    # A character of Chinese or Japanese is about 0.6 words.
    if text.dense > count:
        count += 0.6 * text.dense
    count += text.skipped / 6
    lengths = sorted(map(len, words))
    sentences = sum([text.stem.count(end + " ") for end in ends]) + (text.stem.count("。") if text.beyond else 0) + 1
    return [
        count,
        len(text.ask),
        max(0.0, count - len(text.ask)) if len(text.tokens) > 120 else 0,
        text.length,
        sum(lengths) / len(words) if words else 0,
        len(words) - bisect_right(lengths, 7),
        len(words) - bisect_right(lengths, 11),
        sentences,
        count / sentences,
        len(words),
        len(_COMMON & words) / len(words) if words else 0,
    ]


def _structure(text: Text, bag: dict[str, int], numbers: dict[str, int]) -> list[float]:
    stem, options = text.stem, text.options
    sign = bag.get
    count = stem.count
    values: list[float] = [
        text.choices,
        len(text.option_tokens) / text.choices if text.choices else 0,
        len([token for token in text.option_tokens if token[0].isdigit()]),
        "all of the" in options or "none of the" in options or "both a" in options,
        text.shots,
        (count(" - ") if "-" in bag else 0) + (_numbered(stem) if numbers else 0),
        (count("__") if "_" in text.marks else 0) + (count("...") if "." in bag else 0),
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


def _signs(text: Text, bag: dict[str, int], numbers: dict[str, int]) -> Sequence[float]:
    stem, telling = text.stem, text.telling
    if text.marks <= _PROSE and not telling and not text.beyond:
        return _NO_SIGNS
    sign = bag.get
    equals, less, more, semicolons = sign("=", 0), sign("<", 0), sign(">", 0), sign(";", 0)
    braces, ticks = sign("{", 0) + sign("[", 0), sign("`", 0)
    coded = equals or less or more or semicolons or braces or ticks
    # A dollar before a digit is money; any other closes a formula.
    dollars = sign("$", 0)
    prices = len(_PRICE.findall(stem)) if dollars else 0
    money = sum([bag[one] for one in _MONEY.intersection(bag)]) if text.beyond else 0
    return [
        len(lexicon.CODE & telling) if telling else 0,
        sum(map(stem.count, _CODE_MARKS)) if coded else 0,
        100.0 * (sign("(", 0) + braces + equals + semicolons) / (len(stem) + 40),
        stem.count("```") if ticks else 0,
        semicolons,
        stem.count("_") if "_" in text.marks else 0,
        *(_numbers(stem, numbers) if numbers else (0, 0, 0)),
        sign("\\", 0),
        sign("+", 0) + equals + sign("*", 0) + less + more + sign("/", 0) + sign("^", 0),
        _heavy_maths(text, bag) if text.beyond else 0,
        dollars - prices,
        prices + sign("%", 0) + money,
        len(lexicon.LETTERS & telling) if telling else 0,
    ]


def _numbers(stem: str, numbers: dict[str, int]) -> tuple[float, float, float]:
    return (
        sum(numbers.values()),
        sum([count for token, count in numbers.items() if len(token) > 3]) + _between_digits(stem, ",", 3),
        _between_digits(stem, ".", 1),
    )


def _heavy_maths(text: Text, bag: dict[str, int]) -> int:
    signs = sum([bag[sign] for sign in _HEAVY_MATHS.intersection(bag)])
    return signs + (text.tokens.count(_PI) if _PI in text.distinct else 0)


def _form(text: Text, asks: Sequence[int], words: float, ends: list[str]) -> list[float]:
    tokens = text.ask
    first = lexicon.WORDS.get(tokens[0]) if tokens else None
    last = lexicon.WORDS.get(_last_sentence_start(tokens, ends))
    brevity, classify, translate, lookup, summarise, explain, prove, what, constraint, depth, analyse, design = _asked(
        asks
    )
    hard = sum(_hard(asks))
    plain = first in _PLAIN and not explain and not prove
    named = first == "who_when_where" or lookup > 0
    return [
        *(map(add, _OPENINGS[first], _OPENINGS[last]) if last else _OPENINGS[first]),
        brevity + classify + translate + lookup if words > 80 and not hard else 0,
        summarise + translate + explain if words > 80 and not hard else 0,
        hard if words <= 40 else 0,
        plain and words <= 14,
        len([*filter(None, _hard_kinds(asks))]),
        hard if named and words <= 14 else 0,
        text.courtesy,
        0 < words <= 12 and not what and first not in _ORDERS and "?" not in text.stem,
        constraint + depth + analyse + design + prove,
        len(tokens) if any(_codes(asks)) else 0,
    ]


def _last_sentence_start(tokens: Sequence[str], ends: list[str]) -> str:
    """The first word of the last sentence, if it is not also the first sentence; looked for among some tokens."""
    last = tokens[-3 : max(0, len(tokens) - 40) : -1]
    places = [last.index(end) for end in ends if end in last]
    return tokens[len(tokens) - 2 - min(places)] if places else ""


def _language(text: Text, asks: Sequence[int]) -> tuple[float, ...]:
    foreign = asks[_FOREIGN] / (len(text.ask) + 3)
    if not text.beyond:
        return 0, 0, 0, foreign
    return len(_ACCENTS.findall(text.beyond)), len(_CYRILLIC.findall(text.beyond)), text.dense, foreign
