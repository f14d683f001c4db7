"""Packed states, made as :mod:`tastemaker.features.layout` describes them, one event at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from feature_reference import Arrival, column_of, key_of, seen_by, time_of

from tastemaker.events.contract import Event
from tastemaker.features.layout import BASE, FIRST_GROUP, MERGES, Slot, cell_of, label_number, layout_of
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import HEAD_US, SUM_CAP, floor_to, square_to_micros, to_micros

__all__ = ["labels_of", "packed_states"]


def packed_states(view: ViewPlan, arrivals: Sequence[Arrival | Event]) -> dict[tuple[str, ...], bytes]:
    """The state of every entity of an aggregate view, by key; without the offsets that a worker notes in it."""
    own: dict[tuple[str, ...], list[Event]] = {}
    for event in seen_by(view, arrivals):
        own.setdefault(key_of(view, event) or (), []).append(event)
    return {key: _pack(view, events) for key, events in own.items()}


def labels_of(arrivals: Sequence[Arrival | Event]) -> dict[int, str]:
    """The texts of all labels that occur."""
    events = [arrival if isinstance(arrival, Event) else arrival.event for arrival in arrivals]
    texts = {
        column_of(event, column)
        for event in events
        for column in ("item_id", "category", "session_id", "user_id", "type", "hour")
    }
    return {label_number(text): text for text in texts if text is not None}


def _pack(view: ViewPlan, events: list[Event]) -> bytes:
    layout = layout_of(view)
    newest = max(map(time_of, events))
    entries: dict[tuple[int, int, int], int] = {}

    def merge(kind: int, index: int, start: int, part: tuple[int, int]) -> None:
        how, place = MERGES[layout.slots[index].op], (layout.code(kind, index), start, part[0])
        if place not in entries:
            entries[place] = part[1]
        elif how == "sum":
            entries[place] = min(entries[place] + part[1], SUM_CAP)
        else:
            entries[place] = {"min": min, "max": max}[how](entries[place], part[1])

    for event in events:
        at = time_of(event)
        for index, slot in enumerate(layout.slots):
            part = _part(slot, event)
            if part is None:
                continue
            if at >= newest - HEAD_US:
                merge(layout.head, index, at, part)
                continue
            horizon = layout.cell_horizons_us[index]
            if index in layout.base_slots and (not horizon or at >= newest - HEAD_US - horizon):
                merge(BASE, index, 0, part)
            for number, group in enumerate(layout.groups):
                if index in group.slots and floor_to(at, group.hop_us) >= group.oldest_start(newest):
                    merge(FIRST_GROUP + number, index, floor_to(at, group.hop_us), part)
    rows = [(*place, value) for place, value in sorted(entries.items())]
    return np.array(rows, "<i8").tobytes()


def _part(slot: Slot, event: Event) -> tuple[int, int] | None:
    """What an event adds to a slot, as label and value; None where it adds nothing."""
    value: Any = column_of(event, slot.column) if slot.column else 0
    if event.type not in slot.types or value is None:
        return None
    if slot.op == "cells":
        return cell_of(value, slot.cells), time_of(event)
    if slot.op == "labels":
        weight = 1 if not slot.by else None if event.value is None else to_micros(event.value)
        return (label_number(value), weight) if weight else None
    if slot.op in {"last", "first"}:
        return 0, time_of(event)
    if slot.op == "count":
        return 0, 1
    return 0, square_to_micros(value) if slot.op == "sum_sq" else to_micros(value)
