"""Verdicts from memory: the same as new ones, and not without end."""

from __future__ import annotations

from typing import Any

import pytest

from aura import classifier, features
from aura.call import KnownBody
from aura.classifier.learned import Turn, Turns
from aura.settings import ClassifierSettings


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The turns that were read, in their order."""
    turns: list[str] = []
    turn = features.turn

    def noted(prompt: str) -> features.Measures:
        turns.append(prompt)
        return turn(prompt)

    monkeypatch.setattr(features, "turn", noted)
    return turns


_QUESTION = {"role": "user", "content": "Prove that a tree with n nodes has n - 1 edges, and say where it is used."}
_STEPS = [
    {"role": "assistant", "content": "I look at it."},
    {"role": "tool", "tool_call_id": "a", "content": "42 " * 9},
]


@pytest.mark.parametrize("steps", [1, 3, 400])
def test_an_agents_next_step_is_judged_as_if_new_but_its_turn_is_read_once(read: list[str], steps: int) -> None:
    judge = classifier.build(ClassifierSettings(type="learned"))
    remembered = classifier.remembering(judge)
    bodies = [{"messages": [_QUESTION, *_STEPS * step], "tools": [{}] * step} for step in range(steps)]

    found = [remembered(body) for body in bodies]

    assert read == [_QUESTION["content"]]
    assert found == [judge(body) for body in bodies]


@pytest.mark.parametrize(
    ("around", "more"),
    [
        ({}, {"seed": 1}),
        ({}, {"tools": [{}]}),
        ({}, {"response_format": {"type": "json_schema"}}),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "none"}),
        ({"messages": [{"role": "system", "content": "Be brief."}, _QUESTION]}, {"messages": [_QUESTION]}),
    ],
    ids=["the same", "tools", "schema", "effort", "system"],
)
def test_a_turn_that_comes_again_is_judged_by_what_stands_around_it_now(
    read: list[str], around: dict[str, Any], more: dict[str, Any]
) -> None:
    judge = classifier.build(ClassifierSettings(type="learned"))
    remembered = classifier.remembering(judge)
    first = {"messages": [_QUESTION], **around}
    second = {**first, **more}

    found = [remembered(first), remembered(second), remembered(second), remembered(first)]

    assert read == [_QUESTION["content"]]
    assert found == [judge(first), judge(second), judge(second), judge(first)]


def test_a_judge_that_is_asked_directly_remembers_nothing(read: list[str]) -> None:
    judge = classifier.build(ClassifierSettings(type="learned"))
    classifier.remembering(judge)({"messages": [_QUESTION]})

    assert judge({"messages": [_QUESTION]}) == judge({"messages": [_QUESTION]})
    assert len(read) == 3


def test_a_body_that_many_calls_share_is_judged_once_by_each_judge(read: list[str]) -> None:
    body = KnownBody({"messages": [_QUESTION]})
    frugal = ClassifierSettings(type="learned", balanced_threshold=2.0, premium_threshold=3.0)
    judges = [classifier.build(settings) for settings in (ClassifierSettings(type="learned"), frugal)]
    expected = [judge(dict(body)) for judge in judges]
    read.clear()

    for remembered, verdict in zip(map(classifier.remembering, judges), expected, strict=True):
        assert [remembered(body), remembered(body)] == [verdict, verdict]

    assert len(read) == 2
    assert expected[0] != expected[1]


def test_turns_are_told_apart_by_all_that_is_looked_at_and_kept_as_numbers_within_a_bound() -> None:
    """What lies between the ends of a long turn counts by its length alone."""
    seen: list[str] = []

    def read(prompt: str) -> Turn:
        seen.append(prompt)
        return Turn([float(len(seen))], 0.0)

    turns = Turns(read, size=2)
    long, longer = "a" * 5000, "a" * 5001
    found = [turns(text) for text in (long, longer, long, f"{'a' * 2500}b{'a' * 2499}", "short", longer, long)]

    assert [turn.values for turn in found] == [[1.0], [2.0], [1.0], [1.0], [3.0], [4.0], [5.0]]
    assert seen == [long, longer, "short", longer, long]
