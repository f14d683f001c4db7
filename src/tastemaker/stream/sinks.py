"""The worker's way into the lake: rows are gathered, and appended exactly once in a thread of their own.

A commit holds, in one atomic step, the rows and the last Kafka offset of each partition that they go up to
(:meth:`tastemaker.lake.tables.Lake.append`). A batch whose commit failed is tried again as it was, never mixed
with newer rows: if the commit did happen and only its answer was lost, the offsets tell.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import pyarrow as pa

from tastemaker.lake.tables import Lake
from tastemaker.stream.decode import Decoded

__all__ = ["LakeSink", "app_id"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_MAX_BACKOFF_S = 10.0


def app_id(topic: str, partition: int) -> str:
    """The worker's application id for a partition; its version in the lake is the last offset written."""
    return f"worker:{topic}:{partition}"


class LakeSink(Generic[T]):
    """Brings one topic's records into one table.

    Args:
        lake: the lake; its tables exist.
        table: the table's name.
        topic: the topic that feeds it.
        partitions: the topic's partitions.
        rows_of: makes the table's rows of decoded records.
        max_rows: append when this many are gathered.
        max_wait_s: append at the latest after this many seconds.
        stop: once set, a commit that fails is not tried again but raised.
        now_s: a monotonic clock.
    """

    def __init__(
        self,
        lake: Lake,
        table: str,
        topic: str,
        partitions: Iterable[int],
        rows_of: Callable[[Sequence[Decoded[T]]], pa.Table],
        *,
        max_rows: int = 5_000,
        max_wait_s: float = 1.0,
        stop: threading.Event | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self._table = table
        self._topic = topic
        self._rows_of = rows_of
        self._max_rows = max_rows
        self._max_wait_s = max_wait_s
        self._now_s = now_s
        self._rows: list[Decoded[T]] = []
        self._passed: dict[int, int] = {}
        self._since = 0.0
        self._job: Future[None] | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"lake-{table}")
        self._stopping = stop or threading.Event()
        by_app = lake.versions(table, [app_id(topic, p) for p in partitions])
        self._last = {p: by_app.get(app_id(topic, p), -1) for p in partitions}

    @property
    def positions(self) -> dict[int, int]:
        """Next offset to gather, by partition; at the start, what the lake says."""
        return {partition: offset + 1 for partition, offset in self._last.items()}

    def add(self, decoded: Iterable[Decoded[T]], passed: Mapping[int, int]) -> None:
        """Gather rows; those that are in the lake already are left out.

        Args:
            decoded: records that belong into the table.
            passed: last offset of each partition up to which everything was dealt with, including records that
                belong into no table (duplicates, dead letters).
        """
        fresh = [row for row in decoded if row.record.offset > self._last[row.record.partition]]
        advanced = {p: offset for p, offset in passed.items() if offset > self._last[p]}
        if not advanced:
            return
        if not self._passed:
            self._since = self._now_s()
        self._rows += fresh
        self._passed |= advanced
        self._last |= advanced

    def tick(self) -> None:
        """Start an append when one is due; waits only when the lake falls far behind."""
        due = len(self._rows) >= self._max_rows or self._now_s() - self._since >= self._max_wait_s
        if not self._passed or not due:
            return
        if self._job is not None and not self._job.done() and len(self._rows) < 4 * self._max_rows:
            return
        self._submit()

    def flush(self) -> None:
        """Append everything gathered, and wait until it is in the lake."""
        if self._passed:
            self._submit()
        self._finish_job()

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
        self._rows, self._passed = [], {}
        self._job = self._executor.submit(self._append, rows, passed)

    def _finish_job(self) -> None:
        if self._job is not None:
            job, self._job = self._job, None
            job.result()

    def _append(self, rows: list[Decoded[T]], passed: dict[int, int]) -> None:
        transactions = {app_id(self._topic, partition): offset for partition, offset in passed.items()}
        table = self._rows_of(rows)
        pause_s = 0.2
        while True:
            try:
                self._lake.append(self._table, table, transactions)
                return
            except Exception as error:  # whatever storage raises; the rows must not be lost for it
                if self._stopping.is_set():
                    raise
                _LOG.warning(
                    "%d rows did not get into %s, trying again in %.1f s: %s", len(rows), self._table, pause_s, error
                )
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 2, _MAX_BACKOFF_S)
