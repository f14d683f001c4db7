"""Reads an SQLite online store; never waits for the writer."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tastemaker.features.keys import join_key
from tastemaker.features.stores.packing import packed_states
from tastemaker.features.stores.protocol import Changes, PackedStates, Row, StoredItem, ViewSize
from tastemaker.features.stores.sqlite_changes import ITEMS, changes_since, read_rev
from tastemaker.features.stores.sqlite_file import connect_reader, snapshot
from tastemaker.features.stores.sqlite_rows import (
    find_meta,
    find_positions,
    find_row,
    find_rows,
    find_view,
    rows_of_first,
)
from tastemaker.features.stores.sqlite_tails import Tail, Tails, tail_times, with_tails

__all__ = ["SqliteReader"]

_CHUNK = 1000


class SqliteReader:
    """A :class:`~tastemaker.features.stores.protocol.StoreReader` with a connection per thread.

    Args:
        path: the file.
        mapped: whether it is mapped into memory.

    Raises:
        DataError: there is no store, or one of another format.
    """

    def __init__(self, path: Path, *, mapped: bool = True) -> None:
        self._path, self._mapped = path, mapped
        self._threads = threading.local()
        self._tails = Tails()
        self._views: dict[str, int] = {}  # a view keeps its number for ever
        self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = connect_reader(self._path, mapped=self._mapped)
        return connection

    def _view(self, connection: sqlite3.Connection, signature: str) -> int | None:
        found = self._views.get(signature)
        if found is None:
            found = find_view(connection, signature)
            if found is not None:
                self._views[signature] = found
        return found

    def _find(self, view: str, keys: Sequence[str]) -> list[tuple[Any, Any]]:
        """Event time and state of each key, in order; both None where there is no row."""
        connection = self._connect()
        number = self._view(connection, view)
        if number is None:
            return [(None, None)] * len(keys)
        with snapshot(connection):
            tails = self._tails_of(connection, number, keys)
            rows = find_rows(connection, number, keys)
        return with_tails(rows, tails) if tails else rows

    def _tails_of(self, connection: sqlite3.Connection, view: int, keys: Sequence[str]) -> list[Tail | None]:
        """The tails of some rows, as of the snapshot that begins here; nothing where none has one."""
        with self._tails.lock:
            found = self._tails.follow(connection, view)
            return found.find(keys) if len(found) else []

    def rows(self, view: str, keys: Sequence[str]) -> list[Row | None]:
        """As the protocol says; all rows are of one transaction."""
        return [Row(*row) if row[1] is not None else None for row in self._find(view, keys)]

    def packed_states(self, view: str, keys: Sequence[str]) -> PackedStates:
        """As :class:`~tastemaker.features.stores.protocol.PackedReader` says; all rows are of one transaction."""
        return packed_states([state for _, state in self._find(view, keys)])

    def scan(self, view: str, first: str) -> list[tuple[str, Row]]:
        """As the protocol says."""
        connection = self._connect()
        number = self._view(connection, view)
        if number is None:
            return []
        with snapshot(connection):
            with self._tails.lock:
                own = self._tails.follow(connection, number)
                tails = own.by_key(own.scan(join_key(first))) if len(own) else {}
            rows = rows_of_first(connection, number, first)
        return _merged(rows, tails)

    def glance(
        self, rows: Sequence[tuple[str, str]], scans: Sequence[tuple[str, str]]
    ) -> tuple[list[Row | None], list[list[tuple[str, Row]]]]:
        """As :class:`~tastemaker.features.stores.protocol.GlancingReader` says; all is of one transaction."""
        connection = self._connect()
        views = [self._view(connection, view) for view, _ in rows]
        scanned = [self._view(connection, view) for view, _ in scans]
        with snapshot(connection):
            with self._tails.lock:
                self._follow(connection, {view for view in (*views, *scanned) if view is not None})
                tails = [self._tails.tail(view, key) for view, (_, key) in zip(views, rows, strict=True)]
                beside = [
                    self._tails.of_first(view, join_key(first)) for view, (_, first) in zip(scanned, scans, strict=True)
                ]
            found = [
                (None, None) if view is None else find_row(connection, view, key)
                for view, (_, key) in zip(views, rows, strict=True)
            ]
            merged = [
                [] if view is None else _merged(rows_of_first(connection, view, first), own)
                for view, (_, first), own in zip(scanned, scans, beside, strict=True)
            ]
        whole = with_tails(found, tails)
        return [Row(*row) if row[1] is not None else None for row in whole], merged

    def _follow(self, connection: sqlite3.Connection, views: set[int]) -> None:
        """Bring the tails of some views up to date, as of the snapshot that begins here, under their lock.

        Where nobody has written since this thread did that last, nothing is read: the tails are as of that moment,
        because another thread that has followed them since saw the same.
        """
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != getattr(self._threads, "version", None):
            self._threads.version, self._threads.followed = version, set()
        followed: set[int] = self._threads.followed
        for view in views - followed:
            self._tails.follow(connection, view)
            followed.add(view)

    def all_rows(self, view: str) -> Iterator[tuple[str, Row]]:
        """As the protocol says; by key, and read in pieces, so that a long pass keeps nothing open."""
        connection = self._connect()
        number = self._view(connection, view)
        last, after = "", ">="
        while number is not None:
            with snapshot(connection):
                with self._tails.lock:
                    own = self._tails.follow(connection, number)
                    tails = own.by_key([key for key in own.keys if key > last or not last])
                rows = connection.execute(
                    f"SELECT key, event_us, state FROM online WHERE view = ? AND key {after} ? ORDER BY key"
                    f" LIMIT {_CHUNK}",
                    (number, last),
                ).fetchall()
            if len(rows) < _CHUNK:
                yield from _merged(rows, tails)
                return
            last, after = rows[-1][0], ">"
            yield from _merged(rows, {key: tail for key, tail in tails.items() if key <= last})

    def size(self, view: str) -> ViewSize:
        """As the protocol says."""
        connection = self._connect()
        number = self._view(connection, view)
        if number is None:
            return ViewSize(0, None)
        with snapshot(connection):
            tails = tail_times(connection, number)
            rows, newest = connection.execute(
                "SELECT count(*), max(event_us) FROM online WHERE view = ?", (number,)
            ).fetchone()
            stored = find_rows(connection, number, list(tails)) if tails else []
        new = sum(state is None for _, state in stored)
        return ViewSize(rows + new, max([*tails.values(), *([] if newest is None else [newest])], default=None))

    def labels(self, numbers: Sequence[int]) -> dict[int, str]:
        """As the protocol says."""
        connection = self._connect()
        found: dict[int, str] = {}
        for begin in range(0, len(numbers), _CHUNK):
            wanted = numbers[begin : begin + _CHUNK]
            marks = ", ".join("?" * len(wanted))
            found |= connection.execute(
                f"SELECT number, label FROM labels WHERE number IN ({marks})", wanted
            ).fetchall()
        return found

    def changes(self, view: str, since_rev: int) -> Changes:
        """As the protocol says."""
        connection = self._connect()
        with snapshot(connection):
            number = self._view(connection, view)
            if number is None:
                return Changes(read_rev(connection), None if since_rev <= 0 else [])
            return changes_since(connection, [number], since_rev)[number]

    def items_changed(self, since_rev: int) -> tuple[int, list[StoredItem]]:
        """As the protocol says."""
        connection = self._connect()
        with snapshot(connection):
            rev, keys = changes_since(connection, [ITEMS], since_rev)[ITEMS]
            select = "SELECT item_id, updated_us, item FROM items"
            if keys is None:
                return rev, [StoredItem(*row) for row in connection.execute(select)]
            found = (connection.execute(f"{select} WHERE item_id = ?", (key,)).fetchone() for key in keys)
            return rev, [StoredItem(*row) for row in found if row is not None]

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        return find_positions(self._connect(), topic)

    def get_meta(self, key: str) -> str | None:
        """As the protocol says."""
        return find_meta(self._connect(), key)

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._threads, "connection", None)
        if connection is not None:
            connection.close()
            self._threads.connection = None


def _merged(rows: list[tuple[str, int, bytes]], tails: Mapping[str, Tail]) -> list[tuple[str, Row]]:
    """Rows by key, with their tails, and those that are tails alone."""
    if not tails:
        return [(key, Row(event_us, state)) for key, event_us, state in rows]
    stored = {key: (event_us, state) for key, event_us, state in rows}
    keys = sorted(stored.keys() | tails.keys())
    found = with_tails([stored.get(key, (None, None)) for key in keys], map(tails.get, keys))
    return [(key, Row(*row)) for key, row in zip(keys, found, strict=True)]
