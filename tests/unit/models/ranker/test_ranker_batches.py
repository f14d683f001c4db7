import numpy as np
import pytest

from tastemaker.models.ranker.batches import list_batches
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import RankerParameters


def lists(n=10, candidates=20, real=15):
    """One hit, at place 3; the one feature names list and candidate."""
    features = (np.arange(n)[:, None] * 100 + np.arange(candidates)).astype(np.float32)[:, :, None]
    labels = np.zeros((n, candidates, 1), dtype=np.float32)
    labels[:, 3] = 1
    labels[:, real:] = -1
    positions = np.tile(np.arange(1, candidates + 1), (n, 1))
    return RankingLists(features, labels, ("x",), positions, np.arange(n, dtype=np.float32))


def passes(some, parameters, times=1):
    batches = list_batches(some, np.arange(some.n_lists), parameters, seed=1)
    return [[[part.numpy() for part in batch] for batch in batches] for _ in range(times)]


def test_a_pass_gives_every_list_once_without_the_padding_that_all_share():
    first, second = passes(lists(), RankerParameters(batch_lists=4), times=2)
    assert [batch[0].shape for batch in first] == [(4, 15, 1), (4, 15, 1), (2, 15, 1)]
    seen = [np.concatenate([batch[3] for batch in one]) for one in (first, second)]
    for order in seen:
        assert sorted(order) == list(range(10))
    assert not np.array_equal(*seen)  # each pass in an order of its own
    features, labels, positions, weights, correction = first[0]
    np.testing.assert_array_equal(features[:, :, 0] // 100, np.repeat(weights[:, None], 15, axis=1))
    np.testing.assert_array_equal(positions, features[:, :, 0] % 100 + 1)
    np.testing.assert_array_equal(labels[:, 3, 0], 1)
    assert not correction.any()


def test_sampled_lists_hold_all_hits_and_as_many_negatives_as_asked():
    some = lists()
    ((features, labels, positions, _, correction),) = passes(
        some, RankerParameters(batch_lists=10, loss="sampled", negatives=7)
    )[0]
    assert features.shape == (10, 8, 1)
    assert (labels == 1).sum(axis=(1, 2)).tolist() == [1] * 10
    assert (labels == 0).sum(axis=(1, 2)).tolist() == [7] * 10
    places = features[:, :, 0] % 100
    np.testing.assert_array_equal(places[labels[:, :, 0] == 1], 3)
    assert all(len(set(row)) == 8 and max(row) < 15 for row in places)  # no candidate twice, no padding
    np.testing.assert_array_equal(positions, places + 1)
    # Fourteen negatives, seven drawn: each stands for two.
    assert correction[labels[:, :, 0] == 0] == pytest.approx(np.log(2))
    assert not correction[labels[:, :, 0] == 1].any()


def test_sampled_softmax_estimates_the_whole_one():
    some, logits = lists(n=500), np.random.default_rng(3).normal(size=20)
    ((features, labels, _, _, correction),) = passes(
        some, RankerParameters(batch_lists=500, loss="sampled", negatives=5)
    )[0]
    places = features[:, :, 0].astype(int) % 100
    sums = (np.exp(logits[places] + correction) * (labels[:, :, 0] >= 0)).sum(axis=1)
    # Of as many independent draws as there are lists, within four standard errors.
    assert sums.mean() == pytest.approx(np.exp(logits[:15]).sum(), abs=4 * sums.std() / np.sqrt(500))


def test_more_negatives_than_there_are_give_the_whole_list():
    ((features, labels, _, _, correction),) = passes(
        lists(), RankerParameters(batch_lists=10, loss="sampled", negatives=500)
    )[0]
    assert features.shape[1] == 20
    assert (labels == 0).sum(axis=(1, 2)).tolist() == [14] * 10
    assert (labels == -1).sum(axis=(1, 2)).tolist() == [5] * 10
    assert not correction.any()
