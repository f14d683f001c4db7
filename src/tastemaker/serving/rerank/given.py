"""What the re-rank stage is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["RerankInput"]

_Floats = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]

_INT: Final = np.dtype(np.int64)
_FLOAT: Final = np.dtype(np.float32)
_TYPES: Final = (
    ("rows", _INT),
    ("scores", _FLOAT),
    ("categories", _INT),
    ("brands", _INT),
    ("prices", _FLOAT),
    ("age_days", _FLOAT),
    ("stock", _FLOAT),
    ("margins", _FLOAT),
)


@dataclass(frozen=True, eq=False)
class RerankInput:
    """Candidates, in any order, each once.

    Attributes:
        rows: int64 ``[n]`` of the catalogue.
        scores: float32 ``[n]``, higher is better; any scale; one that is not finite ranks last.
        vectors: float32 ``[n, d]`` of unit length, zeros where there is none; None switches diversity off.
        categories: int64 ``[n]``, codes of the catalogue's facts; -1 for none.
        brands: int64 ``[n]``, likewise.
        prices: float32 ``[n]``, NaN where not known.
        age_days: float32 ``[n]``, days since the item was new; NaN counts as old.
        stock: float32 ``[n]``, pieces; NaN where not known.
        margins: float32 ``[n]``, in any one unit; NaN where not known.
        item_ids: the id of a row; called for messages only.

    Raises:
        ValueError: lengths differ.
    """

    rows: _Ints
    scores: _Floats
    vectors: _Floats | None
    categories: _Ints
    brands: _Ints
    prices: _Floats
    age_days: _Floats
    stock: _Floats
    margins: _Floats
    item_ids: Callable[[int], str] = str

    def __post_init__(self) -> None:
        n = len(self.rows)
        for name, dtype in _TYPES:
            array = getattr(self, name)
            if len(array) != n or array.ndim != 1:
                raise ValueError(f"{name} has the shape {array.shape} for {n} candidates; it must be [n]")
            # Compiled code is compiled again for other types, for seconds: a request must never meet that.
            if array.dtype != dtype or not array.flags.carray:
                object.__setattr__(self, name, np.array(array, dtype=dtype))
        vectors = self.vectors
        if vectors is not None:
            if vectors.ndim != 2 or len(vectors) != n:
                raise ValueError(f"vectors have the shape {vectors.shape} for {n} candidates; they must be [n, d]")
            if vectors.dtype != _FLOAT or not vectors.flags.carray:
                object.__setattr__(self, "vectors", np.array(vectors, dtype=_FLOAT))

    def __len__(self) -> int:
        return len(self.rows)
