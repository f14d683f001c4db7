"""Normalised discounted cumulative gain, written once for tuning, early stopping and evaluation."""

import numpy as np
import numpy.typing as npt

__all__ = ["ndcg"]


def ndcg(hit: npt.NDArray[np.bool_], n_relevant: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Of each user's list, with binary gains and discount ``1 / log2(rank + 1)``.

    The ideal list holds ``min(k, relevant)`` relevant items, so 1 can be reached by every user
    (Järvelin and Kekäläinen, 2002). NaN without relevant items.

    Args:
        hit: ``bool[users, k]``: which places hold a relevant item.
        n_relevant: ``[users]``, all relevant items of each user, found or not.

    Returns:
        float64 ``[users]``.

    >>> ndcg(np.array([[True, False], [False, False]]), np.array([1, 0])).tolist()
    [1.0, nan]
    """
    k = hit.shape[1]
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(n_relevant, k)]
    return np.asarray((hit @ discount) / ideal, dtype=np.float64)
