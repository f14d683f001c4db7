"""The union of several lists in which each takes turns, in one compiled pass."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["take_turns"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]


@compiled
def take_turns(rows: _Ints, scores: _Floats, starts: _Ints, columns: _Ints, width: int) -> tuple[_Ints, _Floats]:
    """Each row once, by the first turn at which a list named it; the first list begins each turn.

    Args:
        rows: int64 ``[total]``, the lists one after the other, each best first and with each row once.
        scores: float32 ``[total]``.
        starts: int64 ``[lists + 1]``, where each list begins.
        columns: int64 ``[lists]``, the column of each.
        width: how many columns there are.

    Returns:
        int64 ``[n]``, and float32 ``[n, width]``: the score of each list, NaN where it did not name the row.
    """
    total = len(rows)
    size = 16
    while size < 2 * total:
        size *= 2
    slots = np.full(size, -1, np.int64)  # places by row, open addressing
    found = np.empty(total, np.int64)
    united = np.full((total, width), np.nan, np.float32)
    longest = 0
    for one in range(len(columns)):
        longest = max(longest, starts[one + 1] - starts[one])
    n = 0
    for turn in range(longest):
        for one in range(len(columns)):
            at = starts[one] + turn
            if at >= starts[one + 1]:
                continue
            row = rows[at]
            slot = (row * 0x9E3779B1) & (size - 1)
            while slots[slot] >= 0 and found[slots[slot]] != row:
                slot = (slot + 1) & (size - 1)
            if slots[slot] < 0:
                slots[slot] = n
                found[n] = row
                n += 1
            united[slots[slot], columns[one]] = scores[at]
    return found[:n], united[:n]
