"""Sums over the neighbourhoods of items, in compiled code.

Each function is given ``sums``, float64 with a place for every item of the table, all 0, and leaves it so: a fresh
array of a large shop's size would cost more than all the rest of a request.
"""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["likeness", "nearest_neighbours", "strongest_link", "sums_of"]

_Ints = npt.NDArray[np.int64]
_Neighbours = npt.NDArray[np.int32]
_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]


@compiled
def sums_of(  # noqa: PLR0917 - compiled functions take their arguments by position
    items: _Neighbours, weights: _Floats, candidates: _Ints, rows: _Ints, row_weights: _Floats, sums: _Doubles
) -> _Floats:
    """Scores of some candidates, float32 ``[candidates]``; 0 for those that the table does not know.

    Args:
        items: int32 ``[items, k]``, neighbours; those that weigh nothing are padding.
        weights: float32 ``[items, k]``.
        candidates: int64, rows.
        rows: int64, of the items that count.
        row_weights: float32, how much each counts.
        sums: see the module.
    """
    _add(items, weights, rows, row_weights, sums)
    found = np.zeros(len(candidates), np.float32)
    for at in range(len(candidates)):
        if candidates[at] < len(sums):
            found[at] = sums[candidates[at]]
    _clear(items, rows, sums)
    return found


@compiled
def nearest_neighbours(  # noqa: PLR0917 - compiled functions take their arguments by position
    items: _Neighbours, weights: _Floats, rows: _Ints, row_weights: _Floats, n: int, sums: _Doubles
) -> tuple[_Ints, _Floats]:
    """The ``n`` items with the largest sums, and these; ties by row. Arguments as of :func:`sums_of`."""
    k = items.shape[1]
    touched = np.empty(len(rows) * k, np.int64)
    count = 0
    for at in range(len(rows)):
        if rows[at] >= len(items):
            continue
        for column in range(k):
            weight = weights[rows[at], column] * row_weights[at]
            if weight > 0.0:
                neighbour = items[rows[at], column]
                if sums[neighbour] == 0.0:
                    touched[count] = neighbour
                    count += 1
                sums[neighbour] += weight
    scores = np.empty(count, np.float32)
    for at in range(count):
        scores[at] = sums[touched[at]]
        sums[touched[at]] = 0.0
    found = touched[:count]
    if n < count:
        least = -np.partition(-scores, n - 1)[n - 1]
        above = found[scores > least]
        tied = np.sort(found[scores == least])[: n - len(above)]
        chosen = np.concatenate((above, tied))
        scores = np.concatenate((scores[scores > least], np.full(len(tied), least, np.float32)))
        found = chosen
    by_row = np.argsort(found)
    order = by_row[np.argsort(-scores[by_row], kind="mergesort")]
    return found[order], scores[order]


@compiled
def strongest_link(  # noqa: PLR0917 - compiled functions take their arguments by position
    items: _Neighbours, weights: _Floats, candidates: _Ints, rows: _Ints, row_weights: _Floats, sums: _Doubles
) -> _Ints:
    """For each candidate the row that adds most to it, int64 ``[candidates]``; -1 where none adds anything.

    Arguments as of :func:`sums_of`; each candidate once.
    """
    for at in range(len(candidates)):
        if candidates[at] < len(sums):
            sums[candidates[at]] = at + 1
    link = np.full(len(candidates), -1, np.int64)
    most = np.zeros(len(candidates), np.float32)
    for at in range(len(rows)):
        if rows[at] >= len(items):
            continue
        for column in range(items.shape[1]):
            place = int(sums[items[rows[at], column]]) - 1
            if place >= 0:
                added = weights[rows[at], column] * row_weights[at]
                if added > 0.0 and added >= most[place]:
                    most[place], link[place] = added, rows[at]
    for at in range(len(candidates)):
        if candidates[at] < len(sums):
            sums[candidates[at]] = 0.0
    return link


@compiled
def likeness(  # noqa: PLR0917 - compiled functions take their arguments by position
    items: _Neighbours,
    weights: _Floats,
    candidates: _Ints,
    rows: _Ints,
    cosines: _Floats,
    unrelated: float,
    sums: _Doubles,
) -> _Floats:
    """How much candidates go with some items, 0 to 1, float32 ``[candidates, rows]``.

    Half is what others had together, half what the towers say. An item does not go with itself.

    Args:
        items: see :func:`sums_of`.
        weights: likewise.
        candidates: int64, rows.
        rows: int64, of the items.
        cosines: float32 ``[candidates, rows]``, of their vectors.
        unrelated: a cosine up to which items have nothing to do with each other.
        sums: see the module.
    """
    found = np.empty((len(candidates), len(rows)), np.float32)
    for column in range(len(rows)):
        row = rows[column]
        strongest = 1e-9
        if row < len(items):
            for at in range(items.shape[1]):
                sums[items[row, at]] += weights[row, at]
                strongest = max(strongest, np.float64(weights[row, at]))
        for at in range(len(candidates)):
            candidate = candidates[at]
            together = sums[candidate] / strongest if candidate < len(sums) else 0.0
            near = max(cosines[at, column] - unrelated, 0.0) / (1.0 - unrelated)
            found[at, column] = 0.0 if candidate == row else (together + near) / 2.0
        if row < len(items):
            for at in range(items.shape[1]):
                sums[items[row, at]] = 0.0
    return found


@compiled
def _add(items: _Neighbours, weights: _Floats, rows: _Ints, row_weights: _Floats, sums: _Doubles) -> None:
    for at in range(len(rows)):
        if rows[at] < len(items):
            for column in range(items.shape[1]):
                sums[items[rows[at], column]] += weights[rows[at], column] * row_weights[at]


@compiled
def _clear(items: _Neighbours, rows: _Ints, sums: _Doubles) -> None:
    for at in range(len(rows)):
        if rows[at] < len(items):
            for column in range(items.shape[1]):
                sums[items[rows[at], column]] = 0.0
