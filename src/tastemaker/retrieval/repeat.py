"""Repeat purchases: what this shopper bought before, most and latest first."""

import numpy as np

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["RepeatPurchases"]


class RepeatPurchases:
    """The shopper's own purchases by their decayed count."""

    name = names.SOURCE_REPEAT

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items that were bought; the score is the decayed number of purchases."""
        if not len(query.owned):
            return NO_CANDIDATES
        order = np.lexsort((query.owned, -query.owned_scores))[:n]
        return Retrieved(query.owned[order], query.owned_scores[order])
