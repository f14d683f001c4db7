import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.ranker.export import export_ranker
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranker.train import train_ranker
from tastemaker.serving.ranking import Ranker as ServedRanker

RANKER = RankerParameters(hidden=(16,), epochs=25, batch_lists=16, learning_rate=1e-2)
NAMES = ("a", "b", "c")


def lists(n=120, candidates=12, seed=2, **changes):
    """Candidates of which the one with the largest first feature is bought; the third feature is missing at times."""
    random = np.random.default_rng(seed)
    features = random.random((n, candidates, 3), dtype=np.float32) * 10
    labels = (features[:, :, 0] == features[:, :, 0].max(axis=1, keepdims=True)).astype(np.float32)
    features[::3, :, 2] = np.nan
    features[:, -2:], labels[:, -2:] = 0.0, -1.0  # padding
    return RankingLists(**{"features": features, "labels": labels[:, :, None], "names": NAMES, **changes})


def test_ranker_finds_what_is_bought_and_its_export_equals_it(tmp_path):
    some = lists()
    ranker = train_ranker(some, RANKER, seed=1)
    export_ranker(ranker, 12, tmp_path / "ranker")
    served = ServedRanker(tmp_path / "ranker", 12)
    # By chance one list in ten.
    right = [some.labels[index, np.argmax(served(some.features[index, :10])), 0] == 1 for index in some.useful]
    assert np.mean(right) > 0.85
    np.testing.assert_allclose(served(some.features[0]), ranker.score(some.features[0]), atol=1e-5)


def test_scores_do_not_depend_on_what_else_is_in_the_batch(tmp_path):
    some = lists()
    ranker = train_ranker(some, RANKER.model_copy(update={"epochs": 1}), seed=1)
    export_ranker(ranker, 8, tmp_path / "ranker")
    for score in (ranker.score, ServedRanker(tmp_path / "ranker", 8)):
        np.testing.assert_allclose(score(some.features[1])[:3], score(some.features[1, :3]), atol=1e-6)
        assert score(some.features[1, :0]).shape == (0,)


def test_training_repeats_itself_by_seed():
    some = lists()
    quick = RANKER.model_copy(update={"epochs": 2})
    one, same, other = (train_ranker(some, quick, seed=seed).score(some.features[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_feature_that_never_varied_says_nothing_later():
    some = lists()
    some.features[:, :, 1] = 0.0
    ranker = train_ranker(some, RANKER.model_copy(update={"epochs": 2}), seed=1)
    shifted = some.features[0].copy()
    shifted[:, 1] = 1_000.0
    np.testing.assert_allclose(ranker.score(shifted), ranker.score(some.features[0]), atol=1e-6)


def test_lists_without_a_hit_are_an_error_with_a_remedy():
    some = lists()
    with pytest.raises(DataError, match="label window"):
        train_ranker(lists(labels=np.zeros_like(some.labels)), RANKER, seed=1)
