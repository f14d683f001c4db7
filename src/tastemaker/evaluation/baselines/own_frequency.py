"""Own frequency: what this user took most often. Hard to beat where people buy again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tastemaker.errors import DataError
from tastemaker.evaluation.baselines.encoding import Encoded, encode, rank_rows

__all__ = ["OwnFrequency"]

_TIE = 1e-6  # far below any difference between counts, so popularity orders ties and fills up lists


class OwnFrequency:
    """Ranks by the user's own number of purchases; ties, and places left over, by popularity.

    Args:
        half_life_days: when given, a purchase counts half after so many days.

    Raises:
        DataError: the half-life is not positive.
    """

    _encoded: Encoded
    _counts: sparse.csr_matrix
    _tie: npt.NDArray[np.float64]

    def __init__(self, half_life_days: float | None = None) -> None:
        if half_life_days is not None and not half_life_days > 0:
            raise DataError(f"a half-life must be above 0 days, not {half_life_days}")
        self.half_life_days = half_life_days
        self.name = "own_frequency" if half_life_days is None else f"own_frequency_decayed_{half_life_days:g}d"

    def fit(self, interactions: pa.Table, at: datetime) -> Self:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        self._encoded = encode(interactions, at)
        weights = None if self.half_life_days is None else 0.5 ** (self._encoded.age_days / self.half_life_days)
        self._counts = self._encoded.matrix(weights)
        popularity = self._encoded.popularity()
        self._tie = _TIE * popularity / popularity.max()
        return self

    def rank(self, user_ids: Sequence[str], k: int) -> npt.NDArray[np.str_]:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        return rank_rows(
            self._encoded, user_ids, k, lambda rows: self._counts[rows].toarray() + self._tie, fallback=self._tie
        )
