"""How a history view's state is packed: the newest events of an entity.

Little-endian 64-bit words: the number of events, then four words per event, newest first (time in microseconds, value
and price as doubles with NaN for none, and the lengths in bytes of its four texts, 16 bits each), then the texts
(event id, item id, type, category) in the same order as UTF-8, padded with zeros to a whole word. The length of a
category is stored plus one, so that 0 says there is none. Events are ordered by ``(occurred_at, event_id)``, ids by
code point, which is the order of their UTF-8 bytes.

The state is the head (everything that a read of the present might have to leave out) and the ``n`` events before it,
so it is a function of the set of events, as an aggregate view's is. Several states may stand one after the other; their
events are those of all of them.
"""

import struct
from collections.abc import Iterable, Sequence
from math import isnan
from typing import Final, NamedTuple

from tastemaker.errors import DataError
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import HEAD_US

__all__ = [
    "HISTORY_COLUMNS",
    "HISTORY_WORDS",
    "HistoryEvent",
    "add_events",
    "newest_first",
    "pack_history",
    "unpack_history",
    "unpack_items",
]

# What a last_n may list.
HISTORY_COLUMNS: Final = ("item_id", "type", "category", "occurred_at", "value", "price")
# Words per event, after the first word of the state.
HISTORY_WORDS: Final = 4
_FIXED: Final = struct.Struct("<qddHHHH")
_NAN: Final = float("nan")


class HistoryEvent(NamedTuple):
    """One event of a history."""

    occurred_us: int
    event_id: str
    item_id: str
    type: str
    category: str | None = None
    value: float | None = None
    price: float | None = None


def newest_first(view: ViewPlan) -> int:
    """How many events a history view keeps behind its head.

    Raises:
        DataError: the view is no history.
    """
    if view.kind != "history":
        raise DataError(f"view {view.name} is no history; declare it with last_n")
    return max(feature.n for feature in view.features)


def add_events(kept: Sequence[HistoryEvent], new: Iterable[HistoryEvent], n: int) -> list[HistoryEvent]:
    """The history after some more events, in any order; an event that is there already changes nothing."""
    by_id = {event.event_id: event for event in (*new, *kept)}
    merged = sorted(by_id.values(), key=lambda event: (event.occurred_us, event.event_id), reverse=True)
    if not merged:
        return []
    settled = merged[0].occurred_us - HEAD_US
    in_head = sum(1 for event in merged if event.occurred_us >= settled)
    return merged[: in_head + n]


def pack_history(events: Sequence[HistoryEvent]) -> bytes:
    """The state as bytes.

    Args:
        events: newest first, as :func:`add_events` gives them.
    """
    fixed: list[bytes] = []
    texts: list[bytes] = []
    for at_us, event_id, item_id, event_type, category, value, price in events:
        own = (event_id.encode(), item_id.encode(), event_type.encode(), (category or "").encode())
        fixed.append(
            _FIXED.pack(
                at_us,
                _NAN if value is None else value,
                _NAN if price is None else price,
                *map(len, own[:3]),
                0 if category is None else len(own[3]) + 1,
            )
        )
        texts += own
    heap = b"".join(texts)
    return len(events).to_bytes(8, "little") + b"".join(fixed) + heap + bytes(-len(heap) % 8)


def unpack_history(packed: bytes | None, now_us: int | None = None, n: int | None = None) -> list[HistoryEvent]:
    """The events of a packed state before ``now_us``, newest first, at most ``n``.

    Several states may stand one after the other; an event that is in more than one of them is there once.
    """
    if not packed or n == 0:
        return []
    events, end = _unpack(packed, 0, now_us, n)
    if end == len(packed):
        return events
    by_id: dict[str, HistoryEvent] = {}
    while True:
        for event in events:
            by_id.setdefault(event.event_id, event)
        if end == len(packed):
            break
        events, end = _unpack(packed, end, now_us, n)
    merged = sorted(by_id.values(), key=lambda event: (event.occurred_us, event.event_id), reverse=True)
    return merged if n is None else merged[:n]


def unpack_items(packed: bytes | None, now_us: int | None, n: int) -> list[tuple[str, str, int]]:
    """Item, type and time of the events that :func:`unpack_history` gives, which is all that a list is made from."""
    if not packed:
        return []
    events, end = _short(packed, 0, now_us)
    if end < len(packed):  # several states, one after the other
        by_id = {event[1]: event for event in events}
        while end < len(packed):
            events, end = _short(packed, end, now_us)
            for event in events:
                by_id.setdefault(event[1], event)
        events = sorted(by_id.values(), reverse=True)
    return [(item_id, kind, at_us) for at_us, _, item_id, kind in events[:n]]


def _short(packed: bytes, begin: int, now_us: int | None) -> tuple[list[tuple[int, str, str, str]], int]:
    """Time, id, item and type of the events before a moment, of the state that begins there; and where it ends."""
    fixed = begin + 8
    texts = fixed + int.from_bytes(packed[begin:fixed], "little") * _FIXED.size
    found: list[tuple[int, str, str, str]] = []
    at = texts
    for at_us, _, _, event_size, item_size, type_size, category_size in _FIXED.iter_unpack(packed[fixed:texts]):
        item = at + event_size
        kind = item + item_size
        end = kind + type_size
        if now_us is None or at_us < now_us:
            found.append((at_us, packed[at:item].decode(), packed[item:kind].decode(), packed[kind:end].decode()))
        at = end + category_size - 1 if category_size else end
    return found, at + (texts - at) % 8


def _unpack(packed: bytes, begin: int, now_us: int | None, n: int | None) -> tuple[list[HistoryEvent], int]:
    """The events of the state that begins there, as of :func:`unpack_history`, and where it ends."""
    fixed = begin + 8
    texts = fixed + int.from_bytes(packed[begin:fixed], "little") * _FIXED.size
    words = list(_FIXED.iter_unpack(packed[fixed:texts]))
    size = sum(id_size + item + kind + max(category - 1, 0) for *_, id_size, item, kind, category in words)
    raw = packed[texts : texts + size]
    # Where characters are bytes, one decoding does for all; otherwise each byte becomes a character first.
    heap = raw.decode("latin-1")
    ascii_only = raw.isascii()
    events: list[HistoryEvent] = []
    at = 0
    for at_us, value, price, event_size, item_size, type_size, category_size in words:
        item = at + event_size
        kind = item + item_size
        category = kind + type_size
        end = category + category_size - 1 if category_size else category
        if now_us is None or at_us < now_us:
            event = HistoryEvent(
                at_us,
                heap[at:item],
                heap[item:kind],
                heap[kind:category],
                heap[category:end] if category_size else None,
                None if isnan(value) else value,
                None if isnan(price) else price,
            )
            events.append(event if ascii_only else _decoded(event))
            if len(events) == n:
                break
        at = end
    return events, texts + size + -size % 8


def _decoded(event: HistoryEvent) -> HistoryEvent:
    """An event whose texts have a character for each byte of their UTF-8."""
    return HistoryEvent(
        *(part.encode("latin-1").decode() if isinstance(part, str) else part for part in event)  # type: ignore[arg-type]
    )
