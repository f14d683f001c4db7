"""Where each row of the catalogue is in an approximate index."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Places"]


@dataclass(frozen=True, eq=False)
class Places:
    """The cell of each row, and where its code is.

    Attributes:
        cell_of: int32 ``[rows]``; -1 for a row that is not in the index.
        code_of: int32 ``[rows]``, likewise.
    """

    cell_of: npt.NDArray[np.int32]
    code_of: npt.NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return self.cell_of.nbytes + self.code_of.nbytes

    @classmethod
    def cell_by_cell(cls, base: Any, rows: int) -> Self:
        """Codes in the order of faiss's lists.

        Args:
            base: faiss's inverted file, whose ids are catalogue rows.
            rows: of the catalogue.
        """
        places = cls(np.full(rows, -1, dtype=np.int32), np.full(rows, -1, dtype=np.int32))
        begin = 0
        for cell, ids in _lists(base):
            places.cell_of[ids] = cell
            places.code_of[ids] = np.arange(begin, begin + len(ids))
            begin += len(ids)
        return places

    def after(self, base: Any, rows: int, added: npt.NDArray[np.int64], end: int) -> "Places":
        """Those of an index that forgot some rows and got others, whose codes come after all that there were.

        Args:
            base: of that index.
            rows: of the catalogue now.
            added: int64, rows that it got.
            end: codes that there were.
        """
        code_of = np.full(rows, -1, dtype=np.int32)
        code_of[: len(self.code_of)] = self.code_of
        code_of[added] = np.arange(end, end + len(added))
        cell_of = np.full(rows, -1, dtype=np.int32)
        for cell, ids in _lists(base):
            cell_of[ids] = cell
        code_of[cell_of < 0] = -1
        return Places(cell_of, code_of)


def _lists(base: Any) -> Any:
    """The number and the ids of each list that is not empty."""
    import faiss

    lists = base.invlists
    for cell in range(base.nlist):
        n = lists.list_size(cell)
        if n:
            ids = lists.get_ids(cell)
            yield cell, faiss.rev_swig_ptr(ids, n)
            lists.release_ids(cell, ids)
