"""Softmax losses against their definitions."""

import numpy as np
import pytest

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.losses import full_softmax, log_partition, sampled_softmax
from tastemaker.models.two_tower.noise import Noise

tf = tensorflow()

_GENERATOR = np.random.default_rng(0)
_QUERIES = _GENERATOR.standard_normal((5, 4)).astype(np.float32)
_VECTORS = _GENERATOR.standard_normal((40, 4)).astype(np.float32)
_TARGETS = np.array([0, 3, 3, 39, 7], dtype=np.int32)


def _exact() -> np.ndarray:
    logits = _QUERIES @ _VECTORS.T
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), _TARGETS]


def test_full_softmax_is_the_cross_entropy_over_all_items() -> None:
    np.testing.assert_allclose(full_softmax(_QUERIES, _VECTORS, _TARGETS).numpy(), _exact(), rtol=1e-5)
    own = (_QUERIES * _VECTORS[_TARGETS]).sum(axis=1)
    np.testing.assert_allclose(log_partition(_QUERIES, _VECTORS).numpy() - own, _exact(), rtol=1e-5)


def test_sampled_softmax_over_every_item_once_is_the_full_one() -> None:
    ids = np.arange(40, dtype=np.int32)
    found = sampled_softmax(
        _QUERIES, _TARGETS, _VECTORS[_TARGETS], negatives=_VECTORS, ids=ids, log_expected=np.zeros(40, np.float32)
    )
    np.testing.assert_allclose(found.numpy(), _exact(), rtol=1e-5)


def test_sampled_softmax_with_the_correction_estimates_the_full_one() -> None:
    generator = np.random.default_rng(1)
    share = generator.dirichlet(np.ones(40))
    ids = generator.choice(40, 200_000, p=share).astype(np.int32)
    log_expected = np.log(200_000 * share[ids]).astype(np.float32)
    found = sampled_softmax(
        _QUERIES, _TARGETS, _VECTORS[_TARGETS], negatives=_VECTORS[ids], ids=ids, log_expected=log_expected
    )
    # Without the correction the popular items would count too much; with it the sum over items is unbiased.
    np.testing.assert_allclose(found.numpy(), _exact(), atol=0.05)


def test_accidental_hits_do_not_count() -> None:
    ids = np.array([3, 3, 3], dtype=np.int32)
    found = sampled_softmax(
        _QUERIES[1:2], _TARGETS[1:2], _VECTORS[[3]], negatives=_VECTORS[ids], ids=ids,
        log_expected=np.zeros(3, np.float32),
    )  # fmt: skip
    np.testing.assert_allclose(found.numpy(), [0.0], atol=1e-6)  # nothing but the target is left


def test_noise_repeats_itself_by_seed_and_is_uniform() -> None:
    def draw(step: int, shape: tuple[int, ...] = (200, 100)) -> np.ndarray:
        return Noise(tf.constant([7, step])).uniform(shape).numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    values = draw(2)
    assert abs(np.corrcoef(draw(1).ravel(), values.ravel())[0, 1]) < 0.03
    assert values.min() >= 0.0
    assert values.max() < 1.0
    # 20,000 draws: the mean's standard error is 0.002, a tenth's count has one of 42.
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(np.histogram(values, 10, (0, 1))[0], 2_000, atol=210)
    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.03
    numbers = Noise(tf.constant([7, 1])).integers((5_000,), 10).numpy()
    assert set(numbers.tolist()) == set(range(10))


def test_dropout_keeps_the_mean() -> None:
    kept = Noise(tf.constant([1, 1])).dropout(tf.ones((100, 100)), 0.25).numpy()
    np.testing.assert_allclose(np.unique(kept), [0.0, 4 / 3], rtol=1e-6)
    assert kept.mean() == pytest.approx(1.0, abs=0.03)
