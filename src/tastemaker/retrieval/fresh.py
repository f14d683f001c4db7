"""New items: what entered the catalogue lately, so that it is seen before anybody has bought it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.semantics import DAY_US
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved

__all__ = ["NewItems"]

_DAYS: Final = 30
_POOL: Final = 1_000


class NewItems:
    """The newest servable items, those first that are most like the shopper.

    Args:
        created_us: int64 ``[rows]``, when each item entered the catalogue.
        servable: bool ``[rows]``.
        vectors: float32 ``[rows, dimension]``.
    """

    name = names.SOURCE_FRESH

    def __init__(
        self,
        created_us: npt.NDArray[np.int64],
        servable: npt.NDArray[np.bool_],
        vectors: npt.NDArray[np.float32],
    ) -> None:
        rows = np.flatnonzero(servable)
        created = created_us[rows]
        if len(rows) > _POOL:
            newest = np.argpartition(-created, _POOL - 1)[:_POOL]
            rows, created = rows[newest], created[newest]
        order = np.lexsort((rows, -created))
        self._rows = rows[order].astype(np.int64)
        self._created = created[order]
        self._vectors = vectors[self._rows]

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items of at most 30 days; the score is the cosine to the shopper, or for nobody the share of time left."""
        ages = (query.now_us - self._created) / DAY_US
        young = int(np.searchsorted(ages, _DAYS))  # ages ascend
        if not young:
            return NO_CANDIDATES
        if query.vector is not None:
            scores = self._vectors[:young] @ query.vector
        else:
            scores = np.clip(1.0 - ages[:young] / _DAYS, 0.0, 1.0)
        rows = self._rows[:young]
        order = np.lexsort((rows, -scores))[:n]
        return Retrieved(rows[order], scores[order].astype(np.float32))
