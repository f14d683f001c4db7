"""The online store as it would have been at a moment of the past."""

import sqlite3
from collections.abc import Collection
from typing import Self
from uuid import uuid4

from tastemaker.features import database
from tastemaker.features.bootstrap import build_state
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reader import FeatureReader
from tastemaker.lake.tables import Lake

__all__ = ["SnapshotReader"]


class SnapshotReader(FeatureReader):
    """A :class:`FeatureReader` over a state in memory, built from the lake as of a moment."""

    _keeper: sqlite3.Connection

    @classmethod
    def as_of(cls, lake: Lake, plan: FeaturePlan, at_us: int, views: Collection[str] | None = None) -> Self:
        """What the online store would have answered at ``at_us`` (microseconds), had nothing been late.

        Read it at that moment, or later to see windows decay. ``views`` limits which are built; the others read
        as if nothing were known.
        """
        location = database.memory_location(f"snapshot-{uuid4().hex}")
        keeper = database.connect_writer(location)  # the store lives as long as this connection
        with database.transaction(keeper):
            wanted = plan if views is None else FeaturePlan(views=tuple(plan.view(name) for name in views))
            build_state(keeper, wanted, lake, database.next_rev(keeper), until_us=at_us)
            signatures = "\n".join(view.signature for view in plan.views)
            keeper.execute("INSERT OR REPLACE INTO meta VALUES ('current_views', ?)", (signatures,))
        reader = cls(location, plan)
        reader._keeper = keeper
        return reader

    def close(self) -> None:
        """Drop the state."""
        super().close()
        self._keeper.close()
