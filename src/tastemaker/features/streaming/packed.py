"""Packed states of many entities, in and out of the compiled loops."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.semantics import NEVER

__all__ = ["Merged", "sliced", "starts_of", "words_of"]

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


def words_of(old: Sequence[bytes]) -> _Ints:
    """The 64-bit words of some states, one after the other."""
    # Of a bytearray, because compiled code of a read-only array would be another one.
    return np.frombuffer(bytearray().join(old), np.int64)


def starts_of(old: Sequence[bytes], unit: int) -> _Ints:
    """Where each of some states begins when they follow one another, in units of so many bytes; one more at the end."""
    starts = np.zeros(len(old) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, old), np.int64, len(old)), out=starts[1:])
    return starts // unit


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
