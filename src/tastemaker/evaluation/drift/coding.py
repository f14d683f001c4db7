"""Columns as small whole numbers, the same for reference and current rows, so that any window is a sum of counts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift.limits import DriftLimits

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "OTHER",
    "CodedColumn",
    "Coding",
    "clip_range",
    "code_column",
    "fold_categories",
    "frequent_categories",
    "is_number",
]

OTHER = "(other)"
_TAIL = 0.001
_VOCABULARY = 2_000  # categories that are told apart when new ones are looked for

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Coding:
    """What the codes of a column mean.

    Attributes:
        values: rising numbers; of categories their places.
        scale: standard deviation of the reference's numbers; 0 of categories.
        keep: of categories, how many of the most frequent ones, which come first, keep their place when the distance
            is taken, all others being one; None of numbers.
    """

    values: Floats
    scale: float
    keep: int | None = None

    @property
    def check(self) -> str:
        """Which distance is measured."""
        return "wasserstein" if self.keep is None else "jensen_shannon"


@dataclass(frozen=True, eq=False)
class CodedColumn:
    """One column of both frames.

    Attributes:
        reference: ``[rows]``, a place in the coding's ``values``; -1 is missing.
        current: likewise.
        coding: what they mean.
    """

    reference: Codes
    current: Codes
    coding: Coding


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
        np.where(mask, np.searchsorted(values, part, side="right") - 1, -1).astype(np.int32)
        for part, mask in zip(parts, there, strict=True)
    ]
    return CodedColumn(coded[0], coded[1], Coding(values, float(parts[0][there[0]].std())))


def _code_categories(reference: "pd.Series[Any]", current: "pd.Series[Any]", keep: int) -> CodedColumn:
    import pandas as pd

    # Rows are hashed once; all that follows is done on the categories.
    ours, known = _factorized(reference)
    theirs, seen = _factorized(current)
    counts = np.bincount(ours[ours >= 0], minlength=len(known))
    # By frequency and then by name: equal counts must not depend on the order of rows.
    order = np.lexsort((known.astype(str), -counts))
    frequent = known[order[:_VOCABULARY]]
    fresh = pd.Index(sorted(seen[known.get_indexer(seen) < 0], key=str), dtype=object)
    vocabulary = frequent.append(fresh)
    places = []
    for codes, names in ((ours, known), (theirs, seen)):
        found = vocabulary.get_indexer(names)
        of_name = np.append(np.where(found < 0, len(vocabulary), found), -1)  # the last entry: a missing row's code, -1
        places.append(of_name[codes].astype(np.int32))
    size = len(vocabulary) + 1  # the last place: known, and rare
    return CodedColumn(places[0], places[1], Coding(np.arange(size, dtype=np.float64), 0.0, keep))


def _factorized(column: "pd.Series[Any]") -> "tuple[Ints, pd.Index[Any]]":
    import pandas as pd

    codes, names = pd.factorize(column)
    return codes, pd.Index(names, dtype=object)


def frequent_categories(reference: "pd.Series[Any]", keep: int) -> "pd.Index[Any]":
    """The ``keep`` most frequent categories; by name where counts are equal."""
    codes, known = _factorized(reference)
    counts = np.bincount(codes[codes >= 0], minlength=len(known))
    return known[np.lexsort((known.astype(str), -counts))[:keep]]


def fold_categories(column: "pd.Series[str]", frequent: "pd.Index[Any]") -> "pd.Series[str]":
    """Fold all but the frequent categories into one.

    On long tails the Jensen-Shannon distance of two samples of one distribution is large.
    """
    return column.where(column.isin(frequent) | column.isna(), OTHER)
