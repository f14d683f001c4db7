"""The best of many scores."""

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.source import NO_CANDIDATES, Retrieved

__all__ = ["best"]


def best(rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], n: int) -> Retrieved:
    """The ``n`` rows with the largest scores, largest first; of equal scores the lower row first.

    Args:
        rows: int64 ``[m]``, each once.
        scores: float32 ``[m]``, theirs.
        n: at most so many.
    """
    if n <= 0 or not len(rows):
        return NO_CANDIDATES
    if len(rows) > n:
        kept = np.argpartition(scores, len(rows) - n)[len(rows) - n :]
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))
    return Retrieved(rows[order], scores[order])
