"""A write transaction on an SQLite online store."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

from tastemaker.features.keys import join_key, prefix_range
from tastemaker.features.stores.claims import check_claims
from tastemaker.features.stores.protocol import StoredItem
from tastemaker.features.stores.sqlite_changes import ITEMS, ChangeLog, changes_since, read_rev
from tastemaker.features.stores.sqlite_rows import find_meta, find_positions, find_rows, find_view
from tastemaker.features.stores.sqlite_seen import SeenIds
from tastemaker.features.stores.sqlite_sweep import Sweep
from tastemaker.features.stores.sqlite_tails import TailLog, Tails, with_tails

__all__ = ["SqliteTransaction"]

_PUT = (
    "INSERT INTO online(view, key, event_us, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (view, key) DO UPDATE SET event_us = excluded.event_us, state = excluded.state"
)
_FOLD = (
    "INSERT INTO online(view, key, event_us, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (view, key) DO UPDATE SET event_us = max(event_us, excluded.event_us), state = excluded.state"
)
_JOIN = (
    "INSERT INTO online(view, key, event_us, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (view, key) DO UPDATE SET event_us = max(event_us, excluded.event_us),"
    " state = CAST(state || excluded.state AS BLOB)"  # the operator gives a text of the same bytes
)
_PUT_NEWER = f"{_PUT} WHERE excluded.event_us >= online.event_us"
_PUT_ITEM = (
    "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT (item_id) DO UPDATE SET"
    " updated_us = excluded.updated_us, item = excluded.item WHERE excluded.updated_us >= items.updated_us"
)


class SqliteTransaction:
    """A :class:`~tastemaker.features.stores.protocol.StoreTransaction`; the store begins and ends it.

    Args:
        connection: of the writer, within a transaction.
        seen: its seen event ids.
        tails: of the writer.
        sweep: likewise.
        views: the numbers of views that the writer knows, by signature.
        epochs: the writer's claims, by topic and partition.
        last_rev: the revision after the writer's last commit; 0 when it had none.
        now_us: the wall clock.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        seen: SeenIds,
        tails: Tails,
        sweep: Sweep,
        *,
        views: dict[str, int],
        epochs: Mapping[tuple[str, int], int],
        last_rev: int,
        now_us: int,
    ) -> None:
        self._connection = connection
        self._seen = seen
        self._tails = TailLog(connection, tails)
        self._sweep = sweep
        self._epochs = epochs
        self._last_rev = last_rev
        self._now_us = now_us
        self._views = views
        self.log = ChangeLog(connection)

    def _view(self, signature: str) -> int | None:
        number = self._views.get(signature) or find_view(self._connection, signature)
        if number is not None:
            self._views[signature] = number
        return number

    def _make_view(self, signature: str) -> int:
        number = self._view(signature)
        if number is None:
            made = self._connection.execute("INSERT INTO views(signature) VALUES (?) RETURNING id", (signature,))
            number = self._views[signature] = int(made.fetchone()[0])
        return number

    def _signature(self, number: int) -> str:
        (found,) = self._connection.execute("SELECT signature FROM views WHERE id = ?", (number,)).fetchone()
        return str(found)

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        return find_positions(self._connection, topic)

    def advance(self, topic: str, positions: Mapping[int, int]) -> None:
        """As the protocol says."""
        self._check_claims(topic, positions)
        self._connection.executemany(
            "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " next_offset = max(next_offset, excluded.next_offset)",
            [(topic, partition, offset) for partition, offset in positions.items()],
        )

    def rewind(self, topic: str, positions: Mapping[int, int]) -> None:
        """As the protocol says."""
        before = find_positions(self._connection, topic)
        self._check_claims(topic, before.keys() | positions.keys())
        self._connection.execute("DELETE FROM positions WHERE topic = ?", (topic,))
        self.advance(topic, positions)

    def _check_claims(self, topic: str, partitions: Iterable[int]) -> None:
        claims = dict(
            self._connection.execute("SELECT partition, epoch FROM claims WHERE topic = ?", (topic,)).fetchall()
        )
        check_claims(topic, partitions, claims, self._epochs)

    def register(self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]) -> list[bool]:
        """As the protocol says."""
        return self._seen.register(digests, partitions, offsets, self._now_us)

    def forget_seen(self, before_us: int) -> int:
        """As the protocol says."""
        self._connection.execute("DELETE FROM corrections WHERE registered_us < ?", (before_us,))
        return self._seen.forget(before_us)

    def correct(self, digests: Sequence[bytes]) -> None:
        """As the protocol says."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO corrections VALUES (?, ?)", [(digest, self._now_us) for digest in digests]
        )

    def corrected(self, digests: Sequence[bytes]) -> set[bytes]:
        """As the protocol says."""
        if self._connection.execute("SELECT 1 FROM corrections LIMIT 1").fetchone() is None:
            return set()  # nearly always
        select = "SELECT 1 FROM corrections WHERE digest = ?"
        return {digest for digest in digests if self._connection.execute(select, (digest,)).fetchone()}

    def get(self, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """As the protocol says."""
        number = self._view(view)
        if number is None:
            return [None] * len(keys)
        rows = find_rows(self._connection, number, keys)
        tails = self._tails.of(number)
        if len(tails):
            rows = with_tails(rows, tails.find(keys))
        return [state for _, state in rows]

    def append(self, view: str, keys: Sequence[str], event_us: Sequence[int], tails: Sequence[bytes]) -> None:
        """As :class:`~tastemaker.features.stores.tailed.TailedTransaction` says."""
        if keys:
            number = self._make_view(view)
            self._tails.append(number, keys, event_us, tails)
            self.log.note(number, keys)

    def due(self, everything: bool = False) -> dict[str, list[str]]:
        """As :class:`~tastemaker.features.stores.tailed.TailedTransaction` says."""
        if everything:
            views = self._connection.execute("SELECT signature, id FROM views").fetchall()
            return {signature: sorted(self._tails.of(number).keys) for signature, number in views}
        due = self._sweep.due(self._tails)
        if self._sweep.folds:
            return {self._signature(number): keys for number, keys in due.items()}
        for number, keys in due.items():
            tails = self._tails.of(number).by_key(keys)
            self._execute(_JOIN, number, keys, *zip(*tails.values(), strict=True))
            self._tails.drop(number, keys)
        return {}

    def fold(self, view: str, keys: Sequence[str], states: Sequence[bytes]) -> None:
        """As :class:`~tastemaker.features.stores.tailed.TailedTransaction` says."""
        number = self._make_view(view)
        times = [0 if tail is None else tail.event_us for tail in self._tails.of(number).find(keys)]
        self._execute(_FOLD, number, keys, times, states)
        self._tails.drop(number, keys)

    def put(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """As the protocol says."""
        if keys:
            number = self._make_view(view)
            self._execute(_PUT, number, keys, event_us, states)
            self._tails.drop(number, keys)
            self.log.note(number, keys)

    def put_newer(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """As the protocol says; rows that are added to are not written so."""
        if keys:
            number = self._make_view(view)
            self._execute(_PUT_NEWER, number, keys, event_us, states)
            self.log.note(number, keys)

    def _execute(
        self, statement: str, number: int, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]
    ) -> None:
        self._connection.executemany(statement, zip(repeat(number, len(keys)), keys, event_us, states, strict=True))

    def delete(self, view: str, keys: Sequence[str]) -> None:
        """As the protocol says."""
        number = self._view(view)
        if number is not None and keys:
            self._connection.executemany("DELETE FROM online WHERE view = ? AND key = ?", zip(repeat(number), keys))
            self._tails.drop(number, keys)
            self.log.note(number, keys)

    def delete_entity(self, view: str, first: str) -> int:
        """As the protocol says."""
        number = self._view(view)
        if number is None:
            return 0
        deleted = self._connection.execute(
            "DELETE FROM online WHERE view = ? AND (key = ? OR (key >= ? AND key < ?)) RETURNING key",
            (number, join_key(first), *prefix_range(first)),
        ).fetchall()
        tails = self._tails.of(number)
        tailed = [key for key in (join_key(first), *tails.scan(join_key(first))) if key in tails]
        keys = list(dict.fromkeys([*(key for (key,) in deleted), *tailed]))
        self._tails.drop(number, keys)
        self.log.note(number, keys)
        return len(keys)

    def put_items(self, items: Iterable[StoredItem]) -> None:
        """As the protocol says."""
        rows = list(items)
        self._connection.executemany(_PUT_ITEM, rows)
        self.log.note(ITEMS, [row.item_id for row in rows])

    def put_labels(self, labels: Mapping[int, str]) -> None:
        """As the protocol says."""
        self._connection.executemany("INSERT OR REPLACE INTO labels VALUES (?, ?)", labels.items())

    def drop_view(self, view: str) -> None:
        """As the protocol says."""
        number = self._view(view)
        if number is not None:
            self._connection.execute("DELETE FROM online WHERE view = ?", (number,))
            self._tails.drop_all(number)
            self.log.note_all(number)

    def foreign_changes(self) -> dict[str, list[str]] | None:
        """As the protocol says."""
        if self._last_rev and read_rev(self._connection) == self._last_rev:
            return {}
        views = dict(self._connection.execute("SELECT id, signature FROM views").fetchall())
        found = changes_since(self._connection, views, self._last_rev)
        if not self._last_rev or any(changes.keys is None for changes in found.values()):
            return None
        return {views[number]: changes.keys for number, changes in found.items() if changes.keys}

    def get_meta(self, key: str) -> str | None:
        """As the protocol says."""
        return find_meta(self._connection, key)

    def set_meta(self, key: str, value: str) -> None:
        """As the protocol says."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
