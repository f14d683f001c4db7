"""The compiled loops that tell what a batch adds to packed entries from the offsets that they hold already."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled
from tastemaker.features.layout import APPLIED, MAX_SLOTS, WIDTH

__all__ = ["held_offsets", "split_tails"]

_Ints = npt.NDArray[np.int64]


@compiled
def held_offsets(entries: _Ints, starts: _Ints) -> tuple[_Ints, _Ints]:
    """The entries of some entities that say which offsets they hold.

    Args:
        entries: int64[m, 4], of one entity after the other; those of an entity may be several states.
        starts: int64[k + 1], where each entity begins.

    Returns:
        int64[m', 4], by entity and partition, and int64[k + 1], where each entity begins.
    """
    size = 0
    for index in range(len(entries)):
        size += entries[index, 0] < MAX_SLOTS
    out = np.empty((size, WIDTH), np.int64)
    ends = np.zeros(len(starts), np.int64)
    size = 0
    for entity in range(len(starts) - 1):
        begun = size
        for index in range(starts[entity], starts[entity + 1]):
            if entries[index, 0] >= MAX_SLOTS:
                continue
            at = begun
            while at < size and out[at, 1] < entries[index, 1]:
                at += 1
            if at < size and out[at, 1] == entries[index, 1]:
                out[at, 3] = max(out[at, 3], entries[index, 3])
                continue
            for moved in range(size, at, -1):
                for part in range(WIDTH):
                    out[moved, part] = out[moved - 1, part]
            out[at, 0], out[at, 2] = APPLIED, 0
            out[at, 1], out[at, 3] = entries[index, 1], entries[index, 3]
            size += 1
        ends[entity + 1] = size
    return out[:size], ends


@compiled
def split_tails(entries: _Ints, ends: _Ints, held: _Ints, held_starts: _Ints) -> tuple[_Ints, _Ints, _Ints, _Ints]:
    """Take apart what batches made of the offsets that states hold: the tails, and the offsets that are held then.

    Args:
        entries: int64[m, 4], sorted entries of some entities.
        ends: int64[k + 1], where each entity begins.
        held: int64[h, 4], as of :func:`held_offsets`, what these entries were made of.
        held_starts: int64[k + 1], where in ``held`` each entity begins.

    Returns:
        The entries without those of ``held`` that are as they were, and where each entity begins; all entries that
        say which offsets are held, and where each entity begins.
    """
    tails = np.empty_like(entries)
    after = np.empty((len(held) + len(entries), WIDTH), np.int64)
    tail_ends, after_ends = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    size, kept = 0, 0
    for entity in range(len(ends) - 1):
        before = held_starts[entity]
        for index in range(ends[entity], ends[entity + 1]):
            if entries[index, 0] < MAX_SLOTS:
                for part in range(WIDTH):
                    after[kept, part] = entries[index, part]
                kept += 1
                while before < held_starts[entity + 1] and held[before, 1] < entries[index, 1]:
                    before += 1
                if (
                    before < held_starts[entity + 1]
                    and held[before, 1] == entries[index, 1]
                    and held[before, 3] == entries[index, 3]
                ):
                    continue
            for part in range(WIDTH):
                tails[size, part] = entries[index, part]
            size += 1
        tail_ends[entity + 1], after_ends[entity + 1] = size, kept
    return tails[:size], tail_ends, after[:kept], after_ends
