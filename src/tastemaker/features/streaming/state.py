"""The stream executor: rows of features, deduplication and consumer positions, committed together."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import compress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.item import Item, encode_item
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import (
    OnlineStore,
    StoreConflict,
    StoredItem,
    StoreTransaction,
    StoreUnavailable,
    WriterFenced,
)
from tastemaker.features.stores.view_ages import Progress, ViewAges, read_ages
from tastemaker.features.streaming.batch import ConsumedEvent, EventBatch, event_digest
from tastemaker.features.streaming.row_cache import RowCache
from tastemaker.features.streaming.updates import Change, ViewUpdater
from tastemaker.lake.tables import Lake

__all__ = ["ConsumedEvent", "ConsumedItem", "FeatureState", "WriterFenced", "event_digest"]

T = TypeVar("T")
_CACHE_BYTES: Final = 256 << 20
# After a conflict: 40 tries take a quarter of a minute.
_TRIES: Final = 40
_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5
_BUCKETS: Final = 64
_FINISHED: Final = Progress(1, 1)
# Set by a store that was emptied because it was of another format.
_REBUILD: Final = "rebuild"
_BUCKET_EVENTS: Final = 250_000


class ConsumedItem(NamedTuple):
    """An item, or None for its tombstone; when it was updated, and where in the items topic it came from."""

    item_id: str
    item: Item | None
    updated_us: int
    partition: int
    offset: int


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
        self._pause = pause
        self._lock = threading.RLock()
        self._cache = RowCache(cache_bytes)
        self._wanted = tuple(view.signature for view in plan.views)
        self._updaters = [ViewUpdater(view, self._cache) for view in plan.views if view.kind != "batch"]
        self._own: frozenset[int] | None = None
        self._building = False
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
        with self._transaction() as tx:
            return bool(tx.get_meta(_REBUILD))

    @property
    def building(self) -> bool:
        """Whether some view is being built, so that the lake must have each batch before it is committed."""
        return self._building

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """Take partitions over; whoever had one of them gets WriterFenced at its next write."""
        own = frozenset(partitions)
        self.store.claim(topic, own)
        if topic == names.TOPIC_EVENTS:
            self._own = own

    def positions(self, topic: str) -> dict[int, int]:
        """The next offset to read, by partition."""
        with self._transaction() as tx:
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
        return self._again(lambda: self._apply(records, positions, before_commit))

    def _apply(
        self,
        records: Sequence[ConsumedEvent],
        positions: Mapping[int, int],
        before_commit: Callable[[list[bool]], None] | None,
    ) -> list[bool]:
        digests = [event_digest(record.event.event_id) for record in records]
        changes: list[tuple[ViewUpdater, Change]] = []
        redone: Mapping[str, list[str]] = {}
        with self._transaction() as tx:
            ages = self._ages(tx)
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
                _once(
                    record
                    for record, digest, first in zip(records, digests, answers, strict=True)
                    if first and digest not in corrected
                )
            )
            for updater in self._updaters if len(batch) else []:
                progress = ages.unfinished.get(updater.view.signature)
                if progress is not None and not progress.done:
                    continue
                change = updater.update(tx, batch, None if progress is None else progress.includes)
                if change is not None:
                    changes.append((updater, change))
            tx.advance(names.TOPIC_EVENTS, positions)
            if before_commit is not None:
                before_commit(answers)
            if corrected_ids:
                redone = self._redo(tx, ages, corrected_ids)
        for updater, change in changes:
            updater.committed(change)
        for view, keys in redone.items():
            self._cache.drop(view, keys)
        return answers

    def _redo(self, tx: StoreTransaction, ages: ViewAges, event_ids: Sequence[str]) -> dict[str, list[str]]:
        from tastemaker.features.bootstrap.lake_rebuild import BUILD_MEMORY, covered_offsets, redo_rows

        if self._lake is None:
            raise DataError(
                f"event {event_ids[0]!r} is corrected, and what it changed is found in the lake: open the state with it"
            )
        views = [(updater.view, ages.unfinished.get(updater.view.signature, _FINISHED)) for updater in self._updaters]
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
            with self._transaction() as tx:
                self._ages(tx)
                tx.put_items(items)
                tx.advance(names.TOPIC_ITEMS, positions)

        self._again(write)

    def prune(self, before_us: int) -> int:
        """Forget event ids that were first seen before a moment of the wall clock; returns how many.

        A duplicate of one of them counts again if it comes later than that.
        """
        with self._transaction() as tx:
            return tx.forget_seen(before_us)

    def bootstrap(self, lake: Lake, progress: Callable[[float], None] | None = None) -> None:
        """Build the whole state from the lake, in one transaction; readers see the old state until it commits.

        Positions become those that the lake has committed. Rows of views whose declaration changed stay, as
        :class:`~tastemaker.features.stores.view_ages.ViewAges` says.

        Args:
            lake: nobody else writes to it meanwhile.
            progress: called with the share that is done, from 0 to 1.
        """
        from tastemaker.features.bootstrap.lake_rebuild import write_all
        from tastemaker.features.bootstrap.states import lake_positions

        topics = ((names.TOPIC_EVENTS, names.TABLE_EVENTS), (names.TOPIC_ITEMS, names.TABLE_ITEMS))
        at = {topic: lake_positions(lake, topic, table) for topic, table in topics}
        with self._transaction() as tx, lake.connect() as duck:
            before = read_ages(tx) or ViewAges(())
            former = [view for view in before.changed_to(self._wanted).former if view not in self._wanted]
            for view in before.known - {*former, *self._wanted}:
                tx.drop_view(view)
            for share in write_all(duck, tx, self.plan):
                if progress is not None:
                    progress(share)
            for topic, reached in at.items():
                tx.rewind(topic, reached)
            ViewAges(self._wanted, tuple(former)).write(tx)
            tx.set_meta(_REBUILD, "")
        self._forget()
        self._building = False

    def check(self) -> None:
        """Look whether the store still follows the same declarations; while it is away, nobody can tell.

        Raises:
            WriterFenced: other declarations were applied, or somebody asked for views to be built anew.
        """
        with suppress(StoreConflict), self._transaction() as tx:
            self._ages(tx)

    def begin_build(self, anew: Collection[str] = ()) -> bool:
        """Note which views have to be built because the declarations changed.

        Nothing happens when none has; a new store has all views, without rows.

        Args:
            anew: names of views to build although they are complete; their rows are readable meanwhile.

        Returns:
            Whether some are being built.
        """
        with self._transaction() as tx:
            before = read_ages(tx)
            if before is None:
                after = ViewAges(self._wanted)
                tx.set_meta(_REBUILD, tx.get_meta(_REBUILD) or "new")
            else:
                again = [view.signature for view in self.plan.views if view.name in anew]
                after = before.changed_to(self._wanted).anew(again)
                for view in before.known - after.known:
                    tx.drop_view(view)
            if after != before:
                after.write(tx)
        self._building = bool(after.building)
        return self._building

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
        from tastemaker.features.bootstrap.lake_rebuild import BUILD_MEMORY, LakeBehind, covered_offsets, write_rows

        share = 0.0
        try:
            with self._transaction() as tx:
                ages = self._ages(tx)
                if not ages.building:
                    return 1.0
                share = self._share(ages)
                signature, progress = next(iter(ages.building.items()))
                view = next(view for view in self.plan.views if view.signature == signature)
                upto = covered_offsets(tx, lake, self._own)
                with lake.connect(BUILD_MEMORY) as duck, ExitStack() as opened:
                    anew = signature in ages.former
                    replaced = opened.enter_context(closing(self.store.reader())) if anew else None
                    of = progress.of or _buckets(duck, view)
                    write_rows(duck, tx, view, (progress.done, of), upto=upto, replaced=replaced)
                ages = ages.advanced(signature, Progress(progress.done + 1, of))
                ages.write(tx)
        except (StoreConflict, LakeBehind) as error:
            if isinstance(error, StoreUnavailable):
                raise
            return share
        self._building = bool(ages.building)
        return self._share(ages)

    def _share(self, ages: ViewAges) -> float:
        """How much is built, each of the plan's views counting as one."""
        undone = sum(1 - progress.done / (progress.of or 1) for progress in ages.unfinished.values())
        return 1 - undone / len(self._wanted)

    def _ages(self, tx: StoreTransaction) -> ViewAges:
        """The views as the store knows them."""
        ages = read_ages(tx)
        if ages is None or ages.live != frozenset(self._wanted):
            raise WriterFenced(
                "the online store follows other feature declarations by now; start again with the applied ones"
            )
        if ages.building and not self._building:  # the rows that are kept in memory are about to be replaced
            raise WriterFenced("views are to be built anew; start again, and go on with the build")
        self._building = bool(ages.building)
        return ages

    @contextmanager
    def _transaction(self) -> Iterator[StoreTransaction]:
        with self._lock, self.store.transaction() as tx:
            changed = tx.foreign_changes()
            if changed is None:
                self._forget()
            else:
                for view, keys in changed.items():
                    self._cache.drop(view, keys)
            yield tx

    def _again(self, write: Callable[[], T]) -> T:
        """Do a transaction again while it conflicts with others."""
        from tastemaker.features.bootstrap.lake_rebuild import LakeBehind

        pause_s = _PAUSE_S
        for remaining in reversed(range(_TRIES)):
            try:
                return write()
            except StoreUnavailable:
                raise
            except StoreConflict as conflict:
                if not remaining:
                    if isinstance(conflict, LakeBehind):
                        raise WriterFenced(f"{conflict}; start again") from conflict
                    raise
            self._pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        raise AssertionError

    def _forget(self) -> None:
        self._cache.clear()
        for updater in self._updaters:
            updater.forget()


def _once(records: Iterable[ConsumedEvent]) -> list[ConsumedEvent]:
    """The records, each place of the topic once."""
    listed = list(records)
    places = {(record.partition, record.offset): record for record in listed}
    return listed if len(places) == len(listed) else list(places.values())


def _buckets(duck: Any, view: ViewPlan) -> int:
    """In how many parts a view is built, so that the worker never stands still for long."""
    (rows,) = duck.execute(f"SELECT count(*) FROM {view.table}").fetchone()
    return int(min(_BUCKETS, rows // _BUCKET_EVENTS + 1))
