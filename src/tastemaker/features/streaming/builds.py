"""Building views from the lake: all at once in a new store, or new ones a bucket at a time beside the stream."""

from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from typing import Any, Final

from tastemaker import names
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.stores.protocol import StoreConflict, StoreTransaction, StoreUnavailable, WriterFenced
from tastemaker.features.stores.view_ages import REBUILD, Progress, ViewAges, read_ages
from tastemaker.features.streaming.writing import Writing
from tastemaker.lake.offsets import committed_offsets
from tastemaker.lake.tables import Lake

__all__ = ["Builds"]

_BUCKETS: Final = 64
_BUCKET_EVENTS: Final = 250_000
_MAX_PARTITIONS: Final = 256


class Builds:
    """Which views of a plan the store has, and how the others get there.

    Args:
        plan: the applied declarations.
        writing: to the store.

    Attributes:
        building: whether some view is being built, as of this writer's last transaction.
    """

    def __init__(self, plan: FeaturePlan, writing: Writing) -> None:
        self._plan = plan
        self._writing = writing
        self._wanted = tuple(view.signature for view in plan.views)
        self.building = False

    @property
    def is_empty(self) -> bool:
        """Whether the store is new, or was emptied, and :meth:`bootstrap` did not bring in yet what the lake has."""
        with self._writing.transaction() as tx:
            return bool(tx.get_meta(REBUILD))

    def bootstrap(self, lake: Lake, progress: Callable[[float], None] | None = None) -> None:
        """As :meth:`tastemaker.features.streaming.state.FeatureState.bootstrap`."""
        from tastemaker.features.bootstrap.lake_rebuild import write_all

        topics = ((names.TOPIC_EVENTS, names.TABLE_EVENTS), (names.TOPIC_ITEMS, names.TABLE_ITEMS))
        at = {topic: committed_offsets(lake.open(table), topic, range(_MAX_PARTITIONS)) for topic, table in topics}
        with self._writing.transaction() as tx, lake.connect() as duck:
            before = read_ages(tx) or ViewAges(())
            former = [view for view in before.changed_to(self._wanted).former if view not in self._wanted]
            for view in before.known - {*former, *self._wanted}:
                tx.drop_view(view)
            for share in write_all(duck, tx, self._plan):
                if progress is not None:
                    progress(share)
            for topic, held in at.items():
                tx.rewind(topic, {partition: offset + 1 for partition, offset in held.items()})
            ViewAges(self._wanted, tuple(former)).write(tx)
            tx.set_meta(REBUILD, "")
        self._writing.forget()
        self.building = False

    def begin(self, anew: Collection[str] = ()) -> bool:
        """As :meth:`tastemaker.features.streaming.state.FeatureState.begin_build`."""
        with self._writing.transaction() as tx:
            before = read_ages(tx)
            if before is None:
                after = ViewAges(self._wanted)
                tx.set_meta(REBUILD, tx.get_meta(REBUILD) or "new")
            else:
                again = [view.signature for view in self._plan.views if view.name in anew]
                after = before.changed_to(self._wanted).anew(again)
                for view in before.known - after.known:
                    tx.drop_view(view)
            if after != before:
                after.write(tx)
        self.building = bool(after.building)
        return self.building

    def step(self, lake: Lake, own: frozenset[int] | None) -> float:
        """As :meth:`tastemaker.features.streaming.state.FeatureState.build_step`.

        Args:
            lake: likewise.
            own: the partitions of the events topic that this writer has; None for all.
        """
        from tastemaker.features.bootstrap.lake_rebuild import BUILD_MEMORY, LakeBehind, covered_offsets, write_rows

        share = 0.0
        try:
            with self._writing.transaction() as tx:
                ages = self.ages(tx)
                if not ages.building:
                    return 1.0
                share = self._share(ages)
                signature, progress = next(iter(ages.building.items()))
                view = next(view for view in self._plan.views if view.signature == signature)
                upto = covered_offsets(tx, lake, own)
                with lake.connect(BUILD_MEMORY) as duck, ExitStack() as opened:
                    anew = signature in ages.former
                    replaced = opened.enter_context(closing(self._writing.store.reader())) if anew else None
                    of = progress.of or _buckets(duck, view)
                    write_rows(duck, tx, view, (progress.done, of), upto=upto, replaced=replaced)
                ages = ages.advanced(signature, Progress(progress.done + 1, of))
                ages.write(tx)
        except (StoreConflict, LakeBehind) as error:
            if isinstance(error, StoreUnavailable):
                raise
            return share
        self.building = bool(ages.building)
        return self._share(ages)

    def _share(self, ages: ViewAges) -> float:
        """How much is built, each of the plan's views counting as one."""
        undone = sum(1 - progress.done / (progress.of or 1) for progress in ages.unfinished.values())
        return 1 - undone / len(self._wanted)

    def ages(self, tx: StoreTransaction) -> ViewAges:
        """The views as the store knows them.

        Raises:
            WriterFenced: it follows other declarations, or some view is to be built anew.
        """
        ages = read_ages(tx)
        if ages is None or ages.live != frozenset(self._wanted):
            raise WriterFenced(
                "the online store follows other feature declarations by now; start again with the applied ones"
            )
        if ages.building and not self.building:  # the rows that are kept in memory are about to be replaced
            raise WriterFenced("views are to be built anew; start again, and go on with the build")
        self.building = bool(ages.building)
        return ages


def _buckets(duck: Any, view: ViewPlan) -> int:
    """In how many parts a view is built, so that the worker never stands still for long."""
    (rows,) = duck.execute(f"SELECT count(*) FROM {view.table}").fetchone()
    return int(min(_BUCKETS, rows // _BUCKET_EVENTS + 1))
