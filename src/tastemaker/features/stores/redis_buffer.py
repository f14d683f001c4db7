"""Rows that a transaction on a Redis store writes: kept until it ends, and then written if they are as expected."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tastemaker.features.stores.protocol import Row, StoreConflict
from tastemaker.features.stores.redis_keys import RedisKeys, pack_row
from tastemaker.features.stores.redis_link import RedisLink
from tastemaker.features.stores.redis_log import RedisLog
from tastemaker.features.stores.redis_scripts import PUT_FIELDS, PUT_ROWS

__all__ = ["ANYTHING", "KEPT", "NOT_NEWER", "Pending", "RowBuffer", "as_read"]

# What a row must be for a write to happen; see tastemaker.features.stores.redis_scripts.
ANYTHING: Final = b"*"
NOT_NEWER: Final = b"n"
KEPT: Final = b"k"


def as_read(version: bytes) -> bytes:
    """The expectation that a row still has this version; empty: that there is none."""
    return b"x" + version


class Pending(NamedTuple):
    """A row to write, or None to delete it, and what must be there."""

    expected: bytes
    row: Row | None


class _Write(NamedTuple):
    """A row on its way: its key, the server's key, and what a script is told of it, the value last."""

    key: str
    name: bytes
    arguments: tuple[bytes, ...]


class RowBuffer:
    """Pending rows by view and key.

    Args:
        link: to the server.
        keys: its names.
        log: where changed keys are noted.
        version: 4 bytes of the writer and 4 of the transaction, for the rows.
    """

    def __init__(self, link: RedisLink, keys: RedisKeys, log: RedisLog, version: bytes) -> None:
        self._link = link
        self._keys = keys
        self._log = log
        self._version = version
        self._rows: dict[str, dict[str, Pending]] = {}
        self._to_drop: dict[str, None] = {}
        self._dropped: set[str] = set()
        self.size = 0

    def find(self, view: str, key: str) -> Pending | None:
        """The pending row, where there is one."""
        return self._rows.get(view, {}).get(key)

    def is_dropped(self, view: str) -> bool:
        """Whether all rows that a view had before the transaction go or are gone."""
        return view in self._dropped

    def add(self, view: str, key: str, pending: Pending) -> None:
        """Write a row when the transaction ends; replaces what was pending for it."""
        self._rows.setdefault(view, {})[key] = pending
        self.size += 0 if pending.row is None else len(pending.row.state)

    def drop(self, view: str) -> None:
        """Delete a view's rows when the transaction ends, before any row is written."""
        self._rows.pop(view, None)
        self._to_drop[view] = None
        self._dropped.add(view)

    def write(self) -> None:
        """Write all that is pending.

        Raises:
            StoreConflict: a row is not as expected; others may have been written.
        """
        for view in self._to_drop:
            self._log.note(view, None)
            for beginning in (self._keys.rows(view), self._keys.hashes(view)):
                self._unlink(list(self._link.scan(beginning)))
        refused: list[str] = []
        for view, pending in self._rows.items():
            self._log.register(view)
            self._log.note(view, pending)
            refused += self._write_view(view, pending)
        self._rows.clear()
        self._to_drop.clear()
        self.size = 0
        if refused:
            raise StoreConflict(
                f"another worker changed {len(refused)} rows meanwhile, such as {refused[0]!r}; do the batch again"
            )

    def _unlink(self, names: Sequence[bytes]) -> None:
        self._link.run([("UNLINK", name) for name in names])

    def _write_view(self, view: str, pending: dict[str, Pending]) -> list[str]:
        """Write; gives the keys that were not as expected."""
        singles: list[_Write] = []
        hashes: dict[bytes, list[_Write]] = {}
        deletes: list[tuple[str | bytes, ...]] = []
        for key, (expected, row) in pending.items():
            name, field = self._keys.row(view, key)
            if row is None:
                deletes.append(("UNLINK", name) if field is None else ("HDEL", name, field))
            elif field is None:
                singles.append(_Write(key, name, (expected, pack_row(row, self._version))))
            else:
                write = _Write(key, name, (field, expected, pack_row(row, self._version)))
                hashes.setdefault(name, []).append(write)
        self._link.run(deletes)
        refused = self._put(PUT_ROWS, self._grouped(singles), named=len)
        for_hashes = [group for writes in hashes.values() for group in self._grouped(writes)]
        return refused + self._put(PUT_FIELDS, for_hashes, named=lambda _: 1)

    def _grouped(self, writes: list[_Write]) -> list[list[_Write]]:
        groups = self._link.groups([write.name for write in writes], [len(write.arguments[-1]) for write in writes])
        return [[writes[index] for index in group] for group in groups]

    def _put(self, script: str, groups: list[list[_Write]], named: Callable[[list[_Write]], int]) -> list[str]:
        """Call a script per group, with the names of the first ``named`` of its writes as its keys."""
        calls = [
            ([write.name for write in group[: named(group)]], [part for write in group for part in write.arguments])
            for group in groups
        ]
        answers = self._link.call(script, calls)
        return [group[at].key for group, refused in zip(groups, answers, strict=True) for at in refused]
