"""What ranking leaves behind beside its result, so that the log can say how the result came about."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Trail"]


@dataclass(frozen=True, eq=False)
class Trail:
    """How candidates were scored, in the order in which ranking got them.

    Attributes:
        order: int ``[n]``, which of them each ranked candidate was, best first.
        discount: float32 ``[n]``, what each lost for having been shown.
        text: float32 ``[n]``, how well titles match the search; None where nothing was searched for.
    """

    order: npt.NDArray[np.intp]
    discount: npt.NDArray[np.float32]
    text: npt.NDArray[np.float32] | None = None
