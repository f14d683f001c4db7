"""Two-tower retrieval: the items whose vectors point where the shopper's does."""

from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["EXACT_LIMIT", "VectorIndex"]

# Up to here an exact scan is as fast as an approximate search, and loses nothing.
EXACT_LIMIT: Final = 100_000
_PROBES: Final = 32


class VectorIndex:
    """A faiss index over item vectors, by inner product.

    Args:
        vectors: float32 ``[rows, dimension]``, one per catalogue row.
        servable: bool ``[rows]``; only these are indexed.
    """

    name = names.SOURCE_TWO_TOWER

    def __init__(self, vectors: npt.NDArray[np.float32], servable: npt.NDArray[np.bool_]) -> None:
        import faiss

        faiss.omp_set_num_threads(1)  # a request is one thread; more would only wait for each other
        self._rows = np.flatnonzero(servable).astype(np.int64)
        chosen = np.ascontiguousarray(vectors[self._rows], dtype=np.float32)
        dimension = vectors.shape[1]
        cells = int(4 * np.sqrt(len(chosen)))
        kind = "Flat" if len(chosen) <= EXACT_LIMIT else f"IVF{cells},SQ8"
        self._index = faiss.index_factory(dimension, kind, faiss.METRIC_INNER_PRODUCT)
        if not self._index.is_trained:
            self._index.train(chosen)
            faiss.ParameterSpace().set_index_parameter(self._index, "nprobe", _PROBES)
        self._index.add(chosen)

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """The nearest items; the score is the cosine of the towers' vectors."""
        if query.vector is None or not len(self._rows):
            return NO_CANDIDATES
        scores, places = self._index.search(query.vector[None, :], min(n, len(self._rows)))
        found = places[0] >= 0  # an approximate search pads with -1
        return Retrieved(self._rows[places[0][found]], scores[0][found].astype(np.float32))
