import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.ranker.forward import FORWARD, Forward
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import ObjectiveWeights, RankerParameters
from tastemaker.models.ranker.train import train_ranker

NAMES = ("user_vector_0", "item_vector_0", "margin", "novelty")


def lists(outcomes):
    random = np.random.default_rng(2)
    features = random.lognormal(size=(32, 10, 4)).astype(np.float32) * random.choice([-1, 1], size=(32, 10, 4))
    features[random.random(features.shape) < 0.1] = np.nan
    labels = (random.random((32, 10, outcomes)) < 0.3).astype(np.float32)
    return RankingLists(features.astype(np.float32), labels, NAMES)


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "dcn", "cross_layers": 2},
        {"head": "wide-deep", "outcomes": ("click", "cart", "purchase"), "outcome_weights": (0.1, 0.3, 1.0)},
        {"head": "ncf", "objective": ObjectiveWeights(relevance=2.0, margin=0.5, novelty=0.25)},
    ],
)
def test_numpy_gives_the_scores_of_the_network_for_every_part_of_it(changes, tmp_path):
    parameters = RankerParameters(hidden=(8, 4), epochs=2, experts=2, batch_lists=8, learning_rate=0.03, **changes)
    some = lists(len(parameters.outcomes))
    start = np.array([0.1, 0.0, -0.2, 0.0], np.float32) if parameters.head == "ncf" else None
    ranker = train_ranker(some, parameters, seed=1, wide_start=start)
    Forward.of(ranker.module).save(tmp_path)
    rows = some.features.reshape(-1, 4)
    expected = ranker.score(rows)
    assert expected.std() > 0.01
    np.testing.assert_allclose(Forward.load(tmp_path)(rows), expected, atol=1e-5)
    assert Forward.load(tmp_path)(rows[:0]).shape == (0,)


def test_no_export_or_a_broken_one_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match="holds no exported ranker"):
        Forward.load(tmp_path)
    (tmp_path / FORWARD).write_bytes(b"no archive")
    with pytest.raises(DataError, match="train the ranker again"):
        Forward.load(tmp_path)
    np.savez(tmp_path / FORWARD, mean=np.zeros(3))
    with pytest.raises(DataError, match="train the ranker again"):
        Forward.load(tmp_path)
