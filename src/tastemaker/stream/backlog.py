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
    """Chunks in the order in which they came; safe between threads.

    It has room as long as it holds less than the bounds, so that it may exceed them by one chunk.

    Args:
        max_records: bound on records.
        max_bytes: bound on the bytes of their values.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._chunks: deque[Chunk] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self.records = 0
        self.size = 0

    def put(self, chunk: Chunk) -> None:
        """Add a chunk."""
        with self._changed:
            self._chunks.append(chunk)
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
        """The oldest chunks of one topic and generation.

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
            taken = [self._chunks.popleft()]
            records, size = taken[0].records, taken[0].size
            while self._chunks and _joins(taken[0], self._chunks[0]):
                if records >= max_records or 2 * size >= self._max_bytes:
                    break
                taken.append(self._chunks.popleft())
                records += taken[-1].records
                size += taken[-1].size
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


def _joins(one: Chunk, other: Chunk) -> bool:
    return one.topic == other.topic and one.generation == other.generation
