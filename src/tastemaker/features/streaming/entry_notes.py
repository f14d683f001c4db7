"""Compiled pieces of the merge of packed entries: what is to be merged is noted first, then sorted."""

from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled
from tastemaker.features.layout import BASE, FIRST_GROUP, MAX_SLOTS
from tastemaker.features.semantics import SUM_CAP
from tastemaker.features.streaming.kernel_types import MIN, SUM, Tables

__all__ = ["merged", "note", "precedes", "settle", "sort_entries"]

_Ints = npt.NDArray[np.int64]

_FEW: Final = 24
# Compiled functions take their arguments by position (PLR0917).


@compiled
def precedes(entries: _Ints, left: int, right: int) -> bool:
    """Whether an entry sorts before another: by code, start, label."""
    for part in range(3):
        if entries[left, part] != entries[right, part]:
            return bool(entries[left, part] < entries[right, part])
    return False


@compiled
def _swap(entries: _Ints, left: int, right: int) -> None:
    for part in range(4):
        entries[left, part], entries[right, part] = entries[right, part], entries[left, part]


@compiled
def sort_entries(entries: _Ints, size: int) -> None:
    """Sort the first entries in place: few by insertion (they nearly are in order), many as a heap."""
    if size <= _FEW:
        for end in range(1, size):
            at = end
            while at > 0 and precedes(entries, at, at - 1):
                _swap(entries, at, at - 1)
                at -= 1
        return
    begin, end = size // 2, size
    while end > 1:
        if begin > 0:
            begin -= 1
        else:
            end -= 1
            _swap(entries, 0, end)
        root = begin
        while 2 * root + 1 < end:
            child = 2 * root + 1
            if child + 1 < end and precedes(entries, child, child + 1):
                child += 1
            if not precedes(entries, root, child):
                break
            _swap(entries, root, child)
            root = child


@compiled
def merged(how: int, left: int, right: int) -> int:
    """Two values of one slot as one."""
    if how == SUM:
        return SUM_CAP if left >= SUM_CAP - right else left + right
    if how == MIN:
        return min(left, right)
    return max(left, right)


@compiled
def note(notes: _Ints, recent: _Ints, noted: int, place: tuple[int, int, int], value: int, how: int) -> int:  # noqa: PLR0917
    """Note an entry to merge.

    Args:
        notes: where to.
        recent: by code, the newest of them or -1: events of one moment or tile follow one another, and become one
            entry at once.
        noted: how many there are.
        place: code, start and label.
        value: of the entry.
        how: it merges.

    Returns:
        How many are noted then.
    """
    last = recent[place[0]]
    if last >= 0 and notes[last, 1] == place[1] and notes[last, 2] == place[2]:
        notes[last, 3] = merged(how, notes[last, 3], value)
        return noted
    notes[noted, 0], notes[noted, 1], notes[noted, 2] = place
    notes[noted, 3] = value
    recent[place[0]] = noted
    return noted + 1


@compiled
def settle(  # noqa: PLR0917
    notes: _Ints, recent: _Ints, noted: int, place: tuple[int, int, int], value: int, tables: Tables, oldest: _Ints
) -> int:
    """Note what lies behind the head as base and tile entries, as :func:`note`.

    Args:
        notes: where to.
        recent: likewise.
        noted: how many there are.
        place: slot, time and label.
        value: of the entry.
        tables: the layout.
        oldest: by kind, the oldest start that is kept; the last is that of the head.
    """
    slot, at, label = place
    how, horizon = tables.merges[slot], tables.cell_horizons[slot]
    if tables.in_base[slot] and (horizon == 0 or at >= oldest[-1] - horizon):
        noted = note(notes, recent, noted, (BASE * MAX_SLOTS + slot, 0, label), value, how)
    for group in range(len(tables.hops)):
        kind = FIRST_GROUP + group
        if tables.members[group, slot]:
            start = at - at % tables.hops[group]
            if start >= oldest[kind]:
                noted = note(notes, recent, noted, (kind * MAX_SLOTS + slot, start, label), value, how)
    return noted
