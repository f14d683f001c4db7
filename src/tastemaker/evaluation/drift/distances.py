"""Distances between two samples of a column, for many pairs of samples at one time, from counts of values."""

import numpy as np
import numpy.typing as npt

__all__ = ["jensen_shannon", "shares", "wasserstein"]

Floats = npt.NDArray[np.float64]


def shares(counts: npt.NDArray[np.floating]) -> Floats:
    """Counts ``[..., values]`` as shares that sum to 1; all 0 where there are none.

    >>> shares(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [[0.25, 0.75], [0.0, 0.0]]
    """
    total = counts.sum(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0), dtype=np.float64)


def wasserstein(ours: Floats, theirs: Floats, values: Floats, scale: float) -> Floats:
    """First Wasserstein distance in units of ``scale``: what ``scipy.stats.wasserstein_distance`` gives, for each row.

    Args:
        ours: shares ``[..., values]``.
        theirs: likewise; broadcast.
        values: ``[values]``, rising.
        scale: a standard deviation.

    Returns:
        ``[...]``.

    >>> float(wasserstein(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([0.0, 4.0]), 2.0))
    1.0
    """
    apart = np.abs(np.cumsum(ours - theirs, axis=-1)[..., :-1])
    return np.asarray(apart @ (np.diff(values) / scale), dtype=np.float64)


def jensen_shannon(ours: Floats, theirs: Floats) -> Floats:
    """Jensen-Shannon distance with the natural logarithm: ``scipy.spatial.distance.jensenshannon``, for each row.

    >>> round(float(jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))) ** 2, 6) == round(np.log(2), 6)
    True
    """
    middle = (ours + theirs) / 2
    divergence = (_terms(ours, middle) + _terms(theirs, middle)).sum(axis=-1) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)), dtype=np.float64)


def _terms(p: Floats, q: Floats) -> Floats:
    positive = p > 0
    ratio = np.divide(p, q, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=positive)
    return np.asarray(np.where(positive, p * np.log(ratio), 0.0), dtype=np.float64)
