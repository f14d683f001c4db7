"""The worker's reading side: polls, decodes, and puts what came into the backlog, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tastemaker import names
from tastemaker.broker.protocol import BrokerUnavailable, Consumer, Record
from tastemaker.clock import Clock
from tastemaker.stream.backlog import Backlog, Chunk
from tastemaker.stream.decode import decode_all, decode_events, item_of, served_list_of
from tastemaker.stream.stopping import StopSignal

__all__ = ["Intake", "chunks_of"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 100
_ROOM_S = 1.0  # without room for so long, the group still wants to hear from this member
_MAX_PAUSE_S = 5.0
_ENDS_EVERY_S = 5.0
_FEW = 1_000
_GATHER_S = 0.01


class Intake:
    """Reads until it is told to stop.

    Args:
        consumer: used by this intake alone.
        clock: the platform's time.
        backlog: gets what was read; nothing is read while it has no room.
        generation: of the assignment, as it is when a poll has returned.
        max_poll: records of one poll.
        stop: set to end.
        late_us: see :func:`tastemaker.stream.decode.decode_events`.
        ends: told the end of each partition now and then, by topic.
    """

    def __init__(
        self,
        consumer: Consumer,
        clock: Clock,
        backlog: Backlog,
        generation: Callable[[], int],
        *,
        max_poll: int,
        stop: StopSignal,
        late_us: int = 0,
        ends: Callable[[dict[str, dict[int, int]]], None] = lambda ends: None,
    ) -> None:
        self._consumer = consumer
        self._clock = clock
        self._backlog = backlog
        self._generation = generation
        self._max_poll = max_poll
        self._stop = stop
        self._late_us = late_us
        self._ends = ends
        self._next_ends = 0.0
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until it has stopped, or the time is up because the broker does not answer."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def read(self, timeout_ms: int) -> int:
        """Poll once; returns how many records came."""
        records = self._consumer.poll(timeout_ms, self._max_poll)
        for chunk in chunks_of(records, self._clock, self._generation(), self._late_us):
            self._backlog.put(chunk)
        return len(records)

    def _run(self) -> None:
        pause_s = 0.2
        try:
            while not self._stop.is_set():
                try:
                    if self._backlog.wait_for_room(_ROOM_S):
                        self._gather()
                        self.read(_POLL_MS)
                    else:
                        self._consumer.poll(0, 0)
                    self._look_at_ends()
                    pause_s = 0.2
                except BrokerUnavailable as error:
                    _LOG.warning("the broker is away, trying again in %.1f s: %s", pause_s, error)
                    self._stop.wait(pause_s)
                    pause_s = min(pause_s * 2, _MAX_PAUSE_S)
        except BaseException as error:
            self._backlog.fail(error)

    def _gather(self) -> None:
        """Let records gather at the broker while a batch is at work and the next one is small.

        They would wait here otherwise, at the price of a request for every few of them, which whoever applies the
        batch would lose: processor time is what a worker has least of.
        """
        if self._backlog.records < _FEW:
            self._backlog.wait_until_taken(_GATHER_S)

    def _look_at_ends(self) -> None:
        now = time.monotonic()
        if now >= self._next_ends:
            self._next_ends = now + _ENDS_EVERY_S
            self._ends(self._consumer.end_offsets((names.TOPIC_EVENTS, names.TOPIC_ITEMS, names.TOPIC_SERVED_LISTS)))


def chunks_of(records: Sequence[Record], clock: Clock, generation: int, late_us: int = 0) -> list[Chunk]:
    """Decode records, topic by topic; see :func:`tastemaker.stream.decode.decode_events` for ``late_us``."""
    by_topic: dict[str, list[Record]] = {}
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    return [_chunk(topic, own, clock, generation, late_us) for topic, own in by_topic.items()]


def _chunk(topic: str, records: list[Record], clock: Clock, generation: int, late_us: int) -> Chunk:
    rows: list[Any]
    late: list[tuple[str, int]] = []
    if topic == names.TOPIC_EVENTS:
        rows, dead, late = decode_events(records, clock, late_us)
    elif topic == names.TOPIC_ITEMS:
        rows, dead = decode_all(records, item_of, clock)
    else:
        rows, dead = decode_all(records, served_list_of, clock)
    unused = {(letter.partition, letter.offset) for letter in dead}
    used = [r for r in records if (r.partition, r.offset) not in unused] if unused else records
    return Chunk(
        topic=topic,
        generation=generation,
        rows=rows,
        stamps=[record.timestamp_ms for record in used],
        dead=dead,
        late=late,
        last={record.partition: record.offset for record in records},  # each partition comes in order
        records=len(records),
        size=sum([len(record.value or b"") for record in records]),
    )
