"""Trending: what everybody buys these days; the same for all shoppers, and the answer where nothing is known."""

from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import Query, Retrieved

__all__ = ["Trending", "most"]

# Popularity changes with every purchase, and nearly every list looks at the head alone.
_HEAD: Final = 2_048


def most(rows: npt.NDArray[np.int64], popularity: npt.NDArray[np.float32], n: int) -> npt.NDArray[np.int64]:
    """The ``n`` most popular of some ascending rows, the most popular first, ties by row.

    Args:
        rows: int64 ``[m]``, ascending.
        popularity: float32 ``[m]``, of these rows.
        n: how many at most.
    """
    if n <= 0:
        return rows[:0]
    if n < len(rows):
        least = -np.partition(-popularity, n - 1)[n - 1]
        above = np.flatnonzero(popularity > least)
        tied = np.flatnonzero(popularity == least)[: n - len(above)]
        chosen = np.concatenate([above, tied])
        rows, popularity = rows[chosen], popularity[chosen]
    return rows[np.lexsort((rows, -popularity))]


class Trending:
    """Popular items.

    Args:
        popularity: float32 ``[rows]``, recent popularity of each catalogue row.
        servable: bool ``[rows]``; only these are candidates.
    """

    name = names.SOURCE_TRENDING

    def __init__(self, popularity: npt.NDArray[np.float32], servable: npt.NDArray[np.bool_]) -> None:
        self._rows = np.flatnonzero(servable).astype(np.int64)
        self._popularity = popularity
        self._head = most(self._rows, popularity[self._rows], _HEAD)
        self._all: npt.NDArray[np.int64] | None = self._head if len(self._head) == len(self._rows) else None
        largest = float(popularity.max(initial=0.0))
        # Between 0 and 1, so that the score means the same in a quiet week and before Christmas.
        self.scores = (popularity / largest if largest > 0 else np.zeros_like(popularity)).astype(np.float32)

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """The ``n`` most popular items, whoever asks; the score is relative to the most popular one."""
        rows = self._head[:n]
        if n > len(self._head):
            if self._all is None:
                self._all = most(self._rows, self._popularity[self._rows], len(self._rows))
            rows = self._all[:n]
        return Retrieved(rows, self.scores[rows])
