"""Recorded calls through two configurations."""

from __future__ import annotations

import pytest

from aura.call import Verdict
from aura.replay import Configured, replay

from .router.world import judge, priced, provider, router

ECO, BALANCED, PREMIUM = "ECO", "BALANCED", "PREMIUM"


def by_word(body):
    """A classifier that is told the tier by the last message."""
    text = body["messages"][-1]["content"]
    tier = PREMIUM if "hard" in text else ECO
    return Verdict(tier, 0.9 if tier == PREMIUM else 0.1)


def gain(body):
    """What a strong model is expected to gain: the classifier's score."""
    return by_word(body).score


def says(*turns, **more):
    roles = ("user", "assistant")
    return {
        "model": "auto",
        "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)],
        **more,
    }


def side(judged=by_word, eco=1.0, premium=10.0, **more):
    models = ([priced("small", eco)], [priced("middle", 3.0)], [priced("large", premium)])
    return Configured(router([provider("a", *models)], **more), judged)


def test_tiers_costs_and_quality_are_compared():
    bodies = [says("hard"), says("easy"), says("easy"), says("hard", model="a/small")]
    report = replay(bodies, side(), side(judge("PREMIUM")), gain)

    assert dict(report.moved) == {(PREMIUM, PREMIUM): 1, (ECO, PREMIUM): 2, (ECO, ECO): 1}
    assert dict(report.targets) == {("a/small", "a/large"): 2}
    assert report.after.usd > report.before.usd > 0
    assert report.before.quality == pytest.approx(0.9 / 2.0)
    assert report.after.quality == pytest.approx(1.1 / 2.0)


def test_another_price_alone_changes_the_cost_alone():
    report = replay([says("easy")], side(), side(eco=2.0), gain)

    assert report.after.usd == pytest.approx(2 * report.before.usd)
    assert report.before.quality == report.after.quality


def test_a_conversation_stays_in_its_tier_in_both():
    bodies = [says("hard"), says("hard", "It is.", "easy")]
    report = replay(bodies, side(), side(), gain)

    assert dict(report.moved) == {(PREMIUM, PREMIUM): 2}


@pytest.mark.parametrize(("before", "after"), [("x/none", "a/small"), ("a/small", "x/none")])
def test_a_call_that_one_of_them_refuses_counts_in_the_matrix_only(before, after):
    """The calls differ in whose configuration knows their target."""
    one = Configured(router([provider(before[0], [before[2:]])]), by_word)
    other = Configured(router([provider(after[0], [after[2:]])]), by_word)
    report = replay([says("easy", model="a/small")], one, other, gain)

    assert sum(report.moved.values()) == 1
    assert "refused" in next(iter(report.moved))
    assert (report.calls, report.served, report.before.usd, report.after.usd) == (1, 0, 0, 0)


def test_a_pinned_model_without_a_tier_has_a_place_in_the_matrix():
    world = Configured(router([provider("a", ["small"], extra_models=("*",))]), by_word)
    report = replay([says("easy", model="a/whatever")], world, world, gain)

    assert dict(report.moved) == {("no tier", "no tier"): 1}
    assert report.before.quality == 1
