"""Packed states of many entities, out of the compiled loops."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.semantics import NEVER

__all__ = ["Merged", "sliced"]

_Ints = npt.NDArray[np.int64]


class Merged(NamedTuple):
    """New states.

    Attributes:
        changed: int64[c], the places of the entities whose states changed.
        newest_us: the times of their newest events.
        states: their packed states.
    """

    changed: _Ints
    newest_us: list[int]
    states: list[bytes]


def sliced(words: _Ints, ends: _Ints, newest_us: _Ints) -> Merged:
    """The states that a compiled loop gave one after the other.

    Args:
        words: of all states.
        ends: int64[k + 1], in bytes.
        newest_us: int64[k], ``NEVER`` where a state did not change.
    """
    changed = np.flatnonzero(newest_us != NEVER)
    content = words.tobytes()
    begins, stops = ends[:-1][changed].tolist(), ends[1:][changed].tolist()
    return Merged(
        changed,
        newest_us[changed].tolist(),
        [content[begin:end] for begin, end in zip(begins, stops, strict=True)],
    )
