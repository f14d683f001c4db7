"""Statements over the rows of an SQLite store, shared by its transactions and its readers."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from tastemaker.features.keys import prefix_range

__all__ = ["find_meta", "find_positions", "find_row", "find_rows", "find_view", "rows_of_first"]


def find_view(connection: sqlite3.Connection, signature: str) -> int | None:
    """The number of a view, where it has one."""
    row = connection.execute("SELECT id FROM views WHERE signature = ?", (signature,)).fetchone()
    return None if row is None else int(row[0])


def find_rows(connection: sqlite3.Connection, view: int, keys: Sequence[str]) -> list[tuple[Any, Any]]:
    """Event time and state of each key, in order; both None where there is no row.

    One statement is one snapshot: the entities of a call are never from different transactions.
    """
    wanted = json.dumps(keys)
    if "\\u0000" in wanted:  # SQLite's JSON ends a text there
        return [find_row(connection, view, key) for key in keys]
    return connection.execute(
        "SELECT online.event_us, online.state FROM json_each(?) AS wanted"
        " LEFT JOIN online ON online.view = ? AND online.key = wanted.value ORDER BY wanted.key",
        (wanted, view),
    ).fetchall()


def find_row(connection: sqlite3.Connection, view: int, key: str) -> tuple[Any, Any]:
    """Event time and state of one key; both None where there is no row."""
    row = connection.execute("SELECT event_us, state FROM online WHERE view = ? AND key = ?", (view, key)).fetchone()
    return (None, None) if row is None else row


def rows_of_first(connection: sqlite3.Connection, view: int, first: str) -> list[tuple[str, int, bytes]]:
    """Key, event time and state of the rows of several ids that begin with one, by key."""
    return connection.execute(
        "SELECT key, event_us, state FROM online WHERE view = ? AND key >= ? AND key < ? ORDER BY key",
        (view, *prefix_range(first)),
    ).fetchall()


def find_positions(connection: sqlite3.Connection, topic: str) -> dict[int, int]:
    """The next offset to read, by partition."""
    rows = connection.execute("SELECT partition, next_offset FROM positions WHERE topic = ?", (topic,))
    return dict(rows.fetchall())


def find_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """One text of the metadata."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
