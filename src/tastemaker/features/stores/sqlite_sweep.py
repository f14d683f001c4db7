"""Which rows of an SQLite store are to be written whole, so that their tails do not grow for ever.

Views take turns, each from its first key to its last: rows whose keys follow one another share pages, of the index and,
where they are small, of the table, and a page that is written once for many rows costs no more than for one. One round
in some the writer makes rows one state again; in the others, tails are put behind their rows as they are, for which
nobody has to read and merge them.
"""

from math import ceil
from typing import Final

from tastemaker.features.stores.sqlite_tails import TailLog

__all__ = ["Sweep"]

_ROUNDS: Final = 4


class Sweep:
    """Goes round all rows with tails while about half of the limit is added.

    Args:
        limit_bytes: what all tails together may become, about; below half of it nothing is due.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._half = max(limit_bytes // 2, 1)
        self.restart()

    def restart(self) -> None:
        """Begin again, because a transaction was rolled back."""
        self._view = 0
        self._keys: list[str] = []
        self._at = 0
        self._round = -1

    @property
    def folds(self) -> bool:
        """Whether rows should become one state in this round."""
        return self._round % _ROUNDS == 0

    def due(self, log: TailLog) -> dict[int, list[str]]:
        """Keys of the rows that the running transaction should write, by view, each view's in order."""
        views = log.views
        if sum(tails.nbytes for tails in views.values()) < self._half:
            return {}
        left = ceil(sum(len(tails) for tails in views.values()) * log.added / self._half)
        found: dict[int, list[str]] = {}
        for _ in range(len(views)):
            if left <= 0:
                break
            if self._at >= len(self._keys):
                self._begin_next(log)
            piece = self._keys[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            tails = views[self._view]
            if due := [key for key in piece if key in tails]:
                found[self._view] = due
        return found

    def _begin_next(self, log: TailLog) -> None:
        if self._view in log.views:
            log.cut_off(self._view)
        following = [view for view in log.views if view > self._view]
        if self._view == 0 or not following:
            self._round += 1
        self._view = min(following or log.views)
        self._keys = sorted(log.views[self._view].keys)
        self._at = 0
