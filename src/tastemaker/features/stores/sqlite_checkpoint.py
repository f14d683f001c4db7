"""Bringing an SQLite store's log of writes into its file, beside the writer instead of within its commits.

A commit that finds the log too long copies it into the file and waits for the disk, for up to seconds: nothing would be
applied meanwhile, and nothing new be seen. A thread with a connection of its own does the same while the next
batches are on their way. It copies what was committed when it began; what comes meanwhile is copied at its next
attempts, each shorter than the one before, until none is left, so that the writer can begin the log anew. Should the
thread never come that far, the writer still does it itself at a longer log (see
:func:`tastemaker.features.stores.sqlite_file.connect_writer`).
"""

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final
from urllib.parse import quote

__all__ = ["Checkpointer", "checkpoint"]

_LOG = logging.getLogger(__name__)
_EVERY_S: Final = 1.0
_ATTEMPTS: Final = 4


class Checkpointer:
    """Checkpoints after commits, about once a second.

    Args:
        path: the file; it exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._committed = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """Say that there was a commit; the first one starts the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()
        self._committed.set()

    def close(self) -> None:
        """Stop, after the attempt that is under way."""
        self._stopped.set()
        self._committed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        # Never makes a file anew, should somebody have moved the store away.
        location = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        connection = sqlite3.connect(location, uri=True, isolation_level=None)
        try:
            while not self._stopped.wait(_EVERY_S):
                self._committed.wait()
                self._committed.clear()
                if not self._stopped.is_set():
                    checkpoint(connection)
        finally:
            connection.close()


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Copy the log into the file without being in anybody's way; whether all of it was."""
    try:
        for _ in range(_ATTEMPTS):
            busy, logged, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if busy or logged == copied:
                return not busy
    except sqlite3.OperationalError as error:  # such as a full disk: the log keeps everything, and the writer sees it
        _LOG.warning("the online store's log stays as long as it is: %s", error)
    return False
