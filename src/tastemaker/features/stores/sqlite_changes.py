"""Which keys of an SQLite store changed: a log with one row per transaction and view, bounded in keys.

A revision counts changed keys, so that a bound on keys is a range of revisions. What is older than the bound is
deleted; a reader that asks for it gets None and reads everything again. Items are logged as view 0.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from tastemaker.features.stores.protocol import Changes

__all__ = ["ITEMS", "LOG_KEYS", "ChangeLog", "changes_since", "read_rev"]

ITEMS: Final = 0
LOG_KEYS: Final = 250_000  # of all views together


class ChangeLog:
    """What the running transaction changes.

    Args:
        connection: of the writer.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._keys: dict[int, dict[str, None] | None] = {}

    def note(self, view: int, keys: Iterable[str]) -> None:
        """Keys that are written or deleted."""
        noted = self._keys.setdefault(view, {})
        if noted is not None:
            noted.update(dict.fromkeys(keys))
            if len(noted) > LOG_KEYS:
                self._keys[view] = None

    def note_all(self, view: int) -> None:
        """More than is worth listing."""
        self._keys[view] = None

    def write(self) -> int:
        """Log it, at the end of the transaction, and give the revision after it."""
        rev = read_rev(self._connection)
        if not self._keys:
            return rev
        for view, keys in self._keys.items():
            if keys is None:
                rev += 1
                self._forget_before(view, rev)
            elif keys:
                rev += len(keys)
                row = (rev, view, msgspec.msgpack.encode(list(keys)))
                self._connection.execute("INSERT INTO changes VALUES (?, ?, ?)", row)
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'rev'", (rev,))
        # One row may reach back before the bound: whoever asks for a revision within it gets all of its keys.
        (oldest,) = self._connection.execute(
            "SELECT max(rev) FROM changes WHERE rev <= ?", (rev - LOG_KEYS,)
        ).fetchone()
        if oldest is not None:
            self._connection.execute("DELETE FROM changes WHERE rev <= ?", (oldest,))
            self._connection.execute("UPDATE meta SET value = ? WHERE key = 'log_from'", (oldest,))
        return rev

    def _forget_before(self, view: int, rev: int) -> None:
        if view == ITEMS:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('items_from', ?)", (rev,))
        else:
            self._connection.execute("UPDATE views SET log_from = ? WHERE id = ?", (rev, view))


def read_rev(connection: sqlite3.Connection) -> int:
    """The revision as of the running transaction or statement."""
    rev: int = connection.execute("SELECT value FROM meta WHERE key = 'rev'").fetchone()[0]
    return rev


def changes_since(connection: sqlite3.Connection, views: Collection[int], since_rev: int) -> dict[int, Changes]:
    """Changed keys by view, within a transaction or snapshot.

    Args:
        connection: to the store.
        views: those to look at.
        since_rev: a revision; 0 gives None for all.
    """
    rev = read_rev(connection)
    oldest = dict(connection.execute("SELECT id, log_from FROM views").fetchall())
    rows = connection.execute("SELECT key, value FROM meta WHERE key IN ('log_from', 'items_from')").fetchall()
    meta: dict[str, int] = dict(rows)
    oldest[ITEMS] = meta.get("items_from")
    lost = {view for view in views if since_rev <= 0 or since_rev < max(meta["log_from"], oldest.get(view) or 0)}
    found: dict[int, dict[str, None]] = {view: {} for view in views if view not in lost}
    if found and since_rev < rev:
        for view, keys in _logged(connection, since_rev, list(found)):
            found[view].update(dict.fromkeys(msgspec.msgpack.decode(keys, type=list[str])))
    return {view: Changes(rev, None if view in lost else list(found[view])) for view in views}


def _logged(connection: sqlite3.Connection, since_rev: int, views: Sequence[int]) -> Iterable[tuple[int, bytes]]:
    wanted = ", ".join(str(view) for view in views)
    return connection.execute(
        f"SELECT view, keys FROM changes WHERE rev > ? AND view IN ({wanted}) ORDER BY rev", (since_rev,)
    )
