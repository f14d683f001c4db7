"""Splits into what is learned from and what is judged by.

The temporal ones come first: learn from everything before a moment, judge on the days after it, once or in a row of
windows. Random and leave-last splits let a model see other users' future and report figures that live traffic never
reaches (Ji et al., "A critical study on data leakage in recommender system offline evaluation", 2020); they are here
because published figures rest on them, and because data without times allows no other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.evaluation.truth import Truth

__all__ = ["Split", "given_split", "leave_last_split", "random_split", "sliding_splits", "temporal_split"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Two disjoint parts of the interactions.

    Attributes:
        train: what is learned from.
        test: what is judged by, of users and items that training knows.
        truth: each test user's distinct items.
        cut: the moment from which on the test window is (UTC); None where a moment does not divide the two.
        days: length of the test window; 0 without one.
    """

    train: pa.Table
    test: pa.Table
    truth: Truth
    cut: datetime | None = None
    days: int = 0

    @property
    def period(self) -> str:
        """The test window in words; empty without one."""
        if self.cut is None:
            return ""
        return f"{self.cut:%Y-%m-%d} to {self.cut + timedelta(days=self.days):%Y-%m-%d}"


def temporal_split(interactions: pa.Table, cut: datetime, days: int, *, embargo: timedelta = timedelta(0)) -> Split:
    """Split interactions at a moment: train before ``cut - embargo``, test in ``cut ≤ occurred_at < cut + days``.

    Args:
        interactions: columns ``user_id``, ``item_id``, ``occurred_at`` (UTC); purchases only.
        cut: first moment of the test window, timezone-aware.
        days: length of the test window.
        embargo: left out between the two, as long as it takes until a trained model is live.

    Raises:
        DataError: ``cut`` has no timezone, ``days`` is below 1, the embargo is negative, or a column is missing.
    """
    if cut.tzinfo is None:
        raise DataError(f"the cut {cut.isoformat()} has no timezone; give it in UTC")
    if days < 1:
        raise DataError(f"a test window has at least one day, not {days}")
    if embargo < timedelta(0):
        raise DataError(f"an embargo is not negative, as {embargo} is; give the time until a trained model is live")
    _require(interactions, names.OCCURRED_AT)
    moment = interactions[names.OCCURRED_AT]
    edge = pa.scalar(cut, type=moment.type)
    end = pa.scalar(cut + timedelta(days=days), type=moment.type)
    train = interactions.filter(pc.less(moment, pa.scalar(cut - embargo, type=moment.type)))
    window = interactions.filter(pc.and_(pc.greater_equal(moment, edge), pc.less(moment, end)))
    return _of(train, window, cut, days)


def sliding_splits(
    interactions: pa.Table, last_cut: datetime, days: int, windows: int, *, embargo: timedelta = timedelta(0)
) -> list[Split]:
    """Temporal splits whose test windows lie end to end, the oldest first.

    Args:
        interactions: as for :func:`temporal_split`.
        last_cut: of the newest window.
        days: length of each window.
        windows: how many, at least 1.
        embargo: before each window.

    Raises:
        DataError: as :func:`temporal_split`, or there is no window.
    """
    if windows < 1:
        raise DataError(f"sliding windows are at least one, not {windows}")
    cuts = [last_cut - timedelta(days=days * back) for back in reversed(range(windows))]
    return [temporal_split(interactions, cut, days, embargo=embargo) for cut in cuts]


def leave_last_split(interactions: pa.Table, n: int = 1) -> Split:
    """Hold out the last ``n`` interactions of every user who has more; the others stay whole.

    Args:
        interactions: columns ``user_id``, ``item_id``, ``occurred_at``; at one moment, the later row is the later one.
        n: how many, at least 1.

    Raises:
        DataError: ``n`` is below 1, or a column is missing.
    """
    if n < 1:
        raise DataError(f"leave at least the last one out, not {n}")
    _require(interactions, names.OCCURRED_AT)
    users = _codes(interactions)
    moments = pc.cast(interactions[names.OCCURRED_AT], pa.int64()).to_numpy()
    place, size = _places(users, np.lexsort((np.arange(len(users)), moments, users)))
    held = (place >= size - n) & (size > n)
    return _of(interactions.filter(pa.array(~held)), interactions.filter(pa.array(held)))


def random_split(interactions: pa.Table, share: float = 0.2, *, seed: int) -> Split:
    """Hold out a random share of every user's items, with all their interactions: for data without times.

    Args:
        interactions: columns ``user_id`` and ``item_id``.
        share: above 0 and below 1; rounded to the nearest whole number of a user's items, who keeps at least one.
        seed: of what is drawn.

    Raises:
        DataError: the share is out of range, or a column is missing.
    """
    if not 0 < share < 1:
        raise DataError(f"a share to hold out lies between 0 and 1, which {share} does not")
    _require(interactions)
    users = _codes(interactions)
    items = interactions[names.ITEM_ID].combine_chunks().dictionary_encode()
    keys = users * max(1, len(items.dictionary)) + items.indices.to_numpy(zero_copy_only=False)
    pairs, of_pair = np.unique(keys, return_inverse=True)
    owners = pairs // max(1, len(items.dictionary))
    rng = np.random.default_rng(seed)
    place, size = _places(owners, np.lexsort((rng.random(len(pairs)), owners)))
    held = (place < np.minimum(np.rint(size * share), size - 1))[of_pair]
    return _of(interactions.filter(pa.array(~held)), interactions.filter(pa.array(held)))


def given_split(train: pa.Table, test: pa.Table) -> Split:
    """A split that somebody else made; users and items that training does not know leave the test part.

    Args:
        train: columns ``user_id`` and ``item_id``.
        test: the same columns.

    Raises:
        DataError: a column is missing.
    """
    _require(train)
    _require(test)
    return _of(train, test)


def _of(train: pa.Table, window: pa.Table, cut: datetime | None = None, days: int = 0) -> Split:
    items = pc.unique(train[names.ITEM_ID])
    known = pc.and_(
        pc.is_in(window[names.USER_ID], value_set=pc.unique(train[names.USER_ID])),
        pc.is_in(window[names.ITEM_ID], value_set=items),
    )
    test = window.filter(known)
    truth = Truth.of(test, catalogue=np.asarray(items.to_pylist(), dtype=np.str_))
    return Split(train=train, test=test, truth=truth, cut=cut, days=days)


def _require(interactions: pa.Table, *more: str) -> None:
    missing = {names.USER_ID, names.ITEM_ID, *more} - set(interactions.column_names)
    if missing:
        raise DataError(f"interactions lack the columns {', '.join(sorted(missing))}")


def _codes(interactions: pa.Table) -> Ints:
    users = interactions[names.USER_ID].combine_chunks().dictionary_encode()
    return np.asarray(users.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _places(owners: Ints, order: Ints) -> tuple[Ints, Ints]:
    """Of each row, its place in that order among its owner's, and how many its owner has."""
    sizes = np.bincount(owners)
    place = np.empty(len(owners), dtype=np.int64)
    place[order] = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place, sizes[owners]
