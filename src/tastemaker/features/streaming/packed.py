"""Packed states of many entities, out of the compiled loops."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.semantics import NEVER

__all__ = ["Merged", "cut", "sliced"]

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
    states = cut(words, ends)
    if len(changed) < len(states):
        states = [states[place] for place in changed.tolist()]
    return Merged(changed, newest_us[changed].tolist(), states)


def cut(words: _Ints, ends: _Ints) -> list[bytes]:
    """Pieces of an array, from each end, in bytes, to the next."""
    content = words.tobytes()
    places = ends.tolist()
    return [content[begin:end] for begin, end in pairwise(places)]
