import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from tastemaker.evaluation.drift.distances import jensen_shannon, shares, wasserstein


@pytest.mark.parametrize("seed", range(5))
def test_wasserstein_is_scipys(seed):
    draw = np.random.default_rng(seed)
    values = np.sort(draw.choice(1000, 40, replace=False)).astype(float)
    counts = draw.integers(0, 9, (2, 40)).astype(float)
    ours = float(wasserstein(shares(counts[0]), shares(counts[1]), values, 3.0))
    assert ours == pytest.approx(wasserstein_distance(values, values, counts[0], counts[1]) / 3.0)


@pytest.mark.parametrize("seed", range(5))
def test_jensen_shannon_is_scipys(seed):
    counts = np.random.default_rng(seed).integers(0, 5, (2, 30)).astype(float)
    ours = float(jensen_shannon(shares(counts[0]), shares(counts[1])))
    assert ours == pytest.approx(jensenshannon(counts[0], counts[1]))


def test_many_windows_at_one_time_give_what_each_gives_alone():
    draw = np.random.default_rng(1)
    values, counts = np.arange(20.0), draw.integers(1, 9, (2, 7, 20)).astype(float)
    together = wasserstein(shares(counts[0]), shares(counts[1]), values, 1.0)
    alone = [float(wasserstein(shares(a), shares(b), values, 1.0)) for a, b in zip(*counts, strict=True)]
    np.testing.assert_allclose(together, alone)
