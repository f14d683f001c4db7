from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.evaluation.interactions import INTERACTIONS
from tastemaker.evaluation.splits import temporal_split

CUT = datetime(2024, 3, 1, tzinfo=UTC)


def _table(rows):
    users, items, hours = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {"user_id": users, "item_id": items, "occurred_at": [CUT + timedelta(hours=hour) for hour in hours]},
        schema=INTERACTIONS,
    )


def test_the_cut_itself_belongs_to_the_test_window_and_its_end_does_not():
    known = [("u", "a", -1), ("u", "b", -2), ("u", "c", -3)]
    split = temporal_split(_table([*known, ("u", "a", 0), ("u", "b", 47), ("u", "c", 48)]), CUT, days=2)
    assert split.train.num_rows == 3
    assert split.test["item_id"].to_pylist() == ["a", "b"]


def test_unknown_users_and_items_leave_the_test_window():
    split = temporal_split(_table([("u", "a", -1), ("u", "a", 1), ("new", "a", 1), ("u", "new", 1)]), CUT, days=1)
    assert split.truth.user_ids.tolist() == ["u"]
    assert split.truth.catalogue.tolist() == ["a"]


def test_truth_holds_distinct_items_padded():
    split = temporal_split(
        _table([("u", "a", -1), ("v", "b", -1), ("u", "b", 1), ("u", "b", 2), ("u", "a", 3), ("v", "b", 4)]), CUT, 1
    )
    # catalogue a=0, b=1; u took both, v took b
    assert split.truth.relevant.tolist() == [[0, 1], [1, -1]]


def test_an_empty_test_window_gives_no_users():
    split = temporal_split(_table([("u", "a", -1)]), CUT, days=1)
    assert len(split.truth.user_ids) == 0
    assert split.period == "2024-03-01 to 2024-03-02"


def test_empty_interactions_give_an_empty_split():
    split = temporal_split(_table([]), CUT, days=1)
    assert (split.train.num_rows, split.test.num_rows, len(split.truth.catalogue)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("cut", "days", "message"),
    [(datetime(2024, 3, 1), 1, "no timezone"), (CUT, 0, "at least one day")],  # noqa: DTZ001
)
def test_a_bad_cut_is_refused(cut, days, message):
    with pytest.raises(DataError, match=message):
        temporal_split(_table([("u", "a", -1)]), cut, days)


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="item_id"):
        temporal_split(_table([("u", "a", -1)]).drop_columns(["item_id"]), CUT, 1)


def test_a_ranking_keeps_unknown_items_in_place_and_pads_short_lists():
    truth = temporal_split(_table([("u", "a", -1), ("u", "b", -1), ("u", "b", 1)]), CUT, 1).truth
    # catalogue a=0, b=1; the unknown item gets an index from 2 on
    indexed = truth.index({"u": ["zzz", "b"]}, k=3)
    assert indexed[0, 0] >= 2
    assert indexed[0, 1:].tolist() == [1, -1]
    assert truth.index(np.array([["b", None]], dtype=object), k=2).tolist() == [[1, -1]]


def test_a_ranking_without_a_test_user_is_refused():
    truth = temporal_split(_table([("u", "a", -1), ("u", "a", 1)]), CUT, 1).truth
    with pytest.raises(DataError, match="no list for 1 test users, 'u'"):
        truth.index({"v": ["a"]}, k=1)
    with pytest.raises(DataError, match="as many rows"):
        truth.index(np.array([["a"], ["a"]]), k=1)


@given(
    st.lists(st.tuples(st.sampled_from("uvwx"), st.sampled_from("abcde"), st.integers(-100, 100)), max_size=40),
    st.integers(1, 5),
)
def test_no_split_leaks_the_future_or_tests_strangers(rows, days):
    split = temporal_split(_table(rows), CUT, days)
    assert all(moment < CUT for moment in split.train["occurred_at"].to_pylist())
    for moment in split.test["occurred_at"].to_pylist():
        assert CUT <= moment < CUT + timedelta(days=days)
    assert set(split.test["user_id"].to_pylist()) <= set(split.train["user_id"].to_pylist())
    assert set(split.test["item_id"].to_pylist()) <= set(split.train["item_id"].to_pylist())
    expected = {}
    for user, item in zip(split.test["user_id"].to_pylist(), split.test["item_id"].to_pylist(), strict=True):
        expected.setdefault(user, set()).add(item)
    truth = split.truth
    found = {
        user: {truth.catalogue[i] for i in row if i >= 0}
        for user, row in zip(truth.user_ids.tolist(), truth.relevant, strict=True)
    }
    assert found == expected
