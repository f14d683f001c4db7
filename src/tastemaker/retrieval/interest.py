"""How much an event with an item says about what a shopper wants: by its kind, and by how long ago it was."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.events.contract import EVENT_TYPES

__all__ = ["TYPE_WEIGHTS", "combine", "freshness", "recency", "type_weights"]

# Stated once for the query tower's start and for the anchors of co-visitation. They order kinds of events by how
# much they commit a shopper; they are what makes a click count in a model trained on purchases alone.
TYPE_WEIGHTS: Final[Mapping[str, float]] = {
    "purchase": 1.0,
    "cart_add": 0.8,
    "wishlist": 0.6,
    "like": 0.6,
    "view": 0.5,
    "rating": 0.5,
}
# Fitted on Online Retail's validation window; flat between 0.5 and 1. It makes a click count at once.
_DECAY: Final = 1.0


def type_weights() -> npt.NDArray[np.float32]:
    """float32 ``[event types]``, in the order of ``EVENT_TYPES``; kinds that say nothing good weigh 0."""
    return np.array([TYPE_WEIGHTS.get(name, 0.0) for name in EVENT_TYPES], dtype=np.float32)


def recency(age_days: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """``1 / (1 + age)`` for ages in days: 1 for what happened just now.

    >>> recency(np.array([0.0, 1.0, 3.0])).tolist()
    [1.0, 0.5, 0.25]
    """
    return np.asarray((1.0 + np.maximum(age_days, 0.0)) ** -_DECAY, dtype=np.float32)


def freshness(age_days: npt.NDArray[np.float64], half_life_minutes: float) -> npt.NDArray[np.float32]:
    """What is left of an event's say in the present intent: half after each half-life, nothing below 1 %.

    >>> freshness(np.array([0.0, 0.5, 1.0]), 720.0).tolist()
    [1.0, 0.5, 0.25]
    """
    left = 0.5 ** (np.maximum(age_days, 0.0) * 1_440.0 / half_life_minutes)
    return np.where(left >= 0.01, left, 0.0).astype(np.float32)


def combine(
    rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Each row once with the sum of its weights; the strongest first, ties by row; without rows that weigh nothing.

    >>> combine(np.array([7, 3, 7]), np.array([1.0, 2.0, 3.0], dtype=np.float32))
    (array([7, 3]), array([4., 2.], dtype=float32))
    """
    unique, inverse = np.unique(rows, return_inverse=True)
    sums = np.bincount(inverse, weights=weights, minlength=len(unique))
    unique, sums = unique[sums > 0], sums[sums > 0]
    order = np.lexsort((unique, -sums))
    return unique[order], sums[order].astype(np.float32)
