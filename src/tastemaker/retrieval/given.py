"""Given items: a search has found them, and they are to be put in order; nothing is added."""

import numpy as np

from tastemaker import names
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["GivenItems"]


class GivenItems:
    """The items of the request."""

    name = names.SOURCE_GIVEN

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """They, in their order; the score falls from 1 for the first to nearly 0 for the last."""
        if not len(query.items):
            return NO_CANDIDATES
        scores = 1.0 - np.arange(len(query.items), dtype=np.float32) / len(query.items)
        return Retrieved(query.items[:n], scores[:n].astype(np.float32))
