"""Events of a table, sent through Kafka once more: for demos, load tests and rehearsals.

Each record carries the table's ``ingested_at`` in a header (:data:`tastemaker.names.HEADER_INGESTED_AT`), so that a
re-enacted event keeps the time at which the platform first knew of it: a point-in-time join over it sees what it saw
then, not everything at the time of the re-enactment. Running it again is harmless: event ids are deterministic, and
the worker counts each once.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import pyarrow as pa

from tastemaker import names
from tastemaker.broker.protocol import BrokerError, Delivered, Headers, Producer
from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import events_of, items_of
from tastemaker.events.contract import Event, encode_event, event_key
from tastemaker.events.item import Item, encode_item

__all__ = ["Replayed", "replay", "send_items"]

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the number of acknowledged records so far, and their total."""
_BATCH = 2_000
_ACK_S = 60.0
_SHORTEST_PAUSE_S = 0.02  # below it, events go together
_TABLE_ROWS = 8_192

_Outgoing = tuple[bytes, bytes, Headers]


@dataclass(frozen=True)
class Replayed:
    """What one replay sent.

    Attributes:
        items: acknowledged items.
        events: acknowledged events.
    """

    items: int
    events: int


def replay(
    producer: Producer,
    events: pa.Table,
    items: pa.Table | None = None,
    *,
    speed: float | None = None,
    progress: Progress = lambda done, total: None,
    sleep: Callable[[float], None] = time.sleep,
    now_s: Callable[[], float] = time.monotonic,
) -> Replayed:
    """Send items, then events in the order of the table, and wait until the broker has them all.

    Args:
        producer: where to.
        events: columns of ``SCHEMAS["events"]``, sorted by occurred_at; ``ingested_at`` may be null, and is then the
            time of this replay.
        items: columns of ``SCHEMAS["items"]``; tombstones are left out.
        speed: how many times faster than they happened; None for as fast as the broker takes them.
        progress: about events; called after each acknowledged batch.
        sleep: waits for some seconds.
        now_s: a monotonic clock in seconds.

    Raises:
        DataError: ``speed`` is not positive.
        BrokerError: the broker stopped acknowledging; run the replay again.
    """
    if speed is not None and not speed > 0:
        raise DataError(f"a replay's speed is a positive factor, not {speed}")
    sent_items = 0 if items is None else send_items(producer, items_of(items))
    pause_s = _pacer(speed, now_s)
    done, total = 0, events.num_rows
    batch: list[_Outgoing] = []
    for event, headers in zip(events_of(events), _headers(events), strict=True):
        pause = pause_s(event)
        if batch and (pause or len(batch) >= _BATCH):
            _deliver(producer, names.TOPIC_EVENTS, batch, done)
            done += len(batch)
            batch = []
            progress(done, total)
        if pause:
            sleep(pause)
        batch.append((event_key(event), encode_event(event), headers))
    if batch:
        _deliver(producer, names.TOPIC_EVENTS, batch, done)
        done += len(batch)
        progress(done, total)
    return Replayed(sent_items, done)


def send_items(producer: Producer, items: Iterable[Item]) -> int:
    """Send items to their topic, and wait until the broker has them.

    Returns:
        How many.

    Raises:
        BrokerError: the broker stopped acknowledging.
    """
    done = 0
    for batch in _batches(items, _BATCH):
        _deliver(producer, names.TOPIC_ITEMS, [(item.item_id.encode(), encode_item(item), ()) for item in batch], done)
        done += len(batch)
    return done


def _headers(events: pa.Table) -> Iterator[Headers]:
    """The headers of each row's record; none for a row that does not say when it was ingested."""
    for batch in events.select([names.INGESTED_AT]).to_batches(max_chunksize=_TABLE_ROWS):
        for ingested_us in batch[names.INGESTED_AT].cast(pa.int64()).to_pylist():
            yield () if ingested_us is None else ((names.HEADER_INGESTED_AT, b"%d" % ingested_us),)


def _deliver(producer: Producer, topic: str, records: list[_Outgoing], before: int) -> None:
    try:
        deliveries: list[Future[Delivered]] = [producer.send(topic, *record) for record in records]
        producer.flush(_ACK_S)
        for delivery in deliveries:
            delivery.result(_ACK_S)
    except BrokerError as error:
        raise BrokerError(
            f"the replay stopped after {before} records of {topic}: {error}. Run it again: what is there already "
            "is not counted twice"
        ) from error


def _pacer(speed: float | None, now_s: Callable[[], float]) -> Callable[[Event], float]:
    """How long to wait before each event, so that the pauses between events are kept, divided by ``speed``."""
    if speed is None:
        return lambda event: 0.0
    began: tuple[int, float] | None = None

    def pause_s(event: Event) -> float:
        nonlocal began
        at_us = to_us(event.occurred_at)
        began = began or (at_us, now_s())
        ahead = (at_us - began[0]) / 1e6 / speed - (now_s() - began[1])
        return ahead if ahead >= _SHORTEST_PAUSE_S else 0.0

    return pause_s


def _batches(records: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(records)
    while batch := list(islice(iterator, size)):
        yield batch
