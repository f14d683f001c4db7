"""The compiled loop that finds values in a server's answer to MGET."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["parse"]

_Bytes = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]
_RETURN, _MINUS, _ZERO, _NINE, _DOLLAR = 13, 45, 48, 57, 36


@compiled
def parse(  # noqa: PLR0917 - compiled functions take their arguments by position
    answer: _Bytes, filled: int, at: int, found: int, begins: _Ints, ends: _Ints
) -> tuple[int, int, int]:
    """Find the values that have arrived whole.

    Args:
        answer: bytes as of the Redis protocol, version 2: ``$LENGTH`` and the value, each with a line's end; ``$-1``
            for none.
        filled: how many bytes have arrived.
        at: where the next value begins.
        found: how many were found before.
        begins: int64 ``[n]``: gets where each value begins.
        ends: int64 ``[n]``: gets where it ends.

    Returns:
        ``at`` and ``found`` after it, and how many bytes are needed at least to go on; ``at`` is -1 where the
        answer is something else.
    """
    while found < len(begins):
        place = at + 1
        if place >= filled:
            return at, found, place + 3
        if answer[at] != _DOLLAR:
            return -1, found, 0
        none = answer[place] == _MINUS
        place += none
        size = 0
        while place < filled and answer[place] != _RETURN:
            if answer[place] < _ZERO or answer[place] > _NINE:
                return -1, found, 0
            size = size * 10 + answer[place] - _ZERO
            place += 1
        place += 2
        if none:
            size = 0
        following = place if none else place + size + 2
        if following > filled:
            return at, found, following
        begins[found], ends[found] = place, place + size
        found += 1
        at = following
    return at, found, at
