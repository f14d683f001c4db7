"""What linear and neighbour models take from a history: one value per user and item, the newest worth most."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.errors import DataError
from tastemaker.models.histories import Floats, Histories
from tastemaker.models.protocol import FitContext

__all__ = [
    "bounded",
    "moments",
    "pairs",
    "popularity_tie",
    "recency",
    "require_interactions",
    "require_times",
    "square_matrix",
    "values",
]

Ints = npt.NDArray[np.int64]


def require_interactions(train: Histories) -> None:
    """Refuse a table without rows.

    Raises:
        DataError: there is nothing to learn from.
    """
    if not len(train.items):
        raise DataError("no interactions to learn from; give a train table with rows")


def require_times(histories: Histories, model: str) -> None:
    """Refuse histories without an order.

    Raises:
        DataError: there are no times.
    """
    if histories.times is None:
        raise DataError(
            f"model {model!r} learns from the order of interactions; give a timestamp column, or leave it out"
        )


def recency(histories: Histories, half_life: float | None) -> Floats:
    """float32 ``[n]``: 1 for the newest interaction of a user, half of it ``half_life`` interactions before.

    It counts interactions, not time: the same setting then fits sessions of minutes and customers of years. Those of
    one moment, as of a basket, count together as one.

    Args:
        histories: oldest first; without times all interactions weigh the same.
        half_life: in interactions; None: all weigh the same.
    """
    if half_life is None or histories.times is None:
        return np.ones(len(histories.items), np.float32)
    if not len(histories.items):
        return np.ones(0, np.float32)
    numbered = moments(histories)
    back = np.repeat(numbered[np.maximum(histories.offsets[1:] - 1, 0)], histories.lengths) - numbered
    return np.exp2(-back / half_life).astype(np.float32)


def moments(histories: Histories) -> Ints:
    """int64 ``[n]``: numbers that rise by 1 from a user's one moment to the next; without times at every row."""
    n = len(histories.items)
    if histories.times is None or n == 0:
        return np.arange(n)
    rows = histories.rows
    later = np.zeros(n, np.int64)
    later[1:] = (histories.times[1:] > histories.times[:-1]) | (rows[1:] != rows[:-1])
    return np.cumsum(later)


def values(histories: Histories, half_life: float | None = None) -> sparse.csr_matrix:
    """float32 ``[users, items]``: :func:`recency` of the newest interaction with each item; 1s without half-life."""
    if half_life is None or histories.times is None:
        return histories.matrix(binary=True)
    weights = recency(histories, half_life)
    # Columns sorted by item, then by age: the last of each run of equal items is the newest, and the largest.
    order = np.lexsort((np.arange(len(weights)), histories.items, histories.rows))
    rows, items = histories.rows[order], histories.items[order]
    newest = np.ones(len(order), bool)
    newest[:-1] = (rows[1:] != rows[:-1]) | (items[1:] != items[:-1])
    kept = order[newest]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[newest], minlength=histories.n_users))])
    shape = (histories.n_users, histories.n_items)
    return sparse.csr_matrix((weights[kept], histories.items[kept], offsets), shape=shape)


def popularity_tie(popularity: Floats, weight: float) -> Floats:
    """float32 ``[items]``: 0 to ``weight`` by popularity; in a score it orders what a model says nothing about."""
    tie: Floats = (weight * popularity / popularity.max()).astype(np.float32)
    return tie


def square_matrix(columns: npt.NDArray[np.int32], values: Floats) -> sparse.csr_matrix:
    """float32 ``[items, items]`` of int32 ``columns[items, width]``, -1 as padding, and their values."""
    found = columns >= 0
    offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
    made = sparse.csr_matrix((values[found], columns[found], offsets), shape=(len(columns), len(columns)))
    made.sort_indices()
    return made


def pairs(train: Histories) -> float:
    """Pairs of interactions of one user: the work of counting which items occur together."""
    return float(np.square(train.lengths.astype(np.float64)).sum())


def bounded(
    train: Histories,
    context: FitContext,
    *,
    pairs_per_second: float = 2e7,
    share: float = 0.5,
    most: float = float("inf"),
) -> Histories:
    """As many of the newest interactions of each user as can be paired before the deadline.

    Args:
        train: every user's interactions.
        context: its deadline counts.
        pairs_per_second: what counting manages on a slow core.
        share: of the remaining time that may be spent.
        most: pairs that memory has room for, however much time there is.
    """
    room = min(max(context.remaining_s, 1.0) * share * pairs_per_second, most)
    longest = int(train.lengths.max(initial=1))
    while pairs(train) > room and longest > 8:
        longest = longest * 3 // 4
        train = train.last(longest)
    return train
