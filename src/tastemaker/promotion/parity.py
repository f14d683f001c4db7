"""Train/serve parity: the same features, computed for training and read while serving, compared cell by cell."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tastemaker.document import Document
from tastemaker.errors import DataError

__all__ = ["Parity"]


class Parity(Document, frozen=True, kw_only=True):
    """How far training and serving are apart.

    Attributes:
        rows: compared.
        columns: compared.
        max_difference: largest ``|a - b| / max(1, |a|, |b|)``: absolute for small values, relative for large ones,
            because a 32-bit float of a sum of 100,000 is only exact to .004.
        one_sided: cells with a value on one side alone.
        worst: the column of the largest difference; empty when all agree.
    """

    KIND = "a parity measurement"
    REMEDY = "measure it again"

    rows: int
    columns: int
    max_difference: float
    one_sided: int
    worst: str = ""

    @classmethod
    def between(cls, trained: npt.ArrayLike, served: npt.ArrayLike, columns: Sequence[str]) -> "Parity":
        """Compare two feature matrices.

        Args:
            trained: ``[rows, columns]``; NaN is a missing value.
            served: the same rows and columns as serving reads them.
            columns: their names.

        Raises:
            DataError: the shapes differ.
        """
        ours, theirs = np.asarray(trained, dtype=np.float64), np.asarray(served, dtype=np.float64)
        if ours.ndim != 2 or ours.shape != theirs.shape or ours.shape[1] != len(columns):
            raise DataError(
                f"parity compares equal shapes: trained {ours.shape}, served {theirs.shape}, {len(columns)} names"
            )
        missing = ~np.isfinite(ours), ~np.isfinite(theirs)
        one_sided = missing[0] != missing[1]
        both = ~missing[0] & ~missing[1]
        scale = np.maximum(1.0, np.maximum(np.abs(ours), np.abs(theirs)))
        apart = np.divide(np.abs(ours - theirs), scale, out=np.zeros_like(ours), where=both)
        apart[one_sided] = np.inf
        by_column = apart.max(axis=0, initial=0.0)
        worst = columns[int(by_column.argmax())] if by_column.size and by_column.max() > 0 else ""
        return cls(
            rows=len(ours),
            columns=len(columns),
            max_difference=float(apart[both].max(initial=0.0)),
            one_sided=int(one_sided.sum()),
            worst=worst,
        )
