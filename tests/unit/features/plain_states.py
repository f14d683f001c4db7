"""States of the stream executor, made one event at a time in plain Python, and a store that is a dictionary."""

from collections.abc import Iterable, Mapping, Sequence
from struct import pack

from tastemaker.clock import to_us
from tastemaker.events.contract import Event
from tastemaker.features.history import HistoryEvent, add_events, newest_first, pack_history
from tastemaker.features.keys import join_key
from tastemaker.features.layout import APPLIED, BASE, FIRST_GROUP, Slot, cell_of, label_number, layout_of
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import DAY_US, HEAD_US, SUM_CAP, square_to_micros, to_micros
from tastemaker.features.streaming.consumed import ConsumedEvent

__all__ = ["DictStore", "states"]


class DictStore:
    """What an updater needs of a transaction."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}
        self.newest: dict[tuple[str, str], int] = {}
        self.labels: dict[int, str] = {}
        self.reads = 0

    def get(self, view: str, keys: Sequence[str]) -> list[bytes | None]:
        self.reads += len(keys)
        return [self.rows.get((view, key)) for key in keys]

    def put(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        assert len(set(keys)) == len(keys) == len(event_us) == len(states)
        for key, at_us, state in zip(keys, event_us, states, strict=True):
            self.rows[view, key], self.newest[view, key] = state, at_us

    def put_labels(self, labels: Mapping[int, str]) -> None:
        self.labels |= labels


def states(view: ViewPlan, records: Iterable[ConsumedEvent]) -> dict[str, bytes]:
    """The packed state of every entity, as the layout's page describes it, from all of its events at once."""
    own: dict[str, list[ConsumedEvent]] = {}
    for record in records:
        parts = [getattr(record.event, column) for column in view.join_keys]
        at_us = to_us(record.event.occurred_at)
        late = record.ingested_us is not None and record.ingested_us - at_us > view.lateness_us > 0
        if None not in parts and record.event.type in view.types and record.event.type != "retraction" and not late:
            own.setdefault(join_key(parts), []).append(record)
    if view.kind == "aggregate":
        return {key: _entries(view, mine) for key, mine in own.items()}
    kept = {key: _history(view, [r.event for r in mine if r.event.item_id is not None]) for key, mine in own.items()}
    return {key: state for key, state in kept.items() if state}


def _history(view: ViewPlan, events: Sequence[Event]) -> bytes:
    listed = [
        HistoryEvent(to_us(e.occurred_at), e.event_id, e.item_id or "", e.type, e.category, e.value, e.price)
        for e in events
    ]
    return pack_history(add_events([], listed, newest_first(view))) if listed else b""


def _entries(view: ViewPlan, records: Sequence[ConsumedEvent]) -> bytes:
    layout = layout_of(view)
    newest = max(to_us(record.event.occurred_at) for record in records)
    found: dict[tuple[int, int, int], int] = {}

    def add(code: int, start: int, label: int, value: int, op: str) -> None:
        place = (code, start, label)
        if place not in found:
            found[place] = value
        elif op in {"first", "min"}:
            found[place] = min(found[place], value)
        elif op in {"last", "max", "cells"}:
            found[place] = max(found[place], value)
        else:
            found[place] = min(found[place] + value, SUM_CAP)

    for event, partition, offset, _ingested in records:
        at = to_us(event.occurred_at)
        if partition >= 0:
            add(APPLIED * 64, partition, 0, offset, "max")
        for number, slot in enumerate(layout.slots):
            if event.type not in slot.types or (given := _given(slot, event)) is None:
                continue
            label, value = given
            if at >= newest - HEAD_US:
                add(layout.head * 64 + number, at, label, value, slot.op)
                continue
            horizon = layout.cell_horizons_us[number]
            if number in layout.base_slots and (not horizon or at >= newest - HEAD_US - horizon):
                add(BASE * 64 + number, 0, label, value, slot.op)
            for place, group in enumerate(layout.groups):
                start = at - at % group.hop_us
                if number in group.slots and start >= group.oldest_start(newest):
                    add((FIRST_GROUP + place) * 64 + number, start, label, value, slot.op)
    return b"".join(pack("<qqqq", *place, value) for place, value in sorted(found.items()))


def _given(slot: Slot, event: Event) -> tuple[int, int] | None:
    """Label and value that an event gives to a slot."""
    at = to_us(event.occurred_at)
    if slot.column == "hour":
        content: object = f"{at % DAY_US // 3_600_000_000:02d}"
    else:
        content = getattr(event, slot.column) if slot.column else ""
    if content is None:
        return None
    if slot.op == "cells":
        return cell_of(str(content), slot.cells), at
    if slot.op == "labels":
        weight = 1 if not slot.by else to_micros(event.value or 0.0)
        return (label_number(str(content)), weight) if weight else None
    if slot.op in {"last", "first"}:
        return 0, at
    if slot.op == "count":
        return 0, 1
    assert isinstance(content, float)
    return 0, square_to_micros(content) if slot.op == "sum_sq" else to_micros(content)
