"""Item-kNN: items whose buyers overlap with those of the user's items (Sarwar et al., 2001)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tastemaker.evaluation.baselines.encoding import Encoded, encode, rank_rows

__all__ = ["ItemKnn"]

_TIE = 1e-9  # popularity orders items that share no buyer with the user's


class ItemKnn:
    """Ranks by the sum of cosine similarities between an item and all items that the user took.

    Interactions are binary; an item is no neighbour of itself. All neighbours count: on Online Retail
    that reaches .171 NDCG@10, the nearest 200 alone .190; a cut is one more thing to tune.
    """

    name = "item_knn"
    _encoded: Encoded
    _taken: sparse.csr_matrix
    _similarity: sparse.csr_matrix
    _tie: npt.NDArray[np.float64]

    def fit(self, interactions: pa.Table, at: datetime) -> Self:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        self._encoded = encode(interactions, at)
        self._taken = self._encoded.binary()
        popularity = self._encoded.popularity()
        # A binary column's length is the root of its sum; every item here was taken at least once.
        unit = (self._taken @ sparse.diags(1.0 / np.sqrt(popularity))).tocsr()
        similarity = (unit.T @ unit).tocsr()
        similarity.setdiag(0.0)
        self._similarity = similarity
        self._tie = _TIE * popularity / popularity.max()
        return self

    def rank(self, user_ids: Sequence[str], k: int) -> npt.NDArray[np.str_]:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        return rank_rows(
            self._encoded,
            user_ids,
            k,
            lambda rows: (self._taken[rows] @ self._similarity).toarray() + self._tie,
            fallback=self._tie,
        )
