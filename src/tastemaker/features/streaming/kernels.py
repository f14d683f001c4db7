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
from tastemaker.features.semantics import HEAD_US, NEVER
from tastemaker.features.streaming.entry_notes import merged, note, precedes, settle, sort_entries
from tastemaker.features.streaming.kernel_types import (
    GIVES_AMOUNT,
    GIVES_CELL,
    GIVES_LABEL,
    GIVES_TIME,
    MAX,
    Events,
    Tables,
)

__all__ = ["merge_entries"]

_Ints = npt.NDArray[np.int64]

_LAST_CODE: Final = 2**62
# Compiled functions take their arguments by position (PLR0917).


@compiled
def _gone(entries: _Ints, index: int, tables: Tables, oldest: _Ints) -> bool:
    """Whether no window reaches an entry any more, or it is in the head no longer; ``oldest`` as of :func:`settle`."""
    kind = entries[index, 0] // MAX_SLOTS
    if kind == BASE:
        horizon = tables.cell_horizons[entries[index, 0] % MAX_SLOTS]
        return bool(horizon > 0 and entries[index, 3] < oldest[-1] - horizon)
    return bool(entries[index, 1] < oldest[kind])


@compiled
def merge_entries(  # noqa: PLR0917
    old: _Ints, old_starts: _Ints, order: _Ints, starts: _Ints, events: Events, tables: Tables
) -> tuple[_Ints, _Ints, _Ints]:
    """Merge new events into the packed entries of many entities of one view.

    Args:
        old: int64[m, 4], the old entries of all entities, one entity after the other. Those of an entity are sorted, or
            are several sorted states of events of their own, one after the other; they become one.
        old_starts: int64[k + 1], where in ``old`` each entity begins.
        order: indices of the new events, entity by entity.
        starts: int64[k + 1], where in ``order`` each entity begins.
        events: the batch.
        tables: the layout.

    Returns:
        ``entries``: int64[m', 4], the new entries; ``ends``: int64[k + 1], where each entity begins; ``newest``:
        int64[k], the time of its newest event, or ``NEVER`` where no event was new and the entries were sorted, so
        that nothing changed and it has no entries here.
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
        old_begin, old_stop = old_starts[entity], old_starts[entity + 1]
        old_end = min(old_begin + 1, old_stop)
        while old_end < old_stop and precedes(old, old_end - 1, old_end):
            old_end += 1
        # The last entry of slot 0 of the head is the newest event.
        head_begin = old_end
        while head_begin > old_begin and old[head_begin - 1, 0] >= head:
            head_begin -= 1
        newest = NEVER
        for index in range(head_begin, old_end):
            if old[index, 0] == head:
                newest = max(newest, old[index, 1])
        for index in range(old_end, old_stop):
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
            for index in range(old_end, old_stop):
                if old[index, 0] == APPLIED and old[index, 1] == events.partitions[event]:
                    known = known or events.offsets[event] <= old[index, 3]
            if not known:
                fresh[new] = event
                new += 1
                newest = max(newest, events.at_us[event])
        if new == 0 and old_end == old_stop:
            ends[entity + 1] = size
            continue
        newest_us[entity] = newest
        head_us = oldest[-1] = newest - HEAD_US
        for group in range(groups):
            begin = head_us - tables.horizons[group]
            oldest[FIRST_GROUP + group] = begin - begin % tables.hops[group]

        needed = most * (new + old_stop - head_begin)
        if needed > len(notes):
            notes = np.empty((2 * needed, WIDTH), np.int64)
        noted = 0
        for number in range(new):
            event = fresh[number]
            if events.partitions[event] >= 0:
                place = (APPLIED, events.partitions[event], 0)
                noted = note(notes, recent, noted, place, events.offsets[event], MAX)
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
                    noted = note(notes, recent, noted, (head + slot, at, label), value, tables.merges[slot])
                else:
                    noted = settle(notes, recent, noted, (slot, at, label), value, tables, oldest)
        for index in range(head_begin, old_end):
            if old[index, 1] < head_us:
                place = (old[index, 0] - head, old[index, 1], old[index, 2])
                noted = settle(notes, recent, noted, place, old[index, 3], tables, oldest)
        for index in range(old_end, old_stop):
            code, start, label = old[index, 0], old[index, 1], old[index, 2]
            kind, slot = code // MAX_SLOTS, code % MAX_SLOTS
            if kind == APPLIED:
                noted = note(notes, recent, noted, (code, start, label), old[index, 3], MAX)
            elif code >= head and start < head_us:
                noted = settle(notes, recent, noted, (slot, start, label), old[index, 3], tables, oldest)
            elif not _gone(old, index, tables, oldest):
                noted = note(notes, recent, noted, (code, start, label), old[index, 3], tables.merges[slot])
        for index in range(noted):
            recent[notes[index, 0]] = -1
        sort_entries(notes, noted)

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
                if not _gone(old, index, tables, oldest):
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
                out[size - 1, 3] = merged(how, out[size - 1, 3], notes[rank, 3])
            else:
                for part in range(WIDTH):
                    out[size, part] = notes[rank, part]
                size += 1
        ends[entity + 1] = size
    return out[:size], ends, newest_us
