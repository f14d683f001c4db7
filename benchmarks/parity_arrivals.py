"""A year of real events as they might have come in: late, out of order, twice, corrected and taken back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.broker.protocol import Headers
from tastemaker.clock import to_us
from tastemaker.events.adapters.dataset import Dataset, events_of, items_of
from tastemaker.events.contract import RETRACTION, Event, encode_event, event_key
from tastemaker.events.item import encode_item
from tastemaker.features.semantics import DAY_US

__all__ = ["Arrival", "Arrivals", "arrivals_of"]

_HOUR_US: Final = DAY_US // 24
_LATENESS_US: Final = 30 * DAY_US  # what feature_repo/sources.py allows
# How long events are on their way, at most, and how many of them take that long; the last ones come too late to count.
_DELAYS: Final = (
    (0.8, 0, 2_000_000),
    (0.15, 0, _HOUR_US),
    (0.048, 0, _LATENESS_US),
    (0.002, _LATENESS_US, 2 * _LATENESS_US),
)
_REPEATED: Final = 0.02
_CORRECTED: Final = 200
_AFTER_US: Final = 600_000_000  # whatever is still on its way ten minutes after the last event comes then


class Arrival(NamedTuple):
    """A record, and when it came in (microseconds)."""

    at_us: int
    topic: str
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True)
class Arrivals:
    """All that came in.

    Attributes:
        records: in the order of their arrival.
        events: how many different events are among them, corrections and retractions included.
        repeated: how many events came once more.
        too_late: how many came later than any view allows.
        corrections: how many correct another event or take one back.
    """

    records: list[Arrival]
    events: int
    repeated: int
    too_late: int
    corrections: int


def arrivals_of(dataset: Dataset, seed: int) -> Arrivals:
    """Every event and item of a data set as records for the broker.

    Args:
        dataset: with all of its events.
        seed: of delays, repetitions and corrections.
    """
    rng = np.random.default_rng(seed)
    occurred = dataset.events[names.OCCURRED_AT].cast(pa.int64()).to_numpy()
    last_us = int(occurred[-1]) + _AFTER_US
    shares, shortest, longest = (np.array(column) for column in zip(*_DELAYS, strict=True))
    kinds = rng.choice(len(_DELAYS), len(occurred), p=shares)
    came = np.minimum(occurred + rng.integers(shortest[kinds], longest[kinds], endpoint=True), last_us)
    again = rng.random(len(occurred)) < _REPEATED
    corrected = dict.fromkeys(rng.choice(len(occurred), _CORRECTED, replace=False).tolist())
    records = [
        Arrival(at_us, names.TOPIC_ITEMS, item.item_id.encode(), encode_item(item), _came(at_us))
        for item in items_of(dataset.items)
        for at_us in [to_us(item.created_at)]
    ]
    for place, event in enumerate(events_of(dataset.events)):
        at_us = int(came[place])
        records.append(_record(event, at_us))
        if again[place]:
            records.append(_record(event, min(at_us + int(rng.integers(60 * DAY_US)), last_us)))
        if place in corrected:
            # Some come before what they correct, which takes longer.
            own_us = at_us + int(rng.integers(-_HOUR_US, 5 * DAY_US))
            records += [
                _record(one, min(max(own_us, to_us(one.occurred_at)), last_us)) for one in _corrects(event, place)
            ]
    records.sort(key=lambda record: record.at_us)
    return Arrivals(
        records,
        events=len(occurred) + _CORRECTED,
        repeated=int(again.sum()),
        too_late=int((came - occurred > _LATENESS_US).sum()),
        corrections=_CORRECTED,
    )


def _corrects(event: Event, place: int) -> Iterator[Event]:
    """What corrects an event: every other one is taken back, the others change in amount."""
    event_id = f"{event.event_id}~corrected"
    if place % 2:
        yield Event(
            event_id=event_id,
            type=RETRACTION,  # type: ignore[arg-type]
            occurred_at=event.occurred_at,
            user_id=event.user_id,
            session_id=event.session_id,
            corrects=event.event_id,
        )
    else:
        value = None if event.value is None else 2 * event.value
        yield msgspec.structs.replace(event, event_id=event_id, corrects=event.event_id, value=value)


def _record(event: Event, at_us: int) -> Arrival:
    return Arrival(at_us, names.TOPIC_EVENTS, event_key(event), encode_event(event), _came(at_us))


def _came(at_us: int) -> Headers:
    return ((names.HEADER_INGESTED_AT, b"%d" % at_us),)
