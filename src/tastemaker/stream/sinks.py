"""The worker's way into the lake: rows are gathered, and appended exactly once in a thread of their own.

A commit holds, in one atomic step, the rows and the last Kafka offset of each partition that they go up to
(:mod:`tastemaker.lake.offsets`). A batch whose commit failed is tried again as it was, never mixed with newer rows:
if the commit did happen and only its answer was lost, or another worker has taken the partition over and was faster,
the offsets tell.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from tastemaker.lake.offsets import append_newer, committed_offsets
from tastemaker.lake.tables import Lake
from tastemaker.stream.stopping import Stopping

__all__ = ["LakeSink", "Placed"]

_LOG = logging.getLogger(__name__)
_MAX_BACKOFF_S = 10.0
_LOOK_S = 0.2
_AHEAD = 2  # batches' worth of rows that may wait while one is being written


class Placed(Protocol):
    """Something that came from a place in a topic."""

    @property
    def partition(self) -> int:
        """Number of its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its place there."""
        ...


T = TypeVar("T", bound=Placed)


class LakeSink(Generic[T]):
    """Brings one topic's records into one table; used by one thread at a time.

    Args:
        lake: the lake; its tables exist.
        table: the table's name.
        topic: the topic that feeds it.
        rows_of: makes the table's rows of decoded records.
        max_rows: append when this many are gathered.
        max_bytes: append when the rows' records are this large.
        max_wait_s: append at the latest after this many seconds.
        stop: once set, a commit that fails is not tried again but raised.
        now_s: a monotonic clock.
        took: told how many rows were written, and in how many seconds.
    """

    def __init__(
        self,
        lake: Lake,
        table: str,
        topic: str,
        rows_of: Callable[[Sequence[T]], pa.Table],
        *,
        max_rows: int = 40_000,
        max_bytes: int = 32 * 2**20,
        max_wait_s: float = 1.0,
        stop: Stopping | None = None,
        now_s: Callable[[], float] = time.monotonic,
        took: Callable[[int, float], None] = lambda rows, seconds: None,
    ) -> None:
        self._table = table
        self._topic = topic
        self._rows_of = rows_of
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._max_wait_s = max_wait_s
        self._now_s = now_s
        self._took = took
        self._rows: list[T] = []
        self._size = 0
        self._passed: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._since = 0.0
        self._job: Future[None] | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"lake-{table}")
        self._stopping = stop or Stopping()
        self._given_up = threading.Event()
        self._opened = lake.open(table)

    def claim(self, partitions: Iterable[int]) -> dict[int, int]:
        """Gather from these partitions from now on, and from no other.

        Returns:
            By partition the offset that follows what the lake holds.
        """
        self.discard()
        self._opened.update_incremental()
        held = committed_offsets(self._opened, self._topic, partitions)
        self._last = {partition: held.get(partition, -1) for partition in partitions}
        return self.positions

    @property
    def positions(self) -> dict[int, int]:
        """Next offset to gather, by partition."""
        return {partition: offset + 1 for partition, offset in self._last.items()}

    def add(self, rows: Iterable[T], passed: Mapping[int, int], size: int = 0) -> None:
        """Gather rows; those that are in the lake already are left out.

        Args:
            rows: records that belong into the table.
            size: their bytes, about.
            passed: last offset of each partition up to which everything was dealt with, including records that
                belong into no table (duplicates, dead letters).
        """
        last = self._last
        advanced = {p: offset for p, offset in passed.items() if offset > last[p]}
        if not advanced:
            return
        if not self._passed:
            self._since = self._now_s()
        self._rows += [row for row in rows if row.offset > last[row.partition]]
        self._size += size
        self._passed |= advanced
        self._last = last | advanced

    def tick(self) -> None:
        """Start an append when one is due; waits only when the lake falls far behind."""
        batches = max(len(self._rows) / self._max_rows, self._size / self._max_bytes)
        due = batches >= 1 or self._now_s() - self._since >= self._max_wait_s
        if not self._passed or not due:
            return
        if self._job is not None and not self._job.done() and batches < _AHEAD:
            return
        self._submit()

    def flush(self) -> None:
        """Append everything gathered, and wait until it is in the lake."""
        if self._passed:
            self._submit()
        self._finish_job()

    def release(self, limit_s: float) -> None:
        """Append what is gathered if the lake takes it in time, and give the partitions up.

        What did not get there is read again by whoever has the partitions next.
        """
        ended = threading.Timer(limit_s, self._given_up.set)
        ended.start()
        try:
            self.flush()
        except Exception as error:
            _LOG.warning("%s did not take the last rows in time: %s", self._table, error)
        finally:
            ended.cancel()
            self.discard()

    def discard(self) -> None:
        """Forget what was gathered and give the partitions up; an attempt that is under way is waited for."""
        self._rows, self._size, self._passed, self._last = [], 0, {}, {}
        self._given_up.set()
        with suppress(Exception):
            self._finish_job()
        self._given_up.clear()

    def close(self) -> None:
        """Append what is left, in one attempt, and release the thread."""
        self._stopping.set()
        try:
            self.flush()
        finally:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        self._finish_job()
        rows, passed = self._rows, self._passed
        self._rows, self._size, self._passed = [], 0, {}
        self._job = self._executor.submit(self._append, rows, passed)

    def _finish_job(self) -> None:
        if self._job is not None:
            job, self._job = self._job, None
            job.result()

    def _append(self, rows: list[T], passed: dict[int, int]) -> None:
        began = time.monotonic()
        table = self._rows_of(rows)
        pause_s = 0.2
        while True:
            try:
                append_newer(self._opened, self._topic, table, passed)
                self._took(len(rows), time.monotonic() - began)
                return
            except Exception as error:  # whatever storage raises; the rows must not be lost for it
                if self._stopping.is_set() or self._given_up.is_set():
                    raise
                _LOG.warning(
                    "%d rows did not get into %s, trying again in %.1f s: %s", len(rows), self._table, pause_s, error
                )
                self._pause(pause_s)
                pause_s = min(pause_s * 2, _MAX_BACKOFF_S)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stopping.is_set() and not self._given_up.is_set():
            self._given_up.wait(min(seconds, _LOOK_S))
