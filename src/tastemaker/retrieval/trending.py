"""Trending: what everybody buys these days; the same for all shoppers, and the answer where nothing is known."""

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import Query, Retrieved

__all__ = ["Trending"]


class Trending:
    """Popular items.

    Args:
        popularity: float32 ``[rows]``, recent popularity of each catalogue row.
        servable: bool ``[rows]``; only these are candidates.
    """

    name = names.SOURCE_TRENDING

    def __init__(self, popularity: npt.NDArray[np.float32], servable: npt.NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(servable).astype(np.int64)
        order = np.lexsort((rows, -popularity[rows]))
        self._rows = rows[order]
        largest = float(popularity.max(initial=0.0))
        # Between 0 and 1, so that the score means the same in a quiet week and before Christmas.
        self.scores = (popularity / largest if largest > 0 else np.zeros_like(popularity)).astype(np.float32)

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """The ``n`` most popular items, whoever asks; the score is relative to the most popular one."""
        rows = self._rows[:n]
        return Retrieved(rows, self.scores[rows])
