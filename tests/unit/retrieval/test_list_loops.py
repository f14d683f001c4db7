"""The compiled loops that a list is made by, against plain Python."""

import numpy as np
import pytest

from tastemaker.retrieval.blend import unite
from tastemaker.retrieval.interest_kernel import sum_by_row, weigh
from tastemaker.retrieval.source import NO_CANDIDATES, Retrieved

DAY_US = 86_400_000_000
WEIGHTS = np.array([1.0, 0.5, 0.8], dtype=np.float32)  # purchase, view, cart_add
PURCHASE, VIEW, CART = range(3)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def found(*rows: int) -> Retrieved:
    return Retrieved(ints(*rows), np.arange(len(rows), 0, -1, dtype=np.float32))


def test_sums_by_row_are_strongest_first_and_leave_out_what_weighs_nothing():
    rows, sums = sum_by_row(ints(7, 3, 9, 7, 4), np.array([1, 2, 0, 3, 2], dtype=np.float32))
    assert rows.tolist() == [7, 3, 4]  # 3 and 4 tie, by row; 9 weighs nothing
    assert sums.tolist() == [4.0, 2.0, 2.0]
    nothing, _ = sum_by_row(ints(1, 1), np.zeros(2, dtype=np.float32))
    assert nothing.tolist() == sum_by_row(ints(), np.zeros(0, dtype=np.float32))[0].tolist() == []


def test_a_history_is_weighed_by_kind_recency_and_freshness():
    now = 10 * DAY_US
    # A cart event now, a view of the same item a day ago, a purchase of an owned item and one of a session's.
    rows, types = ints(5, 5, 6, 8), ints(CART, VIEW, PURCHASE, PURCHASE)
    times = ints(now, now - DAY_US, now - 3 * DAY_US, now - DAY_US)
    anchors, anchor_weights, habits, habit_weights, intent, intent_weights = weigh(
        rows, types, times, ints(2, 6), WEIGHTS, PURCHASE, now, 720.0
    )
    # Fresh: .8 now; a view of a day ago is two half-lives old: .5 / 4. Recent: .8, .5 / 2, 1 / 4, 1 / 2.
    fresh, recent = 0.8 + 0.125, [0.8, 0.25, 0.25, 0.5]
    share = 0.5 * (1 - np.exp(-fresh))
    of_five = (1 - share) * (0.8 + 0.25) / sum(recent) + share
    others = {6: (1 - share) * 0.25 / sum(recent), 8: (1 - share) * 0.5 / sum(recent)}
    assert anchors.tolist() == [5, 8, 6]
    np.testing.assert_allclose(anchor_weights, [of_five, others[8], others[6]], rtol=1e-6)
    assert intent.tolist() == [5]
    np.testing.assert_allclose(intent_weights, [fresh], rtol=1e-6)
    # Owned items count 1, the purchase of 6 is among them; .8 + .5 is more than 1.
    assert sorted(zip(habits.tolist(), habit_weights.tolist(), strict=True)) == [(2, 1.0), (5, 1.0), (6, 1.0), (8, 1.0)]


def test_a_history_of_nothing_says_nothing():
    nothing = weigh(ints(), ints(), ints(), ints(), WEIGHTS, PURCHASE, DAY_US, 720.0)
    assert [len(part) for part in nothing] == [0] * 6


@pytest.mark.parametrize("seed", range(5))
def test_sources_take_turns_as_they_would_one_by_one(seed: int):
    rng = np.random.default_rng(seed)
    names = ("a", "b", "c", "d")
    lists = {name: found(*rng.permutation(60)[: rng.integers(0, 40)].tolist()) for name in names if name != "c"}
    lists["d"] = Retrieved(lists["d"].rows + (1 << 40), lists["d"].scores)  # rows of any size
    blend = unite(names, lists)
    expected: list[int] = []
    for turn in range(40):
        for name in names:
            if name in lists and turn < len(lists[name].rows) and (row := int(lists[name].rows[turn])) not in expected:
                expected.append(row)
    assert blend.rows.tolist() == expected
    for column, name in enumerate(names):
        own = dict(zip(lists[name].rows.tolist(), lists[name].scores, strict=True)) if name in lists else {}
        np.testing.assert_array_equal(blend.scores[:, column], [own.get(row, np.nan) for row in expected])


def test_no_source_and_empty_ones_unite_to_nothing():
    assert unite(("a",), {}).rows.tolist() == unite(("a",), {"a": NO_CANDIDATES}).rows.tolist() == []
    assert unite(("a",), {"a": NO_CANDIDATES}).scores.shape == (0, 1)
