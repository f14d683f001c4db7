"""What a request's filters leave of the catalogue, for sources that search; kept for when it is asked for again."""

from collections import OrderedDict
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.contract import Filters

__all__ = ["FilterMasks"]

_KEPT: Final = 64  # a mask takes a byte for each item, and an eighth of that for its bits
# The filters' categories, lowest and highest price, and the page's category.
_Key = tuple[tuple[str, ...], float | None, float | None, str]


class FilterMasks:
    """Masks over one state of the catalogue; threads may share them.

    Args:
        catalogue: see there.
        kept: masks that are remembered, those that were asked for last.
    """

    def __init__(self, catalogue: Catalogue, kept: int = _KEPT) -> None:
        self._catalogue, self._most = catalogue, kept
        self._kept: OrderedDict[_Key, Allowed] = OrderedDict()
        self._lock = Lock()

    def allowed(self, filters: Filters, bought: npt.NDArray[np.int64], category: str = "") -> Allowed | None:
        """The rows that a list with these filters may show, of those that are servable; None for all of them.

        Args:
            filters: of the request.
            bought: int64, rows of what the shopper bought.
            category: of the page, where the surface shows nothing else.
        """
        key = filters.categories, filters.price_min, filters.price_max, category
        if filters.bought is None and key == ((), None, None, ""):
            return None
        allowed = self._mask(filters, category, key)
        if filters.bought:
            return Allowed.only(bought[allowed.of(bought)], len(self._catalogue))
        return allowed if filters.bought is None else allowed.but(bought)

    def _mask(self, filters: Filters, category: str, key: _Key) -> Allowed:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        found = Allowed(self._rows(filters, category))
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def _rows(self, filters: Filters, category: str) -> npt.NDArray[np.bool_]:
        """As the rules ``within_filters`` and ``in_category`` say of single rows."""
        catalogue = self._catalogue
        keep = catalogue.servable.copy()
        within = catalogue.categories.within
        if filters.categories:
            keep &= np.isin(catalogue.leaf, np.concatenate([within(path) for path in filters.categories]))
        if category:
            keep &= np.isin(catalogue.leaf, within(category))
        if filters.price_min is not None:
            keep &= catalogue.price >= filters.price_min  # not so of NaN
        if filters.price_max is not None:
            keep &= catalogue.price <= filters.price_max
        return keep
