"""A write transaction on an online store in memory: what it changes is kept beside, and moved over when it ends."""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from tastemaker.features.keys import join_key, prefix_range
from tastemaker.features.stores.claims import check_claims
from tastemaker.features.stores.memory_data import MemoryData, Seen
from tastemaker.features.stores.protocol import Row, StoredItem

__all__ = ["MemoryTransaction"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class MemoryTransaction:
    """A :class:`~tastemaker.features.stores.protocol.StoreTransaction`; the store holds the lock and commits it.

    Args:
        data: of the store.
        epochs: the writer's claims, by topic and partition.
        last_rev: the revision after the writer's last commit, if it had one.
        now_us: the wall clock.
    """

    def __init__(
        self, data: MemoryData, epochs: Mapping[tuple[str, int], int], last_rev: int | None, now_us: int
    ) -> None:
        self._data = data
        self._epochs = epochs
        self._last_rev = last_rev
        self._now_us = now_us
        self._rows: dict[str, dict[str, Row | None]] = {}
        self._dropped: set[str] = set()
        self._items: dict[str, StoredItem] = {}
        self._labels: dict[int, str] = {}
        self._meta: dict[str, str] = {}
        self._positions: dict[tuple[str, int], int | None] = {}
        self._seen: dict[bytes, Seen] = {}
        self._corrections: dict[bytes, int] = {}
        self._forget_before: int | None = None

    def commit(self) -> None:
        """Move the changes into the store; the caller holds both locks."""
        data = self._data
        if self._rows or self._dropped or self._items:
            data.rev += 1
        for view in self._dropped:
            data.rows.pop(view, None)
            data.note(view, None)
        for view, changed in self._rows.items():
            _move(changed, data.rows.setdefault(view, {}))
            data.note(view, list(changed))
        data.items |= self._items
        data.note(None, list(self._items))
        data.labels |= self._labels
        data.meta |= self._meta
        _move(self._positions, data.positions)
        data.seen |= self._seen
        data.corrections |= self._corrections
        if self._forget_before is not None:
            data.seen = {d: seen for d, seen in data.seen.items() if seen.registered_us >= self._forget_before}
            data.corrections = {d: at for d, at in data.corrections.items() if at >= self._forget_before}

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        return {
            partition: offset
            for (name, partition), offset in (self._data.positions | self._positions).items()
            if name == topic and offset is not None
        }

    def advance(self, topic: str, positions: Mapping[int, int]) -> None:
        """As the protocol says."""
        self._check_claims(topic, positions)
        stored = self.positions(topic)
        for partition, offset in positions.items():
            self._positions[topic, partition] = max(offset, stored.get(partition, 0))

    def rewind(self, topic: str, positions: Mapping[int, int]) -> None:
        """As the protocol says."""
        before = self.positions(topic)
        self._check_claims(topic, before.keys() | positions.keys())
        for partition in before.keys() | positions.keys():
            self._positions[topic, partition] = positions.get(partition)

    def _check_claims(self, topic: str, partitions: Iterable[int]) -> None:
        claims = {partition: epoch for (name, partition), epoch in self._data.claims.items() if name == topic}
        check_claims(topic, partitions, claims, self._epochs)

    def register(self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]) -> list[bool]:
        """As the protocol says."""
        answers = []
        for digest, partition, offset in zip(digests, partitions, offsets, strict=True):
            first = self._seen.get(digest) or self._data.seen.get(digest)
            if first is None:
                first = self._seen[digest] = Seen(partition, offset, self._now_us)
            answers.append(first[:2] == (partition, offset))
        return answers

    def forget_seen(self, before_us: int) -> int:
        """As the protocol says."""
        self._forget_before = max(before_us, self._forget_before or before_us)
        return sum(seen.registered_us < before_us for seen in (self._data.seen | self._seen).values())

    def correct(self, digests: Sequence[bytes]) -> None:
        """As the protocol says."""
        self._corrections |= dict.fromkeys(digests, self._now_us)

    def corrected(self, digests: Sequence[bytes]) -> set[bytes]:
        """As the protocol says."""
        return {digest for digest in digests if digest in self._corrections or digest in self._data.corrections}

    def get(self, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """As the protocol says."""
        rows = self._of(view)
        return [row and row.state for row in map(rows.get, keys)]

    def _of(self, view: str) -> Mapping[str, Row | None]:
        stored = {} if view in self._dropped else self._data.rows.get(view, {})
        own: dict[str, Row | None] = self._rows.get(view, {})
        return ChainMap(own, stored)  # type: ignore[arg-type]  # nothing is written through it

    def put(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """As the protocol says."""
        for key, at_us, state in zip(keys, event_us, states, strict=True):
            self._rows.setdefault(view, {})[key] = Row(at_us, state)

    def put_newer(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """As the protocol says."""
        for key, at_us, state in zip(keys, event_us, states, strict=True):
            stored = self._of(view).get(key)
            if stored is None or stored.event_us <= at_us:
                self._rows.setdefault(view, {})[key] = Row(at_us, state)

    def delete(self, view: str, keys: Sequence[str]) -> None:
        """As the protocol says."""
        self._rows.setdefault(view, {}).update(dict.fromkeys(keys))

    def delete_entity(self, view: str, first: str) -> int:
        """As the protocol says."""
        start, end = prefix_range(first)
        found = [key for key, row in self._of(view).items() if row and (key == join_key(first) or start <= key < end)]
        self.delete(view, found)
        return len(found)

    def put_items(self, items: Iterable[StoredItem]) -> None:
        """As the protocol says."""
        for item in items:
            stored = self._items.get(item.item_id) or self._data.items.get(item.item_id)
            if stored is None or stored.updated_us <= item.updated_us:
                self._items[item.item_id] = item

    def put_labels(self, labels: Mapping[int, str]) -> None:
        """As the protocol says."""
        self._labels |= labels

    def drop_view(self, view: str) -> None:
        """As the protocol says."""
        self._dropped.add(view)
        self._rows.pop(view, None)

    def foreign_changes(self) -> dict[str, list[str]] | None:
        """As the protocol says."""
        if self._last_rev is None:
            return None
        if self._last_rev == self._data.rev:
            return {}
        found = {
            view: self._data.changed_since(view, self._last_rev) for view in self._data.changed if view is not None
        }
        if any(keys is None for keys in found.values()):
            return None
        return {view: keys for view, keys in found.items() if keys}

    def get_meta(self, key: str) -> str | None:
        """As the protocol says."""
        return self._meta.get(key, self._data.meta.get(key))

    def set_meta(self, key: str, value: str) -> None:
        """As the protocol says."""
        self._meta[key] = value


def _move(changed: Mapping[_Key, _Value | None], stored: dict[_Key, _Value]) -> None:
    for key, value in changed.items():
        if value is None:
            stored.pop(key, None)
        else:
            stored[key] = value
