"""Popular in a category: what everybody buys there these days."""

from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.categories import Categories
from tastemaker.retrieval.source import NO_CANDIDATES, NO_ROWS, Query, Retrieved
from tastemaker.retrieval.trending import most

__all__ = ["CategoryPopular"]

_KEPT: Final = 1_000


class CategoryPopular:
    """The most popular servable items of the category that a page or an item is of.

    Args:
        categories: of the catalogue.
        leaf: int64 ``[rows]``, number of each item's category.
        servable: bool ``[rows]``.
        scores: float32 ``[rows]``, popularity between 0 and 1.
    """

    name = names.SOURCE_CATEGORY

    def __init__(
        self,
        categories: Categories,
        leaf: npt.NDArray[np.int64],
        servable: npt.NDArray[np.bool_],
        scores: npt.NDArray[np.float32],
    ) -> None:
        self._categories, self._leaf, self._servable, self._scores = categories, leaf, servable, scores
        self._known: dict[str, npt.NDArray[np.int64]] = {}

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Items of the page's category, else of the category of the request's first item that has one."""
        category = query.category
        if not category:
            own = self._leaf[query.items]
            category = "/".join(self._categories.paths[int(own[own >= 0][0])]) if (own >= 0).any() else ""
        if not category:
            return NO_CANDIDATES
        rows = self._popular(category)[:n]
        return Retrieved(rows, self._scores[rows])

    def _popular(self, category: str) -> npt.NDArray[np.int64]:
        known = self._known.get(category)
        if known is None:
            # Once for each category and state of the shop: the look at every item is the price of a first request.
            codes = self._categories.within(category)
            if not len(codes):
                return NO_ROWS
            rows = np.flatnonzero(np.isin(self._leaf, codes) & self._servable)
            known = self._known[category] = most(rows.astype(np.int64), self._scores[rows], _KEPT)
        return known
