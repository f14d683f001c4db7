"""What was read and decoded and waits for the state: a bounded queue between two threads of the worker."""

import threading
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any, NamedTuple

from tastemaker.events.dead_letter import DeadLetter

__all__ = ["Backlog", "Chunk"]


class Chunk(NamedTuple):
    """Decoded records of one topic, each partition in order.

    Attributes:
        topic: theirs.
        generation: of the assignment under which they were read; in a later one they mean nothing.
        rows: what could be decoded.
        stamps: the milliseconds at which the broker took each row, in the order of the rows.
        dead: what could not.
        late: of events, type and delay in microseconds of those that some view leaves out as too late.
        last: the last offset by partition.
        records: how many records these are.
        size: bytes of their values.
    """

    topic: str
    generation: int
    rows: list[Any]
    stamps: list[int]
    dead: list[DeadLetter]
    late: list[tuple[str, int]]
    last: Mapping[int, int]
    records: int
    size: int


class Backlog:
    """Chunks of each topic in the order in which they came; safe between threads.

    Between topics the broker keeps no order, so neither does this: records of several topics come in turn, and a
    batch that ended where another topic begins would be a handful, however long the backlog.

    It has room as long as it holds less than the bounds, so that it may exceed them by one chunk.

    Args:
        max_records: bound on records.
        max_bytes: bound on the bytes of their values.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._chunks: dict[str, deque[tuple[int, Chunk]]] = {}  # by topic, numbered as they came
        self._came = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self.records = 0
        self.size = 0

    def put(self, chunk: Chunk) -> None:
        """Add a chunk."""
        with self._changed:
            self._chunks.setdefault(chunk.topic, deque()).append((self._came, chunk))
            self._came += 1
            self.records += chunk.records
            self.size += chunk.size
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Have the next :meth:`take` of an empty backlog raise this."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether there is room, after waiting for it."""
        with self._changed:
            return self._changed.wait_for(self._has_room, timeout_s)

    def wait_until_taken(self, timeout_s: float) -> bool:
        """Whether nothing waits, after waiting for that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._chunks, timeout_s)

    def take(self, max_records: int, timeout_s: float) -> list[Chunk]:
        """The oldest chunks of one generation, of the topic that has waited longest.

        Args:
            max_records: how many records are enough; half of the backlog's bytes are, too.
            timeout_s: how long to wait for a first chunk; none came in time: none.

        Raises:
            BaseException: what :meth:`fail` was told.
        """
        deadline = monotonic() + timeout_s
        with self._changed:
            while not self._chunks:
                if self._error is not None:
                    raise self._error
                left = deadline - monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return []
            waiting = min(self._chunks.values(), key=lambda chunks: chunks[0][0])
            taken = [waiting.popleft()[1]]
            records, size = taken[0].records, taken[0].size
            while waiting and waiting[0][1].generation == taken[0].generation:
                if records >= max_records or 2 * size >= self._max_bytes:
                    break
                taken.append(waiting.popleft()[1])
                records += taken[-1].records
                size += taken[-1].size
            if not waiting:
                del self._chunks[taken[0].topic]
            self.records -= records
            self.size -= size
            self._changed.notify_all()
            return taken

    def clear(self) -> None:
        """Drop everything."""
        with self._changed:
            self._chunks.clear()
            self.records = self.size = 0
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self.records < self._max_records and self.size < self._max_bytes
