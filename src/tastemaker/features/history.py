"""The stream executor's state of one entity in a history view: its newest events."""

from typing import Final, NamedTuple

import msgspec

from tastemaker.errors import DataError
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import HEAD_US

__all__ = ["HISTORY_COLUMNS", "HistoryEvent", "add_events", "newest_first", "pack_history", "unpack_history"]

# What a last_n may list.
HISTORY_COLUMNS: Final = ("item_id", "type", "occurred_at")


class HistoryEvent(NamedTuple):
    """One event of a history; tuples sort by time, then by event id."""

    occurred_us: int
    event_id: str
    item_id: str
    type: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[HistoryEvent])


def newest_first(view: ViewPlan) -> int:
    """How many events a history view lists."""
    if view.kind != "history":
        raise DataError(f"view {view.name} is no history; declare it with last_n")
    return view.features[0].n


def add_events(kept: list[HistoryEvent], new: list[HistoryEvent], n: int) -> list[HistoryEvent]:
    """The history after some more events, in any order.

    Keeps the head (everything that a read of the present might have to leave out) and ``n`` events before it.
    """
    merged = sorted((*kept, *new), reverse=True)
    settled = merged[0].occurred_us - HEAD_US
    in_head = sum(1 for event in merged if event.occurred_us >= settled)
    return merged[: in_head + n]


def pack_history(events: list[HistoryEvent]) -> bytes:
    """The state as bytes, newest first."""
    return _encoder.encode(events)


def unpack_history(packed: bytes | None, now_us: int | None = None, n: int | None = None) -> list[HistoryEvent]:
    """The events of a packed state before ``now_us``, newest first, at most ``n``."""
    events = _decoder.decode(packed) if packed else []
    if now_us is not None:
        events = [event for event in events if event.occurred_us < now_us]
    return events if n is None else events[:n]
