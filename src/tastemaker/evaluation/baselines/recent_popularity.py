"""Recent popularity: what sold most in the last weeks, the same list for everyone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.errors import DataError
from tastemaker.evaluation.baselines.encoding import Encoded, encode, rank_rows

__all__ = ["RecentPopularity"]


class RecentPopularity:
    """Ranks by the number of purchases in a window before the prediction; ties by all-time popularity.

    Args:
        days: length of the window.

    Raises:
        DataError: the window is not positive.
    """

    name = "recent_popularity"
    _encoded: Encoded
    _scores: npt.NDArray[np.float64]

    def __init__(self, days: float = 28) -> None:
        if not days > 0:
            raise DataError(f"the window of recent popularity must be above 0 days, not {days}")
        self.days = days

    def fit(self, interactions: pa.Table, at: datetime) -> Self:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        self._encoded = encode(interactions, at)
        recent = self._encoded.cols[self._encoded.age_days <= self.days]
        ever = self._encoded.popularity()
        # Counts are whole numbers, so a share below one only ever breaks ties.
        self._scores = np.bincount(recent, minlength=len(ever)) + ever / (ever.max() + 1)
        return self

    def rank(self, user_ids: Sequence[str], k: int) -> npt.NDArray[np.str_]:
        """See :class:`~tastemaker.evaluation.baselines.protocol.Baseline`."""
        return rank_rows(
            self._encoded, user_ids, k, lambda rows: np.tile(self._scores, (len(rows), 1)), fallback=self._scores
        )
