"""The online store as it would have been at a moment of the past."""

from collections.abc import Collection
from typing import Self
from uuid import uuid4

from tastemaker.features.bootstrap.lake_rebuild import write_all
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.stores.view_ages import ViewAges
from tastemaker.lake.tables import Lake

__all__ = ["SnapshotReader"]


class SnapshotReader(FeatureReader):
    """A :class:`FeatureReader` over a state in memory, built from the lake as of a moment."""

    @classmethod
    def as_of(cls, lake: Lake, plan: FeaturePlan, at_us: int, views: Collection[str] | None = None) -> Self:
        """What the online store would have answered at ``at_us`` (microseconds), had nothing been late.

        Read it at that moment, or later to see windows decay. ``views`` limits which are built; the others read
        as if nothing were known.
        """
        store = MemoryStore(f"snapshot-{uuid4().hex}")
        wanted = plan if views is None else FeaturePlan(views=tuple(plan.view(name) for name in views))
        with store.transaction() as tx, lake.connect() as duck:
            for _ in write_all(duck, tx, wanted, at_us):
                pass
            ViewAges(tuple(view.signature for view in plan.views)).write(tx)
        return cls(store.reader(), plan)
