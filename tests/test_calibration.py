"""Thresholds from traffic: a share, a budget, the curve between them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aura.calibration import OutOfReachError, Traffic, Weighed, gain_kept, path
from aura.call import TIERS, Tier

ECO, BALANCED, PREMIUM = TIERS
# A thousand calls whose scores are spread evenly; the dollars are a thousandth for each tier up.
SCORES = [(number * 379 % 1000) / 1000 for number in range(1000)]
CALLS = [Weighed(score, score, TIERS, (0.001, 0.002, 0.005)) for score in SCORES]


def cut(scores):
    """A classifier whose tier is its score, cut."""

    def tiers(premium, balanced):
        return [PREMIUM if score >= premium else BALANCED if score >= balanced else ECO for score in scores]

    return tiers


@pytest.fixture
def traffic():
    return Traffic(CALLS, cut(SCORES), 0.4)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.6, 0.75, 1.0])
def test_a_share_of_premium_calls_is_met(traffic, share):
    point = traffic.for_share(share)

    assert point.shares[2] == pytest.approx(share, abs=0.001)
    assert 0 <= point.balanced <= point.premium <= 1


def test_the_balanced_threshold_stays_unless_the_premium_one_falls_below_it(traffic):
    assert traffic.for_share(0.2).balanced == 0.4
    assert traffic.for_share(0.8).balanced == traffic.for_share(0.8).premium < 0.4


@pytest.mark.parametrize("usd", [1.0, 1.3, 1.6, 2.0, 3.0, 4.99, 5.0, 100.0])
def test_a_budget_is_kept_and_used(traffic, usd):
    point = traffic.for_budget(usd)

    assert point.usd_per_1k <= usd
    assert point.usd_per_1k >= min(usd, 5.0) - 0.01


def test_a_budget_below_the_cheapest_is_out_of_reach(traffic):
    with pytest.raises(OutOfReachError, match=r"1\.0000 USD"):
        traffic.for_budget(0.99)


def test_calls_that_the_classifier_does_not_decide_count_in_the_cost_and_not_in_the_share():
    traffic = Traffic(CALLS, cut(SCORES), 0.4, fixed=1000, fixed_usd=9.0)
    point = traffic.for_share(0.0)

    assert point.shares[2] == 0
    assert point.usd_per_1k == pytest.approx((9.0 + 0.4 + 1.2) / 2)


def test_a_call_that_a_tier_cannot_serve_keeps_the_gain_of_the_tier_that_does():
    calls = [Weighed(0.1, 0.3, (BALANCED, BALANCED, PREMIUM), (0.002, 0.002, 0.005))]
    point = Traffic(calls, cut([0.1]), 0.4).point(0.7, 0.4)

    assert point.shares == (1, 0, 0)
    assert point.quality == pytest.approx(0.75)


def test_the_curve_goes_from_all_eco_to_all_premium_and_never_falls(traffic):
    curve = traffic.curve()

    assert curve[0].shares[0] == pytest.approx(1, abs=0.001)
    assert curve[-1].shares == (0, 0, 1)
    assert curve[-1].quality == 1
    for less, more in pairwise(curve):
        assert less.usd_per_1k <= more.usd_per_1k
        assert less.quality <= more.quality


def test_dearer_calls_are_worth_more_than_chance(traffic):
    """The score says who gains: a fifth of the calls holds more than a fifth of the gain."""
    assert traffic.for_share(0.2).quality > traffic.for_share(0.0).quality + 0.2 * 0.25


def test_equal_scores_stay_together():
    scores = [0.5] * 10 + [0.9] * 10
    point = Traffic([Weighed(s, s, TIERS, (0, 0, 1)) for s in scores], cut(scores), 0.4).for_share(0.2)

    assert point.shares[2] in (0, 0.5)
    assert 0.5 < point.premium


def test_a_classifier_that_heeds_no_thresholds_gets_the_nearest_there_is():
    traffic = Traffic(CALLS, lambda premium, balanced: [BALANCED] * 1000, 0.4)

    assert traffic.for_share(0.2).shares == (0, 1, 0)


def test_thresholds_are_few_decimals_between_scores():
    pairs = path([0.1, 0.2, 0.2, 0.8], 0.4)

    assert (0.5, 0.4) in pairs
    assert all(0 <= balanced <= premium <= 1 for premium, balanced in pairs)
    assert all(value == round(value, 4) for pair in pairs for value in pair)


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ([(0.5, Tier.PREMIUM), (0.5, Tier.ECO)], 0.5),
        ([(0.9, Tier.PREMIUM), (0.1, Tier.ECO)], 0.9),
        ([(0.5, Tier.BALANCED)], 0.75),
        ([(0.0, Tier.ECO)], 1.0),
        ([], 1.0),
    ],
)
def test_quality_is_the_part_of_the_expected_gain_that_is_kept(chosen, kept):
    assert gain_kept(chosen) == pytest.approx(kept)
