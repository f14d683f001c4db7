"""An index that looks at every vector: for small catalogues, and for the few items that another index has not yet."""

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.index.best import best
from tastemaker.retrieval.source import NO_CANDIDATES, Retrieved

__all__ = ["ExactIndex"]


class ExactIndex:
    """Some rows and their vectors; see :class:`~tastemaker.retrieval.index.protocol.CandidateIndex`.

    Args:
        rows: int64 ``[n]``, each once.
        vectors: float32 ``[n, dimension]``, theirs.
    """

    def __init__(self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
        import faiss

        self.rows = rows
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        # faiss reads its own copy five times as fast as numpy multiplies and partitions.
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(self._vectors)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows and both copies of their vectors."""
        return int(self.rows.nbytes + 2 * self._vectors.nbytes)

    def search(self, query: npt.NDArray[np.float32], n: int, *, allowed: Allowed | None = None) -> Retrieved:
        """See the protocol."""
        n = min(n, len(self.rows))
        if n <= 0:
            return NO_CANDIDATES
        if allowed is None:
            scores, places = self._index.search(query[None, :], n)
            return best(self.rows[places[0]], scores[0], n)
        keep = np.flatnonzero(allowed.of(self.rows))
        return best(self.rows[keep], self._vectors[keep] @ query, n)
