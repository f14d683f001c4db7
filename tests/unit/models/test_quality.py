"""The number that tuning goes by."""

import numpy as np
import pytest

from tastemaker.models.histories import Histories
from tastemaker.models.quality import labels_of, mean_ndcg


def _relevant() -> Histories:
    return Histories.of([0, 0, 1], [2, 5, 0], n_users=2, n_items=6)


def test_labels_of_marks_relevant_places_and_never_padding() -> None:
    ranked = np.array([[5, 1, 2], [2, -1, 0]])
    assert labels_of(ranked, _relevant()).tolist() == [[True, False, True], [False, False, True]]


def test_mean_ndcg_ideal_is_cut_at_the_length_of_the_list() -> None:
    # User 0: hits at ranks 1 and 3: 1 + 1/log2(4) = 1.5, ideal 1 + 1/log2(3) = 1.6309. User 1: .5 of 1.
    ranked = np.array([[5, 1, 2], [2, 1, 0]])
    assert mean_ndcg(ranked, _relevant()) == pytest.approx((1.5 / 1.63093 + 0.5) / 2, abs=1e-5)


def test_mean_ndcg_is_one_for_a_perfect_list_shorter_than_the_truth() -> None:
    relevant = Histories.of([0, 0, 0], [1, 2, 3], n_users=1, n_items=4)
    assert mean_ndcg(np.array([[3, 1]]), relevant) == 1.0
