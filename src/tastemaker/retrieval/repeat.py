"""Repeat purchases: what this shopper bought before, most and latest first, or what is due again."""

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["DueAgain", "RepeatPurchases", "readiness"]


class RepeatPurchases:
    """The shopper's own purchases by their decayed count."""

    name = names.SOURCE_REPEAT

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items that were bought; the score is the decayed number of purchases."""
        if not len(query.owned):
            return NO_CANDIDATES
        order = np.lexsort((query.owned, -query.owned_scores))[:n]
        return Retrieved(query.owned[order], query.owned_scores[order])


def readiness(due: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How ready a shopper is to buy an item again, 0 to 1.

    It grows with the time since the last purchase until the usual interval is over, stays for as long again, and then
    falls: who lets two intervals pass may have stopped buying it (after Bhagat et al., *Buy It Again*, KDD 2018, who
    fit this rise and fall). An item without a usual interval is half ready.

    Args:
        due: days since the last purchase over the usual interval; NaN where none is known.

    >>> readiness(np.array([0.1, 1.0, 2.0, 4.0, np.nan], dtype=np.float32)).round(2).tolist()
    [0.10000000149011612, 1.0, 1.0, 0.5, 0.5]
    """
    known = np.nan_to_num(np.maximum(due, 0.0), nan=0.5)
    return np.asarray(np.minimum(np.minimum(known, 1.0), 2.0 / np.maximum(known, 2.0)), dtype=np.float32)


class DueAgain:
    """The shopper's own purchases by their number and by whether their usual interval is over."""

    name = names.SOURCE_DUE

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items that were bought; the score is the decayed number of purchases times :func:`readiness`."""
        if not len(query.owned):
            return NO_CANDIDATES
        ready = readiness(query.owned_due) if len(query.owned_due) else np.float32(0.5)
        scores = (query.owned_scores * ready).astype(np.float32)
        order = np.lexsort((query.owned, -scores))[:n]
        return Retrieved(query.owned[order], scores[order])
