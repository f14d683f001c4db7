"""Co-visitation: what others had together with the items that this shopper dealt with."""

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["Covisitation"]

_BECAUSE = 50


class Covisitation:
    """Scores from the item-to-item table.

    Args:
        items: int32 ``[items, k]``, rows of each item's neighbours, -1 as padding. Items that entered the catalogue
            after training have larger rows and no neighbours.
        weights: float32 ``[items, k]``.
    """

    name = names.SOURCE_COVISITATION

    def __init__(self, items: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> None:
        self._items = np.where(items >= 0, items, 0)
        self._weights = np.where(items >= 0, weights, 0.0).astype(np.float32)

    def scores(self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The weighted sum of the neighbourhoods of some items, as float32 ``[items]``."""
        known = rows < len(self._items)
        rows, weights = rows[known], weights[known]
        contributions = self._weights[rows] * weights[:, None]
        return np.bincount(self._items[rows].ravel(), weights=contributions.ravel(), minlength=len(self._items)).astype(
            np.float32
        )

    def strongest(self, row: int) -> float:
        """The largest weight among an item's neighbours; 0 for an item that training did not know."""
        return float(self._weights[row].max(initial=0.0)) if row < len(self._weights) else 0.0

    def of(
        self,
        candidates: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Scores of some candidates, float32 ``[candidates]``; 0 for those that training did not know."""
        scores = self.scores(rows, weights)
        known = candidates < len(scores)
        return np.where(known, scores[np.where(known, candidates, 0)], 0.0).astype(np.float32)

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items by the weighted sum over the shopper's anchors; each with the anchor that says most for it."""
        if not len(query.anchors):
            return NO_CANDIDATES
        scores = self.scores(query.anchors, query.anchor_weights)
        n = min(n, len(scores))
        top = np.argpartition(-scores, n - 1)[:n] if n else np.zeros(0, dtype=np.int64)
        top = top[scores[top] > 0]
        top = top[np.lexsort((top, -scores[top]))]
        return Retrieved(top, scores[top], self.because(query, top[:_BECAUSE]))

    def because(self, query: Query, candidates: npt.NDArray[np.int64]) -> dict[int, int]:
        """For each candidate the anchor with the largest contribution, where there is one."""
        anchors = query.anchors < len(self._items)
        rows, weights = query.anchors[anchors], query.anchor_weights[anchors]
        place = np.full(len(self._items), -1, dtype=np.int64)
        place[candidates] = np.arange(len(candidates))
        where = place[self._items[rows]]
        value = np.where(where >= 0, self._weights[rows] * weights[:, None], 0.0)
        anchor, column = np.nonzero(value > 0)
        order = np.argsort(value[anchor, column], kind="stable")  # the largest is written last, and stays
        best = dict(zip(where[anchor, column][order].tolist(), rows[anchor[order]].tolist(), strict=True))
        return {int(candidates[index]): row for index, row in best.items()}
