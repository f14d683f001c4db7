"""Intervals by the bootstrap over users: percentile method (Efron and Tibshirani, 1993, chapter 13).

Users are the unit of resampling, because one user's items are not independent of each other. The same
resamples serve every model and metric of one call, so differences between models are paired.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = [
    "GROUPS",
    "LEVEL",
    "RESAMPLES",
    "Estimate",
    "bootstrap_known_means",
    "bootstrap_means",
    "estimates",
    "interval_of",
    "paired_difference",
]

LEVEL = 0.95
RESAMPLES = 2000
GROUPS = 5000  # that stand for more users than twice as many
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
    parts = [weights @ values / len(values) for weights in _weights(len(values), seed, resamples)]
    return np.concatenate(parts)


def bootstrap_known_means(values: Floats, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """As :func:`bootstrap_means`, where a user may lack a value: NaN takes no part in its column's mean.

    More than twice :data:`GROUPS` users are put into as many random groups, which are drawn in their place: the mean of
    such groups varies as that of users does (Wolter, *Introduction to Variance Estimation*, 2007, chapter 2), and the
    width of an interval is known to one percent.

    Args:
        values: ``[users, columns]``.
        seed: makes it repeatable.
        resamples: how many.

    Returns:
        ``[resamples, columns]``; NaN where a resample has no user with a value.

    Raises:
        DataError: there are no users.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise DataError(f"an interval needs values [users, columns] of at least one user, not {values.shape}")
    filled = np.nan_to_num(values, copy=True)
    # Most columns lack the same users: each such set is counted once.
    known, group = _distinct_columns(~np.isnan(values))
    if len(values) > 2 * GROUPS:
        users = np.random.default_rng(seed).permutation(len(values))
        starts = np.arange(GROUPS) * len(values) // GROUPS
        filled, known = (np.add.reduceat(part[users], starts, axis=0) for part in (filled, known))
    parts = []
    for weights in _weights(len(filled), seed, resamples):
        count = (weights @ known)[:, group]
        total = weights @ filled
        parts.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
    return np.concatenate(parts)


def interval_of(value: float, means: Floats, *, level: float = LEVEL) -> Estimate:
    """An estimate from the means of resamples ``[resamples]``; means that are NaN do not count.

    The interval holds the value: sums in another order may differ in their last bits.
    """
    known = means[~np.isnan(means)]
    if not len(known):
        return Estimate(value, value, value)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _distinct_columns(columns: npt.NDArray[np.bool_]) -> tuple[Floats, list[int]]:
    """The distinct columns as 0 and 1, and which of them each column is."""
    seen: dict[bytes, int] = {}
    group = [seen.setdefault(column.tobytes(), len(seen)) for column in np.packbits(columns, axis=0).T]
    first = [group.index(number) for number in range(len(seen))]
    return columns[:, first].astype(np.float64), group


def _weights(users: int, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each resample draws each user, ``[some resamples, users]`` at one time."""
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // users)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(0, users, size=(size, users)) + np.arange(size)[:, None] * users
        yield np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users).astype(np.float64)


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
