"""The linear blend."""

import numpy as np

from tastemaker.models.pipeline.blend import fit_blend


def test_fit_blend_finds_the_source_that_knows_and_ignores_noise() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, 20, 2)).astype(np.float32)
    labels = np.zeros((300, 20), dtype=np.float32)
    # Source 0 alone decides which candidate is relevant.
    labels[np.arange(300), scores[:, :, 0].argmax(axis=1)] = 1.0
    weights = fit_blend(scores, labels)
    assert weights[0] > 2.0
    assert weights[1] < 0.1 * weights[0]


def test_fit_blend_padding_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(50, 6, 2)).astype(np.float32)
    labels = (rng.random((50, 6)) < 0.3).astype(np.float32)
    labels[:, 0] = 1.0
    padded = np.concatenate([scores, np.full((50, 3, 2), 7.0, dtype=np.float32)], axis=1)
    more = np.concatenate([labels, np.full((50, 3), -1.0, dtype=np.float32)], axis=1)
    np.testing.assert_allclose(fit_blend(padded, more), fit_blend(scores, labels), atol=1e-3)
