"""Reads a Redis store."""

import threading
from collections.abc import Iterator, Sequence

from tastemaker.features.keys import join_key
from tastemaker.features.stores.protocol import Changes, PackedStates, Row, StoredItem, ViewSize
from tastemaker.features.stores.redis_keys import RedisKeys, unpack_item, unpack_row
from tastemaker.features.stores.redis_link import RedisLink
from tastemaker.features.stores.redis_log import read_changes
from tastemaker.features.stores.redis_rows import first_of, read_all, read_first, read_rows
from tastemaker.features.stores.redis_transaction import read_positions

__all__ = ["RedisReader"]

_PIECE = 1000
_PATIENCE_S = 1.0  # with a server that accepts and does not answer; someone waits for the list


class RedisReader:
    """A :class:`~tastemaker.features.stores.protocol.StoreReader`; rows of a call may be of different transactions.

    Args:
        url: as of :func:`~tastemaker.features.stores.opening.open_online_store`.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._link = RedisLink(url, _PATIENCE_S, retries=1)
        self._keys = RedisKeys(self._link.prefix)
        self._states = None if self._link.is_cluster else self._link.states()
        self._thread = threading.get_ident()

    def rows(self, view: str, keys: Sequence[str]) -> list[Row | None]:
        """As the protocol says."""
        return [unpack_row(value) for value in read_rows(self._link, self._keys, view, keys)]

    def packed_states(self, view: str, keys: Sequence[str]) -> PackedStates | None:
        """As :class:`~tastemaker.features.stores.protocol.PackedReader` says; None of a cluster, and of several ids."""
        if self._states is None or not keys or self._keys.is_several("".join(keys)):
            return None
        return self._states.fetch(self._keys.rows(view).decode(), keys)

    def scan(self, view: str, first: str) -> list[tuple[str, Row]]:
        """As the protocol says; all rows as of one moment."""
        return _unpacked(read_first(self._link, self._keys, view, join_key(first)))

    def glance(
        self, rows: Sequence[tuple[str, str]], scans: Sequence[tuple[str, str]]
    ) -> tuple[list[Row | None], list[list[tuple[str, Row]]]]:
        """As :class:`~tastemaker.features.stores.protocol.GlancingReader` says, in one trip to each node."""
        places = [self._keys.row(view, key) for view, key in rows]
        firsts = [join_key(first) for _, first in scans]
        commands = [("GET", at.key) if at.field is None else ("HGET", at.key, at.field) for at in places]
        hashes = [self._keys.first(view, first) for (view, _), first in zip(scans, firsts, strict=True)]
        found = self._link.run([*commands, *(("HGETALL", name) for name in hashes)])
        scanned = [
            _unpacked(sorted((first_of(first, field), value) for field, value in fields.items()))
            for first, fields in zip(firsts, found[len(rows) :], strict=True)
        ]
        return [unpack_row(value) for value in found[: len(rows)]], scanned

    def all_rows(self, view: str) -> Iterator[tuple[str, Row]]:
        """As the protocol says; walks over all of the store's keys."""
        for key, value in read_all(self._link, self._keys, view):
            yield from _unpacked([(key, value)])

    def size(self, view: str) -> ViewSize:
        """As the protocol says; walks over all of the store's keys."""
        rows, newest = 0, None
        for _, row in self.all_rows(view):
            rows, newest = rows + 1, row.event_us if newest is None else max(newest, row.event_us)
        return ViewSize(rows, newest)

    def labels(self, numbers: Sequence[int]) -> dict[int, str]:
        """As the protocol says."""
        if not numbers:
            return {}
        (found,) = self._link.run([("HMGET", self._keys.labels, *numbers)])
        return {n: label.decode() for n, label in zip(numbers, found, strict=True) if label is not None}

    def changes(self, view: str, since_rev: int) -> Changes:
        """As the protocol says."""
        return read_changes(self._link, self._keys.log(view), since_rev)

    def items_changed(self, since_rev: int) -> tuple[int, list[StoredItem]]:
        """As the protocol says."""
        rev, ids = read_changes(self._link, self._keys.items_log, since_rev)
        return rev, list(self._all_items() if ids is None else self._some_items(ids))

    def _all_items(self) -> Iterator[StoredItem]:
        found: dict[bytes, bytes] = {}  # a scan may give one twice
        cursor = 0
        while True:
            ((cursor, items),) = self._link.run([("HSCAN", self._keys.items, cursor, "COUNT", _PIECE)])
            found |= items
            if not cursor:
                return iter([unpack_item(*item) for item in found.items()])

    def _some_items(self, ids: list[str]) -> Iterator[StoredItem]:
        for begin in range(0, len(ids), _PIECE):
            names = [name.encode() for name in ids[begin : begin + _PIECE]]
            (values,) = self._link.run([("HMGET", self._keys.items, *names)])
            for name, value in zip(names, values, strict=True):
                if value is not None:
                    yield unpack_item(name, value)

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        return read_positions(self._link, self._keys, topic)

    def get_meta(self, key: str) -> str | None:
        """As the protocol says."""
        (value,) = self._link.run([("HGET", self._keys.meta, key)])
        return None if value is None else value.decode()

    def close(self) -> None:
        """Close the connections, when the thread that made the reader asks; others only stop using theirs."""
        if threading.get_ident() == self._thread:
            if self._states is not None:
                self._states.close()
            self._link.close()


def _unpacked(rows: list[tuple[str, bytes]]) -> list[tuple[str, Row]]:
    return [(key, row) for key, value in rows if (row := unpack_row(value)) is not None]
