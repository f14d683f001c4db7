"""What rules look at of a catalogue: which row an id is, and each row's category and brand as numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CatalogueFacts"]


@dataclass(frozen=True, eq=False)
class CatalogueFacts:
    """One state of a catalogue. Codes mean something within it only: see :meth:`codes`.

    Attributes:
        version: anything that differs when items, categories or brands do.
        row_of: the row of each item id.
        categories: int64 ``[rows]``, index into ``category_paths``; -1 for none.
        category_paths: every category as one text, such as ``kitchen/mugs``.
        brands: int64 ``[rows]``, index into ``brand_names``; -1 for none.
        brand_names: every brand.
    """

    version: str | int
    row_of: Mapping[str, int]
    categories: npt.NDArray[np.int64]
    category_paths: Sequence[str]
    brands: npt.NDArray[np.int64]
    brand_names: Sequence[str]

    def codes(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Categories and brands of some rows; -1 for those that the catalogue did not have yet.

        Args:
            rows: int64 ``[n]``.
        """
        n = len(self.categories)
        if len(rows) == 0 or int(rows.max()) < n:
            return self.categories[rows], self.brands[rows]
        known = rows < n
        within = np.where(known, rows, 0)
        if n == 0:
            return np.full_like(rows, -1), np.full_like(rows, -1)
        return np.where(known, self.categories[within], -1), np.where(known, self.brands[within], -1)
