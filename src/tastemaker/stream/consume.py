"""What the stream worker does: Kafka -> online state -> lake, each exactly once.

Every poll is applied to the online state at once, because freshness is what a shopper notices; the lake gets
larger batches. Both keep the positions with the data that they stand for, so that after a crash the worker
starts each partition at the older of the two, and neither counts anything twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from tastemaker import names
from tastemaker.broker.protocol import BrokerUnavailable, Consumer, Producer, Record
from tastemaker.clock import Clock
from tastemaker.events.contract import Event
from tastemaker.events.item import Item
from tastemaker.features.state import ConsumedEvent, ConsumedItem
from tastemaker.lake.tables import Lake
from tastemaker.serving.contract import ServedList
from tastemaker.stream.dead_letters import Stopped, bury
from tastemaker.stream.decode import Decoded, decode_all, event_of, item_id_of, item_of, served_list_of
from tastemaker.stream.rows import event_rows, item_rows, served_list_rows
from tastemaker.stream.sinks import LakeSink

__all__ = ["OnlineState", "Worker", "WorkerCounts"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_TOPICS = (names.TOPIC_EVENTS, names.TOPIC_ITEMS, names.TOPIC_SERVED_LISTS)
_REPORT_S = 30.0


class OnlineState(Protocol):
    """What the worker needs of :class:`tastemaker.features.state.FeatureState`."""

    def positions(self, topic: str) -> Mapping[int, int]:
        """Next offset to read, by partition."""
        ...

    def apply(self, records: Sequence[ConsumedEvent], positions: Mapping[int, int]) -> list[bool]:
        """Apply events and positions in one transaction; True for each first occurrence of an event id."""
        ...

    def apply_items(self, records: Sequence[ConsumedItem], positions: Mapping[int, int]) -> object:
        """Apply items and positions in one transaction."""
        ...


class WorkerCounts(NamedTuple):
    """What one worker has done since it started."""

    events: int = 0
    duplicates: int = 0
    items: int = 0
    served_lists: int = 0
    dead_letters: int = 0


class Worker:
    """Moves records from the broker into the online state and the lake.

    Args:
        consumer: used by this worker alone.
        producer: for dead letters.
        state: the online state; nobody else writes to it.
        lake: the lake; its tables exist.
        clock: the platform's time.
        stop: set to end :meth:`run`.
        max_poll: records of one poll, and so of one transaction of the online state.
        flush_rows: see :class:`LakeSink`.
        flush_s: see :class:`LakeSink`.
    """

    def __init__(
        self,
        consumer: Consumer,
        producer: Producer,
        state: OnlineState,
        lake: Lake,
        clock: Clock,
        *,
        stop: threading.Event | None = None,
        max_poll: int = 2_000,
        flush_rows: int = 5_000,
        flush_s: float = 1.0,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._state = state
        self._clock = clock
        self._stop = stop or threading.Event()
        self._max_poll = max_poll
        self.counts = WorkerCounts()

        def sink(table: str, topic: str, rows_of: Any) -> LakeSink[Any]:
            partitions = consumer.partitions(topic)
            return LakeSink(
                lake, table, topic, partitions, rows_of, max_rows=flush_rows, max_wait_s=flush_s, stop=self._stop
            )

        self._sinks: dict[str, LakeSink[Any]] = {
            names.TOPIC_EVENTS: sink(names.TABLE_EVENTS, names.TOPIC_EVENTS, event_rows),
            names.TOPIC_ITEMS: sink(names.TABLE_ITEMS, names.TOPIC_ITEMS, item_rows),
            names.TOPIC_SERVED_LISTS: sink(names.TABLE_SERVED_LISTS, names.TOPIC_SERVED_LISTS, served_list_rows),
        }
        self._handlers: dict[str, Callable[[list[Record]], None]] = {
            names.TOPIC_EVENTS: self._events,
            names.TOPIC_ITEMS: self._items,
            names.TOPIC_SERVED_LISTS: self._served_lists,
        }
        self._online = {topic: dict(state.positions(topic)) for topic in (names.TOPIC_EVENTS, names.TOPIC_ITEMS)}
        self._online[names.TOPIC_SERVED_LISTS] = dict(self._sinks[names.TOPIC_SERVED_LISTS].positions)

    def start_positions(self) -> dict[str, dict[int, int]]:
        """Where to read from: for each partition the older of what the lake and the online state have."""
        return {
            topic: {p: min(at, self._online[topic].get(p, 0)) for p, at in self._sinks[topic].positions.items()}
            for topic in _TOPICS
        }

    def start(self) -> None:
        """Take up the partitions.

        Raises:
            BrokerError: the broker's data is not the data that the positions were taken from.
        """
        positions = self.start_positions()
        self._consumer.assign(positions)
        _LOG.info("reading from %s", positions)

    def run(self, every_second: Callable[[], None] = lambda: None) -> None:
        """Work until ``stop`` is set, then bring everything into the lake.

        Args:
            every_second: called about once a second; what it raises ends the work after a last flush.
        """
        next_call = next_report = time.monotonic()
        reported = self.counts
        pause_s = 0.2
        try:
            while not self._stop.is_set():
                try:
                    self.step()
                    pause_s = 0.2
                except BrokerUnavailable as error:
                    _LOG.warning("the broker is away, trying again in %.1f s: %s", pause_s, error)
                    self._stop.wait(pause_s)
                    pause_s = min(pause_s * 2, 5.0)
                now = time.monotonic()
                if now >= next_call:
                    next_call = now + 1.0
                    every_second()
                if now >= next_report and self.counts != reported:
                    next_report, reported = now + _REPORT_S, self.counts
                    _LOG.info("so far %s", " ".join(f"{k}={v}" for k, v in self.counts._asdict().items()))
        except Stopped:
            pass
        finally:
            self.close()

    def step(self, timeout_ms: int = 100) -> int:
        """Poll once and deal with what came.

        Args:
            timeout_ms: how long to wait for a first record; those that are there are dealt with at once.

        Returns:
            How many records came.
        """
        records = self._consumer.poll(timeout_ms, self._max_poll)
        by_topic: dict[str, list[Record]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        for topic, of_topic in by_topic.items():
            self._handlers[topic](of_topic)
        for sink in self._sinks.values():
            sink.tick()
        return len(records)

    def close(self) -> None:
        """Bring what was gathered into the lake."""
        for sink in self._sinks.values():
            sink.close()

    def _events(self, records: list[Record]) -> None:
        good = self._decode(records, event_of)
        consumed = [ConsumedEvent(d.value, d.record.partition, d.record.offset) for d in good]
        first = self._state.apply(consumed, self._advance(records))
        fresh: list[Decoded[Event]] = [d for d, is_first in zip(good, first, strict=True) if is_first]
        self._sinks[names.TOPIC_EVENTS].add(fresh, _last_offsets(records))
        self._count(events=len(fresh), duplicates=len(good) - len(fresh))

    def _items(self, records: list[Record]) -> None:
        good = self._decode(records, item_of)
        consumed = [_consumed_item(d) for d in good]
        self._state.apply_items(consumed, self._advance(records))
        self._sinks[names.TOPIC_ITEMS].add(good, _last_offsets(records))
        self._count(items=len(good))

    def _served_lists(self, records: list[Record]) -> None:
        good: list[Decoded[ServedList]] = self._decode(records, served_list_of)
        self._advance(records)
        self._sinks[names.TOPIC_SERVED_LISTS].add(good, _last_offsets(records))
        self._count(served_lists=len(good))

    def _decode(self, records: list[Record], decode: Callable[[Record, int], T]) -> list[Decoded[T]]:
        good, dead = decode_all(records, decode, self._clock)
        # What lies before the online position was buried when that position was committed.
        online = self._online[records[0].topic]
        new = [letter for letter in dead if letter.offset >= online.get(letter.partition, 0)]
        bury(self._producer, new, self._stop.wait)
        self._count(dead_letters=len(new))
        return good

    def _advance(self, records: list[Record]) -> dict[int, int]:
        """The positions that the online state has with these records, never behind those it had."""
        online = self._online[records[0].topic]
        for partition, offset in _last_offsets(records).items():
            online[partition] = max(online.get(partition, 0), offset + 1)
        return {record.partition: online[record.partition] for record in records}

    def _count(self, **more: int) -> None:
        self.counts = self.counts._replace(**{k: getattr(self.counts, k) + v for k, v in more.items()})


def _last_offsets(records: Sequence[Record]) -> dict[int, int]:
    return {record.partition: record.offset for record in records}  # each partition comes in order


def _consumed_item(decoded: Decoded[Item | None]) -> ConsumedItem:
    item, record, ingested_us = decoded
    return ConsumedItem(item_id_of(record), item, ingested_us, record.partition, record.offset)
