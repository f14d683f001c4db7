import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.evaluation import metrics


def _one(ranked: list[int], relevant: list[int]) -> dict[str, float]:
    found = metrics.per_user(np.array([ranked]), np.array([relevant]))
    return {name: float(values[0]) for name, values in found.items()}


def test_metrics_of_a_hand_worked_list():
    # Ranks 1..5 hold 7, 3, 9, 1, 4; relevant are 3, 1, 8. Hits at ranks 2 and 4.
    found = _one([7, 3, 9, 1, 4], [3, 1, 8])
    assert found["precision"] == pytest.approx(2 / 5)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["mrr"] == pytest.approx(1 / 2)
    assert found["hit_rate"] == 1
    # DCG = 1/log2(3) + 1/log2(5) = .6309298 + .4306766 = 1.0616063
    # IDCG of min(5, 3) = 3 places: 1 + .6309298 + .5 = 2.1309298; NDCG = .4981892
    assert found["ndcg"] == pytest.approx(0.4981892, abs=1e-7)


def test_ndcg_reaches_one_with_more_relevant_items_than_places():
    # Two places, three relevant items: the ideal list has two hits, and so has this one.
    assert _one([1, 2], [1, 2, 3])["ndcg"] == pytest.approx(1)
    assert _one([1, 2], [1, 2, 3])["recall"] == pytest.approx(2 / 3)


def test_recall_and_ndcg_are_nan_without_relevant_items():
    found = _one([1, 2], [-1, -1])
    assert np.isnan(found["recall"])
    assert np.isnan(found["ndcg"])
    assert (found["precision"], found["mrr"], found["hit_rate"]) == (0, 0, 0)


def test_a_short_list_counts_its_empty_places_in_precision():
    assert _one([5, -1, -1, -1], [5])["precision"] == pytest.approx(1 / 4)


def test_padding_never_hits_padding():
    assert not metrics.hits(np.array([[-1, -1]]), np.array([[-1, 3]])).any()


def test_users_do_not_share_relevant_items():
    # Index 0 of user 1 must not be read as index `stride` of user 0.
    hit = metrics.hits(np.array([[0, 1], [0, 1]]), np.array([[1, -1], [0, -1]]))
    assert hit.tolist() == [[False, True], [True, False]]


def test_no_users_give_empty_values():
    found = metrics.per_user(np.empty((0, 10), dtype=np.int64), np.empty((0, 0), dtype=np.int64))
    assert all(values.shape == (0,) for values in found.values())


def test_a_repeated_item_is_refused():
    with pytest.raises(DataError, match="row 1 names an item twice"):
        metrics.hits(np.array([[1, 2], [3, 3]]), np.array([[1], [3]]))


def test_different_numbers_of_users_are_refused():
    with pytest.raises(DataError, match="same users"):
        metrics.hits(np.zeros((2, 1)), np.zeros((3, 1)))


def test_coverage_ignores_padding_and_items_outside_the_catalogue():
    # Items 0, 2 of 4 are shown; 9 is not in the catalogue.
    assert metrics.coverage(np.array([[0, 2], [2, -1], [9, 0]]), 4) == 0.5


def test_coverage_of_an_empty_catalogue_is_refused():
    with pytest.raises(DataError, match="catalogue"):
        metrics.coverage(np.zeros((1, 1), dtype=np.int64), 0)


_lists = st.integers(1, 8).flatmap(
    lambda k: st.tuples(
        st.lists(st.integers(0, 15), min_size=k, max_size=k, unique=True),
        st.lists(st.integers(0, 15), min_size=1, max_size=10, unique=True),
    )
)


def _by_definition(ranked: list[int], relevant: list[int]) -> dict[str, float]:
    """The textbook formulas, one item at a time."""
    gains = [1.0 if item in relevant else 0.0 for item in ranked]
    dcg = sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
    ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(len(ranked), len(relevant)) + 1))
    first = next((rank for rank, gain in enumerate(gains, start=1) if gain), None)
    return {
        "precision": sum(gains) / len(ranked),
        "recall": sum(gains) / len(relevant),
        "ndcg": dcg / ideal,
        "mrr": 1 / first if first else 0.0,
        "hit_rate": float(any(gains)),
    }


@given(_lists)
def test_vectorised_metrics_equal_their_definitions(lists):
    ranked, relevant = lists
    found, expected = _one(ranked, relevant), _by_definition(ranked, relevant)
    assert found == pytest.approx(expected)
    assert all(0 <= value <= 1 + 1e-12 for value in found.values())


@given(_lists, st.randoms(use_true_random=False))
def test_the_order_of_relevant_items_does_not_matter(lists, random):
    ranked, relevant = lists
    shuffled = random.sample(relevant, len(relevant))
    assert _one(ranked, relevant) == _one(ranked, shuffled)


@given(_lists)
def test_hits_moved_to_the_front_never_lower_ndcg(lists):
    ranked, relevant = lists
    best = sorted(ranked, key=lambda item: item not in relevant)
    assert _one(best, relevant)["ndcg"] >= _one(ranked, relevant)["ndcg"] - 1e-12
