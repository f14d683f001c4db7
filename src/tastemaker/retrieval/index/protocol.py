"""What an index of item vectors is asked: one small protocol for the exact one and the approximate one."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.source import Retrieved

__all__ = ["CandidateIndex"]


class CandidateIndex(Protocol):
    """Finds rows by the inner product of their vectors with a query."""

    @property
    def nbytes(self) -> int:
        """Bytes that the index holds, without the catalogue's own vectors."""

    def search(self, query: npt.NDArray[np.float32], n: int, *, allowed: Allowed | None = None) -> Retrieved:
        """The nearest rows.

        Args:
            query: float32 ``[dimension]``.
            n: at most so many; fewer where fewer are allowed.
            allowed: rows that may be given; None for all that the index has.

        Returns:
            Rows, each once, the largest inner product first; the score is that product.
        """
