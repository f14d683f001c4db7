"""Packed states that are bytes each, as one array."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from tastemaker.features.stores.protocol import PackedStates

__all__ = ["packed_states"]

_WORD: Final = 8


def packed_states(states: Sequence[bytes | None]) -> PackedStates:
    """The states one after the other; None is an empty one."""
    found = [state or b"" for state in states]
    offsets = np.zeros(len(found) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, found), np.int64, len(found)), out=offsets[1:])
    # Of a bytearray, because compiled code of a read-only array would be another one.
    return PackedStates(np.frombuffer(bytearray().join(found), np.int64), offsets // _WORD)
