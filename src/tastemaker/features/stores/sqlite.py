"""The online store in one SQLite file: the default on one machine."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tastemaker.clock import wall_us
from tastemaker.features.stores.sqlite_checkpoint import Checkpointer
from tastemaker.features.stores.sqlite_file import connect_writer, transaction
from tastemaker.features.stores.sqlite_reader import SqliteReader
from tastemaker.features.stores.sqlite_seen import SeenIds
from tastemaker.features.stores.sqlite_transaction import SqliteTransaction

__all__ = ["SqliteStore"]


class SqliteStore:
    """An :class:`~tastemaker.features.stores.protocol.OnlineStore`; writers of one file take turns.

    Args:
        path: the file; made when missing. See :func:`~tastemaker.features.stores.sqlite_file.connect_writer` for a
            file of another format.
        now_us: the wall clock in microseconds, by which seen event ids are forgotten.

    Raises:
        DataError: the file is no online store.
    """

    def __init__(self, path: Path, now_us: Callable[[], int] = wall_us) -> None:
        self._path = path
        self._now_us = now_us
        self._connection = connect_writer(path)
        self._checkpointer = Checkpointer(path)
        self._lock = threading.Lock()
        self._seen = SeenIds(self._connection)
        self._epochs: dict[tuple[str, int], int] = {}
        self._last_rev = 0

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """As the protocol says."""
        with self._lock, transaction(self._connection):
            claimed = {}
            for partition in partitions:
                (epoch,) = self._connection.execute(
                    "INSERT INTO claims VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
                    (topic, partition),
                ).fetchone()
                claimed[topic, partition] = epoch
        self._epochs |= claimed

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """As the protocol says; other writers wait meanwhile, readers never."""
        with self._lock:
            try:
                with transaction(self._connection):
                    running = SqliteTransaction(
                        self._connection, self._seen, self._epochs, self._last_rev, self._now_us()
                    )
                    yield running
                    rev = running.log.write()
            except BaseException:
                self._seen.reload()
                raise
            self._last_rev = rev
            self._checkpointer.committed()

    def reader(self) -> SqliteReader:
        """As the protocol says."""
        return SqliteReader(self._path)

    def close(self) -> None:
        """As the protocol says."""
        self._checkpointer.close()
        self._connection.close()
