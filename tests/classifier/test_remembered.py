"""Verdicts from memory: the same as new ones, for the same body alone, and not without end."""

from __future__ import annotations

from typing import Any

from aura.call import Tier, Verdict
from aura.classifier.remembered import Remembered


def test_the_same_body_is_judged_once_and_any_other_body_again():
    judged: list[Any] = []

    def judge(body: Any) -> Verdict:
        judged.append(body)
        return Verdict(Tier.ECO, len(judged) / 10)

    remembered = Remembered(judge, size=2)
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
    scores = [remembered(body).score, remembered(dict(body)).score, remembered({**body, "tools": []}).score]

    assert scores == [0.1, 0.1, 0.2]
    remembered({**body, "n": 1})
    assert remembered(body).score == 0.4
    assert len(judged) == 4
