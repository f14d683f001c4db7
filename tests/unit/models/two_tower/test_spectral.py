"""Starting vectors from the spectrum of the interactions."""

import numpy as np
import pytest

from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.spectral import spectral_vectors


def test_vectors_are_the_leading_singular_vectors_of_the_normalised_interactions() -> None:
    generator = np.random.default_rng(0)
    train = Histories.of(generator.integers(0, 60, 600), generator.integers(0, 30, 600), n_users=60, n_items=30)
    found = spectral_vectors(train, 8, np.random.default_rng(1))
    # The reference: a dense decomposition of D_u^-1/2 R D_i^-1/2, columns scaled by the root of the singular values.
    dense = train.matrix(binary=True).toarray()
    dense = dense / np.sqrt(dense.sum(axis=1, keepdims=True)) / np.sqrt(dense.sum(axis=0, keepdims=True))
    _, values, right = np.linalg.svd(dense)
    expected = right[:8].T * np.sqrt(values[:8])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # Products do not depend on the signs of the columns. Subspace iteration is near, not exact.
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.05)


@pytest.mark.parametrize("dimension", [4, 64])
def test_items_without_interactions_and_missing_columns_are_zero(dimension: int) -> None:
    train = Histories.of([0, 0, 1, 1, 2], [0, 1, 1, 2, 0], n_users=3, n_items=5)
    found = spectral_vectors(train, dimension, np.random.default_rng(1))
    assert found.shape == (5, dimension)
    assert (found[3:] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(found[:3], axis=1), 1.0, rtol=1e-5)
    assert np.isfinite(found).all()
    # Three users and three items have a spectrum of rank three at most.
    assert (np.abs(found) > 1e-6).any(axis=0).sum() <= 3 + 1
