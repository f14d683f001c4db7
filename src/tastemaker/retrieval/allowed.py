"""Which rows a search may give: what a request's filters say, in a form that a search can look at."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = ["Allowed"]

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Allowed:
    """Rows that may be given; keep it for all searches with the same filters, since it remembers what it works out.

    Attributes:
        mask: bool ``[rows]`` of the catalogue; a row beyond it is not allowed.
        none_of: int64, rows that are not allowed whatever the mask says: a shopper's own few, beside a mask that
            many share.

    Raises:
        DataError: the mask is no mask of rows.

    Example:
        >>> cheap = Allowed(np.array([True, False, True, True]))
        >>> cheap.count, cheap.rows.tolist()
        (3, [0, 2, 3])
        >>> cheap.but(np.array([2])).count
        2
    """

    mask: Mask
    none_of: Rows = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        if self.mask.dtype != np.bool_ or self.mask.ndim != 1:
            raise DataError(f"a mask of rows is bool [rows]; this one is {self.mask.dtype} {list(self.mask.shape)}")

    @classmethod
    def only(cls, rows: Rows, size: int) -> Self:
        """Some rows of a catalogue and no others.

        Args:
            rows: int64, each at least 0 and below ``size``.
            size: rows of the catalogue.
        """
        mask = np.zeros(size, dtype=np.bool_)
        mask[rows] = True
        return cls(mask)

    def but(self, rows: Rows) -> "Allowed":
        """The same without some rows; the mask itself is shared, not copied."""
        if not len(rows):
            return self
        less = Allowed(self.mask, np.union1d(self.none_of, rows))
        less.__dict__["shared"] = self.shared
        return less

    @cached_property
    def shared(self) -> "SharedMask":
        """What is worked out of the mask alone."""
        return SharedMask(self.mask)

    @cached_property
    def taken(self) -> Rows:
        """int64: rows that the mask allows and ``none_of`` takes away."""
        inside = self.none_of[(self.none_of >= 0) & (self.none_of < len(self.mask))]
        return inside[self.mask[inside]]

    @property
    def count(self) -> int:
        """How many rows are allowed."""
        return self.shared.count - len(self.taken)

    @property
    def rows(self) -> Rows:
        """int64 ``[count]``, ascending."""
        rows = self.shared.rows
        return rows[~np.isin(rows, self.taken)] if len(self.taken) else rows

    def bits(self, size: int) -> npt.NDArray[np.uint8]:
        """Bit ``row % 8`` of byte ``row // 8``, uint8 of as many bytes as ``size`` rows take; a copy."""
        found = np.zeros((size + 7) // 8, dtype=np.uint8)
        packed = self.shared.bits[: len(found)]
        found[: len(packed)] = packed
        for row in self.taken.tolist():
            if row < size:
                found[row >> 3] &= 255 ^ (1 << (row & 7))
        return found

    def of(self, rows: Rows) -> Mask:
        """Which of some rows are allowed, bool ``[n]``."""
        inside = rows < len(self.mask)
        keep = np.zeros(len(rows), dtype=np.bool_)
        keep[inside] = self.mask[rows[inside]]
        if len(self.none_of):
            keep &= ~np.isin(rows, self.none_of)
        return keep


class SharedMask:
    """What is worked out of a mask once.

    Args:
        mask: bool ``[rows]``.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    @cached_property
    def count(self) -> int:
        """How many rows are true."""
        return int(np.count_nonzero(self._mask))

    @cached_property
    def rows(self) -> Rows:
        """int64: those that are true, ascending."""
        return np.flatnonzero(self._mask)

    @cached_property
    def bits(self) -> npt.NDArray[np.uint8]:
        """A bit for each row, the lowest of a byte first."""
        return np.packbits(self._mask, bitorder="little")
