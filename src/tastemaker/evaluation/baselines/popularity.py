"""Popularity: the items that most users took, the same list for everyone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.evaluation.baselines.encoding import Encoded, encode, rank_rows

__all__ = ["Popularity"]


class Popularity:
    """Ranks by the number of distinct users over all time."""

    name = "popularity"
    _encoded: Encoded
    _scores: npt.NDArray[np.float64]

    def fit(self, interactions: pa.Table, at: datetime) -> Self:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        self._encoded = encode(interactions, at)
        self._scores = self._encoded.popularity()
        return self

    def rank(self, user_ids: Sequence[str], k: int) -> npt.NDArray[np.str_]:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        return rank_rows(
            self._encoded, user_ids, k, lambda rows: np.tile(self._scores, (len(rows), 1)), fallback=self._scores
        )
