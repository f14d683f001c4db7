"""The stream executor: feature state, deduplication and consumer positions, committed together."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.errors import DataError, TastemakerError
from tastemaker.events.contract import Event
from tastemaker.events.item import Item, encode_item
from tastemaker.features import database
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.semantics import to_micros
from tastemaker.features.updates import Moment, ViewUpdater, updater_of
from tastemaker.lake.tables import Lake

__all__ = ["ConsumedEvent", "ConsumedItem", "FeatureState", "WriterFenced", "event_digest"]


class WriterFenced(TastemakerError):
    """Another writer has opened the online store since; this one must stop."""


class ConsumedEvent(NamedTuple):
    """An event and where in the events topic it came from."""

    event: Event
    partition: int
    offset: int


class ConsumedItem(NamedTuple):
    """An item, or None for its tombstone; when it was updated, and where in the items topic it came from."""

    item_id: str
    item: Item | None
    updated_us: int
    partition: int
    offset: int


def event_digest(event_id: str) -> bytes:
    """What is remembered of an event id: 16 bytes, the same that ``unhex(md5(event_id))`` gives in DuckDB."""
    return hashlib.md5(event_id.encode(), usedforsecurity=False).digest()


class FeatureState:
    """The online store, as its one writer sees it.

    Opening it takes over: a writer that opened it before gets :class:`WriterFenced` at its next write, so that a
    worker that was thought dead cannot count anything twice.

    Args:
        location: the SQLite file, or a location in memory.
        plan: the applied declarations.
        cached_entities: how many entities' decoded states each view keeps in memory.
    """

    def __init__(self, location: Path | str, plan: FeaturePlan, cached_entities: int = 50_000) -> None:
        self.plan = plan
        self._connection = database.connect_writer(location)
        self._lock = threading.Lock()
        self._updaters: list[ViewUpdater] = [
            updater_of(view, cached_entities) for view in plan.views if view.kind != "batch"
        ]
        with database.transaction(self._connection):
            if database.get_meta(self._connection, "state_hash") is None:
                self._set_plan()
            self._epoch = int(database.get_meta(self._connection, "epoch") or 0) + 1
            self._set_meta("epoch", self._epoch)

    @classmethod
    def open(cls, path: Path | str, plan: FeaturePlan, cached_entities: int = 50_000) -> Self:
        """Open the store for writing, and fence whoever wrote to it before."""
        return cls(path, plan, cached_entities)

    def close(self) -> None:
        """Close the file; everything applied is already committed."""
        self._connection.close()

    @property
    def is_stale(self) -> bool:
        """Whether the state was built for other declarations, so that :meth:`bootstrap` must come first."""
        return database.get_meta(self._connection, "state_hash") != self.plan.state_hash

    def positions(self, topic: str) -> dict[int, int]:
        """The next offset to read, by partition."""
        with self._lock:
            rows = self._connection.execute("SELECT partition, next_offset FROM positions WHERE topic = ?", (topic,))
            return dict(rows.fetchall())

    def apply(self, records: Sequence[ConsumedEvent], positions: Mapping[int, int]) -> list[bool]:
        """Apply a batch of consumed events: all of it, or on an error none.

        Args:
            records: in the order of the topic's partitions.
            positions: next offset to read by partition, after this batch.

        Returns:
            For each record, whether it is the first occurrence of its event id. A record that was applied before
            (same partition and offset) gets the answer of the first time and changes nothing.

        Raises:
            WriterFenced: another writer has taken over.
            DataError: the declarations have changed since the state was built.
        """
        with self._writing() as rev:
            committed = self._committed(names.TOPIC_EVENTS)
            answers = [self._is_first(record, committed) for record in records]
            fresh = [
                _moment(record.event)
                for record, first in zip(records, answers, strict=True)
                if first and record.offset >= committed.get(record.partition, 0)
            ]
            if fresh:
                for updater in self._updaters:
                    updater.update(self._connection, fresh, rev)
            self._advance(names.TOPIC_EVENTS, positions)
        return answers

    def apply_items(self, records: Iterable[ConsumedItem], positions: Mapping[int, int]) -> None:
        """Apply a batch of items; an older version never replaces a newer one.

        Raises:
            WriterFenced: another writer has taken over.
            DataError: the declarations have changed since the state was built.
        """
        with self._writing() as rev:
            committed = self._committed(names.TOPIC_ITEMS)
            self._connection.executemany(
                "INSERT INTO items VALUES (?, ?, ?, ?) ON CONFLICT (item_id) DO UPDATE SET"
                " updated_us = excluded.updated_us, rev = excluded.rev, item = excluded.item"
                " WHERE excluded.updated_us >= items.updated_us",
                [
                    (record.item_id, record.updated_us, rev, None if record.item is None else encode_item(record.item))
                    for record in records
                    if record.offset >= committed.get(record.partition, 0)
                ],
            )
            self._advance(names.TOPIC_ITEMS, positions)

    def bootstrap(self, lake: Lake) -> None:
        """Build the whole state from the lake, in one transaction; readers see the old state until it commits.

        Rows of views whose declaration changed stay for the releases that read them; see
        :func:`tastemaker.features.database.known_views`.

        Positions become those that the lake has committed.

        Raises:
            WriterFenced: another writer has taken over.
        """
        from tastemaker.features.bootstrap import build_state, lake_positions

        with self._writing(check_plan=False) as rev:
            if self.is_stale:
                ages = database.known_views(self._connection)
                replaced = {view for view, age in ages.items() if age == "current"}
                former = replaced - {view.signature for view in self.plan.views}
                self._set_meta("former_views", "\n".join(sorted(former)))
                self._connection.executemany(
                    "DELETE FROM online WHERE view = ?", [(v,) for v in ages.keys() - replaced]
                )
            build_state(self._connection, self.plan, lake, rev)
            self._connection.execute("DELETE FROM positions")
            for topic, table in ((names.TOPIC_EVENTS, names.TABLE_EVENTS), (names.TOPIC_ITEMS, names.TABLE_ITEMS)):
                self._advance(topic, lake_positions(lake, topic, table))
            self._set_plan()
            self._forget()

    @contextmanager
    def _writing(self, check_plan: bool = True) -> Iterator[int]:
        """One write transaction under the lock, fenced; gives its revision."""
        with self._lock:
            try:
                with database.transaction(self._connection):
                    epoch = database.get_meta(self._connection, "epoch")
                    if epoch != self._epoch:
                        raise WriterFenced(
                            f"another writer opened the online store (epoch {epoch}, this one is {self._epoch});"
                            " stop this worker, the other one goes on from the same positions"
                        )
                    if check_plan and self.is_stale:
                        raise DataError(
                            "the online store was built for other feature declarations; rebuild it from the lake"
                        )
                    yield database.next_rev(self._connection)
            except BaseException:
                self._forget()  # decoded states may hold what was rolled back
                raise

    def _forget(self) -> None:
        for updater in self._updaters:
            updater.forget()

    def _committed(self, topic: str) -> dict[int, int]:
        return dict(
            self._connection.execute(
                "SELECT partition, next_offset FROM positions WHERE topic = ?", (topic,)
            ).fetchall()
        )

    def _is_first(self, record: ConsumedEvent, committed: Mapping[int, int]) -> bool:
        digest = event_digest(record.event.event_id)
        if record.offset >= committed.get(record.partition, 0):
            added = self._connection.execute(
                "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, record.partition, record.offset)
            )
            return added.rowcount == 1
        first = self._connection.execute("SELECT partition, position FROM seen WHERE digest = ?", (digest,)).fetchone()
        return bool(first == (record.partition, record.offset))

    def _advance(self, topic: str, positions: Mapping[int, int]) -> None:
        self._connection.executemany(
            "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " next_offset = max(next_offset, excluded.next_offset)",
            [(topic, partition, offset) for partition, offset in positions.items()],
        )

    def _set_plan(self) -> None:
        self._set_meta("state_hash", self.plan.state_hash)
        self._set_meta("current_views", "\n".join(view.signature for view in self.plan.views))

    def _set_meta(self, key: str, value: int | str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _moment(event: Event) -> Moment:
    return Moment(event, to_us(event.occurred_at), None if event.value is None else to_micros(event.value))
