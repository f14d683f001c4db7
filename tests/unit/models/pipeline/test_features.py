"""The ranker's matrix."""

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.candidates import Candidates
from tastemaker.models.pipeline.facts import ItemFacts
from tastemaker.models.pipeline.features import feature_names, ranking_features

# User 0 took item 0 at times 0 and 4 and item 1 at time 6, and is asked at time 10; user 1 is new.
_TRAIN = Histories.of([0, 0, 0], [0, 1, 0], n_users=2, n_items=3, times=[0.0, 6.0, 4.0]).at(10.0)
_CANDIDATES = Candidates(
    items=np.array([[0, 1, 2], [2, -1, -1]], dtype=np.int32),
    scores=np.array([[[3.0], [1.0], [2.0]], [[5.0], [0.0], [0.0]]], dtype=np.float32),
    ranks=np.array([[[0], [2], [1]], [[0], [1], [2]]], dtype=np.int32),
)


def _column(name: str, facts: ItemFacts) -> np.ndarray:
    matrix = ranking_features(_CANDIDATES, _TRAIN, facts)
    names = feature_names(["a"], facts)
    assert matrix.shape == (2, 3, len(names))
    return matrix[:, :, names.index(name)]


def test_scores_are_standardised_over_a_users_candidates_alone() -> None:
    # Mean 2, spread sqrt(2/3); one candidate has no spread.
    facts = ItemFacts.of(_TRAIN, None)
    assert _column("score_a", facts)[0].tolist() == pytest.approx([1.2247, -1.2247, 0.0], abs=1e-4)
    assert _column("score_a", facts)[1].tolist() == [0.0, 0.0, 0.0]


def test_pair_features_tell_what_a_user_did_with_an_item() -> None:
    facts = ItemFacts.of(_TRAIN, None)
    assert _column("times_taken", facts)[0].tolist() == pytest.approx([np.log(3), np.log(2), 0.0])
    # Events from the newest: item 1 is the last (0), item 0 the one before (1).
    assert _column("position", facts)[0].tolist() == pytest.approx([np.log(2), 0.0, np.nan], nan_ok=True)
    # Three events in the 10 units before the question: a mean gap of 10/3. Item 0 was 6 ago, item 1 was 4 ago.
    gap = 10 / 3
    assert _column("since", facts)[0].tolist() == pytest.approx(
        [np.log1p(6 / gap), np.log1p(4 / gap), np.nan], nan_ok=True
    )
    # Item 0 is taken every 4 units and the last time was 6 ago; item 1 was taken once.
    assert _column("overdue", facts)[0].tolist() == pytest.approx([np.log1p(6 / 4), np.nan, np.nan], nan_ok=True)
    # Training spans 6 units: with a half-life of .4 * 6, item 0 counts 2 ** -(10 / 2.4) + 2 ** -(6 / 2.4).
    assert _column("recency_0.4", facts)[0, 0] == pytest.approx(np.log1p(2 ** -(10 / 2.4) + 2 ** -(6 / 2.4)))
    assert np.isnan(_column("since", facts)[1, 0])


def test_content_features_compare_category_and_price_with_the_history() -> None:
    items = pa.table({"category": ["x", "x", "y"], "price": [1.0, 1.0, 7.0]})
    facts = ItemFacts.of(_TRAIN, items)
    assert _column("category_share", facts)[0].tolist() == [1.0, 1.0, 0.0]
    assert _column("last_category", facts)[0].tolist() == [1.0, 1.0, 0.0]
    assert _column("price_gap", facts)[0].tolist() == pytest.approx([0.0, 0.0, np.log(8) - np.log(2)])


def test_features_of_order_free_data_have_no_times() -> None:
    facts = ItemFacts.of(Histories.of([0], [1], n_users=1, n_items=2), None)
    assert facts.names == ("popularity", "repeats")
