"""Columns as small whole numbers, the same for reference and current rows, so that any window is a sum of counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift.limits import DriftLimits

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OTHER", "CodedColumn", "clip_range", "code_column", "fold_categories", "is_number"]

OTHER = "(other)"
_TAIL = 0.001
_VOCABULARY = 2_000  # categories that are told apart when new ones are looked for

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CodedColumn:
    """One column of both frames.

    Attributes:
        reference: ``[rows]``, a place in ``values``; -1 is missing.
        current: likewise.
        values: rising numbers; of categories their places.
        scale: standard deviation of the reference's numbers; 0 of categories.
        folded: ``[values]`` of categories, which of the most frequent ones each is, the last being all others; None of
            numbers.
        capped: whether categories beyond the most frequent 2,000 share a place.
    """

    reference: Ints
    current: Ints
    values: Floats
    scale: float
    folded: Ints | None = None
    capped: bool = False

    @property
    def check(self) -> str:
        """Which distance is measured."""
        return "wasserstein" if self.folded is None else "jensen_shannon"


def is_number(column: "pd.Series[Any]") -> bool:
    """Whether a column holds numbers; booleans and everything else are categories."""
    return bool(column.dtype.kind in "iuf")


def clip_range(reference: Floats) -> tuple[float, float]:
    """From where to where values are told apart: the reference's .1 % and 99.9 % quantiles.

    One order of 80,000 pieces would otherwise make the standard deviation, and hide all others. A column that is
    almost always one value keeps its whole range, and one that always is has none to be clipped to.
    """
    for low, high in (np.quantile(reference, [_TAIL, 1 - _TAIL]), (reference.min(), reference.max())):
        if low < high:
            return float(low), float(high)
    return -np.inf, np.inf


def code_column(reference: "pd.Series[Any]", current: "pd.Series[Any]", limits: DriftLimits) -> CodedColumn:
    """Code a column that has values in the reference, of the same kind in both frames."""
    if is_number(reference):
        return _code_numbers(reference.to_numpy(np.float64), current.to_numpy(np.float64), limits.bins)
    return _code_categories(reference, current, limits.categories)


def _code_numbers(reference: Floats, current: Floats, bins: int) -> CodedColumn:
    there = [np.isfinite(part) for part in (reference, current)]
    low, high = clip_range(reference[there[0]])
    parts = [np.clip(part, low, high) for part in (reference, current)]
    both = np.sort(np.concatenate([part[mask] for part, mask in zip(parts, there, strict=True)]))
    values = both[np.append(True, np.diff(both) > 0)]
    if len(values) > bins:  # else the distance is exact
        values = np.unique(both[np.linspace(0, len(both) - 1, bins).astype(np.int64)])
    coded = [
        np.where(mask, np.searchsorted(values, part, side="right") - 1, -1)
        for part, mask in zip(parts, there, strict=True)
    ]
    return CodedColumn(coded[0], coded[1], values, float(parts[0][there[0]].std()))


def _code_categories(reference: "pd.Series[Any]", current: "pd.Series[Any]", keep: int) -> CodedColumn:
    import pandas as pd

    counted = reference.value_counts(sort=False)
    # By frequency and then by name: equal counts must not depend on the order of rows.
    order = np.lexsort((counted.index.astype(str), -counted.to_numpy()))
    known = counted.index[order]
    fresh = pd.Index(sorted(set(current.dropna().unique()) - set(known), key=str))
    capped = len(known) > _VOCABULARY
    vocabulary = known[:_VOCABULARY].append(fresh)
    places = []
    for part in (reference, current):
        found = vocabulary.get_indexer(pd.Index(part))
        places.append(np.where(part.isna(), -1, np.where(found < 0, len(vocabulary), found)).astype(np.int64))
    size = len(vocabulary) + 1  # the last place: known, and rare
    folded = np.minimum(np.arange(size), keep)
    return CodedColumn(places[0], places[1], np.arange(size, dtype=np.float64), 0.0, folded, capped)


def fold_categories(
    reference: "pd.Series[str]", current: "pd.Series[str]", keep: int
) -> "tuple[pd.Series[str], pd.Series[str]]":
    """Fold all but the reference's ``keep`` most frequent categories into one.

    On long tails the Jensen-Shannon distance of two samples of one distribution is large.
    """
    counted = reference.value_counts(sort=False)
    frequent = counted.index[np.lexsort((counted.index.astype(str), -counted.to_numpy()))][:keep]
    fold = [part.where(part.isin(frequent) | part.isna(), OTHER) for part in (reference, current)]
    return fold[0], fold[1]
