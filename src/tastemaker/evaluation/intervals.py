"""Intervals by the bootstrap over users: percentile method (Efron and Tibshirani, 1993, chapter 13).

Users are the unit of resampling, because one user's items are not independent of each other. The same
resamples serve every model and metric of one call, so differences between models are paired.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = ["LEVEL", "RESAMPLES", "Estimate", "bootstrap_means", "estimates", "paired_difference"]

LEVEL = 0.95
RESAMPLES = 2000
_CELLS = 4_000_000  # of the resample-weight matrix held at one time: 32 MB

Floats = npt.NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """A mean over users and its interval.

    Attributes:
        value: the mean.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def bootstrap_means(values: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """Means of resamples of users, drawn with replacement.

    Args:
        values: ``[users, columns]``; every column is resampled alike.
        seed: makes it repeatable.
        resamples: how many.

    Returns:
        ``[resamples, columns]``.

    Raises:
        DataError: there are no users, or a value is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise DataError(f"an interval needs values [users, columns] of at least one user, not {values.shape}")
    if not np.isfinite(values).all():
        raise DataError("values hold NaN or infinity; leave out users for whom a metric is undefined")
    users = len(values)
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, _CELLS // users)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, users, size=(size, users)) + np.arange(size)[:, None] * users
        weights = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users)
        means[start : start + size] = weights.astype(np.float64) @ values / users
    return means


def estimates(values: Floats, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES) -> list[Estimate]:
    """An estimate per column of ``values [users, columns]``.

    Raises:
        DataError: as :func:`bootstrap_means`.
    """
    means = bootstrap_means(values, seed=seed, resamples=resamples)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    centre = np.asarray(values, dtype=np.float64).mean(axis=0)
    return [Estimate(float(c), float(lo), float(hi)) for c, lo, hi in zip(centre, low, high, strict=True)]


def paired_difference(
    ours: Floats, theirs: Floats, *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Estimate:
    """Mean of ``ours - theirs`` over the same users, with its interval.

    Args:
        ours: ``[users]``.
        theirs: ``[users]``, in the same order.
        seed: makes it repeatable.
        level: of the two-sided interval.
        resamples: how many.

    Raises:
        DataError: the two differ in length, or as :func:`bootstrap_means`.
    """
    if ours.shape != theirs.shape:
        raise DataError(f"a paired comparison needs the same users: {ours.shape} and {theirs.shape}")
    return estimates((ours - theirs)[:, None], seed=seed, level=level, resamples=resamples)[0]
