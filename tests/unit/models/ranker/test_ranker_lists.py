import numpy as np
import pytest
from pydantic import ValidationError

from tastemaker.errors import DataError
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranker.quality import list_ndcg, mean_ndcg

FEATURES = np.zeros((2, 3, 2), dtype=np.float32)
LABELS = np.array([[[1, 0], [0, 0], [0, 1]], [[0, 0], [0, 0], [-1, -1]]], dtype=np.float32)
NAMES = ("a", "b")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"labels": LABELS[:, :, 0]}, "must be"),
        ({"labels": LABELS[:1]}, "same lists"),
        ({"features": FEATURES.astype(np.float64)}, "float32"),
        ({"names": ("a",)}, "1 names for 2 features"),
        ({"names": ("a", "a")}, "its own"),
        ({"positions": np.zeros((2, 2), dtype=int)}, "one per candidate"),
        ({"weights": np.ones(3, dtype=np.float32)}, "one per list"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(DataError, match=says):
        RankingLists(**{"features": FEATURES, "labels": LABELS, "names": NAMES, **changes})


def test_lists_know_their_padding_their_hits_and_their_columns():
    lists = RankingLists(FEATURES, LABELS, NAMES)
    assert lists.useful.tolist() == [0]
    assert lists.real.tolist() == [[True, True, True], [True, True, False]]
    assert lists.column("b") == 1
    with pytest.raises(DataError, match="no feature 'c' among a, b"):
        lists.column("c")


def test_ndcg_of_known_lists():
    labels = np.array([[0, 1, 1, -1], [1, 0, 0, 0], [0, 0, 0, -1]], dtype=np.float32)
    scores = np.array([[3, 2, 1, 9], [0, 0, 0, 0], [1, 2, 3, 4]], dtype=np.float32)
    gain = 1 / np.log2([2, 3, 4])
    # The padded candidate is not listed, though it scores highest; a tie leaves the earlier candidate first.
    expected = [(gain[1] + gain[2]) / (gain[0] + gain[1]), 1.0, np.nan]
    np.testing.assert_allclose(list_ndcg(scores, labels, 10), expected)
    # At 2 the ideal has both hits, the list one of them.
    np.testing.assert_allclose(list_ndcg(scores, labels, 2)[0], gain[1] / (gain[0] + gain[1]))


def test_mean_ndcg_weighs_outcomes_and_skips_those_that_never_happened():
    labels = np.array([[[1, 0, 0], [0, 1, 0]]], dtype=np.float32)
    logits = np.array([[[1, 1, 1], [0, 0, 0]]], dtype=np.float32)
    second = 1 / np.log2(3)  # the hit of the second outcome stands at the second place
    assert mean_ndcg(logits, labels, (1.0, 3.0, 5.0)) == pytest.approx((1 + 3 * second) / 4)
    assert np.isnan(mean_ndcg(logits, np.zeros_like(labels), (1.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcomes": ()},
        {"outcomes": ("click", "click")},
        {"outcomes": ("click", "purchase"), "outcome_weights": (1.0,)},
        {"outcome_weights": (0.0,)},
        {"head": "tree"},
        {"dropout": 1.0},
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        RankerParameters(**wrong)
