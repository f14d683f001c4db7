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
from tastemaker.features.stores.protocol import StoreConflict
from tastemaker.features.stores.view_ages import REBUILD

__all__ = ["FORMAT", "REBUILD", "connect_reader", "connect_writer", "snapshot", "transaction"]

FORMAT: Final = 3
_OUTDATED: Final = {1, 2}
_BUSY_SECONDS: Final = 30.0
_MAPPED_BYTES: Final = 2**30

# ``online`` has a rowid, because SQLite keeps rows of kilobytes out of an index's pages (4 KB rows: twice the writes
# per second of WITHOUT ROWID, same at 300 bytes). What changed is logged with one row per transaction and view: an
# index on a revision per row would be written again for every row of every batch.
_SCHEMA: Final = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE views(id INTEGER PRIMARY KEY, signature TEXT NOT NULL UNIQUE, log_from INTEGER)",
    "CREATE TABLE online(view INTEGER NOT NULL, key TEXT NOT NULL, event_us INTEGER NOT NULL,"
    " state BLOB NOT NULL, UNIQUE (view, key))",
    "CREATE TABLE tails(id INTEGER PRIMARY KEY, keys BLOB, event_us BLOB, ends BLOB, tails BLOB)",
    "CREATE TABLE changes(rev INTEGER PRIMARY KEY, view INTEGER NOT NULL, keys BLOB NOT NULL)",
    "CREATE TABLE items(item_id TEXT PRIMARY KEY, updated_us INTEGER NOT NULL, item BLOB)",
    "CREATE TABLE labels(number INTEGER PRIMARY KEY, label TEXT NOT NULL)",
    "CREATE TABLE seen_runs(run INTEGER PRIMARY KEY AUTOINCREMENT, registered_us INTEGER NOT NULL,"
    " count INTEGER NOT NULL, digests BLOB NOT NULL, places BLOB NOT NULL)",
    "CREATE TABLE seen_buckets(bucket INTEGER PRIMARY KEY AUTOINCREMENT, newest_us INTEGER NOT NULL,"
    " count INTEGER NOT NULL, filter BLOB NOT NULL)",
    "CREATE TABLE seen_chunks(id INTEGER PRIMARY KEY, digests BLOB NOT NULL, places BLOB NOT NULL)",
    "CREATE TABLE corrections(digest BLOB PRIMARY KEY, registered_us INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE positions(topic TEXT NOT NULL, partition INTEGER NOT NULL,"
    " next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT ROWID",
    "CREATE TABLE claims(topic TEXT NOT NULL, partition INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " PRIMARY KEY (topic, partition)) WITHOUT ROWID",
)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open for reading and writing; makes the file and its tables when missing.

    A store of an earlier format is emptied, and its metadata has ``rebuild`` set until whoever rebuilt it from the lake
    clears that: everything in it is derived from there.

    Raises:
        DataError: the file is no online store.
        StoreConflict: another writer has held it for too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(str(path))
    try:
        connection.execute("PRAGMA page_size=8192")  # of a new file; states of kilobytes fill larger pages better
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA wal_autocheckpoint=16384")  # pages, that is 128 MiB; nearly always done before
        with transaction(connection):
            _make_tables(connection)
    except (sqlite3.DatabaseError, DataError) as error:
        connection.close()
        raise DataError(f"{path} is no online store ({error}); move it away and rebuild it") from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, *, mapped: bool = True) -> sqlite3.Connection:
    """Open for reading only, with the file mapped into memory or not.

    Raises:
        DataError: there is no store, or one of another format.
    """
    if not path.exists():
        raise DataError(f"no online store at {path}; import data or start the stream worker first")
    connection = _connect(f"file:{quote(str(path.absolute()))}?mode=ro")
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA mmap_size={_MAPPED_BYTES if mapped else 0}")
        found = _format(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DataError(f"{path} is no online store ({error}); move it away and rebuild it") from error
    if found != FORMAT:
        connection.close()
        raise DataError(
            f"{path} has format {found}, this version reads {FORMAT}; start the stream worker, which rebuilds it from"
            " the lake"
        )
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write what happens inside, or none of it; waits for another writer to finish.

    Raises:
        StoreConflict: another writer has held the file for too long.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise StoreConflict(f"another writer has held the online store for {_BUSY_SECONDS:.0f} s; try again") from error
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself ends it on some errors, such as a full disk
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read as of one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _connect(location: str) -> sqlite3.Connection:
    # Transactions are begun by hand; connections are used by one thread at a time, under their owner's lock.
    return sqlite3.connect(
        location, uri=location.startswith("file:"), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _format(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    return 0 if found is None else int(found[0])


def _make_tables(connection: sqlite3.Connection) -> None:
    tables = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        if not name.startswith("sqlite_")
    ]
    found = _format(connection) if tables else None  # an error when it is some other database
    if found in _OUTDATED:
        for name in tables:
            connection.execute(f'DROP TABLE "{name}"')
    elif found not in {None, FORMAT}:
        raise DataError(f"it has format {found}, this version writes {FORMAT}")
    if found != FORMAT:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('format', ?), ('rev', 0), ('log_from', 0)", (FORMAT,))
        if found is not None:
            connection.execute("INSERT INTO meta VALUES (?, ?)", (REBUILD, f"format {found}"))
