"""What the platform needs of an online store; SQLite, Redis and memory pass one contract suite.

A row is the packed state of one entity in one view, under the view's signature (``name@hash``) and the entity's key
(:mod:`tastemaker.features.keys`). Rows of different declarations of a view never meet, because their signatures differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tastemaker.errors import TastemakerError

__all__ = [
    "Changes",
    "GlancingReader",
    "OnlineStore",
    "PackedReader",
    "PackedStates",
    "Row",
    "StoreConflict",
    "StoreReader",
    "StoreTransaction",
    "StoreUnavailable",
    "StoredItem",
    "ViewSize",
    "WriterFenced",
]


class WriterFenced(TastemakerError):
    """Another worker has claimed a partition since; this one must stop working on it."""


class StoreConflict(TastemakerError):
    """Another worker changed a row that this transaction read; nothing of the transaction counts, so do it again.

    A store without transactions over many rows may have written some of the rows all the same. That is harmless:
    each row knows the offsets that it holds, so doing the batch again changes those rows no more.
    """


class StoreUnavailable(StoreConflict):
    """The store cannot be reached; the transaction may be done again later, as after any conflict."""


class Row(NamedTuple):
    """A row as it is stored: the time of the entity's newest event or table row, and the packed state.

    Of a view over events, several states may stand one after the other (:mod:`tastemaker.features.layout`).
    """

    event_us: int
    state: bytes


class PackedStates(NamedTuple):
    """The states of many rows, one after the other.

    Attributes:
        words: int64 ``[words]``: all of them.
        offsets: int64 ``[n + 1]``: where each begins, in words; a row that is not there has none.
    """

    words: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


class StoredItem(NamedTuple):
    """A version of an item: its JSON, or None when it was removed."""

    item_id: str
    updated_us: int
    item: bytes | None


class ViewSize(NamedTuple):
    """How many rows a view has, and the time of the newest event or table row of any; None without rows."""

    rows: int
    newest_us: int | None


class Changes(NamedTuple):
    """What changed after a revision.

    Attributes:
        rev: the revision that this is as of; asking again with it gives what follows.
        keys: the keys; None when the store no longer knows, so that everything must be read again.
    """

    rev: int
    keys: list[str] | None


class StoreTransaction(Protocol):
    """Reads and writes that take effect together when the ``with`` block ends, or not at all (see StoreConflict)."""

    def positions(self, topic: str) -> dict[int, int]:
        """The next offset to read, by partition."""
        ...

    def advance(self, topic: str, positions: Mapping[int, int]) -> None:
        """Move positions forward; one that is behind the stored one changes nothing."""
        ...

    def rewind(self, topic: str, positions: Mapping[int, int]) -> None:
        """Set the positions of a topic, whatever they were: those of a state that was rebuilt from the lake."""
        ...

    def register(self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]) -> list[bool]:
        """Note where events were first seen.

        Args:
            digests: 16 bytes per event id; the batch may hold one twice.
            partitions: where each came from.
            offsets: likewise.

        Returns:
            For each, whether this place is (or was) the first at which its event id was seen.
        """
        ...

    def forget_seen(self, before_us: int) -> int:
        """Drop event ids that were registered before a moment of the wall clock (microseconds); returns how many.

        A store that drops them by itself after a time (Redis) does nothing here.
        """
        ...

    def correct(self, digests: Sequence[bytes]) -> None:
        """Note event ids that a later event replaces."""
        ...

    def corrected(self, digests: Sequence[bytes]) -> set[bytes]:
        """Which of these event ids are replaced."""
        ...

    def get(self, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The packed states of some rows, in order; None where there is none."""
        ...

    def put(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """Write rows, whatever was there; the writer has read and merged what was.

        A row that the transaction has read must be as it was read, else the store raises StoreConflict. So must a row
        that it has not read, when it has asked for :meth:`foreign_changes`: the writer keeps such a row since it wrote
        it last. A transaction that did neither replaces what it finds.
        """
        ...

    def put_newer(self, view: str, keys: Sequence[str], event_us: Sequence[int], states: Sequence[bytes]) -> None:
        """Write rows that are not older than what is there: an older row never replaces a newer one."""
        ...

    def delete(self, view: str, keys: Sequence[str]) -> None:
        """Delete rows."""
        ...

    def delete_entity(self, view: str, first: str) -> int:
        """Delete the row of one id, and all rows whose key begins with it; returns how many there were."""
        ...

    def put_items(self, items: Iterable[StoredItem]) -> None:
        """Write items; an older version never replaces a newer one."""
        ...

    def put_labels(self, labels: Mapping[int, str]) -> None:
        """Note the texts of label numbers (:func:`tastemaker.features.layout.label_number`)."""
        ...

    def drop_view(self, view: str) -> None:
        """Delete all rows of a view."""
        ...

    def foreign_changes(self) -> dict[str, list[str]] | None:
        """Keys, by view, of the rows that others changed since this writer's last commit.

        A writer that keeps decoded rows drops these, and all of them for None: the store cannot tell, or this is the
        writer's first transaction. It also drops all of them after a transaction that failed. Ask before anything
        is written; see :meth:`put` for what asking promises.
        """
        ...

    def get_meta(self, key: str) -> str | None:
        """One text of the store's metadata."""
        ...

    def set_meta(self, key: str, value: str) -> None:
        """Set one."""
        ...


class StoreReader(Protocol):
    """Reads committed rows; safe beside writers in other processes and from several threads."""

    def rows(self, view: str, keys: Sequence[str]) -> list[Row | None]:
        """Some rows, in order, as of one moment where the store can do that."""
        ...

    def scan(self, view: str, first: str) -> list[tuple[str, Row]]:
        """All rows whose key has several ids and begins with this one, sorted by key; keys as they are stored."""
        ...

    def all_rows(self, view: str) -> Iterable[tuple[str, Row]]:
        """Every row of a view, in no order."""
        ...

    def size(self, view: str) -> ViewSize:
        """How many rows a view has, and how new the newest is; may take a second for each few million rows."""
        ...

    def labels(self, numbers: Sequence[int]) -> dict[int, str]:
        """The texts of those label numbers that are known."""
        ...

    def changes(self, view: str, since_rev: int) -> Changes:
        """Keys of rows that were written or deleted after a revision; 0 gives ``keys=None``: read everything."""
        ...

    def items_changed(self, since_rev: int) -> tuple[int, list[StoredItem]]:
        """Items that changed after a revision (0: all, removed ones included), and the revision that this is as of."""
        ...

    def positions(self, topic: str) -> dict[int, int]:
        """The committed next offset, by partition."""
        ...

    def get_meta(self, key: str) -> str | None:
        """One text of the store's metadata."""
        ...

    def close(self) -> None:
        """Release this thread's connection."""
        ...


@runtime_checkable
class PackedReader(Protocol):
    """A reader that has a shorter way from its rows to arrays; others are asked for :meth:`StoreReader.rows`."""

    def packed_states(self, view: str, keys: Sequence[str]) -> PackedStates | None:
        """The states of some rows, of an aggregate view; None where the reader cannot, so that rows have to do."""
        ...


@runtime_checkable
class GlancingReader(Protocol):
    """A reader that gets all that is known of somebody in one look: one snapshot, or one trip to a server."""

    def glance(
        self, rows: Sequence[tuple[str, str]], scans: Sequence[tuple[str, str]]
    ) -> tuple[list[Row | None], list[list[tuple[str, Row]]]]:
        """What :meth:`StoreReader.rows` says of each view and key, and :meth:`StoreReader.scan` of each view and id."""
        ...


class OnlineStore(Protocol):
    """A store, for writing; ``tastemaker.features.stores.opening`` makes one from its location."""

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """Take over partitions of a topic.

        Whoever claimed one before is fenced: its next transaction that advances that partition raises WriterFenced
        and leaves nothing behind.
        """
        ...

    def transaction(self) -> AbstractContextManager[StoreTransaction]:
        """Begin.

        Raises (when the block ends, or within it):
            WriterFenced: a partition that the transaction advances was claimed by another writer.
            StoreConflict: do the transaction again.
        """
        ...

    def reader(self) -> StoreReader:
        """A reader of the same rows."""
        ...

    def close(self) -> None:
        """Release connections; everything committed stays."""
        ...
