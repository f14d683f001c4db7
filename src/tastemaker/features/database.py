"""The online store's SQLite file: its tables, and connections to it.

WAL lets other processes read while one writes. ``synchronous=NORMAL`` can lose the last transactions when the
machine (not the process) dies, never a part of one: state and consumer positions go back together, and the worker
reads the same records again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tastemaker.errors import DataError

__all__ = [
    "MEMORY_PREFIX",
    "connect_reader",
    "connect_writer",
    "get_meta",
    "known_views",
    "memory_location",
    "next_rev",
    "transaction",
]

_FORMAT: Final = 1
_BUSY_SECONDS: Final = 30.0
MEMORY_PREFIX: Final = "file:/"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS online(
    view TEXT NOT NULL, key TEXT NOT NULL, event_us INTEGER NOT NULL, rev INTEGER NOT NULL, state BLOB NOT NULL,
    UNIQUE (view, key));
CREATE INDEX IF NOT EXISTS online_rev ON online(view, rev);
CREATE TABLE IF NOT EXISTS items(
    item_id TEXT PRIMARY KEY, updated_us INTEGER NOT NULL, rev INTEGER NOT NULL, item BLOB) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_rev ON items(rev);
CREATE TABLE IF NOT EXISTS seen(
    digest BLOB PRIMARY KEY, partition INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions(
    topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)) WITHOUT ROWID;
"""


def memory_location(name: str) -> str:
    """The location of a store in this process's memory; it lives as long as one connection to it is open."""
    return f"{MEMORY_PREFIX}{name}?vfs=memdb"


def connect_writer(location: Path | str) -> sqlite3.Connection:
    """Open for reading and writing; makes the file and its tables when missing.

    Raises:
        DataError: the file is no online store, or one of another format.
    """
    if isinstance(location, Path):
        location.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(location if isinstance(location, str) else str(location))
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA wal_autocheckpoint=8192")  # pages; fewer, longer checkpoints write less twice
        connection.executescript(_SCHEMA)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?), ('rev', 0), ('epoch', 0)", (_FORMAT,))
    except sqlite3.DatabaseError as error:
        connection.close()
        if "locked" in str(error):
            raise
        raise DataError(f"{location} is no online store ({error}); move it away and rebuild it") from error
    _check_format(connection, location)
    return connection


def connect_reader(location: Path | str) -> sqlite3.Connection:
    """Open for reading only.

    Raises:
        DataError: there is no store, or one of another format.
    """
    if isinstance(location, Path):
        if not location.exists():
            raise DataError(f"no online store at {location}; import data or start the stream worker first")
        uri = f"file:{quote(str(location.absolute()))}?mode=ro"
    else:
        uri = location
    connection = _connect(uri)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA mmap_size=1073741824")
    _check_format(connection, location)
    return connection


def _connect(location: str) -> sqlite3.Connection:
    # Transactions are begun by hand; connections are used by one thread at a time, under their owner's lock.
    return sqlite3.connect(
        location, uri=location.startswith("file:"), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _check_format(connection: sqlite3.Connection, location: Path | str) -> None:
    try:
        found = get_meta(connection, "format")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DataError(f"{location} is no online store ({error}); move it away and rebuild it") from error
    if found != _FORMAT:
        connection.close()
        raise DataError(f"{location} has format {found}, this version reads {_FORMAT}; rebuild it from the lake")


def get_meta(connection: sqlite3.Connection, key: str) -> int | str | None:
    """One value of the store's metadata."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def known_views(connection: sqlite3.Connection) -> dict[str, str]:
    """Signatures of the views that the store has rows of: ``current`` ones, and ``former`` ones.

    Former views are those of the declarations before the last change. Nothing updates them any more; a release that
    was trained with them reads them as they stood, until one that was trained with the new ones replaces it.
    """
    return {
        view: age
        for age in ("former", "current")
        for view in str(get_meta(connection, f"{age}_views") or "").splitlines()
    }


def next_rev(connection: sqlite3.Connection) -> int:
    """The revision of the running write transaction; grows in the order of commits."""
    rev: int = connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'rev' RETURNING value").fetchone()[0]
    return rev


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """Commit what happens inside, or none of it."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
