"""The stream executor's states of an aggregate view: add a batch of events to many entities at once."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.events.contract import RETRACTION
from tastemaker.features.layout import MERGES, WIDTH, Op, Slot, layout_of
from tastemaker.features.plan import ViewPlan
from tastemaker.features.stores.packing import packed_states
from tastemaker.features.streaming.batch import COLUMNS, TYPE_BITS, EventBatch
from tastemaker.features.streaming.kernel_types import (
    GIVES_AMOUNT,
    GIVES_CELL,
    GIVES_LABEL,
    GIVES_ONE,
    GIVES_TIME,
    MAX,
    MIN,
    SUM,
    Events,
    Tables,
)
from tastemaker.features.streaming.packed import Merged, sliced

__all__ = ["labels_noted", "merge_tiles", "merged_tiles"]

_Ints = npt.NDArray[np.int64]
_GIVES: Final[dict[Op, int]] = {
    "last": GIVES_TIME,
    "first": GIVES_TIME,
    "count": GIVES_ONE,
    "sum": GIVES_AMOUNT,
    "sum_sq": GIVES_AMOUNT,
    "min": GIVES_AMOUNT,
    "max": GIVES_AMOUNT,
    "cells": GIVES_CELL,
    "labels": GIVES_LABEL,
}
_MERGES: Final = {"sum": SUM, "min": MIN, "max": MAX}
_STATE_BYTES: Final = 8 * WIDTH


def _row(slot: Slot) -> tuple[str, str] | None:
    """The row of numbers that a slot reads: how it is made, and of which column."""
    if slot.op in {"sum", "min", "max"}:
        return "micros", slot.column
    if slot.op == "sum_sq":
        return "squares", slot.column
    return ("labels", slot.column) if slot.op in {"cells", "labels"} else None


@lru_cache(maxsize=256)
def _tables(view: ViewPlan) -> tuple[list[tuple[str, str]], Tables]:
    """What a view needs of a batch as rows of numbers, and its layout as tables."""
    layout = layout_of(view)
    slots = layout.slots
    taken = [(_row(slot), ("micros", slot.by) if slot.by else None) for slot in slots]
    rows = list(dict.fromkeys(row for pair in taken for row in pair if row is not None))

    def ints(values: Iterable[int]) -> _Ints:
        return np.array(list(values), np.int64)

    every, groups = range(len(slots)), layout.groups
    return rows, Tables(
        gives=ints(_GIVES[slot.op] for slot in slots),
        merges=ints(_MERGES[MERGES[slot.op]] for slot in slots),
        types=ints(sum(1 << TYPE_BITS[seen] for seen in slot.types if seen != RETRACTION) for slot in slots),
        column=ints(COLUMNS.index(slot.column if slot.column in COLUMNS else "") for slot in slots),
        number=ints(rows.index(number) if number else 0 for number, _ in taken),
        weight=ints(rows.index(weight) if weight else -1 for _, weight in taken),
        cells=ints(max(slot.cells, 1) for slot in slots),
        in_base=np.array([index in layout.base_slots for index in every], np.bool_),
        cell_horizons=ints(layout.cell_horizons_us),
        hops=ints(group.hop_us for group in groups),
        horizons=ints(group.horizon_us for group in groups),
        members=np.array([[i in group.slots for i in every] for group in groups], np.bool_).reshape(-1, len(slots)),
    )


def merge_tiles(view: ViewPlan, batch: EventBatch, order: _Ints, starts: _Ints, old: Sequence[bytes]) -> Merged:
    """Add events to the states of some entities.

    Args:
        view: an aggregate view.
        batch: the events.
        order: int64[m], indices of the events that the view sees, entity by entity.
        starts: int64[k + 1], where in ``order`` each entity begins.
        old: k packed states, each possibly several one after the other; empty for an entity without events.
    """
    entries, ends, newest_us = merged_tiles(view, batch, order, starts, old)
    return sliced(entries, ends * _STATE_BYTES, newest_us)


def merged_tiles(
    view: ViewPlan, batch: EventBatch, order: _Ints, starts: _Ints, old: Sequence[bytes]
) -> tuple[_Ints, _Ints, _Ints]:
    """As :func:`merge_tiles`, with the answer of :func:`tastemaker.features.streaming.kernels.merge_entries`."""
    from tastemaker.features.streaming.kernels import merge_entries

    rows, tables = _tables(view)
    numbers = np.zeros((len(rows), len(batch)), np.int64)
    for row, (made, column) in enumerate(rows):
        numbers[row] = batch.labels(column) if made == "labels" else batch.micros(column, made == "squares")
    events = Events(batch.at_us, batch.partitions, batch.offsets, batch.types, batch.present, numbers)
    words, offsets = packed_states(old)
    entries, ends, newest_us = merge_entries(words.reshape(-1, WIDTH), offsets // WIDTH, order, starts, events, tables)
    return entries, ends, newest_us


def labels_noted(view: ViewPlan, batch: EventBatch, order: _Ints) -> dict[int, str]:
    """The texts of the labels that the states of some events hold, by number."""
    found: dict[int, str] = {}
    for column in sorted({slot.column for slot in layout_of(view).slots if slot.op == "labels"}):
        values = batch.encoded(column).values
        codes = np.unique(batch.encoded(column).codes[order])
        numbers = batch.label_numbers(column)
        found |= {numbers[code]: values[code] for code in codes[codes >= 0].tolist()}
    return found
