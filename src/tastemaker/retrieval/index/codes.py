"""Vectors as 16-bit numbers: half the memory of floats, with errors too small to change the order of a list."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Codes"]

_LARGEST: Final = 32_767


@dataclass(frozen=True, eq=False)
class Codes:
    """Numbers that stand for vectors.

    Attributes:
        values: int16 ``[places, dimension]``.
        unit: what 1 stands for.

    Example:
        >>> codes = Codes.empty(1, 2, largest=1.0)
        >>> codes.put(np.array([0]), np.array([[0.5, -1.0]], dtype=np.float32))
        >>> codes.values.tolist()
        [[16384, -32767]]
    """

    values: npt.NDArray[np.int16]
    unit: float

    @classmethod
    def empty(cls, places: int, dimension: int, largest: float) -> Self:
        """Codes of zero vectors; components beyond ``largest`` are cut off when they are put in."""
        return cls(np.zeros((places, dimension), dtype=np.int16), (largest or 1.0) / _LARGEST)

    def grown(self, places: int) -> "Codes":
        """A copy with so many places, as many as there are at least."""
        values = np.zeros((places, self.values.shape[1]), dtype=np.int16)
        values[: len(self.values)] = self.values
        return Codes(values, self.unit)

    def put(self, places: npt.NDArray[np.integer[Any]], vectors: npt.NDArray[np.float32]) -> None:
        """Set some places to vectors, float32 ``[n, dimension]``."""
        scaled = np.rint(vectors / np.float32(self.unit))
        self.values[places] = np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int16)
