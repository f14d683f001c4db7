"""Splits other than the temporal one alone, which has a file of its own."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.evaluation.interactions import INTERACTIONS
from tastemaker.evaluation.splits import given_split, leave_last_split, random_split, sliding_splits, temporal_split

CUT = datetime(2024, 3, 1, tzinfo=UTC)
ROWS = st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdef"), st.integers(0, 50)), max_size=40)


def table(rows):
    users, items, hours = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {"user_id": users, "item_id": items, "occurred_at": [CUT + timedelta(hours=hour) for hour in hours]},
        schema=INTERACTIONS,
    )


def test_an_embargo_is_in_neither_part():
    rows = [("u", "a", -30), ("u", "b", -24), ("u", "c", -1), ("u", "a", 0)]
    split = temporal_split(table(rows), CUT, 1, embargo=timedelta(hours=24))
    # The embargo is [-24 h, 0 h): the row 24 hours before the cut is out.
    assert split.train["item_id"].to_pylist() == ["a"]
    assert split.test["item_id"].to_pylist() == ["a"]


def test_a_negative_embargo_is_refused():
    with pytest.raises(DataError, match="not negative"):
        temporal_split(table([]), CUT, 1, embargo=timedelta(hours=-1))


def test_sliding_windows_lie_end_to_end_and_each_learns_from_all_before():
    rows = [("u", "a", hour) for hour in (-60, -30, -10, 10)]
    found = sliding_splits(table(rows), CUT, days=1, windows=3)
    # Windows [-48, -24), [-24, 0), [0, 24) hours: one row each, learned from 1, 2 and 3 rows.
    assert [split.cut for split in found] == [CUT - timedelta(days=2), CUT - timedelta(days=1), CUT]
    assert [split.test.num_rows for split in found] == [1, 1, 1]
    assert [split.train.num_rows for split in found] == [1, 2, 3]


def test_no_window_is_refused():
    with pytest.raises(DataError, match="at least one"):
        sliding_splits(table([]), CUT, days=1, windows=0)


def test_the_last_interaction_of_each_user_is_held_out():
    rows = [("u", "b", 3), ("u", "a", 1), ("v", "b", 1), ("v", "a", 2), ("w", "a", 9)]
    split = leave_last_split(table(rows))
    assert list(zip(*(split.test[c].to_pylist() for c in ("user_id", "item_id")), strict=True)) == [
        ("u", "b"),
        ("v", "a"),
    ]
    assert split.train.num_rows == 3  # w has only one: it stays
    assert split.period == ""


def test_at_one_moment_the_later_row_is_the_last():
    split = leave_last_split(table([("v", "b", 0), ("u", "a", 1), ("u", "b", 1)]))
    assert split.test["item_id"].to_pylist() == ["b"]


@given(ROWS, st.integers(1, 3))
def test_leaving_n_out_keeps_the_older_ones(rows, n):
    split = leave_last_split(table(rows), n)
    for user in set(split.train["user_id"].to_pylist()):
        times = sorted(hour for who, _, hour in rows if who == user)
        kept = len([who for who in split.train["user_id"].to_pylist() if who == user])
        assert kept == (len(times) if len(times) <= n else len(times) - n)


@given(ROWS, st.integers(0, 5))
def test_a_random_split_divides_pairs_and_leaves_everyone_something(rows, seed):
    split = random_split(table(rows), 0.4, seed=seed)
    pairs = [
        set(zip(*(part[c].to_pylist() for c in ("user_id", "item_id")), strict=True))
        for part in (split.train, split.test)
    ]
    assert not pairs[0] & pairs[1]
    assert {who for who, _ in pairs[0]} == {who for who, _, _ in rows}
    again = random_split(table(rows), 0.4, seed=seed)
    assert again.test.equals(split.test)


def test_a_random_split_takes_the_share_of_each_users_items():
    rows = [("u", item, 0) for item in "abcde"] * 2 + [("v", "a", 0)]
    split = random_split(table(rows), 0.4, seed=0)
    # 40 % of 5 items are 2, each with both its rows: 6 of 10 rows stay; v has one item and keeps it.
    assert np.unique(split.train["user_id"].to_pylist(), return_counts=True)[1].tolist() == [6, 1]


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(DataError, match="between 0 and 1"):
        random_split(table([]), share, seed=0)


def test_a_given_split_drops_what_training_does_not_know():
    split = given_split(table([("u", "a", 0)]), table([("u", "a", 1), ("u", "new", 1), ("new", "a", 1)]))
    assert split.test.num_rows == 1


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="item_id"):
        given_split(pa.table({"user_id": ["u"]}), table([]))
