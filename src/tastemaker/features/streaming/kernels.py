"""The compiled loop of the stream executor: merge a batch into the packed states of many entities.

A worker at 40,000 events per second through ten views has about two microseconds per event and view. Python needs
that for one dictionary look-up and a method call; numpy has no operation that merges sorted runs of many entities of
different lengths; so the merge is compiled with numba, over the packed entries as they are stored (see
:mod:`tastemaker.features.layout`), without decoding them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled
from tastemaker.features.layout import APPLIED, BASE, FIRST_GROUP, MAX_SLOTS, WIDTH
from tastemaker.features.semantics import HEAD_US, NEVER, SUM_CAP
from tastemaker.features.streaming.kernel_types import (
    GIVES_AMOUNT,
    GIVES_CELL,
    GIVES_LABEL,
    GIVES_TIME,
    MAX,
    MIN,
    SUM,
    Events,
    Tables,
)

__all__ = ["merge_entries"]

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

_FEW: Final = 24
_LAST_CODE: Final = 2**62
# Compiled functions take their arguments by position (PLR0917).


@compiled
def _less(entries: _Ints, left: int, right: int) -> bool:
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
def _sort(entries: _Ints, size: int) -> None:
    """Sort the first entries in place: few by insertion (they nearly are in order), many as a heap."""
    if size <= _FEW:
        for end in range(1, size):
            at = end
            while at > 0 and _less(entries, at, at - 1):
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
            if child + 1 < end and _less(entries, child, child + 1):
                child += 1
            if not _less(entries, root, child):
                break
            _swap(entries, root, child)
            root = child


@compiled
def _merged(how: int, left: int, right: int) -> int:
    if how == SUM:
        return SUM_CAP if left >= SUM_CAP - right else left + right
    if how == MIN:
        return min(left, right)
    return max(left, right)


@compiled
def _note(notes: _Ints, recent: _Ints, noted: int, place: tuple[int, int, int], value: int, how: int) -> int:  # noqa: PLR0917
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
        notes[last, 3] = _merged(how, notes[last, 3], value)
        return noted
    notes[noted, 0], notes[noted, 1], notes[noted, 2] = place
    notes[noted, 3] = value
    recent[place[0]] = noted
    return noted + 1


@compiled
def _settle(  # noqa: PLR0917
    notes: _Ints, recent: _Ints, noted: int, place: tuple[int, int, int], value: int, tables: Tables, oldest: _Ints
) -> int:
    """Note what lies behind the head as base and tile entries, as :func:`_note`.

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
        noted = _note(notes, recent, noted, (BASE * MAX_SLOTS + slot, 0, label), value, how)
    for group in range(len(tables.hops)):
        kind = FIRST_GROUP + group
        if tables.members[group, slot]:
            start = at - at % tables.hops[group]
            if start >= oldest[kind]:
                noted = _note(notes, recent, noted, (kind * MAX_SLOTS + slot, start, label), value, how)
    return noted


@compiled
def merge_entries(  # noqa: PLR0917
    old: _Ints, old_starts: _Ints, order: _Ints, starts: _Ints, events: Events, tables: Tables
) -> tuple[_Ints, _Ints, _Ints]:
    """Merge new events into the packed entries of many entities of one view.

    Args:
        old: int64[m, 4], the old entries of all entities, one entity after the other, each sorted.
        old_starts: int64[k + 1], where in ``old`` each entity begins.
        order: indices of the new events, entity by entity.
        starts: int64[k + 1], where in ``order`` each entity begins.
        events: the batch.
        tables: the layout.

    Returns:
        ``entries``: int64[m', 4], the new entries; ``ends``: int64[k + 1], where each entity begins; ``newest``:
        int64[k], the time of its newest event, or ``NEVER`` where no event was new, so that nothing changed and it
        has no entries here.
    """
    entities = len(starts) - 1
    slots = len(tables.gives)
    groups = len(tables.hops)
    head = (FIRST_GROUP + groups) * MAX_SLOTS
    most = 1  # entries that an event can become
    for slot in range(slots):
        settled = int(tables.in_base[slot])
        for group in range(groups):
            settled += int(tables.members[group, slot])
        most += max(1, settled)
    out = np.empty((len(old) + 4 * len(order) + 64, WIDTH), np.int64)
    ends = np.zeros(entities + 1, np.int64)
    newest_us = np.full(entities, NEVER, np.int64)
    notes = np.empty((64, WIDTH), np.int64)
    recent = np.full(head + MAX_SLOTS, -1, np.int64)
    oldest = np.full(FIRST_GROUP + groups + 1, NEVER, np.int64)
    fresh = np.empty(len(order), np.int64)
    size = 0
    for entity in range(entities):
        old_begin, old_end = old_starts[entity], old_starts[entity + 1]
        # The last entry of slot 0 of the head is the newest event.
        head_begin = old_end
        while head_begin > old_begin and old[head_begin - 1, 0] >= head:
            head_begin -= 1
        newest = NEVER
        for index in range(head_begin, old_end):
            if old[index, 0] == head:
                newest = max(newest, old[index, 1])
        new = 0
        for rank in range(starts[entity], starts[entity + 1]):
            event = order[rank]
            index = old_begin
            known = False
            while index < old_end and old[index, 0] == APPLIED:
                if old[index, 1] == events.partitions[event]:
                    known = events.offsets[event] <= old[index, 3]
                    break
                index += 1
            if not known:
                fresh[new] = event
                new += 1
                newest = max(newest, events.at_us[event])
        if new == 0:
            ends[entity + 1] = size
            continue
        newest_us[entity] = newest
        head_us = oldest[-1] = newest - HEAD_US
        for group in range(groups):
            begin = head_us - tables.horizons[group]
            oldest[FIRST_GROUP + group] = begin - begin % tables.hops[group]

        needed = most * (new + old_end - head_begin)
        if needed > len(notes):
            notes = np.empty((2 * needed, WIDTH), np.int64)
        noted = 0
        for number in range(new):
            event = fresh[number]
            if events.partitions[event] >= 0:
                place = (APPLIED, events.partitions[event], 0)
                noted = _note(notes, recent, noted, place, events.offsets[event], MAX)
            at = events.at_us[event]
            for slot in range(slots):
                if not (tables.types[slot] >> events.types[event]) & 1:
                    continue
                if not events.present[tables.column[slot], event]:
                    continue
                gives = tables.gives[slot]
                label, value = 0, 1
                if gives == GIVES_TIME:
                    value = at
                elif gives == GIVES_AMOUNT:
                    value = events.numbers[tables.number[slot], event]
                elif gives == GIVES_CELL:
                    label = events.numbers[tables.number[slot], event] % tables.cells[slot]
                    value = at
                elif gives == GIVES_LABEL:
                    label = events.numbers[tables.number[slot], event]
                    if tables.weight[slot] >= 0:
                        value = events.numbers[tables.weight[slot], event]
                        if value == 0:
                            continue
                if at >= head_us:
                    noted = _note(notes, recent, noted, (head + slot, at, label), value, tables.merges[slot])
                else:
                    noted = _settle(notes, recent, noted, (slot, at, label), value, tables, oldest)
        for index in range(head_begin, old_end):
            if old[index, 1] < head_us:
                place = (old[index, 0] - head, old[index, 1], old[index, 2])
                noted = _settle(notes, recent, noted, place, old[index, 3], tables, oldest)
        for index in range(noted):
            recent[notes[index, 0]] = -1
        _sort(notes, noted)

        if size + noted + old_end - old_begin > len(out):
            grown = np.empty((2 * (size + noted + old_end - old_begin), WIDTH), np.int64)
            grown[:size] = out[:size]
            out = grown
        begun, index = size, old_begin
        for rank in range(noted + 1):
            # The old entries up to the next new one; after the last, the rest of them.
            last = rank == noted
            code = _LAST_CODE if last else notes[rank, 0]
            while index < old_end and old[index, 0] <= code:
                if old[index, 0] == code:
                    start = old[index, 1]
                    if start > notes[rank, 1] or (start == notes[rank, 1] and old[index, 2] > notes[rank, 2]):
                        break
                gone = old[index, 1] < oldest[old[index, 0] // MAX_SLOTS]
                if BASE <= old[index, 0] // MAX_SLOTS < FIRST_GROUP:
                    horizon = tables.cell_horizons[old[index, 0] % MAX_SLOTS]
                    gone = horizon > 0 and old[index, 3] < head_us - horizon
                if not gone:
                    for part in range(WIDTH):
                        out[size, part] = old[index, part]
                    size += 1
                index += 1
            if last:
                break
            same = size > begun
            for part in range(3):
                same = same and out[size - 1, part] == notes[rank, part]
            if same:
                how = MAX if code < MAX_SLOTS else tables.merges[code % MAX_SLOTS]
                out[size - 1, 3] = _merged(how, out[size - 1, 3], notes[rank, 3])
            else:
                for part in range(WIDTH):
                    out[size, part] = notes[rank, part]
                size += 1
        ends[entity + 1] = size
    return out[:size], ends, newest_us
