"""Compiled loops of the index; imported when an index is made, since numba takes long to import."""

from typing import Any

import numpy as np

from tastemaker.models.jit import compiled

__all__ = ["products"]


@compiled
def products(codes: Any, places: Any, query: Any, scores: Any) -> None:
    """Inner products of some rows with a query: ``scores[i]`` gets that of row ``places[i]``.

    Args:
        codes: int16 or float32 ``[rows, dimension]``.
        places: int64 ``[n]``.
        query: float32 ``[dimension]``, times the unit of the codes.
        scores: float32 ``[n]``, written to.
    """
    width = codes.shape[1]
    for place in range(len(places)):
        row = places[place]
        total = np.float32(0.0)
        for column in range(width):
            total += np.float32(codes[row, column]) * query[column]
        scores[place] = total
