"""Reads an online store in memory."""

from bisect import bisect_left
from collections.abc import Sequence

from tastemaker.features.keys import prefix_range
from tastemaker.features.stores.memory_data import MemoryData
from tastemaker.features.stores.protocol import Changes, Row, StoredItem, ViewSize

__all__ = ["MemoryReader"]


class MemoryReader:
    """A :class:`~tastemaker.features.stores.protocol.StoreReader`; every read is as of one moment.

    Args:
        data: of the store.
    """

    def __init__(self, data: MemoryData) -> None:
        self._data = data
        # By view, its keys in order as of a revision: a snapshot is scanned thousands of times and never changes.
        self._sorted: dict[str, tuple[int, list[str]]] = {}

    def rows(self, view: str, keys: Sequence[str]) -> list[Row | None]:
        """As the protocol says."""
        with self._data.reading:
            rows = self._data.rows.get(view, {})
            return [rows.get(key) for key in keys]

    def scan(self, view: str, first: str) -> list[tuple[str, Row]]:
        """As the protocol says."""
        start, end = prefix_range(first)
        with self._data.reading:
            rows = self._data.rows.get(view, {})
            rev, keys = self._sorted.get(view, (-1, []))
            if rev != self._data.rev:
                keys = sorted(rows)
                self._sorted[view] = self._data.rev, keys
            return [(key, rows[key]) for key in keys[bisect_left(keys, start) : bisect_left(keys, end)]]

    def all_rows(self, view: str) -> list[tuple[str, Row]]:
        """As the protocol says."""
        with self._data.reading:
            return list(self._data.rows.get(view, {}).items())

    def size(self, view: str) -> ViewSize:
        """As the protocol says."""
        with self._data.reading:
            rows = self._data.rows.get(view, {}).values()
            return ViewSize(len(rows), max((row.event_us for row in rows), default=None))

    def labels(self, numbers: Sequence[int]) -> dict[int, str]:
        """As the protocol says."""
        with self._data.reading:
            return {number: self._data.labels[number] for number in numbers if number in self._data.labels}

    def changes(self, view: str, since_rev: int) -> Changes:
        """As the protocol says."""
        with self._data.reading:
            return Changes(self._data.rev, self._data.changed_since(view, since_rev))

    def items_changed(self, since_rev: int) -> tuple[int, list[StoredItem]]:
        """As the protocol says."""
        with self._data.reading:
            keys = self._data.changed_since(None, since_rev)
            items = self._data.items
            return self._data.rev, list(items.values()) if keys is None else [items[key] for key in keys]

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        with self._data.reading:
            return {partition: offset for (name, partition), offset in self._data.positions.items() if name == topic}

    def get_meta(self, key: str) -> str | None:
        """As the protocol says."""
        with self._data.reading:
            return self._data.meta.get(key)

    def close(self) -> None:
        """As the protocol says; there is no connection."""
