"""What lists are like besides right: new, varied, surprising, popular, and true to a user's mix of interests.

All work on ``ranked``, int ``[users, k]`` padded with -1, and give one value per user, NaN where it is undefined.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.evaluation.metrics import Bools, Floats, Ints

__all__ = ["CALIBRATION_BLEND", "calibration", "list_mean", "novelty", "percentiles", "self_information", "serendipity"]

CALIBRATION_BLEND: Final = 0.01
_USERS: Final = 20_000  # whose category shares are held at one time


def list_mean(ranked: Ints, values: Floats) -> Floats:
    """Mean over each list of a value per item.

    Args:
        ranked: ``[users, k]``.
        values: ``[items]``.

    >>> list_mean(np.array([[0, 1], [1, -1], [-1, -1]]), np.array([1.0, 3.0])).tolist()
    [2.0, 3.0, nan]
    """
    listed = ranked >= 0
    total = np.where(listed, values[np.maximum(ranked, 0)], 0.0).sum(axis=1)
    count = listed.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(ranked), np.nan), where=count > 0), dtype=np.float64)


def self_information(popularity: npt.NDArray[np.floating], n_users: int) -> Floats:
    """Bits that an item tells when a user takes it: ``-log2`` of the share of users who did (Zhou et al., 2010).

    Args:
        popularity: ``[items]``, distinct users of each; an item that nobody took counts as taken by one.
        n_users: of the training data.
    """
    return np.asarray(-np.log2(np.clip(popularity, 1, None) / max(n_users, 1)), dtype=np.float64)


def novelty(ranked: Ints, popularity: npt.NDArray[np.floating], n_users: int) -> Floats:
    """Mean self-information of each list's items, in bits."""
    return list_mean(ranked, self_information(popularity, n_users))


def percentiles(popularity: npt.NDArray[np.floating]) -> Floats:
    """Share of the catalogue that is less popular than each item, ties counted half: 0 to 1.

    >>> percentiles(np.array([5.0, 1.0, 1.0, 9.0])).tolist()
    [0.625, 0.25, 0.25, 0.875]
    """
    _, places, counts = np.unique(popularity, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    return np.asarray(((below + counts / 2) / len(popularity))[places], dtype=np.float64)


def serendipity(ranked: Ints, hit: Bools, popularity: npt.NDArray[np.floating]) -> Floats:
    """Share of the places with a hit that popularity alone would not have listed (Ge et al., 2010).

    Args:
        ranked: ``[users, k]``.
        hit: ``bool[users, k]``, which of them are relevant.
        popularity: ``[items]``; the ``k`` most popular items are the expected ones.
    """
    k = ranked.shape[1]
    expected = np.zeros(len(popularity), dtype=np.bool_)
    expected[np.argsort(-popularity, kind="stable")[:k]] = True
    return np.asarray((hit & ~expected[np.maximum(ranked, 0)]).mean(axis=1), dtype=np.float64)


def calibration(ranked: Ints, history: sparse.csr_matrix, categories: Ints) -> Floats:
    """How far a list's mix of categories is from that of the user's history: 0 is the same (Steck, 2018).

    Kullback-Leibler divergence in nats of the list's shares, blended with :data:`CALIBRATION_BLEND` of the history's,
    from the history's.

    Args:
        ranked: ``[users, k]``.
        history: ``[users, items]``, how often each user took each item.
        categories: ``[items]``, -1 for an item without one, which does not count.

    Returns:
        ``[users]``, NaN without a history or a list of items with categories.
    """
    n = int(categories.max(initial=-1)) + 1
    found = np.full(len(ranked), np.nan)
    known = np.flatnonzero(categories >= 0)
    to_category = sparse.csr_matrix((np.ones(len(known)), (known, categories[known])), shape=(len(categories), n))
    for start in range(0, len(ranked), _USERS):
        users = slice(start, min(start + _USERS, len(ranked)))
        lists = ranked[users]
        rows, places = np.nonzero(lists >= 0)
        shown = sparse.csr_matrix(
            (np.ones(len(rows)), (rows, lists[rows, places])), shape=(len(lists), len(categories))
        )
        found[users] = _divergence(history[users] @ to_category, shown @ to_category)
    return found


def _divergence(taken: sparse.csr_matrix, shown: sparse.csr_matrix) -> Floats:
    """Per row, from counts of categories; only categories of the history add to it."""
    totals = [np.asarray(part.sum(axis=1)).ravel() for part in (taken, shown)]
    taken = taken.tocsr()
    taken.eliminate_zeros()
    rows = np.repeat(np.arange(taken.shape[0]), np.diff(taken.indptr))
    p = taken.data / totals[0][rows]
    in_list = np.asarray(shown.tocsr()[rows, taken.indices]).ravel()
    q = in_list / np.where(totals[1][rows] > 0, totals[1][rows], 1.0)
    blended = (1 - CALIBRATION_BLEND) * q + CALIBRATION_BLEND * p
    total = np.bincount(rows, weights=p * np.log(p / blended), minlength=taken.shape[0])
    return np.where((totals[0] > 0) & (totals[1] > 0), total, np.nan)
