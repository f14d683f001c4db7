"""What models take from histories."""

import time

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import bounded, pairs, recency, require_times, values
from tastemaker.models.protocol import FitContext


def test_recency_halves_per_half_life_counted_from_the_newest() -> None:
    asked = Histories.of([0, 0, 0, 1], [0, 1, 2, 3], n_users=2, n_items=4, times=[1, 2, 3, 1])
    # 2 steps per half: back 2, 1, 0 gives 1/2, 1/sqrt 2, 1; the other user's only one is its newest.
    np.testing.assert_allclose(recency(asked, 2.0), [0.5, 2**-0.5, 1.0, 1.0], rtol=1e-6)


def test_recency_interactions_of_one_moment_count_together() -> None:
    # Two baskets: items 0, 1 at 5, then items 2, 3, 4 at 9. The older one is one step back.
    asked = Histories.of([0, 1, 1, 1, 1, 1], [0, 0, 1, 2, 3, 4], n_users=3, n_items=5, times=[1, 5, 5, 9, 9, 9])
    np.testing.assert_allclose(recency(asked, 1.0), [1, 0.5, 0.5, 1, 1, 1])


def test_recency_without_times_or_half_life_is_one() -> None:
    unordered = Histories.of([0, 0], [0, 1], n_users=1, n_items=2)
    assert recency(unordered, 1.0).tolist() == [1, 1]
    assert recency(Histories.of([0, 0], [0, 1], n_users=1, n_items=2, times=[1, 2]), None).tolist() == [1, 1]


def test_values_repeated_item_counts_by_its_newest_occurrence() -> None:
    asked = Histories.of([0, 0, 0, 1, 1], [2, 1, 2, 0, 1], n_users=2, n_items=3, times=[1, 2, 3, 1, 2])
    # User 0 took 2, 1, 2: item 2 is the newest (1), item 1 one step back (1/2). User 1 took 0, 1.
    assert values(asked, 1.0).toarray().tolist() == [[0, 0.5, 1], [0.5, 1, 0]]
    assert values(asked).toarray().tolist() == [[0, 1, 1], [1, 1, 0]]


def test_bounded_cuts_long_histories_until_they_fit_the_deadline() -> None:
    train = Histories.of(np.zeros(5000, int), np.arange(5000), n_users=1, n_items=5000, times=np.arange(5000))
    context = FitContext(seed=1, deadline=time.monotonic() - 1)  # late already: one second is granted
    kept = bounded(train, context, pairs_per_second=1e6, share=0.5)
    assert pairs(kept) <= 5e5
    assert kept.items[-1] == 4999
    assert bounded(train, FitContext(seed=1)) is train


def test_require_times_names_the_model_and_the_remedy() -> None:
    with pytest.raises(DataError, match=r"co-visitation.*timestamp"):
        require_times(Histories.of([0], [0], n_users=1, n_items=1), "co-visitation")
