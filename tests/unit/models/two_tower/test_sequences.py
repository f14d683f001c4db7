"""Packing of ordered histories."""

import numpy as np
import pytest

from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.sequences import basket_starts, batches, pack, query_rows, thinned


def _histories() -> Histories:
    # Two users: items 0 1 2 at times 1 2 3, and 3 4 at times 1 5.
    return Histories.of([0, 0, 0, 1, 1], [0, 1, 2, 3, 4], n_users=2, n_items=5, times=[1, 2, 3, 1, 5])


def test_pack_asks_for_the_next_item_at_every_position() -> None:
    packed = pack(_histories(), window=5, time_unit=1.0, generator=np.random.default_rng(0))
    # Item 5 is the start; the newest event of a user is a target only.
    assert packed.items.tolist() == [[5, 0, 1, 5, 3]]
    assert packed.targets.tolist() == [[0, 1, 2, 3, 4]]
    assert packed.segments.tolist() == [[0, 0, 0, 1, 1]]
    assert packed.groups.tolist() == [[-1, 0, 1, -1, 0]]
    assert packed.weights.tolist() == [[1, 1, 1, 1, 1]]


def test_pack_cuts_a_history_at_the_row_and_pads_the_last_row() -> None:
    packed = pack(_histories(), window=3, time_unit=0.0, generator=np.random.default_rng(0))
    assert packed.items.tolist() == [[5, 0, 1], [5, 3, 5]]
    assert packed.weights.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert packed.segments[1].tolist() == [1, 1, -1]


def test_pack_never_asks_within_a_basket() -> None:
    # One user: basket {0, 1, 2} then basket {3, 4}: from the start one of the first, from each of the first one of
    # the second.
    histories = Histories.of([0] * 5, range(5), n_users=1, n_items=5, times=[1, 1, 1, 2, 2])
    assert basket_starts(histories).tolist() == [True, False, False, True, False]
    seen = set()
    for seed in range(20):
        packed = pack(histories, window=4, time_unit=0.0, generator=np.random.default_rng(seed))
        assert packed.targets[0, 0] in {0, 1, 2}
        assert set(packed.targets[0, 1:].tolist()) <= {3, 4}
        assert packed.groups.tolist() == [[-1, 0, 0, 0]]
        # The second basket has two items and is asked for three times; the first has three and is asked for once.
        np.testing.assert_allclose(packed.weights, [[3, 2 / 3, 2 / 3, 2 / 3]], rtol=1e-6)
        seen |= set(packed.targets[0, 1:].tolist())
    assert seen == {3, 4}


def test_pack_of_nothing_has_no_rows() -> None:
    empty = Histories.of([], [], n_users=3, n_items=5, times=[])
    assert pack(empty, 4, 0.0, np.random.default_rng(0)).items.shape == (0, 4)


def test_batches_cover_every_target_once_and_have_one_shape() -> None:
    generator = np.random.default_rng(3)
    n = 4_000
    histories = Histories.of(
        generator.integers(0, 500, n), generator.integers(0, 50, n), n_users=500, n_items=50, times=np.arange(n)
    )
    parameters = TowerParameters(window=10, batch=80, event_dropout=0.0)
    found = list(batches(histories, parameters, np.random.default_rng(1)))
    assert {batch["items"].shape for batch in found} == {(8, 10)}
    counted = sum(float(batch["weights"].sum()) for batch in found)
    # Every interaction is a target once; less than one batch of 80 may be left for the next pass.
    assert n - 80 < counted <= n
    again = list(batches(histories, parameters, np.random.default_rng(1), skip=3))
    assert len(again) == len(found) - 3
    np.testing.assert_array_equal(again[0]["targets"], found[3]["targets"])


def test_batches_repeat_rows_when_there_is_less_than_one_batch() -> None:
    parameters = TowerParameters(window=4, batch=64, event_dropout=0.0)
    found = list(batches(_histories(), parameters, np.random.default_rng(1)))
    assert [batch["items"].shape for batch in found] == [(16, 4)]


@pytest.mark.parametrize("window", [2, 4, 9])
def test_query_rows_keep_the_newest_events(window: int) -> None:
    rows = query_rows(_histories().take(np.array([0, 1])), window, time_unit=2.0)
    kept = min(3, window - 1)
    assert rows["lengths"].tolist() == [kept, min(2, window - 1)]
    assert rows["items"][0, :kept].tolist() == [0, 1, 2][-kept:]
    # Times count from the first event that is kept, in units of 2.
    assert rows["times"][0, kept - 1] == pytest.approx((kept - 1) / 2)


def test_query_rows_of_nobody_are_the_start_alone() -> None:
    empty = Histories.of([], [], n_users=2, n_items=5, times=[])
    rows = query_rows(empty, 4, 1.0)
    assert rows["lengths"].tolist() == [0, 0]
    assert rows["items"].shape == (2, 3)


def test_large_baskets_are_thinned_and_small_ones_stay_whole() -> None:
    # One user with baskets of 5, 1 and 3 items.
    histories = Histories.of([0] * 9, range(9), n_users=1, n_items=9, times=[0] * 5 + [1] + [2] * 3)
    found = thinned(histories, 3, np.random.default_rng(1))
    assert [int((found.times == moment).sum()) for moment in (0, 1, 2)] == [3, 1, 3]
    other = thinned(histories, 3, np.random.default_rng(2))
    assert found.items.tolist() != other.items.tolist()
