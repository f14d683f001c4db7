"""What a batch adds to rows, as short states of their own; and rows with such tails, made one state again.

A packed state is a function of a set of events, and several states of sets that have no event in common may stand one
after the other for the state of all of these events: readers add them up.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.history import newest_first
from tastemaker.features.layout import WIDTH
from tastemaker.features.plan import ViewPlan
from tastemaker.features.stores.packing import packed_states
from tastemaker.features.streaming.batch import EventBatch
from tastemaker.features.streaming.history_merge import merge_history
from tastemaker.features.streaming.packed import Merged, cut, sliced
from tastemaker.features.streaming.tiles import merge_tiles, merged_tiles

__all__ = ["Tails", "fold_states", "held_by", "make_tails"]

_Ints = npt.NDArray[np.int64]
_WORD_BYTES = 8
_ENTRY_BYTES = WIDTH * _WORD_BYTES


class Tails(NamedTuple):
    """What some events add.

    Attributes:
        merged: the tails of the rows that change.
        held: by changed row, the offsets that it holds then, packed; nothing of a history, which knows its events by
            id, and where no offsets had to be looked at.
    """

    merged: Merged
    held: list[bytes]


def held_by(states: Sequence[bytes]) -> list[bytes]:
    """The offsets that packed states of an aggregate view hold, as entries of its layout."""
    from tastemaker.features.streaming.tail_kernel import held_offsets

    words, starts = packed_states(states)
    entries, ends = held_offsets(words.reshape(-1, WIDTH), starts // WIDTH)
    return cut(entries, ends * _ENTRY_BYTES)


def make_tails(view: ViewPlan, batch: EventBatch, order: _Ints, starts: _Ints, held: Sequence[bytes] | None) -> Tails:
    """What events add to some rows.

    Args:
        view: an aggregate or a history view.
        batch: the events.
        order: int64[m], indices of the events that the view sees, entity by entity.
        starts: int64[k + 1], where in ``order`` each entity begins.
        held: by entity, as of :func:`held_by`; None where no row holds any of the events.
    """
    nothing = [b""] * (len(starts) - 1)
    if view.kind == "history":
        merged = merge_history(view, batch, order, starts, nothing)
        return Tails(merged, [])
    if held is None:
        return Tails(merge_tiles(view, batch, order, starts, nothing), [])
    from tastemaker.features.streaming.tail_kernel import split_tails

    entries, ends, newest_us = merged_tiles(view, batch, order, starts, held)
    words, held_starts = packed_states(held)
    tails, tail_ends, after, after_ends = split_tails(entries, ends, words.reshape(-1, WIDTH), held_starts // WIDTH)
    merged = sliced(tails, tail_ends * _ENTRY_BYTES, newest_us)
    known = cut(after, after_ends * _ENTRY_BYTES)
    return Tails(merged, [known[place] for place in merged.changed.tolist()])


@cache
def _no_events() -> EventBatch:
    """What rows are merged with that get no new events; kept, because its columns take longer than such a merge."""
    return EventBatch([])


def fold_states(view: ViewPlan, states: Sequence[bytes]) -> list[bytes]:
    """Make rows with tails one state each: the one that all their events at once would have given.

    Args:
        view: an aggregate or a history view.
        states: packed states, each possibly several, one after the other.
    """
    found = list(states)
    if view.kind == "aggregate":
        none = np.zeros(0, np.int64), np.zeros(len(states) + 1, np.int64)
        merged = merge_tiles(view, _no_events(), *none, states)
    else:
        from tastemaker.features.streaming.history_kernel import merge_histories
        from tastemaker.features.streaming.history_runs import first_ends, later_events

        words, starts = packed_states(states)
        firsts = first_ends(words, starts)
        events, order, order_starts = later_events(words, starts, firsts)
        # Where all later events are there already, or are older than what is kept, the first state is all there is.
        for place in np.flatnonzero(firsts < starts[1:]).tolist():
            found[place] = states[place][: int(firsts[place] - starts[place]) * _WORD_BYTES]
        new, ends, newest_us = merge_histories(words, starts, order, order_starts, events, newest_first(view))
        merged = sliced(new, ends * _WORD_BYTES, newest_us)
    for place, state in zip(merged.changed.tolist(), merged.states, strict=True):
        found[place] = state
    return found
