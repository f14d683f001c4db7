"""Lists with labels: what the ranker learns from and is judged by."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = ["PADDING", "RankingLists"]

PADDING = -1.0


@dataclass(frozen=True, eq=False)
class RankingLists:
    """Candidates of some moments, each list padded to the longest. The arrays are never copied as a whole.

    Attributes:
        features: float32 ``[lists, candidates, features]``, NaN where a value is missing; may be a memory map.
        labels: float32 ``[lists, candidates, outcomes]``: 1 it followed, 0 it did not, -1 padding or not known.
        names: of the features, in order.
        positions: integers ``[lists, candidates]``: at which place a candidate was shown, from 1; 0 when not known.
            None when the lists were never shown.
        weights: float32 ``[lists]``: how much a list counts; None: all the same.

    Raises:
        DataError: the arrays do not fit together.
    """

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    names: tuple[str, ...]
    positions: npt.NDArray[np.integer] | None = None
    weights: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.features.ndim != 3 or self.labels.ndim != 3 or self.features.shape[:2] != self.labels.shape[:2]:
            raise DataError(
                f"features {self.features.shape} and labels {self.labels.shape} must be [lists, candidates, features]"
                " and [lists, candidates, outcomes] of the same lists"
            )
        if self.features.dtype != np.float32:
            raise DataError(f"features are {self.features.dtype}; give float32")
        if len(self.names) != self.features.shape[2] or len(set(self.names)) < len(self.names):
            raise DataError(f"{len(self.names)} names for {self.features.shape[2]} features; give each its own")
        if self.positions is not None and self.positions.shape != self.labels.shape[:2]:
            raise DataError(f"positions {self.positions.shape} must be {self.labels.shape[:2]}, one per candidate")
        if self.weights is not None and self.weights.shape != self.labels.shape[:1]:
            raise DataError(f"weights {self.weights.shape} must be {self.labels.shape[:1]}, one per list")

    @property
    def n_lists(self) -> int:
        """How many lists."""
        return len(self.features)

    @property
    def useful(self) -> npt.NDArray[np.int64]:
        """int64 ``[m]``: the lists in which something followed; the others say nothing about order."""
        return np.flatnonzero((self.labels == 1).any(axis=(1, 2)))

    @property
    def real(self) -> npt.NDArray[np.bool_]:
        """``[lists, candidates]``: no padding."""
        found: npt.NDArray[np.bool_] = (self.labels != PADDING).any(axis=2)
        return found

    def column(self, name: str) -> int:
        """The place of a feature.

        Raises:
            DataError: there is none of that name.
        """
        if name not in self.names:
            raise DataError(f"there is no feature {name!r} among {', '.join(self.names)}")
        return self.names.index(name)
