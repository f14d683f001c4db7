"""The LambdaRank baseline: its candidates, features, labels and trees."""

import sys
import time

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.lightgbm_candidates import ItemFacts, feature_names, gather
from tastemaker.models.lightgbm_ranker import LightgbmRanker, _split
from tastemaker.models.lightgbm_trees import grow, predict
from tastemaker.models.protocol import FitContext

CONTEXT = FitContext(seed=1)


class Fixed:
    """The same given scores for everybody."""

    name = "fixed"

    def __init__(self, *scores: float) -> None:
        self.given = np.array(scores, np.float32)

    def score(self, histories: Histories) -> np.ndarray:
        return np.repeat(self.given[None, :], histories.n_users, axis=0)


def test_gather_unites_what_each_source_puts_first() -> None:
    sources = {"up": Fixed(1, 2, 3, 4), "down": Fixed(8, 6, 4, 2)}
    train = Histories.of([0, 0, 1], [2, 0, 0], n_users=2, n_items=4, times=[1, 2, 3])
    found, order = gather(sources, train, ItemFacts.of(train), per_source=1)
    assert found.offsets.tolist() == [0, 2, 4]
    assert found.items.tolist() == [0, 3, 0, 3]
    assert order.tolist() == [[1, 2, 3, 4]] * 2
    columns = dict(zip(feature_names(sources), found.features.T.tolist(), strict=True))
    assert columns["score:up"] == [0.25, 1, 0.25, 1]
    assert columns["rank:up"] == [2, 1, 2, 1]  # 2: beyond the one place of its list
    assert columns["score:down"] == [1, 0.25, 1, 0.25]
    np.testing.assert_allclose(columns["popularity"], np.log1p([2, 0, 2, 0]), rtol=1e-6)
    assert columns["taken"] == [1, 0, 1, 0]
    np.testing.assert_array_equal(columns["steps_since"], [0, np.nan, 0, np.nan])
    np.testing.assert_allclose(columns["history"], np.log1p([2, 2, 1, 1]), rtol=1e-6)


def test_gather_steps_since_counts_from_the_newest_occurrence() -> None:
    train = Histories.of([0] * 4, [1, 0, 1, 2], n_users=1, n_items=3, times=[1, 2, 3, 4])
    found, _ = gather({"any": Fixed(1, 1, 1)}, train, ItemFacts.of(train), per_source=3)
    steps = found.features[:, feature_names({"any": Fixed()}).index("steps_since")]
    assert steps.tolist() == [2, 1, 0]


def test_item_facts_trend_is_the_share_of_new_users() -> None:
    # Ten users; the newest fifth are two: both take item 1, which has four in all.
    train = Histories.of(range(10), [0] * 6 + [1] * 4, n_users=10, n_items=3, times=range(10))
    np.testing.assert_allclose(ItemFacts.of(train, recent=0.2).trend, [0, 0.5, 0])


def test_split_holds_back_the_newest_part_and_asks_when_it_begins() -> None:
    train = Histories.of([0] * 10 + [1] * 2 + [2], range(13), n_users=3, n_items=13, times=range(13))
    head, tail = _split(train, np.random.default_rng(0))
    assert tail.items.tolist() == [8, 9, 11]  # a fifth of ten, one of two, none of one
    assert head.lengths.tolist() == [8, 1, 1]
    assert head.now is not None
    assert head.now.tolist() == [8, 11, 12]


def test_split_without_order_holds_back_as_many_at_random() -> None:
    train = Histories.of([0] * 10 + [1] * 2, range(12), n_users=2, n_items=12)
    head, tail = _split(train, np.random.default_rng(0))
    assert tail.lengths.tolist() == [2, 1]
    assert sorted([*head.items.tolist(), *tail.items.tolist()]) == list(range(12))
    assert tail.items.tolist() != [8, 9, 11]


def lists(users: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ten candidates of each user; the one with the highest first feature is right, the second is noise."""
    rng = np.random.default_rng(4)
    features = rng.random((users * 10, 2)).astype(np.float32)
    best = features[:, 0].reshape(users, 10).argmax(axis=1) + np.arange(users) * 10
    labels = np.zeros(users * 10, np.int8)
    labels[best] = 1
    return features, labels, np.full(users, 10)


def test_grow_learns_which_feature_decides() -> None:
    features, labels, groups = lists(400)
    trees = grow(
        features, labels, groups, names=["tells", "noise"], trees=60, leaves=7, learning_rate=0.1, context=CONTEXT
    )
    found = predict(trees, features).reshape(400, 10).argmax(axis=1)
    assert (found == labels.reshape(400, 10).argmax(axis=1)).mean() > 0.8


def test_grow_stops_when_users_held_back_gain_nothing() -> None:
    features, labels, groups = lists(200)
    features[:] = np.random.default_rng(8).random(features.shape)  # nothing tells any more
    trees = grow(features, labels, groups, names=["a", "b"], trees=500, leaves=7, learning_rate=0.1, context=CONTEXT)
    assert trees.current_iteration() < 200


def test_grow_deadline_that_has_passed_leaves_one_tree() -> None:
    features, labels, groups = lists(100)
    late = FitContext(seed=1, deadline=time.monotonic() - 1)
    trees = grow(features, labels, groups, names=["a", "b"], trees=5000, leaves=3, learning_rate=0.1, context=late)
    assert trees.current_iteration() == 1


def test_predict_of_no_pairs_is_empty() -> None:
    features, labels, groups = lists(50)
    trees = grow(features, labels, groups, names=["a", "b"], trees=3, leaves=3, learning_rate=0.1, context=CONTEXT)
    assert predict(trees, features[:0]).shape == (0,)


def test_items_that_are_no_candidates_come_last() -> None:
    rng = np.random.default_rng(0)
    train = Histories.of(rng.integers(0, 60, 600), rng.integers(0, 40, 600), n_users=60, n_items=40)
    model = LightgbmRanker(candidates=2, trees=5, sources=("item-knn", "popularity")).fit(train, CONTEXT)
    asked = train.take(np.arange(5))
    found, _ = gather(model._fitted, asked, model._facts, 2)
    scores = model.score(asked)
    for user in range(5):
        inside = found.items[found.rows == user]
        outside = np.setdiff1d(np.arange(40), inside)
        assert scores[user, inside].min() > scores[user, outside].max()


def test_lightgbm_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    features, labels, groups = lists(30)
    with pytest.raises(DataError, match=r"tastemaker\[baselines\]"):
        grow(features, labels, groups, names=["a", "b"], trees=3, leaves=3, learning_rate=0.1, context=CONTEXT)


def test_users_with_one_interaction_teach_nothing() -> None:
    with pytest.raises(DataError, match="two interactions"):
        LightgbmRanker().fit(Histories.of([0, 1], [0, 1], n_users=2, n_items=2), CONTEXT)


def test_hyperparameters_out_of_range_are_refused() -> None:
    for wrong in ({"candidates": 0}, {"leaves": 1}, {"learning_rate": 0.0}):
        with pytest.raises(DataError):
            LightgbmRanker(**wrong)
