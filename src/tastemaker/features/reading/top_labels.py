"""The ``top_k`` features of many entities from their packed states."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.features.layout import BASE, FIRST_GROUP, Layout, Measure, layout_of
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.reading.collapse import entries_of
from tastemaker.features.semantics import NEVER, SUM_CAP

__all__ = ["Texts", "top_labels"]

_Ints = npt.NDArray[np.int64]
# From label numbers to their texts.
Texts = Callable[[Iterable[int]], Mapping[int, str]]


def top_labels(
    view: ViewPlan, feature: FeatureSpec, packed: Sequence[bytes | None], now_us: int, texts: Texts
) -> list[list[str]]:
    """The labels with the most weight, for each entity.

    Args:
        view: an aggregate view.
        feature: one of its ``top_k`` features.
        packed: one state per entity; None where there is none.
        now_us: the moment, in microseconds.
        texts: finds the texts of label numbers.

    Raises:
        DataError: the store does not know the text of a label.
    """
    entries, offsets = entries_of(packed)
    layout = layout_of(view)
    (index,) = layout.feature_measures[view.features.index(feature)]
    owners = np.repeat(np.arange(len(packed)), np.diff(offsets))
    places = _entries_in(layout, layout.measures[index], entries, now_us)
    if view.ttl_us:
        # Measure 0 is the newest event, which decides whether the entity is known at all.
        newest = np.full(len(packed), NEVER, np.int64)
        latest = _entries_in(layout, layout.measures[0], entries, now_us)
        np.maximum.at(newest, owners[latest], entries[latest, 3])
        places = places[newest[owners[places]] >= now_us - view.ttl_us]
    owners = owners[places]
    labels, weights = entries[places, 2], entries[places, 3]
    order = np.lexsort((labels, owners))
    owners, labels, weights = owners[order], labels[order], weights[order]
    tops: list[list[tuple[int, int]]] = [[] for _ in packed]
    if len(order):
        first = np.flatnonzero(np.r_[True, (owners[1:] != owners[:-1]) | (labels[1:] != labels[:-1])])
        totals = _totals(weights, first)
        for owner, label, weight in zip(owners[first].tolist(), labels[first].tolist(), totals.tolist(), strict=True):
            if weight:
                tops[owner].append((-weight, label))
    tops = [_contenders(top, feature.n) for top in tops]
    wanted = {label for top in tops for _, label in top}
    known = texts(wanted)
    if missing := wanted - known.keys():
        raise DataError(
            f"the online store does not know the text of label {min(missing)} of {view.name}.{feature.name};"
            " rebuild it from the lake"
        )
    return [[text for _, text in sorted((weight, known[label]) for weight, label in top)[: feature.n]] for top in tops]


def _entries_in(layout: Layout, measure: Measure, entries: _Ints, now_us: int) -> _Ints:
    """Places of the entries that a measure adds up at a moment."""
    kind = BASE if measure.group is None else FIRST_GROUP + measure.group
    code, start = entries[:, 0], entries[:, 1]
    counted = code == layout.code(kind, measure.slot)
    counted |= (code == layout.code(layout.head, measure.slot)) & (start < now_us)
    begin = measure.begin_us(now_us)
    if begin is not None:
        counted &= start >= begin
    return np.flatnonzero(counted)


def _totals(weights: _Ints, first: _Ints) -> _Ints:
    """Sums of the runs that begin at these places, capped; in Python integers where 64 bits could overflow."""
    if int(weights.max()) > SUM_CAP // len(weights):
        return np.minimum(np.add.reduceat(weights.astype(object), first), SUM_CAP).astype(np.int64)
    found: _Ints = np.add.reduceat(weights, first)
    return found


def _contenders(top: list[tuple[int, int]], k: int) -> list[tuple[int, int]]:
    """The pairs that may be among the first ``k``: equal weights are ordered by their texts, which come later."""
    if len(top) <= k:
        return top
    limit = sorted(top)[k - 1][0]
    return [pair for pair in top if pair[0] <= limit]
