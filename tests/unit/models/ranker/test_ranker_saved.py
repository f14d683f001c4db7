import json
import shutil

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.ranker.export import export_ranker
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranker.ranker import CARD, Ranker
from tastemaker.models.ranker.train import train_ranker
from tastemaker.serving.ranking import Ranker as ServedRanker

tf = tensorflow()

PARAMETERS = RankerParameters(hidden=(8,), epochs=2, batch_lists=16, outcomes=("click", "purchase"), experts=2)
NAMES = ("a", "b", "c")


def lists(n=64, candidates=10):
    random = np.random.default_rng(2)
    features = random.normal(size=(n, candidates, 3)).astype(np.float32)
    chance = np.stack([features[:, :, 0], features[:, :, 1] - 1], axis=2)
    labels = (random.random((n, candidates, 2)) < 1 / (1 + np.exp(-chance))).astype(np.float32)
    features[::3, :, 2] = np.nan
    return RankingLists(features, labels, NAMES)


@pytest.fixture(scope="module")
def ranker():
    return train_ranker(lists(), PARAMETERS, validation=lists(), seed=1, wide_start=np.array([1, 0, 0], np.float32))


@pytest.fixture(scope="module")
def saved(ranker, tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranker") / "saved"
    ranker.save(directory)
    return directory


def test_loaded_ranker_equals_the_trained_one(ranker, saved):
    rows = lists().features.reshape(-1, 3)
    loaded = Ranker.load(saved)
    for function in ("score", "logits", "probabilities", "contributions"):
        np.testing.assert_allclose(getattr(loaded, function)(rows), getattr(ranker, function)(rows), atol=1e-5)
    assert loaded.names == NAMES
    assert loaded.parameters == PARAMETERS
    assert loaded.report == ranker.report


def test_export_of_one_shape_equals_the_trained_one_in_serving(ranker, tmp_path):
    export_ranker(ranker, 8, tmp_path / "ranker")
    rows = lists().features[1]
    exported = tf.saved_model.load(str(tmp_path / "ranker"))
    np.testing.assert_allclose(exported.score(rows[:8]).numpy(), ranker.score(rows[:8]), atol=1e-5)
    np.testing.assert_allclose(ServedRanker(tmp_path / "ranker")(rows), ranker.score(rows), atol=1e-5)


def test_scores_do_not_depend_on_what_else_is_asked(ranker):
    rows = lists().features[1]
    np.testing.assert_allclose(ranker.score(rows)[:3], ranker.score(rows[:3]), atol=1e-6)
    assert ranker.score(rows[:0]).shape == (0,)
    assert ranker.probabilities(rows[:0]).shape == (0, 2)
    many = np.tile(rows, (7_000, 1))  # more than one block
    np.testing.assert_allclose(ranker.score(many)[-10:], ranker.score(rows), atol=1e-5)


def test_same_seed_writes_the_same_weights(saved, tmp_path):
    again = train_ranker(lists(), PARAMETERS, validation=lists(), seed=1, wide_start=np.array([1, 0, 0], np.float32))
    again.save(tmp_path / "again")
    assert Ranker.load(tmp_path / "again").card.weights_hash == Ranker.load(saved).card.weights_hash


def test_matrix_of_another_width_is_refused(ranker):
    with pytest.raises(DataError, match=r"must be \[n, 3\]"):
        ranker.score(np.zeros((2, 4), np.float32))


def test_changed_weights_another_format_or_no_ranker_do_not_load(saved, tmp_path):
    with pytest.raises(DataError, match="holds no ranker"):
        Ranker.load(tmp_path)
    shutil.copytree(saved, tmp_path / "one")
    card = json.loads((tmp_path / "one" / CARD).read_text())
    (tmp_path / "one" / CARD).write_text(json.dumps({**card, "format": 0}))
    with pytest.raises(DataError, match="has format 0"):
        Ranker.load(tmp_path / "one")
    (tmp_path / "one" / CARD).write_text("{}")
    with pytest.raises(DataError, match="does not decode"):
        Ranker.load(tmp_path / "one")
    (tmp_path / "one" / CARD).write_text(json.dumps(card))
    next((tmp_path / "one" / "variables").glob("variables.data*")).write_bytes(b"other")
    with pytest.raises(DataError, match=r"do not read|not those"):
        Ranker.load(tmp_path / "one")


def test_a_loaded_ranker_is_not_exported_at_another_shape(saved, tmp_path):
    with pytest.raises(DataError, match="loaded from a directory"):
        export_ranker(Ranker.load(saved), 8, tmp_path / "ranker")
