"""The one number that models are chosen by while they are tuned: NDCG of validation lists."""

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.ndcg import ndcg
from tastemaker.models.protocol import Model
from tastemaker.models.ranking import rank

__all__ = ["labels_of", "mean_ndcg", "validation_ndcg"]


def labels_of(items: npt.NDArray[np.integer], relevant: Histories) -> npt.NDArray[np.bool_]:
    """Which places hold a relevant item.

    Args:
        items: int ``[users, n]``, -1 as padding.
        relevant: of the same users.

    Returns:
        bool ``[users, n]``.
    """
    rows = np.arange(len(items), dtype=np.int64)[:, None] * relevant.n_items
    wanted = relevant.rows * relevant.n_items + relevant.items
    return np.asarray(np.isin(rows + items, wanted) & (items >= 0))


def mean_ndcg(ranked: npt.NDArray[np.integer], relevant: Histories) -> float:
    """Mean over users of :func:`~tastemaker.models.ndcg.ndcg`.

    Args:
        ranked: int ``[users, k]``, best first, -1 as padding.
        relevant: of the same users, each item once, at least one per user.
    """
    return float(ndcg(labels_of(ranked, relevant), relevant.lengths).mean())


def validation_ndcg(model: Model, history: Histories, relevant: Histories, k: int, *, exclude_seen: bool) -> float:
    """NDCG of a fitted model's lists. Arguments as of :func:`~tastemaker.models.ranking.rank`."""
    return mean_ndcg(rank(model, history, k, exclude_seen=exclude_seen), relevant)
