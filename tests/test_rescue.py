"""A continued answer and what was sent make exactly one answer, wherever the cut fell and whatever the model does."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aura import rescue
from aura.call import Model
from aura.rescue import Seam, by_prefill, possible, request

BLANK, AGREE = rescue._BLANK, rescue._agree


def joined(sent: str, pieces: list[str], repeats: bool = True) -> str:
    seam = Seam(sent, repeats)
    return sent + "".join(seam.feed(piece) for piece in pieces) + seam.finish()


def pieces_of(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


ANSWER = "The quick brown fox jumps over the lazy dog.\n\nThen it rests, and the dog does too: 12 hours each."
CASES = [
    ("goes on in mid-word", "The quick bro", "wn fox", "The quick brown fox"),
    ("begins the word again", "The quick bro", "brown fox", "The quick brown fox"),
    ("begins again from the start", "The quick bro", "The quick brown fox", "The quick brown fox"),
    ("repeats two words", "The quick bro", "quick brown fox", "The quick brown fox"),
    ("goes on after a blank", "The quick ", "brown fox", "The quick brown fox"),
    ("brings the blank again", "The quick ", " brown fox", "The quick brown fox"),
    ("brings the missing blank", "The quick", " brown fox", "The quick brown fox"),
    ("says the same word twice", "he had", " had enough", "he had had enough"),
    ("lays white space out anew", "One.\n\nTwo th", "One. Two three", "One.\n\nTwo three"),
    ("keeps a paragraph's break once", "One.\n\n", "One.\n\nTwo", "One.\n\nTwo"),
    ("has nothing to go on from", "", "All of it", "All of it"),
    ("ends inside what was sent", "One two three four", "One two three", "One two three four"),
    ("adds nothing", "All said.", "", "All said."),
    ("splits a cluster", "Fine 👩", "\u200d💻 here", "Fine 👩\u200d💻 here"),
    ("indents the next line", "def f():\n", "    return 1", "def f():\n    return 1"),
    ("goes on with a word like the last", "0 1 ", "10 11", "0 1 10 11"),
    ("begins again with its indentation", "    x", "    x = 1", "    x = 1"),
    ("repeats Chinese text", "今天天气很好，我们去公园散", "我们去公园散步吧。", "今天天气很好，我们去公园散步吧。"),
]


@pytest.mark.parametrize(("sent", "new", "whole"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_model_that(sent, new, whole, size):
    assert whole == joined(sent, pieces_of(new, size))


WORDS = st.lists(
    st.sampled_from(
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "größer",
            "naïve",
            "今天",
            "東京",
            "résumé",
            "😀👍🏽",
            "family👩\u200d👩\u200d👧",
            "x1",
            "(see)",
            "end.",
        ]
    ),
    min_size=6,
    max_size=40,
    unique_by=lambda word: word,
)


@given(words=WORDS, data=st.data(), size=st.integers(1, 40), repeats=st.booleans())
@settings(max_examples=400)
def test_any_cut_and_any_way_of_going_on_gives_the_whole_answer_once(words, data, size, repeats):
    """The words differ, so that a repetition is never part of the answer itself."""
    answer = " ".join(words)
    cut = data.draw(st.integers(1, len(answer)))
    sent = answer[:cut]
    way = data.draw(st.sampled_from(["continue", "restart", "overlap"]))
    start = {"continue": cut, "restart": 0}.get(way, -1)
    if start < 0:
        start = max(0, cut - data.draw(st.integers(12, 60)))
    assume(way != "continue" or not _coincides(sent, answer[cut:]))

    assert answer == joined(sent, pieces_of(answer[start:], size), repeats)


def _coincides(sent: str, rest: str) -> bool:
    """Whether the rest happens to begin like the answer, or like its last word: then no one could tell."""
    head = rest.strip()[:1]
    return bool(head) and (sent.startswith(head) or sent.rsplit(" ", maxsplit=1)[-1].startswith(head))


@given(sent=st.text(max_size=60), new=st.text(max_size=60), repeats=st.booleans(), size=st.integers(1, 20))
def test_no_text_breaks_the_seam_and_nothing_solid_is_invented(sent, new, repeats, size):
    whole = joined(sent, pieces_of(new, size), repeats)

    assert whole.startswith(sent)
    assert "".join((sent + new).split()).endswith("".join(whole[len(sent) :].split()))


@given(words=WORDS, cut=st.integers(1, 200), second=st.integers(1, 200))
def test_a_rescued_answer_may_be_rescued_again(words, cut, second):
    answer = " ".join(words)
    first = answer[:cut]
    then = joined(first, [answer[: cut + second]])

    assert answer == joined(then, [answer])


def test_prefill_goes_out_without_trailing_blanks_and_only_where_the_model_takes_it():
    body = {"messages": [{"role": "user", "content": "Count"}], "stream": True}
    told = request(body, "One, two, ", prefill=True)

    assert told["messages"] == [{"role": "user", "content": "Count"}, {"role": "assistant", "content": "One, two,"}]
    assert body["messages"] == [{"role": "user", "content": "Count"}]
    assert by_prefill(body, Model("m", capabilities=frozenset({"prefill"})))
    assert not by_prefill(body, Model("m"))
    assert not by_prefill({**body, "thinking": {"type": "enabled"}}, Model("m", capabilities=frozenset({"prefill"})))


def test_a_user_turn_asks_to_begin_with_the_last_words():
    told = request(
        {"messages": [{"role": "user", "content": "Count"}]}, "one two three four five six seven eight nine", False
    )

    assert [message["role"] for message in told["messages"]] == ["user", "assistant", "user"]
    assert "two three four five six seven eight nine" in told["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, True),
        ({"n": 1, "response_format": {"type": "text"}}, True),
        ({"n": 2}, False),
        ({"logprobs": True}, False),
        ({"response_format": {"type": "json_object"}}, False),
        ({"audio": {"voice": "alloy"}}, False),
    ],
)
def test_only_one_choice_of_plain_text_can_be_continued(body, expected):
    assert expected is possible(body)


@pytest.mark.parametrize(
    "sent", ["a" * 20_000, "".join(f"word{number} " for number in range(3000))], ids=["one sign", "words"]
)
def test_a_long_answer_that_is_begun_anew_is_looked_at_once(monkeypatch, sent):
    """However long it is: other calls wait for the seam."""
    looked = [0, 0]

    class Blank:
        def sub(self, by: str, text: str) -> str:
            looked[0] += len(text)
            return BLANK.sub(by, text)

    def agree(*texts: object) -> bool:
        looked[1] += 1
        return AGREE(*texts)

    seam = Seam(sent, repeats=True)
    monkeypatch.setattr(rescue, "_BLANK", Blank())
    monkeypatch.setattr(rescue, "_agree", agree)
    said = "".join(seam.feed((sent + "and more")[at : at + 4]) for at in range(0, len(sent) + 8, 4)) + seam.finish()

    assert said == "and more"
    assert looked[0] <= len(sent) + 8
    assert looked[1] <= len(sent) / 4 + 10
