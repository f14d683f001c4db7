"""The centres of the cells, and which of them are nearest."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.index.best import best

__all__ = ["Centres"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_FEW: Final = 4_096  # so many are all looked at as fast as groups of them


class Centres:
    """Centres of unit length; many are in groups, of which a query looks at the nearest.

    Args:
        vectors: float32 ``[cells, dimension]``.
    """

    def __init__(self, vectors: Floats) -> None:
        import faiss

        self.vectors = vectors
        cells, dimension = vectors.shape
        self._flat = faiss.IndexFlatIP(dimension)
        self._flat.add(vectors)
        #: What faiss assigns vectors to cells by; a query goes through :meth:`nearest`.
        self.quantizer: Any = self._flat
        if cells > _FEW:
            self._groups = faiss.IndexFlatIP(dimension)
            groups = int(np.sqrt(cells))
            grouped = faiss.IndexIVFFlat(self._groups, dimension, groups, faiss.METRIC_INNER_PRODUCT)
            grouped.cp.min_points_per_centroid = 1
            grouped.train(vectors)
            grouped.add(vectors)
            grouped.make_direct_map(True)  # residuals need the centres by number
            grouped.nprobe = groups // 5
            self.quantizer = grouped

    @property
    def nbytes(self) -> int:
        """Bytes of all copies of the centres."""
        return int(self.vectors.nbytes * (2 if self.quantizer is self._flat else 3))

    def nearest(self, query: Floats, n: int) -> tuple[Floats, Rows]:
        """Inner products, float32 ``[1, n]``, and numbers of the nearest cells, int64 ``[1, n]``, nearest first.

        Args:
            query: float32 ``[1, dimension]``.
            n: at most as many as there are.
        """
        products, cells = self.quantizer.search(query, n)
        if cells[0, -1] < 0:  # the groups that were looked at have fewer; faiss's loops take no gaps
            products, cells = self._flat.search(query, n)
        return products, cells

    def nearest_of(self, among: Mask, query: Floats, n: int) -> tuple[Floats, Rows]:
        """The same among some cells, of which there may be fewer than ``n``.

        Args:
            among: bool ``[cells]``.
            query: float32 ``[1, dimension]``.
            n: at most so many.
        """
        known = np.flatnonzero(among)
        found = best(known, self.vectors[known] @ query[0], n)
        return found.scores[None, :], found.rows[None, :]
