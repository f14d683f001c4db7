"""From scores to lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tastemaker.models.histories import Histories
from tastemaker.models.ranking import PADDING, blocks, rank, top_k


class Fixed:
    """Scores that were given."""

    name = "fixed"

    def __init__(self, scores: np.ndarray) -> None:
        self.given = scores

    def score(self, histories: Histories) -> np.ndarray:
        return np.repeat(self.given[None, :], histories.n_users, axis=0)


@settings(max_examples=100, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 12)),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]),
    ),
    st.integers(1, 15),
)
def test_top_k_equals_a_full_stable_sort(scores: np.ndarray, k: int) -> None:
    found = top_k(scores, k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, order, axis=1)
    expected = np.full(found.shape, PADDING)
    expected[:, : order.shape[1]] = np.where(values > -np.inf, order, PADDING)
    assert (found == expected).all()


def test_top_k_of_nothing_is_padding() -> None:
    assert top_k(np.zeros((0, 5), np.float32), 3).shape == (0, 3)
    assert top_k(np.zeros((2, 0), np.float32), 3).tolist() == [[-1] * 3] * 2


def test_rank_leaves_out_what_was_seen_only_when_asked() -> None:
    asked = Histories.of([0, 0, 1], [3, 1, 0], n_users=3, n_items=4)
    model = Fixed(np.array([1.0, 2.0, 3.0, 4.0], np.float32))
    assert rank(model, asked, 3, exclude_seen=True).tolist() == [[2, 0, -1], [3, 2, 1], [3, 2, 1]]
    assert rank(model, asked, 3, exclude_seen=False).tolist() == [[3, 2, 1]] * 3


def test_rank_tells_how_far_it_is() -> None:
    told: list[int] = []
    asked = Histories.of([], [], n_users=5, n_items=4_000_000)
    rank(Fixed(np.arange(4_000_000, dtype=np.float32)), asked, 1, exclude_seen=False, progress=told.append)
    assert told == [2, 4, 5]  # 8 million cells hold two users of four million items


@pytest.mark.parametrize(("users", "items"), [(0, 5), (1, 1), (10, 3_000_000), (7, 100_000_000), (3, 0)])
def test_blocks_cover_every_user_once(users: int, items: int) -> None:
    found = blocks(users, items)
    assert np.concatenate([np.array([], int), *found]).tolist() == list(range(users))


@pytest.mark.parametrize("width", [31, 32, 33, 641, 5000])
@pytest.mark.parametrize("levels", [2, 40, 10**6])
def test_top_k_of_wide_rows_equals_a_full_stable_sort(width: int, levels: int) -> None:
    # Wide rows are bounded by maxima of groups of columns; few levels mean that most columns are tied at the bound.
    scores = np.random.default_rng(width).integers(0, levels, (7, width)).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    assert np.array_equal(top_k(scores, 20), order)


def test_top_k_of_a_wide_row_without_anything_to_list_is_padding() -> None:
    assert top_k(np.full((1, 500), -np.inf, np.float32), 2).tolist() == [[PADDING, PADDING]]
