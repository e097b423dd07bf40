"""Features: what is told apart, and what must make no difference."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura import features
from aura.features import courtesy, tokens
from aura.features.text import read


def measured(prompt, **body):
    values = features.measure({"messages": [{"role": "user", "content": prompt}], **body}).values
    return dict(zip(features.NAMES, values, strict=True))


def nonzero(prompt, *names):
    found = measured(prompt)
    return [bool(found[name]) for name in names]


QUIZ = "Which gas do plants take in?\nA. Oxygen\nB. Nitrogen\nC. Carbon dioxide\nD. Helium\nAnswer:"


def test_every_name_is_used_once():
    assert len(set(features.NAMES)) == len(features.NAMES)
    assert set(features.NAMES) >= features.FRACTIONS


def test_lettered_answers_are_no_part_of_the_question():
    text = read(QUIZ)

    assert "which gas do plants take in?" == text.stem
    assert 4 == text.choices
    assert "answer" not in text.option_tokens


@pytest.mark.parametrize("prompt", ["Vitamin B. What is it good for?", "a. Was it Susan B. Anthony?", "plan b) it is"])
def test_a_lone_letter_is_no_answer_to_choose(prompt):
    assert 0 == measured(prompt)["options"]


def test_only_the_last_of_several_shown_questions_is_asked():
    shown = "Question: 1 + 1?\nAnswer: 2\n\nQuestion: 2 + 2?\nAnswer: 4\n\nQuestion: Prove that 3 is prime.\nAnswer:"

    text = read(shown)

    assert 2 == text.shots
    assert "prove that 3 is prime." == text.stem


@pytest.mark.parametrize(
    ("prompt", "stem"),
    [
        ("Hello! Please prove it. Thank you very much!", "please prove it."),
        ("Good morning, name a river. Thanks in advance, kind regards", "name a river."),
        ("Bonjour, quelle heure est-il ? Merci beaucoup !", "quelle heure est-il ?"),
        ("你好，请证明这个定理。谢谢！", "证明这个定理。"),
        ("hi", ""),
        ("Name a river.\n\nBest,\nJohn", "name a river."),
        ("Name a river\n\nKind regards,\nJohn Smith", "name a river"),
        ("Name a river. Thank you! — Ada K.", "name a river."),
        ("Dear Dr. Smith, name a river. Merci beaucoup, Zoé", "name a river."),
        ("Mit freundlichen Grüßen\nHans", ""),
        ("Which is best, python or rust?", "which is best, python or rust?"),
        ("How do you say thank you in French", "how do you say thank you in french"),
        ("Thanks a lot, you were very helpful", "you were very helpful"),
    ],
)
def test_courtesy_at_both_ends_is_dropped(prompt, stem):
    assert stem == read(prompt).stem


def test_a_request_that_begins_softly_is_the_request():
    assert read("Could you tell me why the sky is blue?").tokens == read("why the sky is blue?").tokens


def test_quoted_words_are_not_what_is_asked():
    assert [False] == nonzero('What is a synonym of "prove"?', "asks_prove")
    assert [True] == nonzero("Prove that there is a largest element.", "asks_prove")


def test_the_request_of_a_long_text_stands_at_its_ends():
    story = "The harbour keeps a list of boats. A crew waits for the tide, and the clerk reads aloud. " * 20
    hard = "Somebody must prove the theorem and design the architecture of the kernel. "

    assert [False, False] == nonzero(
        f"Summarise this in one sentence. {story}{hard}{story}", "asks_prove", "asks_design"
    )
    assert [True] == nonzero(f"{story} Prove the theorem that the harbour implies.", "asks_prove")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Beweise, dass es unendlich viele Primzahlen gibt.", "asks_prove"),
        ("Докажите эту теорему.", "asks_prove"),
        ("请严格证明这个定理。", "asks_prove"),
        ("この定理を証明してください。", "asks_prove"),
        ("이 정리를 증명하세요.", "asks_prove"),
        ("أثبت هذه النظرية", "asks_prove"),
        ("Explique la différence entre les deux.", "asks_explain"),
        ("Diseña una arquitectura con alternativas.", "asks_design"),
        ("Resume el texto en tres frases.", "asks_summarise"),
        ("Antworte mit einem Wort.", "asks_brevity"),
    ],
)
def test_what_is_asked_is_known_in_many_languages(prompt, name):
    assert [True] == nonzero(prompt, name)


def test_a_dollar_is_money_before_a_digit_and_maths_elsewhere():
    assert (2, 0) == (measured("It costs $5 or $ 7.")["money"], measured("It costs $5 or $ 7.")["maths_marks"])
    assert measured("Let $x$ and $y$ be real.")["maths_marks"] > 0


def test_what_surrounds_the_last_turn_counts():
    body = {
        "messages": [
            {"role": "system", "content": "Be brief. " * 6},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "```x```"},
            {"role": "tool", "content": "42", "tool_call_id": "a"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And this?"},
                    {"type": "image_url", "image_url": {"url": "data:"}},
                    {"type": "file", "file": {}},
                ],
            },
        ],
        "tools": [{}, {}],
        "response_format": {"type": "json_schema"},
        "reasoning_effort": "high",
    }

    found = dict(zip(features.NAMES, features.measure(body).values, strict=True))

    expected = {
        "turns": 2, "history_code": 2, "tools": 2, "tool_results": 1, "images": 1, "documents": 1, "json_schema": 1,
        "json_format": 0, "effort": 4, "system_words": 10,
    }  # fmt: skip
    assert expected == {name: found[name] for name in expected}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": "hi"},
        {"messages": [None, 7, {"role": "user"}]},
        {"messages": [{"role": "user", "content": [None, {"type": "text"}, {"text": 5}]}]},
        {"messages": [{"role": "user", "content": "x"}], "tools": 5, "response_format": "json", "reasoning_effort": {}},
        {"messages": [{"role": "assistant", "content": "only me"}]},
    ],
)
def test_what_is_not_as_it_should_be_counts_as_absent(body):
    assert len(features.NAMES) == len(features.measure(body).values)


_WORDS = """
    word don't 'quoted' --flag - ’ a’b x_1 naïve 素数 “ ” é 1.5 $5 . , ; : ! ? ( ) [ ] { } < > | * + = / # % ^ ` \ud800
"""
_BLANKS = " |  |\n|\t|\x1c|\x85|\xa0|\u3000|\x00|\u200b"
_PIECES = st.sampled_from([*_WORDS.split(), *_BLANKS.split("|")])


@given(st.one_of(st.text(max_size=200), st.lists(st.one_of(_PIECES, st.characters()), max_size=60).map("".join)))
def test_the_quick_way_to_tokens_finds_what_their_expression_finds(text):
    text = text.strip()
    _, signs = tokens.marks_of(text)
    whole = tokens.single_blanks(text, signs)

    assert " ".join(text.split()) == whole
    assert tokens.TOKEN.findall(whole) == tokens.tokens(whole, signs)
    assert tokens.TOKEN.findall(whole[3:-3]) == tokens.tokens(whole[3:-3], signs)


def test_every_formula_is_looked_for_at_both_ends():
    """Most texts are ruled out by their first and last letters; none that holds a formula may be."""
    for formula in courtesy.FORMULAS_IN_ORDER:
        for text in (f"{formula} name a river", f"name a river {formula}!", formula):
            found = tokens.TOKEN.findall(text)
            assert courtesy.may_be(text, found, found), text


def test_every_closing_before_a_name_is_dropped_with_it():
    for closing in [*courtesy.CLOSINGS.split("|"), *courtesy.CLOSINGS_BEFORE_SIGNS.split("|")]:
        for form in ("name a river. {}, john", "name a river. kind {} - mary jane.", "name a river? {}-john"):
            assert "name a river" == courtesy.dropped(form.format(closing)).rstrip(".?"), form.format(closing)


@given(st.text(max_size=400))
def test_no_number_is_negative_or_strange(prompt):
    for name, value in measured(prompt).items():
        assert 0 <= value < 1e6, name


@given(
    st.lists(st.sampled_from(["prove", "Hello", "a.", "b.", "don't", "42", "naïve", "素数", "?", "x^2"]), max_size=30)
)
def test_white_space_makes_no_difference(words):
    assert measured(" ".join(words)) == measured("\n\t ".join(["", *words, ""]))


@given(st.text(st.characters(max_codepoint=0x17F, exclude_characters="ßŉİıſµ"), max_size=200))
def test_letter_case_makes_no_difference(prompt):
    assert measured(prompt.lower()) == measured(prompt.upper())


@given(st.one_of(st.text(max_size=200), st.lists(st.one_of(_PIECES, st.characters()), max_size=60).map("".join)))
def test_what_is_counted_in_the_text_is_as_often_among_its_tokens(text):
    found = read(text)

    bag, words, numbers, _ = features._kinds(found)

    counted = Counter(found.tokens)
    others = {token: count for token, count in counted.items() if not token[0].isalpha()}
    assert others == bag
    assert words == counted.keys() - others.keys()
    assert numbers == {token: count for token, count in others.items() if token[0].isdigit()}
