import numpy as np
import pytest

from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.objective import combined_score, relevance
from tastemaker.models.ranker.parameters import ObjectiveWeights, RankerParameters
from tastemaker.models.ranker.train import train_ranker


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def drawn(chance, n=400, candidates=20, seed=1, names=("a", "b")):
    """Candidates with normal features, and outcomes of the chances ``[n, candidates, outcomes]`` that they have."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, candidates, len(names))).astype(np.float32)
    chances = chance(features)
    return features, chances, (random.random(chances.shape) < chances).astype(np.float32)


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


@pytest.fixture(scope="module")
def two_outcomes():
    """A click follows the first feature, a purchase the second; both are rare, and their chances are known."""

    def chance(x):
        return np.stack([sigmoid(2 * x[:, :, 0] - 3), sigmoid(2 * x[:, :, 1] - 4)], axis=2)

    parameters = RankerParameters(
        hidden=(16,),
        epochs=6,
        batch_lists=32,
        learning_rate=1e-2,
        experts=2,
        outcomes=("click", "purchase"),
        outcome_weights=(0.2, 1.0),
    )
    (x, _, y), (vx, _, vy) = drawn(chance), drawn(chance, seed=2)
    return train_ranker(
        RankingLists(x, y, ("a", "b")), parameters, validation=RankingLists(vx, vy, ("a", "b")), seed=1
    ), chance


def test_each_outcome_follows_its_own_driver(two_outcomes):
    ranker, chance = two_outcomes
    x = drawn(chance, seed=3)[0].reshape(-1, 2)
    click, purchase = ranker.logits(x).T
    assert correlation(click, x[:, 0]) > 0.9
    assert abs(correlation(click, x[:, 1])) < 0.2
    assert correlation(purchase, x[:, 1]) > 0.9
    assert abs(correlation(purchase, x[:, 0])) < 0.2


def test_probabilities_are_near_the_known_ones(two_outcomes):
    ranker, chance = two_outcomes
    x, chances, _ = drawn(chance, seed=3)
    found = ranker.probabilities(x.reshape(-1, 2))
    assert np.abs(found - chances.reshape(-1, 2)).mean() < 0.03
    assert all(0 <= error < 0.03 for error in ranker.report.calibration_error)


def test_score_is_the_weighted_expectation_of_the_outcomes(two_outcomes):
    ranker, chance = two_outcomes
    x, chances, _ = drawn(chance, seed=3)
    odds = (chances / (1 - chances)).reshape(-1, 2)
    assert correlation(ranker.score(x.reshape(-1, 2)), np.log(odds @ [0.2, 1.0])) > 0.9


def test_contributions_name_the_feature_that_decides(two_outcomes):
    ranker, _ = two_outcomes
    found = np.abs(ranker.contributions(np.array([[0.0, 3.0], [3.0, -1.0]], np.float32)))
    assert found.argmax(axis=1).tolist() == [1, 0]


def test_outcome_that_is_not_known_of_a_list_leaves_the_others_to_be_learned(two_outcomes):
    _, chance = two_outcomes
    x, _, y = drawn(chance)
    y[::2, :, 0] = -1  # of every second list only the purchase is known
    parameters = RankerParameters(
        hidden=(16,), epochs=3, batch_lists=32, learning_rate=1e-2, outcomes=("click", "purchase"), experts=2
    )
    logits = train_ranker(RankingLists(x, y, ("a", "b")), parameters, seed=1).logits(x[::2].reshape(-1, 2))
    assert correlation(logits[:, 0], x[::2, :, 0]) > 0.9
    assert correlation(logits[:, 1], x[::2, :, 1]) > 0.9


def test_position_bias_goes_where_positions_are_given():
    # Lists were shown roughly in the order of the second feature, which says nothing of the clicks; the place does.
    random = np.random.default_rng(9)
    x = random.normal(size=(400, 20, 2)).astype(np.float32)
    positions = (-x[:, :, 1] - random.normal(size=(400, 20))).argsort(axis=1).argsort(axis=1) + 1
    y = (random.random((400, 20)) < sigmoid(x[:, :, 0] - 1) / positions).astype(np.float32)[:, :, None]
    parameters = RankerParameters(hidden=(16,), epochs=6, batch_lists=32, learning_rate=1e-2)
    influence = []
    for given in (None, positions):
        ranker = train_ranker(RankingLists(x, y, ("a", "b"), positions=given), parameters, seed=1)
        score = ranker.score(x.reshape(-1, 2))
        first, second, _ = np.linalg.lstsq(np.c_[x.reshape(-1, 2), np.ones(len(score))], score, rcond=None)[0]
        influence.append(abs(second / first))
    biased, clean = influence
    assert biased > 0.8  # without positions, places are taken for the second feature's merit
    assert clean < 0.3


def test_relevance_is_the_logarithm_of_the_weighted_odds():
    # Odds 2 and 3 at the weights 1 and 10: 32.
    assert float(relevance(np.log([[2.0, 3.0]]).astype(np.float32), (1.0, 10.0))[0]) == pytest.approx(np.log(32))
    assert float(relevance(np.array([[0.7]], np.float32), (1.0,))[0]) == pytest.approx(0.7)


def test_combined_score_adds_margin_and_novelty_and_takes_unknown_ones_for_nothing():
    weights = ObjectiveWeights(relevance=2.0, margin=1.0, novelty=0.5)
    found = combined_score(
        np.array([1.0, 1.0, 1.0], np.float32),
        np.array([np.e - 1, np.nan, -5.0], np.float32),
        np.array([4.0, np.nan, 2.0], np.float32),
        weights,
    )
    # 2 × 1 + log(e) + .5 × 4; nothing added; .5 × 2.
    np.testing.assert_allclose(found, [5.0, 2.0, 3.0], rtol=1e-6)


def test_aims_reach_the_score():
    x = np.random.default_rng(1).normal(size=(32, 8, 2)).astype(np.float32)
    lists = RankingLists(x, (x[:, :, :1] > 1).astype(np.float32), ("a", "margin"))
    parameters = RankerParameters(hidden=(4,), epochs=1, objective=ObjectiveWeights(margin=3.0))
    paid = train_ranker(lists, parameters, seed=1)
    rows = np.array([[0.0, 0.0], [0.0, np.e - 1]], np.float32)
    (platt,) = paid.card.calibrations
    odds = platt.slope * paid.logits(rows)[:, 0] + platt.offset
    # Relevance is the log-odds; log(1 + e - 1) is 1.
    np.testing.assert_allclose(paid.score(rows) - odds, [0.0, 3.0], atol=1e-5)


def test_scores_of_one_outcome_are_its_log_odds():
    random = np.random.default_rng(2)
    x = random.normal(size=(400, 8, 1)).astype(np.float32)
    chance = 1 / (1 + np.exp(1.0 - 2.0 * x))  # what the labels are drawn with
    labels = (random.random(chance.shape) < chance).astype(np.float32)
    lists = RankingLists(x, labels, ("a",))
    fitted = train_ranker(lists, RankerParameters(hidden=(8,), epochs=8), seed=1)
    told = 1 / (1 + np.exp(-fitted.score(x.reshape(-1, 1))))
    # Mean chance .346; a standard error of 3,200 coins is .0085.
    assert told.mean() == pytest.approx(chance.mean(), abs=0.03)
