"""Ranking metrics, exact and vectorised, one value per user so that intervals can be computed.

All work on padded index arrays: ``ranked`` is ``int[users, k]`` with ``-1`` where a list is shorter than
``k``, ``relevant`` is ``int[users, m]`` with ``-1`` as padding. Relevance is binary. Users without a relevant
item have no defined recall or NDCG: they get NaN, never a silent zero.
"""

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.ndcg import ndcg

__all__ = [
    "METRICS",
    "PADDING",
    "RANKING_METRICS",
    "average_precision",
    "coverage",
    "gini",
    "hit_rate",
    "hits",
    "hits_among",
    "ndcg",
    "of_hits",
    "per_user",
    "precision",
    "recall",
    "reciprocal_rank",
]

PADDING = -1
METRICS = ("precision", "recall", "ndcg", "mrr", "hit_rate")  # what gates judge
RANKING_METRICS = (*METRICS, "map")

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def hits(ranked: Ints, relevant: Ints) -> Bools:
    """Which ranked items are relevant.

    Args:
        ranked: ``[users, k]``, best first.
        relevant: ``[users, m]``, in any order.

    Returns:
        ``bool[users, k]``; padding is never a hit.

    Raises:
        DataError: the two have different numbers of users, or a list names an item twice, which would count
            one relevant item more than once.

    >>> hits(np.array([[4, 7, -1]]), np.array([[7, 9]])).tolist()
    [[False, True, False]]
    """
    ranked, relevant = np.asarray(ranked, dtype=np.int64), np.asarray(relevant, dtype=np.int64)
    if ranked.ndim != 2 or relevant.ndim != 2 or len(ranked) != len(relevant):
        raise DataError(
            f"ranked {ranked.shape} and relevant {relevant.shape} must be [users, k] and [users, m] of the same users"
        )
    owners, places = np.nonzero(relevant >= 0)
    return hits_among(ranked, owners, relevant[owners, places])


def hits_among(ranked: Ints, owners: Ints, items: Ints) -> Bools:
    """Which ranked items are relevant, with the relevant ones as pairs: long and short sets need no padding.

    Args:
        ranked: ``[users, k]``, best first, padded with -1.
        owners: ``[n]``, rows of ``ranked``.
        items: ``[n]``, what is relevant to each owner.

    Returns:
        ``bool[users, k]``; padding is never a hit.

    Raises:
        DataError: a list names an item twice, which would count one relevant item more than once.
    """
    ordered = np.sort(ranked, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise DataError(
            f"the list of user row {int(np.argmax(twice))} names an item twice; a ranking has each item once"
        )
    if not ranked.size or not len(items):
        return np.zeros(ranked.shape, dtype=np.bool_)
    # One integer per (user, item), so that a single sorted membership test serves all users.
    stride = max(int(ranked.max()), int(items.max())) + 1
    wanted = np.asarray(owners, dtype=np.int64) * stride + items
    asked = np.arange(len(ranked), dtype=np.int64)[:, None] * stride + ranked
    return np.asarray(np.isin(asked, wanted) & (ranked >= 0))


def precision(hit: Bools) -> Floats:
    """Share of the ``k`` places that hold a relevant item; a short list counts its empty places.

    Args:
        hit: ``bool[users, k]`` of :func:`hits`.

    >>> precision(np.array([[True, False, True, False]])).tolist()
    [0.5]
    """
    return np.asarray(hit.mean(axis=1), dtype=np.float64) if hit.shape[1] else np.zeros(len(hit))


def recall(hit: Bools, n_relevant: Ints) -> Floats:
    """Share of a user's relevant items that the list holds; NaN without relevant items.

    >>> recall(np.array([[True, False]]), np.array([4])).tolist()
    [0.25]
    """
    return _divide(hit.sum(axis=1, dtype=np.float64), np.asarray(n_relevant, dtype=np.float64))


def reciprocal_rank(hit: Bools) -> Floats:
    """One over the rank of the first hit, 0 without one; its mean is MRR.

    >>> reciprocal_rank(np.array([[False, True, True], [False, False, False]])).tolist()
    [0.5, 0.0]
    """
    if not hit.shape[1]:
        return np.zeros(len(hit))
    return np.asarray(np.where(hit.any(axis=1), 1.0 / (hit.argmax(axis=1) + 1.0), 0.0), dtype=np.float64)


def average_precision(hit: Bools, n_relevant: Ints) -> Floats:
    """Mean over all relevant items of the precision at the rank of each, 0 for those not listed; its mean is MAP.

    The sum is divided by the number of relevant items, as in trec_eval; NaN without relevant items.

    >>> average_precision(np.array([[True, False, True]]), np.array([2])).round(4).tolist()  # (1 + 2/3) / 2
    [0.8333]
    """
    ranks = np.arange(1, hit.shape[1] + 1)
    found = (np.cumsum(hit, axis=1) / ranks * hit).sum(axis=1)
    return _divide(np.asarray(found, dtype=np.float64), np.asarray(n_relevant, dtype=np.float64))


def hit_rate(hit: Bools) -> Floats:
    """1 for a user whose list holds any relevant item, else 0."""
    return np.asarray(hit.any(axis=1), dtype=np.float64)


def coverage(ranked: Ints, n_items: int) -> float:
    """Share of the catalogue's items that appear in at least one list.

    Args:
        ranked: ``[users, k]`` of indices below ``n_items``; other values (padding, unknown items) do not count.
        n_items: size of the catalogue.

    Raises:
        DataError: the catalogue is empty.

    >>> coverage(np.array([[0, 1], [1, -1]]), 4)
    0.5
    """
    if n_items < 1:
        raise DataError("coverage needs a catalogue of at least one item")
    known = ranked[(ranked >= 0) & (ranked < n_items)]
    return len(np.unique(known)) / n_items


def gini(ranked: Ints, n_items: int) -> float:
    """How unequally the lists use the catalogue: 0 when each item is listed as often, near 1 when one item has all.

    Args:
        ranked: as for :func:`coverage`.
        n_items: size of the catalogue; items that are never listed count.

    Raises:
        DataError: the catalogue is empty.

    >>> gini(np.array([[0, 1], [2, 3]]), 4), gini(np.array([[0], [0]]), 4)
    (0.0, 0.75)
    """
    if n_items < 1:
        raise DataError("the Gini coefficient needs a catalogue of at least one item")
    known = ranked[(ranked >= 0) & (ranked < n_items)]
    counts = np.sort(np.bincount(known, minlength=n_items))
    total = counts.sum()
    if not total:
        return 0.0
    # Twice the area between the diagonal and the Lorenz curve of the sorted counts.
    return float(((2 * np.arange(1, n_items + 1) - n_items - 1) * counts).sum() / (n_items * total))


def per_user(ranked: Ints, relevant: Ints) -> dict[str, Floats]:
    """Every metric of :data:`METRICS` for every user, ``[users]`` each; the cut-off is ``ranked.shape[1]``."""
    found = of_hits(hits(ranked, relevant), (np.asarray(relevant) >= 0).sum(axis=1))
    return {name: found[name] for name in METRICS}


def of_hits(hit: Bools, n_relevant: Ints) -> dict[str, Floats]:
    """Every metric of :data:`RANKING_METRICS`, ``[users]`` each.

    Args:
        hit: ``bool[users, k]`` of :func:`hits`; the cut-off is k.
        n_relevant: ``[users]``.
    """
    return {
        "precision": precision(hit),
        "recall": recall(hit, n_relevant),
        "ndcg": ndcg(hit, n_relevant),
        "mrr": reciprocal_rank(hit),
        "hit_rate": hit_rate(hit),
        "map": average_precision(hit, n_relevant),
    }


def _divide(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0), dtype=np.float64)
