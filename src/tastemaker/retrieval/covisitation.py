"""Co-visitation: what others had together with the items that this shopper dealt with."""

import threading
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["Covisitation", "ItemNeighbours"]

# Cosines of two items that have nothing to do with each other stay below this.
_UNRELATED: Final = 0.3


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
        from tastemaker.retrieval.covisitation_kernel import sums_of  # compiled code is loaded where it runs

        return sums_of(self._items, self._weights, candidates, rows, weights, self._sums())

    def likeness(
        self, candidates: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], cosines: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """How much candidates go with some items, 0 to 1, float32 ``[candidates, rows]``.

        Half is what others had together, half what the towers say. An item does not go with itself.

        Args:
            candidates: rows.
            rows: of the items.
            cosines: float32 ``[candidates, rows]``, of their vectors.
        """
        from tastemaker.retrieval.covisitation_kernel import likeness

        return likeness(self._items, self._weights, candidates, rows, cosines, _UNRELATED, self._sums())

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items by the weighted sum over the shopper's anchors."""
        return self.nearest(query.anchors, query.anchor_weights, n)

    def nearest(self, rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], n: int) -> Retrieved:
        """The ``n`` items with the largest weighted sum over the neighbourhoods of some items; ties by row."""
        if not len(rows) or not n:
            return NO_CANDIDATES
        from tastemaker.retrieval.covisitation_kernel import nearest_neighbours

        return Retrieved(*nearest_neighbours(self._items, self._weights, rows, weights, n, self._sums()))

    def because(
        self,
        candidates: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
    ) -> dict[int, int]:
        """For each candidate the item with the largest contribution, where there is one; arguments as of :meth:`of`."""
        from tastemaker.retrieval.covisitation_kernel import strongest_link

        link = strongest_link(self._items, self._weights, candidates, rows, weights, self._sums())
        found = link >= 0
        return dict(zip(candidates[found].tolist(), link[found].tolist(), strict=True))

    def _sums(self) -> npt.NDArray[np.float64]:
        """Zeros, one per item: one array per thread, which every loop leaves as it was."""
        sums: npt.NDArray[np.float64] | None = getattr(self._threads, "sums", None)
        if sums is None:
            sums = self._threads.sums = np.zeros(len(self._items))
        return sums


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
