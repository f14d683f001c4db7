"""The tests keep what they promise, and see what is there."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from tastemaker.promotion.rollout.sequential import (
    Difference,
    affected,
    below,
    difference_of_rates,
    interval,
    log_ratio_of_rates,
)


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.05, 0.25, 0.5]))
def test_the_evidence_of_counts_is_the_mean_likelihood_ratio(candidate, champion, share):
    def ratio(t: float) -> float:
        return (t / share) ** candidate * ((1 - t) / (1 - share)) ** champion / (1 - share)

    expected, _ = quad(ratio, share, 1.0, limit=200)
    assert math.exp(affected(candidate, champion, share)) == pytest.approx(expected, rel=1e-6)


def test_counts_bear_out_their_promise_on_average_over_all_outcomes():
    # Under the hypothesis the mean of the e-process after n shoppers is 1, exactly: a sum over the binomial.
    n, share = 12, 0.25
    mean = sum(
        math.comb(n, k) * share**k * (1 - share) ** (n - k) * math.exp(affected(k, n - k, share)) for k in range(n + 1)
    )
    assert mean == pytest.approx(1.0)


def test_nothing_seen_is_no_evidence():
    assert affected(0, 0, 0.05) == 0.0
    assert below(Difference(-1.0, math.inf), 0.0, 0.1) == 0.0
    assert below(Difference(-1.0, 0.0), 0.0, 0.1) == 0.0


@pytest.mark.parametrize("extreme", [(10**6, 0), (0, 10**6)])
def test_huge_counts_stay_numbers_or_minus_infinity(extreme):
    assert not math.isnan(affected(*extreme, 0.5))


def test_the_evidence_of_a_difference_is_the_mean_likelihood_ratio_over_drifts():
    difference, scale = Difference(-0.08, 0.001), 0.1
    information, score = 1 / difference.variance, difference.value / difference.variance

    def weighted(drift: float) -> float:
        density = 2 * math.exp(-0.5 * (drift / scale) ** 2) / (scale * math.sqrt(2 * math.pi))
        return density * math.exp(drift * score - 0.5 * drift**2 * information)

    expected, _ = quad(weighted, -1.0, 0.0, limit=200)
    assert math.exp(below(difference, 0.0, scale)) == pytest.approx(expected, rel=1e-6)


def test_the_interval_ends_where_the_evidence_does():
    difference, alpha, scale = Difference(0.02, 0.0004), 0.05, 0.1
    low, high = interval(difference, alpha, scale)
    assert low < 0.02 < high
    assert below(Difference(0.02, 0.0004), high, scale) == pytest.approx(math.log(2 / alpha), rel=1e-6)
    assert high - 0.02 == pytest.approx(0.02 - low)


def test_the_variance_is_over_shoppers_not_over_lists():
    # Ten shoppers with 4 lists each, five of whom click always and five never: the rate is 1/2, and its variance that
    # of ten independent coins, 1/4 / 10 * 10/9, not of forty lists.
    outcomes, lists = np.array([4.0] * 5 + [0.0] * 5), np.full(10, 4.0)
    found = difference_of_rates((outcomes, lists), (outcomes, lists))
    assert found.value == 0.0
    assert found.variance == pytest.approx(2 * 0.25 / 9)
    relative = log_ratio_of_rates((outcomes, lists), (outcomes, lists))
    assert relative.variance == pytest.approx(2 * 0.25 / 9 / 0.25)


def test_a_candidate_that_is_never_clicked_is_seen_as_worse():
    lists = np.full(500, 10.0)
    clicked = np.tile([0.0, 2.0], 250)
    found = log_ratio_of_rates((np.zeros(500), lists), (clicked, lists))
    assert found.value < math.log(0.01)
    assert below(found, 0.0, 0.1) > math.log(1e6)


def test_looking_after_every_batch_keeps_the_promise_where_shoppers_come_again():
    # 300 comparisons of two equal sides, each looked at 60 times; with alpha 0.05 a look at the end alone would be
    # right. Were the looks not paid for, or lists taken for independent, a quarter or more of them would differ.
    rng, alpha, different = np.random.default_rng(7), 0.05, 0
    for _ in range(300):
        users = 400
        ours = rng.random(users) < 0.5
        own = rng.beta(2, 18, users)
        lists, clicks = np.zeros(users), np.zeros(users)
        for _ in range(60):
            who = rng.integers(0, users, 200)
            lists += np.bincount(who, minlength=users)
            clicks += np.bincount(who[rng.random(200) < own[who]], minlength=users)
            seen = lists > 0
            sides = [(clicks[seen & side], lists[seen & side]) for side in (ours, ~ours)]
            if min(clicks[ours].sum(), clicks[~ours].sum()) < 20:
                continue
            if below(log_ratio_of_rates(*sides), 0.0, 0.1) >= math.log(1 / alpha):
                different += 1
                break
    # Of 300 at 5 %: 15 expected at most, and more than 26 in less than 0.3 % of cases.
    assert different <= 26
