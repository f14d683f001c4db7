"""What the stream worker does: Kafka -> online state -> lake, each exactly once.

Three threads with bounded queues between them: one reads and decodes, one applies to the online state, one writes to
the lake. What has gathered while a batch was applied is the next batch, so that batches grow with the backlog and
are small, and quick to be seen, without one. The lake gets larger batches. Both keep the positions with the data that
they stand for, so that after a crash the worker starts each partition at the older of the two, and neither counts
anything twice.
"""

import logging
import time
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple, TypeVar

from tastemaker import names
from tastemaker.broker.protocol import Consumer, Producer
from tastemaker.clock import Clock
from tastemaker.events.dead_letter import DeadLetter
from tastemaker.features.stores.protocol import StoreConflict, WriterFenced
from tastemaker.features.streaming.state import ConsumedEvent
from tastemaker.lake.tables import Lake
from tastemaker.stream.backlog import Backlog, Chunk
from tastemaker.stream.bounds import Bounds
from tastemaker.stream.dead_letters import Stopped, bury
from tastemaker.stream.intake import Intake
from tastemaker.stream.lake_first import LakeFirst
from tastemaker.stream.online_state import BeforeCommit, OnlineState
from tastemaker.stream.ownership import Ownership
from tastemaker.stream.rows import event_rows, item_rows, served_list_rows
from tastemaker.stream.sinks import LakeSink
from tastemaker.stream.stopping import Stopping, StopSignal
from tastemaker.stream.worker_metrics import WorkerMetrics

__all__ = ["Worker", "WorkerCounts"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_TOPICS = (names.TOPIC_EVENTS, names.TOPIC_ITEMS, names.TOPIC_SERVED_LISTS)
_REPORT_S = 30.0
_WAIT_S = 0.1
_JOIN_S = 5.0
_PACE_S = 0.03  # from one batch to the next, while they are small
_SMALL = 1_000


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
        consumer: used by this worker alone; one in a group shares the partitions with other workers.
        producer: for dead letters.
        state: the online state.
        lake: the lake; its tables exist.
        clock: the platform's time.
        stop: set to end :meth:`run`.
        bounds: of batches and queues.
        metrics: gets the figures.
    """

    def __init__(
        self,
        consumer: Consumer,
        producer: Producer,
        state: OnlineState,
        lake: Lake,
        clock: Clock,
        *,
        stop: StopSignal | None = None,
        bounds: Bounds | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._state = state
        self._lake = lake
        self._stop = Stopping(stop)
        self._bounds = bounds or Bounds()
        self._metrics = metrics or WorkerMetrics()
        self.counts = WorkerCounts()
        self._events_sink: LakeSink[ConsumedEvent] = self._sink(names.TABLE_EVENTS, names.TOPIC_EVENTS, event_rows)
        self._sinks: dict[str, LakeSink[Any]] = {
            names.TOPIC_EVENTS: self._events_sink,
            names.TOPIC_ITEMS: self._sink(names.TABLE_ITEMS, names.TOPIC_ITEMS, item_rows),
            names.TOPIC_SERVED_LISTS: self._sink(names.TABLE_SERVED_LISTS, names.TOPIC_SERVED_LISTS, served_list_rows),
        }
        self._lake_first = LakeFirst(lake)
        self._backlog = Backlog(self._bounds.backlog_records, self._bounds.backlog_bytes)
        self._ownership = Ownership(state, self._sinks, self._backlog)
        self._intake = Intake(
            consumer,
            clock,
            self._backlog,
            lambda: self._ownership.generation,
            max_poll=self._bounds.poll,
            stop=self._stop,
            late_us=self._metrics.shortest_lateness_us,
            ends=lambda ends: self._metrics.ends(ends, self._ownership.online),
        )
        self._began = 0.0
        self._handlers: dict[str, Callable[[list[Chunk]], None]] = {
            names.TOPIC_EVENTS: self._apply_events,
            names.TOPIC_ITEMS: self._apply_items,
            names.TOPIC_SERVED_LISTS: self._keep_served_lists,
        }

    def _sink(self, table: str, topic: str, rows_of: Callable[[Sequence[Any]], Any]) -> LakeSink[Any]:
        return LakeSink(
            self._lake,
            table,
            topic,
            rows_of,
            max_rows=self._bounds.flush_rows,
            max_bytes=self._bounds.backlog_bytes,
            max_wait_s=self._bounds.flush_s,
            stop=self._stop,
            took=lambda rows, seconds: self._metrics.flushed(table, rows, seconds),
        )

    def start(self) -> None:
        """Join the group; partitions come with the first poll, for a consumer without a group at once."""
        self._consumer.subscribe(_TOPICS, self._ownership)

    def run(self, every_second: Callable[[], None] = lambda: None) -> None:
        """Work until ``stop`` is set, then bring everything into the lake.

        Args:
            every_second: called about once a second; what it raises ends the work after a last flush.

        Raises:
            WriterFenced: other workers have taken over while this one stood still; nothing of this one counts twice.
            BrokerError: the broker's data is not the data that the positions were taken from.
        """
        next_call = next_report = time.monotonic()
        reported = self.counts
        self._intake.start()
        try:
            while not self._stop.is_set():
                self._work(_WAIT_S)
                now = time.monotonic()
                if now >= next_call:
                    next_call = now + 1.0
                    every_second()
                if now >= next_report and self.counts != reported:
                    next_report, reported = now + _REPORT_S, self.counts
                    _LOG.info("so far %s", " ".join(f"{k}={v}" for k, v in self.counts._asdict().items()))
        except Stopped:
            pass
        except WriterFenced:
            for sink in self._sinks.values():
                sink.discard()  # whoever has the partitions now brings their records there
            raise
        finally:
            self.close()

    def step(self, timeout_ms: int = 100) -> int:
        """Poll once and deal with what came, in the calling thread.

        Args:
            timeout_ms: how long to wait for a first record; those that are there are dealt with at once.

        Returns:
            How many records came.
        """
        came = self._intake.read(timeout_ms)
        while self._work(0):
            pass
        return came

    def close(self) -> None:
        """Bring what was gathered into the lake, and stop reading."""
        self._stop.set()
        with self._ownership.lock:
            for sink in self._sinks.values():
                sink.close()
        self._intake.join(_JOIN_S)

    def _work(self, wait_s: float) -> bool:
        """Deal with the next batch if there is one; whether there was."""
        if wait_s:
            self._gather()
        chunks = self._backlog.take(self._bounds.batch, wait_s)
        with self._ownership.lock:
            if chunks and chunks[0].generation == self._ownership.generation:
                self._handlers[chunks[0].topic](chunks)
            for sink in self._sinks.values():
                sink.tick()
            if self._state.building and self._ownership.online:
                self._build()
        return bool(chunks)

    def _gather(self) -> None:
        """Let events gather for a moment after a batch, while others keep coming.

        A batch of a few dozen events costs nearly what one of a few hundred does, and whoever sends and reads them
        needs the processor too. An event that comes after a pause does not wait.
        """
        rest_s = self._began + _PACE_S - time.monotonic()
        if rest_s > 0 and self._backlog.records < _SMALL:
            self._stop.wait(rest_s)

    def _build(self) -> None:
        try:
            self._metrics.built(self._state.build_step(self._lake))
        except StoreConflict as error:  # it goes on with the next batch
            _LOG.warning("the build waits: %s", error)

    def _apply_events(self, chunks: list[Chunk]) -> None:
        rows: list[ConsumedEvent] = [row for chunk in chunks for row in chunk.rows]
        self._bury(chunks)
        last = _last(chunks)
        positions = self._ownership.advance(names.TOPIC_EVENTS, last)

        def gather(answers: list[bool]) -> None:
            self._events_sink.add(compress(rows, answers), last, sum(chunk.size for chunk in chunks))

        def gather_and_flush(answers: list[bool]) -> None:
            gather(answers)
            self._events_sink.flush()

        if any(row.event.corrects is not None for row in rows):
            self._lake_first.raise_()
        # A view that is being built, and the correction of an event, have to find everything in the lake.
        lake_first: BeforeCommit | None = None
        if self._state.building or self._lake_first.is_raised():
            lake_first = gather_and_flush
        began = self._began = time.monotonic()
        first = self._persist(lambda: self._state.apply(rows, positions, lake_first))
        self._metrics.applied(rows, [stamp for chunk in chunks for stamp in chunk.stamps], time.monotonic() - began)
        for chunk in chunks:
            if chunk.late:
                self._metrics.late(chunk.late)
        if lake_first is None:
            gather(first)
        fresh = sum(first)
        self._count(events=fresh, duplicates=len(rows) - fresh)

    def _apply_items(self, chunks: list[Chunk]) -> None:
        rows = [row for chunk in chunks for row in chunk.rows]
        self._bury(chunks)
        last = _last(chunks)
        positions = self._ownership.advance(names.TOPIC_ITEMS, last)
        self._persist(lambda: self._state.apply_items(rows, positions))
        self._sinks[names.TOPIC_ITEMS].add(rows, last, sum(chunk.size for chunk in chunks))
        self._count(items=len(rows))

    def _keep_served_lists(self, chunks: list[Chunk]) -> None:
        rows = [row for chunk in chunks for row in chunk.rows]
        self._bury(chunks)
        last = _last(chunks)
        self._ownership.advance(names.TOPIC_SERVED_LISTS, last)
        self._sinks[names.TOPIC_SERVED_LISTS].add(rows, last, sum(chunk.size for chunk in chunks))
        self._count(served_lists=len(rows))

    def _persist(self, write: Callable[[], T]) -> T:
        """Write to the online state, again and again while its store is away or others are in the way."""
        pause_s = 0.1
        while True:
            try:
                return write()
            except StoreConflict as error:
                _LOG.warning("the online state waits, trying again in %.1f s: %s", pause_s, error)
                if self._stop.wait(pause_s):
                    raise Stopped from error
                pause_s = min(pause_s * 2, 5.0)

    def _bury(self, chunks: Sequence[Chunk]) -> None:
        online = self._ownership.online[chunks[0].topic]
        # What lies before the online position was buried when that position was committed.
        new: list[DeadLetter] = [
            letter for chunk in chunks for letter in chunk.dead if letter.offset >= online[letter.partition]
        ]
        if new:
            bury(self._producer, new, self._stop.wait)
            self._count(dead_letters=len(new))

    def _count(self, **more: int) -> None:
        self.counts = self.counts._replace(**{k: getattr(self.counts, k) + v for k, v in more.items()})
        self._metrics.counted(more)


def _last(chunks: Sequence[Chunk]) -> dict[int, int]:
    return {partition: offset for chunk in chunks for partition, offset in chunk.last.items()}
