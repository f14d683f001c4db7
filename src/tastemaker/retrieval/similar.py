"""Similar items: those whose vectors point where the request's items do."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved, Source

__all__ = ["SimilarItems"]


class SimilarItems:
    """The item tower's neighbours of the request's items.

    Args:
        index: searches by vector; see :mod:`tastemaker.retrieval.index`.
        vectors: float32 ``[rows, dimension]`` of the catalogue, of length 1.
    """

    name = names.SOURCE_SIMILAR

    def __init__(self, index: Source, vectors: npt.NDArray[np.float32]) -> None:
        self._index = index
        self._vectors = vectors

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """The nearest items without the given ones; the score is the cosine to their mean direction."""
        if not len(query.items):
            return NO_CANDIDATES
        towards = self._vectors[query.items].mean(axis=0)
        length = float(np.linalg.norm(towards))
        if length == 0.0:
            return NO_CANDIDATES
        found = self._index.retrieve(replace(query, vector=towards / length), n + len(query.items))
        others = ~np.isin(found.rows, query.items)
        return Retrieved(found.rows[others][:n], found.scores[others][:n])
