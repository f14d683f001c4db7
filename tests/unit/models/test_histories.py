"""Histories: grouping, slicing, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext


def some() -> Histories:
    """User 0: items 2, 0, 2 at 1, 3, 5; user 1: nothing; user 2: items 1, 0 at 4, 4."""
    return Histories.of(
        [2, 0, 0, 2, 0],
        [1, 2, 0, 0, 2],
        n_users=3,
        n_items=4,
        times=[4, 5, 3, 4, 1],
        weights=[1, 2, 3, 4, 5],
        types=[0, 1, 0, 1, 0],
        type_names=("view", "cart"),
    )


def test_of_unsorted_rows_groups_by_user_oldest_first() -> None:
    found = some()
    assert found.offsets.tolist() == [0, 3, 3, 5]
    assert found.items.tolist() == [2, 0, 2, 1, 0]
    assert found.times is not None
    assert found.times.tolist() == [1, 3, 5, 4, 4]
    assert found.weights.tolist() == [5, 3, 2, 1, 4]
    assert found.types is not None
    assert found.types.tolist() == [0, 0, 1, 0, 1]
    assert found.rows.tolist() == [0, 0, 0, 2, 2]


def test_of_same_time_keeps_the_order_of_rows() -> None:
    found = Histories.of([0, 0, 0], [3, 1, 2], n_users=1, n_items=4, times=[7, 7, 7])
    assert found.items.tolist() == [3, 1, 2]


def test_now_is_the_latest_moment_of_all_and_ages_count_from_it() -> None:
    ages = some().ages
    assert ages is not None
    assert ages.tolist() == [4, 2, 0, 1, 1]


def test_at_another_moment_changes_ages_and_never_below_zero() -> None:
    ages = some().at([3.0, 0.0, 10.0]).ages
    assert ages is not None
    assert ages.tolist() == [2, 0, 0, 6, 6]


def test_take_same_user_twice_repeats_everything() -> None:
    found = some().take(np.array([2, 0, 2, 1]))
    assert found.lengths.tolist() == [2, 3, 2, 0]
    assert found.items.tolist() == [1, 0, 2, 0, 2, 1, 0]
    assert found.now is not None
    assert found.now.tolist() == [5, 5, 5, 5]


def test_take_nobody_is_empty() -> None:
    found = some().take(np.array([], dtype=np.int64))
    assert found.n_users == 0
    assert len(found.items) == 0


def test_where_keeps_users_and_the_moment_of_asking() -> None:
    found = some().at([3.0, 4.0, 10.0]).where(np.array([False, True, False, False, True]))
    assert found.offsets.tolist() == [0, 1, 1, 2]
    assert found.items.tolist() == [0, 0]
    assert found.now is not None
    assert found.now.tolist() == [3.0, 4.0, 10.0]


def test_last_keeps_the_newest_of_each() -> None:
    assert some().last(2).items.tolist() == [0, 2, 1, 0]
    assert some().last(0).items.tolist() == []


def test_matrix_adds_duplicates_or_counts_one() -> None:
    assert some().matrix().toarray().tolist() == [[3, 0, 7, 0], [0, 0, 0, 0], [4, 1, 0, 0]]
    assert some().matrix(binary=True).toarray().tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]


def test_matrix_leaves_the_histories_as_they_were() -> None:
    found = some()
    found.matrix()
    found.matrix(binary=True)
    assert found.items.tolist() == [2, 0, 2, 1, 0]
    assert found.weights.tolist() == [5, 3, 2, 1, 4]


def test_popularity_counts_users_not_interactions() -> None:
    assert some().popularity().tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": np.array([0, 2])}, "offsets"),
        ({"offsets": np.array([1, 3])}, "offsets"),
        ({"offsets": np.array([0, 4, 3])}, "offsets"),
        ({"items": np.array([0, 1, 9], np.int32)}, "item codes"),
        ({"items": np.array([0, 1, -1], np.int32)}, "item codes"),
        ({"weights": np.ones(2, np.float32)}, "weights has 2 values for 3"),
        ({"times": np.ones(4)}, "times has 4 values for 3"),
        ({"now": np.ones(2)}, "now has 2 values for 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    arrays = {
        "offsets": np.array([0, 3]),
        "items": np.array([0, 1, 2], np.int32),
        "n_items": 3,
        "weights": np.ones(3, np.float32),
    }
    with pytest.raises(DataError, match=message):
        Histories(**(arrays | change))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 9)), max_size=30), st.data())
def test_take_and_last_agree_with_plain_lists(rows: list[tuple[int, int, int]], data: st.DataObject) -> None:
    found = Histories.of(
        [r[0] for r in rows], [r[1] for r in rows], n_users=5, n_items=7, times=[r[2] for r in rows] or None
    )
    plain = {u: [i for v, i, _ in sorted(rows, key=lambda r: r[2]) if v == u] for u in range(5)}
    users = data.draw(st.lists(st.integers(0, 4), max_size=6))
    n = data.draw(st.integers(1, 4))
    taken = found.take(np.array(users, dtype=np.int64)).last(n)
    for place, user in enumerate(users):
        assert taken.items[taken.offsets[place] : taken.offsets[place + 1]].tolist() == plain[user][-n:]


def test_lists_leave_out_what_a_user_had_unless_the_context_or_repeats_say_otherwise():
    # One interaction repeats another: of 21 less than a twentieth, of 19 more.
    few = Histories.of([0] * 21, [*range(20), 0], n_users=1, n_items=20)
    more = Histories.of([0] * 19, [*range(18), 0], n_users=1, n_items=20)
    assert FitContext(seed=0).leaves_out_seen(few)
    assert not FitContext(seed=0).leaves_out_seen(more)
    assert FitContext(seed=0, exclude_seen=True).leaves_out_seen(more)
    assert not FitContext(seed=0, exclude_seen=False).leaves_out_seen(few)


def test_repeats_is_the_share_of_interactions_that_their_user_had_before():
    # User 0 takes item 1 three times, user 1 once: two of four repeat.
    assert Histories.of([0, 0, 0, 1], [1, 1, 1, 1], n_users=2, n_items=2).repeats == 0.5
    assert Histories.of([], [], n_users=1, n_items=2).repeats == 0.0
