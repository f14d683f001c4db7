"""Names of a Redis store's keys, and how its values are packed."""

import struct
from typing import Final, NamedTuple

from tastemaker.features.stores.protocol import Row, StoredItem

__all__ = ["ROW_HEAD_BYTES", "Place", "RedisKeys", "pack_item", "pack_row", "row_version", "unpack_item", "unpack_row"]

_SEPARATOR: Final = "\x1f"  # between ids, in tastemaker.features.keys
_HEAD: Final = struct.Struct(">Q8s")
_TIME_ONLY: Final = struct.Struct(">Q").unpack_from
_TIME: Final = struct.Struct(">Q?")
_ZERO: Final = 1 << 63  # makes times before 1970 sort first
ROW_HEAD_BYTES: Final = 16  # of a stored row, before its state
_SHARD_BITS: Final = 1  # of 16: 2**15 hashes of event ids, so that 10M ids make small, compactly stored ones


class Place(NamedTuple):
    """Where a row is: the key, and the field when the key is a hash."""

    key: bytes
    field: bytes | None


class RedisKeys:
    """All begin with a prefix; every one is a slot of its own but those of an event id's periods.

    Args:
        prefix: of the platform.
    """

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix
        self.meta = prefix + b":meta"
        self.items = prefix + b":items"
        self.items_log = prefix + b":log:items"
        self.labels = prefix + b":labels"
        self.views = prefix + b":views"

    def is_several(self, key: str) -> bool:
        """Whether a key has several ids."""
        return _SEPARATOR in key

    def row(self, view: str, key: str) -> Place:
        """A row: a key of its own, or when it has several ids, a field of the hash of its first id."""
        first, separator, rest = key.partition(_SEPARATOR)
        if separator:
            return Place(self.first(view, first), rest.encode())
        return Place(self.rows(view) + first.encode(), None)

    def first(self, view: str, first: str) -> bytes:
        """The hash of the rows that begin with an id, as it is escaped in keys."""
        return self.hashes(view) + first.encode()

    def rows(self, view: str) -> bytes:
        """How rows of a view begin."""
        return b"%s:r:%s:" % (self._prefix, view.encode())

    def hashes(self, view: str) -> bytes:
        """How hashes of rows of a view begin."""
        return b"%s:h:%s:" % (self._prefix, view.encode())

    def log(self, view: str) -> bytes:
        """What changed in a view."""
        return b"%s:log:view:%s" % (self._prefix, view.encode())

    def topic(self, topic: str) -> bytes:
        """Positions and claims."""
        return b"%s:topic:%s" % (self._prefix, topic.encode())

    def seen(self, digest: bytes, period: int) -> bytes:
        """Event ids of a period, in many small hashes; those of one digest are in one slot."""
        shard = int.from_bytes(digest[:2], "big") >> _SHARD_BITS
        return b"%s:s:{%d}:%d" % (self._prefix, shard, period)

    def corrections(self, period: int) -> bytes:
        """Event ids that are replaced."""
        return b"%s:x:%d" % (self._prefix, period)


def pack_row(row: Row, version: bytes) -> bytes:
    """A row as it is stored."""
    return _HEAD.pack(row.event_us + _ZERO, version) + row.state


def unpack_row(value: bytes | None) -> Row | None:
    """A row from what is stored."""
    if value is None:
        return None
    return Row(_TIME_ONLY(value)[0] - _ZERO, value[ROW_HEAD_BYTES:])


def row_version(value: bytes | None) -> bytes:
    """The version of what is stored; empty for nothing."""
    return b"" if value is None else value[8:ROW_HEAD_BYTES]


def pack_item(item: StoredItem) -> bytes:
    """An item as it is stored."""
    return _TIME.pack(item.updated_us + _ZERO, item.item is not None) + (item.item or b"")


def unpack_item(item_id: bytes, value: bytes) -> StoredItem:
    """An item from what is stored."""
    time, exists = _TIME.unpack_from(value)
    return StoredItem(item_id.decode(), time - _ZERO, value[_TIME.size :] if exists else None)
