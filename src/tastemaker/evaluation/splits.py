"""The global temporal split: learn from everything before a moment, judge on the days after it.

Random or leave-one-out splits let a model see other users' future and report figures that live traffic never
reaches (Ji et al., "A critical study on data leakage in recommender system offline evaluation", 2020).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.evaluation.truth import Truth

__all__ = ["Split", "temporal_split"]


@dataclass(frozen=True)
class Split:
    """Two disjoint parts of the interactions.

    Attributes:
        train: everything before ``cut``.
        test: the window ``cut ≤ occurred_at < cut + days`` of users and items that training knows.
        truth: each test user's distinct items.
        cut: the moment between the two (UTC).
        days: length of the test window.
    """

    train: pa.Table
    test: pa.Table
    truth: Truth
    cut: datetime
    days: int

    @property
    def period(self) -> str:
        """The test window in words."""
        return f"{self.cut:%Y-%m-%d} to {self.cut + timedelta(days=self.days):%Y-%m-%d}"


def temporal_split(interactions: pa.Table, cut: datetime, days: int) -> Split:
    """Split interactions at a moment.

    Args:
        interactions: columns ``user_id``, ``item_id``, ``occurred_at`` (UTC); purchases only.
        cut: first moment of the test window, timezone-aware.
        days: length of the test window.

    Raises:
        DataError: ``cut`` has no timezone, ``days`` is below 1, or a column is missing.
    """
    if cut.tzinfo is None:
        raise DataError(f"the cut {cut.isoformat()} has no timezone; give it in UTC")
    if days < 1:
        raise DataError(f"a test window has at least one day, not {days}")
    missing = {names.USER_ID, names.ITEM_ID, names.OCCURRED_AT} - set(interactions.column_names)
    if missing:
        raise DataError(f"interactions lack the columns {', '.join(sorted(missing))}")
    moment = interactions[names.OCCURRED_AT]
    edge = pa.scalar(cut, type=moment.type)
    end = pa.scalar(cut + timedelta(days=days), type=moment.type)
    train = interactions.filter(pc.less(moment, edge))
    window = interactions.filter(pc.and_(pc.greater_equal(moment, edge), pc.less(moment, end)))
    items = pc.unique(train[names.ITEM_ID])
    known = pc.and_(
        pc.is_in(window[names.USER_ID], value_set=pc.unique(train[names.USER_ID])),
        pc.is_in(window[names.ITEM_ID], value_set=items),
    )
    test = window.filter(known)
    truth = Truth.of(test, catalogue=np.asarray(items.to_pylist(), dtype=np.str_))
    return Split(train=train, test=test, truth=truth, cut=cut, days=days)
