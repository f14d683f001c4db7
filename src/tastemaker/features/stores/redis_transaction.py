"""A write transaction on a Redis store: rows first, then what is told of them, then positions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tastemaker.features.keys import join_key
from tastemaker.features.stores.claims import fenced
from tastemaker.features.stores.protocol import Row, StoredItem
from tastemaker.features.stores.redis_buffer import ANYTHING, KEPT, NOT_NEWER, Pending, RowBuffer, as_read
from tastemaker.features.stores.redis_keys import RedisKeys, pack_item, row_version, unpack_row
from tastemaker.features.stores.redis_link import RedisLink
from tastemaker.features.stores.redis_log import RedisLog
from tastemaker.features.stores.redis_rows import read_first, read_rows
from tastemaker.features.stores.redis_scripts import ADVANCE, PUT_ITEMS
from tastemaker.features.stores.redis_seen import RedisSeen

__all__ = ["RedisTransaction", "read_positions"]

_BUFFER_BYTES: Final = 32 << 20
_ITEMS: Final = 500  # of a script


class RedisTransaction:
    """A :class:`~tastemaker.features.stores.protocol.StoreTransaction`; the store ends it with :meth:`commit`.

    Rows are compared and set one by one. When the process dies, or finds a conflict, some of them are written and the
    positions are not, so that the batch is done again; rows know the offsets that they hold.

    Args:
        link: to the server.
        keys: its names.
        log: of changed keys.
        epochs: the writer's claims, by topic and partition.
        version: 4 bytes of the writer and 4 of the transaction.
        now_us: the wall clock.
    """

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        link: RedisLink,
        keys: RedisKeys,
        log: RedisLog,
        epochs: Mapping[tuple[str, int], int],
        version: bytes,
        now_us: int,
    ) -> None:
        self._link = link
        self._keys = keys
        self._log = log
        self._epochs = epochs
        self._seen = RedisSeen(link, keys, now_us)
        self._rows = RowBuffer(link, keys, log, version)
        self._read: dict[tuple[str, str], bytes] = {}
        self._keeps_rows = False
        self._items: dict[str, StoredItem] = {}
        self._labels: dict[int, str] = {}
        self._meta: dict[str, str] = {}
        self._positions: dict[tuple[str, str], dict[int, int]] = {}

    def commit(self) -> None:
        """Write everything.

        Raises:
            WriterFenced: before anything is written, or after rows were that change nothing for the other writer.
            StoreConflict: a row is not as it was read.
        """
        self._advance(check=True)
        self._rows.write()
        self._write_items()
        if self._labels:
            self._link.run([("HSET", self._keys.labels, *(part for pair in self._labels.items() for part in pair))])
        self._log.publish()
        self._advance(check=False)
        if self._meta:  # last: what it says about the rows is true only now
            self._link.run([("HSET", self._keys.meta, *(part for pair in self._meta.items() for part in pair))])

    def _write_items(self) -> None:
        items = list(self._items.values())
        self._log.note(None, [item.item_id for item in items])
        calls = [
            (
                [self._keys.items],
                [part for item in items[begin : begin + _ITEMS] for part in (item.item_id, pack_item(item))],
            )
            for begin in range(0, len(items), _ITEMS)
        ]
        self._link.call(PUT_ITEMS, calls)

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        found = read_positions(self._link, self._keys, topic)
        if ("rewind", topic) in self._positions:
            found = dict(self._positions["rewind", topic])
        for partition, offset in self._positions.get(("advance", topic), {}).items():
            found[partition] = max(offset, found.get(partition, 0))
        return found

    def advance(self, topic: str, positions: Mapping[int, int]) -> None:
        """As the protocol says."""
        pending = self._positions.setdefault(("advance", topic), {})
        for partition, offset in positions.items():
            pending[partition] = max(offset, pending.get(partition, 0))

    def rewind(self, topic: str, positions: Mapping[int, int]) -> None:
        """As the protocol says."""
        self._positions.pop(("advance", topic), None)
        self._positions["rewind", topic] = dict(positions)

    def _advance(self, check: bool) -> None:
        for mode in ("rewind", "advance"):  # an advance comes after the rewind of its topic
            topics = [(topic, positions) for (own, topic), positions in self._positions.items() if own == mode]
            calls = []
            for topic, positions in topics:
                before = read_positions(self._link, self._keys, topic) if mode == "rewind" else {}
                arguments: list[Any] = ["check" if check else mode]
                for partition in before.keys() | positions.keys():
                    epoch = self._epochs.get((topic, partition), "")
                    arguments += [partition, epoch, positions.get(partition, "")]
                calls.append(([self._keys.topic(topic)], arguments))
            for (topic, _), partition in zip(topics, self._link.call(ADVANCE, calls), strict=True):
                if partition >= 0:
                    raise fenced(topic, partition)

    def register(self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]) -> list[bool]:
        """As the protocol says; noted at once, which a second try finds as it was."""
        return self._seen.register(digests, partitions, offsets)

    def forget_seen(self, before_us: int) -> int:
        """As the protocol says: the server forgets by itself."""
        return 0

    def correct(self, digests: Sequence[bytes]) -> None:
        """As the protocol says; noted at once."""
        self._seen.correct(digests)

    def corrected(self, digests: Sequence[bytes]) -> set[bytes]:
        """As the protocol says."""
        return self._seen.corrected(digests)

    def get(self, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """As the protocol says."""
        pending = [self._rows.find(view, key) for key in keys]
        if any(own is not None and own.expected == NOT_NEWER for own in pending):
            self._rows.write()
            pending = [None] * len(keys)
        missing = (
            [] if self._rows.is_dropped(view) else [k for k, own in zip(keys, pending, strict=True) if own is None]
        )
        stored = dict(zip(missing, read_rows(self._link, self._keys, view, missing), strict=True))
        for key, value in stored.items():
            self._read[view, key] = row_version(value)
        rows = [unpack_row(stored.get(key)) if own is None else own.row for key, own in zip(keys, pending, strict=True)]
        return [None if row is None else row.state for row in rows]

    def put(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """As the protocol says."""
        unread = KEPT if self._keeps_rows and not self._rows.is_dropped(view) else ANYTHING
        for key, at_us, state in zip(keys, event_us, states, strict=True):
            version = self._read.get((view, key))
            expected = unread if version is None else as_read(version)
            self._rows.add(view, key, Pending(expected, Row(at_us, state)))
        self._write_early()

    def put_newer(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """As the protocol says."""
        for key, at_us, state in zip(keys, event_us, states, strict=True):
            own = self._rows.find(view, key)
            if own is None or own.row is None:
                self._rows.add(view, key, Pending(NOT_NEWER if own is None else ANYTHING, Row(at_us, state)))
            elif own.row.event_us <= at_us:
                self._rows.add(view, key, Pending(own.expected, Row(at_us, state)))
        self._write_early()

    def _write_early(self) -> None:
        """What is too much to keep: rows of a transaction that ends without its positions are harmless."""
        if self._rows.size > _BUFFER_BYTES:
            self._advance(check=True)
            self._rows.write()

    def delete(self, view: str, keys: Sequence[str]) -> None:
        """As the protocol says."""
        for key in keys:
            self._rows.add(view, key, Pending(ANYTHING, None))

    def delete_entity(self, view: str, first: str) -> int:
        """As the protocol says."""
        self._rows.write()  # so that only the server needs to be asked
        own = join_key(first)
        found = [key for key, _ in read_first(self._link, self._keys, view, own)]
        if read_rows(self._link, self._keys, view, [own]) != [None]:
            found.append(own)
        self.delete(view, found)
        return len(found)

    def put_items(self, items: Iterable[StoredItem]) -> None:
        """As the protocol says."""
        for item in items:
            own = self._items.get(item.item_id)
            if own is None or own.updated_us <= item.updated_us:
                self._items[item.item_id] = item

    def put_labels(self, labels: Mapping[int, str]) -> None:
        """As the protocol says."""
        self._labels |= labels

    def drop_view(self, view: str) -> None:
        """As the protocol says."""
        self._rows.drop(view)

    def foreign_changes(self) -> dict[str, list[str]] | None:
        """As the protocol says."""
        self._keeps_rows = True
        return self._log.foreign_changes()

    def get_meta(self, key: str) -> str | None:
        """As the protocol says."""
        if key in self._meta:
            return self._meta[key]
        (value,) = self._link.run([("HGET", self._keys.meta, key)])
        return None if value is None else value.decode()

    def set_meta(self, key: str, value: str) -> None:
        """As the protocol says."""
        self._meta[key] = value


def read_positions(link: RedisLink, keys: RedisKeys, topic: str) -> dict[int, int]:
    """The next offset to read, by partition."""
    (fields,) = link.run([("HGETALL", keys.topic(topic))])
    return {int(field): int(offset) for field, offset in fields.items() if not field.startswith(b"e")}
