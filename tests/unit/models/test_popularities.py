"""Popularity, recent popularity and own frequency, on numbers worked out by hand."""

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.own_frequency import OwnFrequency
from tastemaker.models.popularity import Popularity
from tastemaker.models.protocol import FitContext
from tastemaker.models.recent_popularity import RecentPopularity

CONTEXT = FitContext(seed=1)


def test_popularity_one_heavy_user_counts_once() -> None:
    train = Histories.of([0, 0, 0, 1, 2], [0, 0, 0, 1, 1], n_users=3, n_items=3)
    assert Popularity().fit(train, CONTEXT).score(train.take(np.array([0]))).tolist() == [[1, 2, 0]]


def test_recent_popularity_new_favourite_beats_the_old_one() -> None:
    # Item 0: five users long ago. Item 1: two users at the end. The newest half holds times 5 and up.
    train = Histories.of(
        [0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 0, 1, 1, 2], n_users=8, n_items=4, times=[0, 1, 2, 3, 4, 8, 9, 5]
    )
    scores = RecentPopularity(share=0.375).fit(train, CONTEXT).score(train.take(np.array([0])))[0]
    assert np.argsort(-scores).tolist() == [1, 2, 0, 3]  # then by all times: item 0 before item 3, which nobody took


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_recent_popularity_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="share"):
        RecentPopularity(share=share)


def test_own_frequency_decays_from_the_moment_of_asking() -> None:
    # Times span 0..100; half-life 0.1 of that is 10. Asked at 100: item 0 twice at 80 is 2 * 2^-2 = 0.5,
    # item 1 once at 100 is 1.
    train = Histories.of([0, 0, 0, 1], [0, 0, 1, 2], n_users=2, n_items=3, times=[80, 80, 100, 0])
    scores = OwnFrequency(half_life=0.1).fit(train, CONTEXT).score(train.take(np.array([0])))[0]
    np.testing.assert_allclose(scores[:2], [0.5, 1.0], atol=2e-3)
    plain = OwnFrequency(half_life=None).fit(train, CONTEXT).score(train.take(np.array([0])))[0]
    np.testing.assert_allclose(plain[:2], [2.0, 1.0], atol=2e-3)


def test_own_frequency_ties_and_unseen_items_go_by_popularity() -> None:
    train = Histories.of([0, 0, 1, 2, 3], [0, 1, 1, 2, 2], n_users=4, n_items=4)
    scores = OwnFrequency().fit(train, CONTEXT).score(train.take(np.array([0])))[0]
    assert np.argsort(-scores).tolist() == [1, 0, 2, 3]


def test_own_frequency_weights_count() -> None:
    train = Histories.of([0, 0, 0], [0, 1, 1], n_users=1, n_items=2, weights=[5, 1, 1])
    scores = OwnFrequency().fit(train, CONTEXT).score(train)[0]
    np.testing.assert_allclose(scores, [5, 2], atol=2e-3)


def test_own_frequency_half_life_of_zero_is_refused() -> None:
    with pytest.raises(DataError, match="half-life"):
        OwnFrequency(half_life=0)
