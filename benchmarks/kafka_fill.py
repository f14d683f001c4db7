"""Online Retail's events in the events topic: real ones, repeated with new ids, their times moved up to the present."""

import multiprocessing
import time
from collections.abc import Iterator

import pyarrow as pa

from tastemaker import names
from tastemaker.broker.kafka import KafkaProducer
from tastemaker.clock import from_us
from tastemaker.events.adapters import online_retail
from tastemaker.events.adapters.dataset import events_of
from tastemaker.events.contract import Event, encode_event, event_key
from tastemaker.settings import Settings

__all__ = ["fill", "moved_events"]

_SPAN_US = 28 * 86_400_000_000  # within the allowed lateness of every declared view
_BUFFER_BYTES = 256 * 2**20


def fill(settings: Settings, count: int, processes: int = 2) -> None:
    """Bring so many events into the topic.

    A shopper's events stay in their order, because all of them come from one process.
    """
    events = online_retail.load(settings.repository / "data" / "online_retail.parquet").events
    now_us = time.time_ns() // 1_000
    context = multiprocessing.get_context("fork")
    parts = [
        context.Process(target=_fill, args=(settings, events, count, (part, processes), now_us))
        for part in range(processes)
    ]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
        if part.exitcode:
            raise SystemExit("the topic could not be filled")


def _fill(settings: Settings, events: pa.Table, count: int, share: tuple[int, int], now_us: int) -> None:
    part, parts = share
    producer = KafkaProducer(settings, linger_ms=20, buffer_bytes=_BUFFER_BYTES, max_block_s=120)
    for event in moved_events(events, count, now_us):
        key = event_key(event)
        if hash_of(key) % parts == part:
            producer.send(names.TOPIC_EVENTS, key, encode_event(event))
    producer.close(120)


def hash_of(key: bytes) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(key[-8:], "big")


def moved_events(events: pa.Table, count: int, now_us: int) -> Iterator[Event]:
    """The first ``count`` events of the table, begun again as often as needed, evenly spread over the last 28 days."""
    step_us = _SPAN_US // count
    made = 0
    while made < count:
        lap = made // events.num_rows
        for event in events_of(events.slice(0, count - made)):
            at = from_us(now_us - _SPAN_US + made * step_us)
            fields = {name: getattr(event, name) for name in _COPIED}
            yield Event(event_id=f"{event.event_id}~{lap}", occurred_at=at, **fields)
            made += 1


_COPIED = tuple(name for name in Event.__struct_fields__ if name not in {"event_id", "occurred_at"})
