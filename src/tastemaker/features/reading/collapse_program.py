"""What to compute of an aggregate view, as the tables that the compiled loops read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.features.layout import (
    BASE,
    FIRST_GROUP,
    MAX_SLOTS,
    MERGES,
    Layout,
    Measure,
    distinct_estimates,
    layout_of,
)
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.reading import collapse_tables as op
from tastemaker.features.reading.collapse_tables import Tables
from tastemaker.features.semantics import SUM_DECAY_UNIT, decay_weights

__all__ = ["Program", "program_of"]

_MERGE: Final = {"sum": op.SUM, "min": op.MIN, "max": op.MAX}
_FORMULA: Final = {
    "count": op.COUNT,
    "sum": op.TOTAL,
    "mean": op.MEAN,
    "stddev": op.STDDEV,
    "min": op.EXTREME,
    "max": op.EXTREME,
    "approx_distinct": op.DISTINCT,
    "time_since_last": op.TIME,
    "time_since_first": op.TIME,
    "mean_interval": op.INTERVAL,
    "decayed_count": op.DECAYED,
    "decayed_sum": op.DECAYED,
    "ratio": op.RATIO,
}


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """Tables for some features of a view.

    Attributes:
        tables: for the compiled loops.
        columns: of the features of the tables, those that were asked for; None for all of them in order.
        times: whether a feature, in the order asked for, grows with every microsecond.
    """

    tables: Tables
    columns: npt.NDArray[np.int64] | None
    times: npt.NDArray[np.bool_]


@lru_cache(maxsize=256)
def program_of(view: ViewPlan, features: tuple[str, ...] | None = None) -> Program:
    """The program of a view.

    Args:
        view: an aggregate view.
        features: names of numeric features; None for all.

    Raises:
        DataError: a feature is no number, or the view has none of that name.
    """
    asked = view.features if features is None else tuple(view.feature(name) for name in features)
    for feature in asked:
        if not feature.is_numeric:
            raise DataError(
                f"feature {feature.name} of view {view.name} is no number; read it with rows(), or leave it out"
            )
    needed = list(dict.fromkeys(feature for feature in asked if feature.function != "ratio"))
    ratios = list(dict.fromkeys(feature for feature in asked if feature.function == "ratio"))
    for ratio in ratios:
        needed += [operand for name in ratio.operands if (operand := view.feature(name)) not in needed]
    ordered = [*needed, *ratios]  # a ratio comes after what it divides
    layout = layout_of(view)
    taken = [layout.feature_measures[view.features.index(feature)] for feature in ordered]
    measures = list(dict.fromkeys([0, *(measure for some in taken for measure in some)]))
    table, weights, marks = _measures(layout, [layout.measures[index] for index in measures])
    formulas, estimates = _formulas(ordered, [[measures.index(index) for index in some] for some in taken])
    places, measures_of = _by_code(layout, [layout.measures[index] for index in measures])
    columns = [ordered.index(feature) for feature in asked]
    return Program(
        tables=Tables(
            view.ttl_us,
            layout.code(layout.head, 0),
            places,
            measures_of,
            table,
            weights,
            marks,
            formulas,
            np.array([feature.default_value for feature in ordered], np.float64),
            estimates,
        ),
        columns=None if columns == list(range(len(ordered))) else np.array(columns, np.int64),
        times=np.array([_FORMULA[feature.function] == op.TIME for feature in asked], np.bool_),
    )


def _measures(layout: Layout, measures: Sequence[Measure]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """The table of measures, the weights that decaying ones refer to, and the number of scratch cells."""
    table: list[tuple[int, ...]] = []
    weights: list[int] = []
    marks = 0
    for measure in measures:
        slot = layout.slots[measure.slot]
        if measure.half_life_us:
            of_days = (
                decay_weights(measure.half_life_us)
                if slot.op == "count"
                else decay_weights(measure.half_life_us, SUM_DECAY_UNIT)
            )
            how = op.DECAY_COUNT if slot.op == "count" else op.DECAY_SUM
            table.append((how, 0, 1, len(weights), len(of_days)))
            weights += of_days
        elif slot.op == "cells":
            table.append((op.CELLS, measure.window_us, measure.slide_us or 1, marks, slot.cells))
            marks += slot.cells
        else:
            table.append((_MERGE[MERGES[slot.op]], measure.window_us, measure.slide_us or 1, 0, 0))
    return np.array(table, np.int64), np.array(weights, np.int64), marks


def _by_code(layout: Layout, measures: Sequence[Measure]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which measures read the entries of a code: those of its slot, and of its group or the base; all read the head."""
    readers: list[list[int]] = [[] for _ in range((layout.head + 1) * MAX_SLOTS)]
    for place, measure in enumerate(measures):
        if layout.slots[measure.slot].op == "labels":
            continue
        kind = BASE if measure.group is None else FIRST_GROUP + measure.group
        for one in (kind, layout.head):
            readers[layout.code(one, measure.slot)].append(place)
    places = np.cumsum([0, *map(len, readers)]).astype(np.int64)
    return places, np.array([place for some in readers for place in some], np.int64)


def _formulas(
    features: Sequence[FeatureSpec], taken: Sequence[Sequence[int]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The table of features, and the estimates that distinct counts refer to."""
    by_name = {feature.name: place for place, feature in enumerate(features)}
    table: list[tuple[int, ...]] = []
    estimates: list[int] = []
    first_of: dict[int, int] = {}
    for feature, measures in zip(features, taken, strict=True):
        arguments = list(measures)
        if feature.function == "ratio":
            arguments = [by_name[name] for name in feature.operands]
        elif feature.function == "approx_distinct":
            if feature.n not in first_of:
                first_of[feature.n] = len(estimates)
                estimates += distinct_estimates(feature.n)
            arguments.append(first_of[feature.n])
        table.append((_FORMULA[feature.function], *arguments, *[0] * (3 - len(arguments))))
    return np.array(table, np.int64).reshape(-1, 4), np.array(estimates, np.float64)
