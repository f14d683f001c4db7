r"""Find features that know the label: a statistical check of a training frame, before a model is trained on it.

How well a feature alone tells the label is measured as the area under the ROC curve (AUC) of the best rule by its
value: values fall into bins, the share of positives per bin is learned on one half of the shoppers and judged on the
other, both ways. That finds leaks of any shape, also of texts and of what is missing, and gives 0.5 for a feature that
says nothing. Standard errors come from a bootstrap over shoppers, because the rows of one shopper go together.

A feature is a leak if, with three standard errors to spare,

- it *tells too much*: its AUC is above :attr:`LeakLimits.auc`. Nothing that is known before the fact tells who will
  buy what so well; or
- it *goes blind*: its AUC falls by more than :attr:`LeakLimits.fall` when it is taken a little earlier
  (:attr:`LeakLimits.margin`), as it would have been had it not seen what happened then. What shoppers will do in the
  next weeks is known about as well a day sooner.

What it cannot find: a leak that was in the values long before, such as a total over all time that is stored as a
property of an item, as long as it tells less than the limit. Against those stand the time and the created time of
every table's row. A feature that rightly lives in the last day only, such as of the present visit, may go blind too;
it is measured on rows that stand at midnight, where no visit is going on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = ["LeakFound", "LeakLimits", "Telling", "find_leaks", "require_no_leak"]

_BINS: Final = 20
_ROUNDS: Final = 200
_LEAST: Final = 50  # positives, and negatives, below which nothing is said
_LEAST_SHOPPERS: Final = 100  # below, a bootstrap over shoppers understates the error, and a few habits tell it all

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


class LeakFound(DataError):
    """A feature knows the label; nothing may be trained on it."""


@dataclass(frozen=True)
class LeakLimits:
    """When a feature counts as a leak.

    Attributes:
        auc: more than this tells too much.
        fall: a larger fall of the AUC is going blind.
        margin: how much earlier the second look is.
        errors: standard errors to spare.
    """

    auc: float = 0.95
    fall: float = 0.10
    margin: timedelta = timedelta(days=1)
    errors: float = 3.0


@dataclass(frozen=True)
class Telling:
    """How well one feature tells the label.

    Attributes:
        feature: its name.
        auc: at the time of the row.
        error: standard error of it.
        earlier: the AUC a margin earlier; None where that was not looked at.
        fall_error: standard error of the difference.
        leak: why it is one; empty if it is none.
    """

    feature: str
    auc: float
    error: float
    earlier: float | None = None
    fall_error: float = 0.0
    leak: str = ""


def find_leaks(
    values: Mapping[str, Sequence[Any] | npt.NDArray[Any]],
    labels: npt.ArrayLike,
    shoppers: Sequence[Any] | npt.NDArray[Any],
    *,
    earlier: Mapping[str, Sequence[Any] | npt.NDArray[Any]] | None = None,
    limits: LeakLimits | None = None,
    seed: int = 1,
) -> list[Telling]:
    """Measure every feature.

    Args:
        values: by feature, numbers or texts, ``n`` of them as of each row's time.
        labels: ``n``, 1 for what happened, 0 for what did not.
        shoppers: whose row each is, ``n``.
        earlier: the same features a margin earlier.
        limits: see there.
        seed: of the halves and the bootstrap.

    Returns:
        One per feature, in order; none if there are too few positives, negatives or shoppers to say anything.
    """
    limits = limits or LeakLimits()
    positive = np.asarray(labels, dtype=np.float64) > 0
    if min(positive.sum(), (~positive).sum()) < _LEAST:
        return []
    _, cluster = np.unique(np.asarray(shoppers, dtype=str), return_inverse=True)
    clusters = int(cluster.max()) + 1
    if clusters < _LEAST_SHOPPERS:
        return []
    draw = np.random.default_rng(seed)
    half = draw.permutation(clusters) % 2 == 0
    weights = draw.multinomial(clusters, np.full(clusters, 1 / clusters), size=_ROUNDS).astype(np.float64)
    weights = np.vstack([np.ones(clusters), weights])  # the first row is the data as it is

    def areas(column: Sequence[Any] | npt.NDArray[Any]) -> _Floats:
        return _areas(_bins(column), positive, cluster, half, weights)

    found = []
    for name, column in values.items():
        now = areas(column)
        before = None if earlier is None else areas(earlier[name])
        found.append(_told(name, now, before, limits))
    return found


def require_no_leak(tellings: Sequence[Telling]) -> None:
    """Do nothing, or fail.

    Raises:
        LeakFound: naming the features and what to look at.
    """
    leaks = [telling for telling in tellings if telling.leak]
    if leaks:
        raise LeakFound(
            "; ".join(f"feature {telling.feature} knows the label: {telling.leak}" for telling in leaks)
            + ". Look at where its values come from: is their time the time at which they were known?"
            " (`tastemaker features explain` shows the events behind a value.) Nothing was trained."
        )


def _told(name: str, now: _Floats, before: _Floats | None, limits: LeakLimits) -> Telling:
    auc, error = float(now[0]), float(now[1:].std())
    earlier = None if before is None else float(before[0])
    fall_error = 0.0 if before is None else float((now - before)[1:].std())
    leak = ""
    if auc - limits.errors * error > limits.auc:
        leak = f"alone it tells what will happen with an AUC of {auc:.3f}, and {limits.auc:g} is more than is plausible"
    elif earlier is not None and auc - earlier - limits.errors * fall_error > limits.fall:
        hours = limits.margin / timedelta(hours=1)
        leak = f"it tells what will happen with an AUC of {auc:.3f}, but {earlier:.3f} when taken {hours:g} h earlier"
    return Telling(name, auc, error, earlier, fall_error, leak)


def _bins(column: Sequence[Any] | npt.NDArray[Any]) -> _Ints:
    """The bin of each value: of numbers by quantiles, with one for NaN; of texts one per text."""
    array = np.asarray(column)
    if array.dtype.kind not in "biuf":
        _, places = np.unique(array.astype(str), return_inverse=True)
        return places.astype(np.int64)
    numbers = array.astype(np.float64)
    known = np.isfinite(numbers)
    bins = np.zeros(len(numbers), dtype=np.int64)
    if known.any():
        edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, _BINS + 1)))
        bins[known] = np.searchsorted(edges, numbers[known], side="right")
    return bins


def _areas(
    bins: _Ints, positive: npt.NDArray[np.bool_], cluster: _Ints, half: npt.NDArray[np.bool_], weights: _Floats
) -> _Floats:
    """AUC by row of weights: the mean of both halves, each ordered by the shares of the other."""
    size, clusters = int(bins.max()) + 1, len(half)
    place = cluster * size + bins
    ups = np.bincount(place[positive], minlength=clusters * size).reshape(clusters, size).astype(np.float64)
    downs = np.bincount(place[~positive], minlength=clusters * size).reshape(clusters, size).astype(np.float64)
    prior = positive.mean()
    areas = []
    for judged in (half, ~half):
        learned = ~judged
        up, down = ups[learned].sum(axis=0), downs[learned].sum(axis=0)
        share = (up + prior) / (up + down + 1.0)
        _, level = np.unique(share, return_inverse=True)  # equal shares tie
        onto = np.zeros((size, int(level.max()) + 1))
        onto[np.arange(size), level] = 1.0
        areas.append(_area(weights[:, judged] @ ups[judged] @ onto, weights[:, judged] @ downs[judged] @ onto))
    mean: _Floats = np.mean(areas, axis=0)
    return mean


def _area(ups: _Floats, downs: _Floats) -> _Floats:
    """AUC of counts by rising score, per row: how often a positive stands above a negative, ties counting half."""
    below = np.cumsum(downs, axis=1) - downs / 2
    pairs = ups.sum(axis=1) * downs.sum(axis=1)
    area: _Floats = np.divide((ups * below).sum(axis=1), pairs, out=np.full(len(ups), 0.5), where=pairs > 0)
    return area
