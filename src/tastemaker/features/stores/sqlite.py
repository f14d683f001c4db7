"""The online store in one SQLite file: the default on one machine."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tastemaker.clock import wall_us
from tastemaker.features.stores.sqlite_checkpoint import Checkpointer
from tastemaker.features.stores.sqlite_file import connect_writer, transaction
from tastemaker.features.stores.sqlite_reader import SqliteReader
from tastemaker.features.stores.sqlite_seen import SeenIds
from tastemaker.features.stores.sqlite_sweep import Sweep
from tastemaker.features.stores.sqlite_tails import Tails
from tastemaker.features.stores.sqlite_transaction import SqliteTransaction

__all__ = ["TAIL_BYTES", "SqliteStore"]

TAIL_BYTES: Final = 64 << 20


class SqliteStore:
    """An :class:`~tastemaker.features.stores.protocol.OnlineStore`; writers of one file take turns.

    Args:
        path: the file; made when missing. See :func:`~tastemaker.features.stores.sqlite_file.connect_writer` for a
            file of another format.
        now_us: the wall clock in microseconds, by which seen event ids are forgotten.
        tail_bytes: what the tails of all rows together may become, about: so much is kept in memory by each process
            that writes or reads, and the more it is, the more seldom rows are written whole. None: :data:`TAIL_BYTES`.

    Raises:
        DataError: the file is no online store.
    """

    def __init__(self, path: Path, now_us: Callable[[], int] = wall_us, tail_bytes: int | None = None) -> None:
        self._path = path
        self._now_us = now_us
        self._connection = connect_writer(path)
        self._checkpointer = Checkpointer(path)
        self._lock = threading.Lock()
        self._seen = SeenIds(self._connection)
        self._tails = Tails()
        self._sweep = Sweep(TAIL_BYTES if tail_bytes is None else tail_bytes)
        self._views: dict[str, int] = {}
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
                        self._connection,
                        self._seen,
                        self._tails,
                        self._sweep,
                        views=self._views,
                        epochs=self._epochs,
                        last_rev=self._last_rev,
                        now_us=self._now_us(),
                    )
                    yield running
                    rev = running.log.write()
            except BaseException:
                self._seen.reload()
                self._views.clear()
                self._tails.forget()
                self._sweep.restart()
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
