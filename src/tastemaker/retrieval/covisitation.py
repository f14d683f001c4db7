"""Co-visitation: what others had together with the items that this shopper dealt with."""

import threading
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["Covisitation", "ItemNeighbours"]

# Up to here a sum over the whole catalogue is quicker than one over the neighbours that occur.
_DENSE: Final = 1 << 15


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
        self._threads = threading.local()

    def __len__(self) -> int:
        """How many items training knew."""
        return len(self._items)

    def strongest(self, row: int) -> float:
        """The largest weight among an item's neighbours; 0 for an item that training did not know."""
        return float(self._weights[row].max(initial=0.0)) if row < len(self._weights) else 0.0

    def of(
        self,
        candidates: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Scores of some candidates, float32 ``[candidates]``; 0 for those that training did not know.

        Args:
            candidates: rows, each once.
            rows: of the items that count, each once.
            weights: float32, how much each counts.
        """
        neighbours, contributions = self._contributions(rows, weights)
        where = self._places(candidates)[neighbours]
        self._forget(candidates)
        hit = where >= 0
        sums = np.bincount(where[hit], weights=contributions[hit], minlength=len(candidates))
        return sums.astype(np.float32)

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items by the weighted sum over the shopper's anchors."""
        return self.nearest(query.anchors, query.anchor_weights, n)

    def nearest(self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], n: int) -> Retrieved:
        """The ``n`` items with the largest weighted sum over the neighbourhoods of some items; ties by row."""
        if not len(rows) or not n:
            return NO_CANDIDATES
        neighbours, contributions = self._contributions(rows, weights)
        if len(self._items) <= _DENSE:
            sums = np.bincount(neighbours, weights=contributions, minlength=len(self._items)).astype(np.float32)
            found = np.flatnonzero(sums > 0)
            scores = sums[found]
        else:
            found, inverse = np.unique(neighbours, return_inverse=True)
            scores = np.bincount(inverse, weights=contributions, minlength=len(found)).astype(np.float32)
            found, scores = found[scores > 0].astype(np.int64), scores[scores > 0]
        if n < len(found):
            top = np.argpartition(-scores, n - 1)[:n]
            found, scores = found[top], scores[top]
        order = np.lexsort((found, -scores))
        return Retrieved(found[order], scores[order])

    def because(
        self,
        candidates: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> dict[int, int]:
        """For each candidate the item with the largest contribution, where there is one; arguments as of :meth:`of`."""
        known = rows < len(self._items)
        rows, weights = rows[known], weights[known]
        where = self._places(candidates)[self._items[rows]]
        self._forget(candidates)
        value = np.where(where >= 0, self._weights[rows] * weights[:, None], 0.0)
        item, column = np.nonzero(value > 0)
        order = np.argsort(value[item, column], kind="stable")  # the largest is written last, and stays
        best = dict(zip(where[item, column][order].tolist(), rows[item[order]].tolist(), strict=True))
        return {int(candidates[index]): row for index, row in best.items()}

    def _contributions(
        self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Neighbours of some items, flat, and what each of them adds."""
        known = rows < len(self._items)
        if not known.all():
            rows, weights = rows[known], weights[known]
        return self._items[rows].ravel(), (self._weights[rows] * weights[:, None]).ravel()

    def _places(self, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Where each item is among the candidates, -1 for the others: one array per thread, used again and again.

        A fresh array of the catalogue's size would cost a large shop more than all the rest of a request.
        """
        places: npt.NDArray[np.int32] | None = getattr(self._threads, "places", None)
        if places is None:
            places = self._threads.places = np.full(len(self._items), -1, dtype=np.int32)
        known = candidates < len(places)
        places[candidates[known]] = np.flatnonzero(known)
        return places

    def _forget(self, candidates: npt.NDArray[np.int64]) -> None:
        self._threads.places[candidates[candidates < len(self._items)]] = -1


class ItemNeighbours:
    """What goes with the items of the request, by one table: bought together, or also viewed.

    Args:
        name: of the source.
        table: of one kind of going together.
        typed: whether it is; else a table of all kinds stands in, and no reason may name one.
    """

    def __init__(self, name: str, table: Covisitation, *, typed: bool = True) -> None:
        self.name = name
        self.typed = typed
        self._table = table

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items by the sum of their weights with the request's items, which count alike."""
        return self._table.nearest(query.items, self._alike(query), n)

    def because(self, query: Query, candidates: npt.NDArray[np.int64]) -> dict[int, int]:
        """For each candidate the item of the request that it goes with most, where there is one."""
        return self._table.because(candidates, query.items, self._alike(query))

    @staticmethod
    def _alike(query: Query) -> npt.NDArray[np.float32]:
        return np.full(len(query.items), 1.0 / max(len(query.items), 1), dtype=np.float32)
