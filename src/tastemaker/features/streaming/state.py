"""The stream executor: rows of features, deduplication and consumer positions, committed together."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import compress
from pathlib import Path
from typing import Final, Self

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.item import encode_item
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import OnlineStore, StoreConflict, StoredItem, StoreTransaction, WriterFenced
from tastemaker.features.stores.view_ages import Progress, ViewAges
from tastemaker.features.streaming.batch import EventBatch
from tastemaker.features.streaming.builds import Builds
from tastemaker.features.streaming.consumed import ConsumedEvent, ConsumedItem, event_digest, once_each
from tastemaker.features.streaming.updates import Change, ViewUpdater
from tastemaker.features.streaming.writing import Writing
from tastemaker.lake.tables import Lake

__all__ = ["ConsumedEvent", "ConsumedItem", "FeatureState", "WriterFenced", "event_digest"]

_CACHE_BYTES: Final = 256 << 20
_FINISHED: Final = Progress(1, 1)


class FeatureState:
    """The online store, as one of its writers sees it.

    Where the store's rows are those of other declarations, opening it begins to build the views that are missing (see
    :meth:`build_step`); all others go on meanwhile, also for readers.

    Args:
        store: where rows are kept.
        plan: the applied declarations.
        cache_bytes: bound on the rows that are kept in memory.
        lake: where events are found again when they are corrected; without it, a correction is an error.
        pause: waits some seconds.
    """

    def __init__(
        self,
        store: OnlineStore,
        plan: FeaturePlan,
        cache_bytes: int = _CACHE_BYTES,
        lake: Lake | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.plan = plan
        self.store = store
        self._lake = lake
        self._writing = Writing(store, plan, cache_bytes, pause)
        self._builds = Builds(plan, self._writing)
        self._own: frozenset[int] | None = None
        self.begin_build()

    @classmethod
    def open(
        cls, location: Path | str, plan: FeaturePlan, cache_bytes: int = _CACHE_BYTES, lake: Lake | None = None
    ) -> Self:
        """Open a store by its location; see :func:`tastemaker.features.stores.opening.open_online_store`."""
        return cls(open_online_store(location), plan, cache_bytes, lake)

    def close(self) -> None:
        """Close the store; everything applied is already committed."""
        self.store.close()

    @property
    def is_empty(self) -> bool:
        """Whether the store is new, or was emptied, and :meth:`bootstrap` did not bring in yet what the lake has."""
        return self._builds.is_empty

    @property
    def building(self) -> bool:
        """Whether some view is being built, so that the lake must have each batch before it is committed."""
        return self._builds.building

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """Take partitions over; whoever had one of them gets WriterFenced at its next write."""
        own = frozenset(partitions)
        self.store.claim(topic, own)
        if topic == names.TOPIC_EVENTS:
            self._own = own

    def positions(self, topic: str) -> dict[int, int]:
        """The next offset to read, by partition."""
        with self._writing.transaction() as tx:
            return tx.positions(topic)

    def apply(
        self,
        records: Sequence[ConsumedEvent],
        positions: Mapping[int, int],
        before_commit: Callable[[list[bool]], None] | None = None,
    ) -> list[bool]:
        """Apply a batch of consumed events: all of it, or on an error none.

        Args:
            records: in the order of the topic's partitions.
            positions: next offset to read by partition, after this batch.
            before_commit: called with the answers when only the commit is left to do; called again when that has to be
                tried again. It has to bring the batch into the lake while :attr:`building`, and for a batch with
                corrections.

        Returns:
            For each record, whether it is the first occurrence of its event id. A record that was applied before
            (same partition and offset) gets the answer of the first time and changes nothing.

        Raises:
            WriterFenced: another writer has taken over, or begun to build for other declarations.
            StoreConflict: others changed the same rows again and again.
            DataError: a correction or a build needs the lake, and there is none.
        """
        return self._writing.again(lambda: self._apply(records, positions, before_commit))

    def _apply(
        self,
        records: Sequence[ConsumedEvent],
        positions: Mapping[int, int],
        before_commit: Callable[[list[bool]], None] | None,
    ) -> list[bool]:
        digests = [event_digest(record.event.event_id) for record in records]
        changes: list[tuple[ViewUpdater, Change]] = []
        redone: Mapping[str, list[str]] = {}
        with self._writing.transaction() as tx:
            ages = self._builds.ages(tx)
            if ages.building and before_commit is None:
                raise DataError(
                    "views are being built: give apply() a before_commit that brings the batch into the lake"
                )
            answers = tx.register(
                digests, [record.partition for record in records], [record.offset for record in records]
            )
            corrected_ids = [
                record.event.corrects for record in compress(records, answers) if record.event.corrects is not None
            ]
            if corrected_ids:
                tx.correct([event_digest(event_id) for event_id in corrected_ids])
            corrected = tx.corrected(digests)
            batch = EventBatch(
                once_each(
                    record
                    for record, digest, first in zip(records, digests, answers, strict=True)
                    if first and digest not in corrected
                )
            )
            new = _all_new(records, tx.positions(names.TOPIC_EVENTS))
            for updater in self._writing.updaters if len(batch) else []:
                progress = ages.unfinished.get(updater.view.signature)
                if progress is not None and not progress.done:
                    continue
                change = updater.update(tx, batch, None if progress is None else progress.includes, new=new)
                if change is not None:
                    changes.append((updater, change))
            self._writing.fold(tx)
            tx.advance(names.TOPIC_EVENTS, positions)
            if before_commit is not None:
                before_commit(answers)
            if corrected_ids:
                redone = self._redo(tx, ages, corrected_ids)
        for updater, change in changes:
            updater.committed(change)
        for view, keys in redone.items():
            self._writing.cache.drop(view, keys)
        return answers

    def _redo(self, tx: StoreTransaction, ages: ViewAges, event_ids: Sequence[str]) -> dict[str, list[str]]:
        from tastemaker.features.bootstrap.lake_rebuild import BUILD_MEMORY, covered_offsets, redo_rows

        if self._lake is None:
            raise DataError(
                f"event {event_ids[0]!r} is corrected, and what it changed is found in the lake: open the state with it"
            )
        views = [
            (updater.view, ages.unfinished.get(updater.view.signature, _FINISHED)) for updater in self._writing.updaters
        ]
        upto = covered_offsets(tx, self._lake, self._own)
        with self._lake.connect(BUILD_MEMORY) as duck:
            return redo_rows(duck, tx, views, event_ids, upto)

    def apply_items(self, records: Iterable[ConsumedItem], positions: Mapping[int, int]) -> None:
        """Apply a batch of items; an older version never replaces a newer one.

        Raises:
            WriterFenced: another writer has taken over, or begun to build for other declarations.
        """
        items = [
            StoredItem(record.item_id, record.updated_us, None if record.item is None else encode_item(record.item))
            for record in records
        ]

        def write() -> None:
            with self._writing.transaction() as tx:
                self._builds.ages(tx)
                tx.put_items(items)
                tx.advance(names.TOPIC_ITEMS, positions)

        self._writing.again(write)

    def prune(self, before_us: int) -> int:
        """Forget event ids that were first seen before a moment of the wall clock; returns how many.

        A duplicate of one of them counts again if it comes later than that.
        """
        with self._writing.transaction() as tx:
            return tx.forget_seen(before_us)

    def fold(self) -> None:
        """Make rows one state each whose tails are beside them still, as more events would; takes seconds."""
        with self._writing.transaction() as tx:
            self._writing.fold(tx, everything=True)

    def bootstrap(self, lake: Lake, progress: Callable[[float], None] | None = None) -> None:
        """Build the whole state from the lake, in one transaction; readers see the old state until it commits.

        Positions become those that the lake has committed. Rows of views whose declaration changed stay, as
        :class:`~tastemaker.features.stores.view_ages.ViewAges` says.

        Args:
            lake: nobody else writes to it meanwhile.
            progress: called with the share that is done, from 0 to 1.
        """
        self._builds.bootstrap(lake, progress)

    def check(self) -> None:
        """Look whether the store still follows the same declarations; while it is away, nobody can tell.

        Raises:
            WriterFenced: other declarations were applied, or somebody asked for views to be built anew.
        """
        with suppress(StoreConflict), self._writing.transaction() as tx:
            self._builds.ages(tx)

    def begin_build(self, anew: Collection[str] = ()) -> bool:
        """Note which views have to be built because the declarations changed.

        Nothing happens when none has; a new store has all views, without rows.

        Args:
            anew: names of views to build although they are complete; their rows are readable meanwhile.

        Returns:
            Whether some are being built.
        """
        return self._builds.begin(anew)

    def build_step(self, lake: Lake) -> float:
        """Build one more bucket of keys of a view from the lake.

        Meanwhile live events go to the rows of finished buckets only; the others are in the lake by the time that
        their bucket is built, because :meth:`apply` has them brought there first. What is finished is kept with the
        rows, so that a build that was interrupted goes on where it was.

        Args:
            lake: with everything that was applied since the build began; where it is not there yet, nothing is done.

        Returns:
            The share that is done, from 0 to 1; 1 when nothing is left to do.
        """
        return self._builds.step(lake, self._own)


def _all_new(records: Sequence[ConsumedEvent], positions: Mapping[int, int]) -> bool:
    """Whether no row can hold any of the records, as positions are those of the last transaction that wrote rows."""
    following = positions.get
    return all(record.offset >= following(record.partition, record.offset + 1) for record in records)
