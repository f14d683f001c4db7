"""The batch executor: features as of many ``(entity, moment)`` rows, as set-based SQL for DuckDB.

:mod:`tastemaker.features.semantics` says what a value is. Each family of functions has its own way there, in a module
of this package: ``sums`` (counts, sums, newest times), ``ranges`` (smallest, largest, distinct), ``labels`` (top
labels), ``decays``, ``history`` and, for the columns of a table, ``columns``. All of them work on pieces of the keys,
so that memory does not grow with history.
"""

from collections.abc import Collection, Mapping, Sequence

import duckdb

from tastemaker.features.layout import Layout, Measure, layout_of
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.sql.columns import newest_versions
from tastemaker.features.sql.decays import weigh_days
from tastemaker.features.sql.expressions import default_sql
from tastemaker.features.sql.history import list_newest
from tastemaker.features.sql.labels import rank_labels
from tastemaker.features.sql.ranges import RANGED, look_over
from tastemaker.features.sql.sums import ADDITIVE, add_up
from tastemaker.features.sql.temporary_tables import PIECE, Query
from tastemaker.features.sql.values import fresh_sql, value_sql

__all__ = ["as_of", "default_sql"]


def as_of(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    frame: str,
    result: str,
    known_at: bool = False,
    *,
    features: Collection[str] | None = None,
    piece: int = PIECE,
) -> None:
    """Compute a view's features for every row of a frame.

    Args:
        duck: a connection in which the lake's tables are registered.
        view: the view.
        frame: name of a table with the columns ``key`` (as of :mod:`tastemaker.features.keys`) and ``as_of_us``.
        result: name of the temporary table to make: distinct ``key, as_of_us`` and one column per
            feature, in the order of the view.
        known_at: of a batch view, use only rows whose created time is not after the moment either.
        features: names of the features to compute; None for all of the view.
        piece: about how many rows a step sorts or joins at a time; memory grows with it.
    """
    wanted = tuple(feature for feature in view.features if features is None or feature.name in features)
    if view.kind == "batch":
        duck.execute(f"CREATE OR REPLACE TEMP TABLE {result} AS {newest_versions(view, wanted, frame, known_at)}")
        return
    query = Query(duck, view, result, piece)
    columns = list_newest(query, frame, wanted) if view.kind == "history" else _aggregate(query, frame, wanted)
    joins = "".join(
        f" LEFT JOIN {query.name(table)} AS {table} USING ({column})" for table, column in query.joins.items()
    )
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {result} AS SELECT {', '.join(['key', 'as_of_us', *columns])}"
        f" FROM {query.name('rows')} JOIN {query.name('keys')} USING (id){joins}"
    )
    query.finish()


def _aggregate(query: Query, frame: str, features: Sequence[FeatureSpec]) -> list[str]:
    """Compute the measures that features need, and return the features' columns."""
    layout, view = layout_of(query.view), query.view
    taken = dict(zip(view.feature_names, layout.feature_measures, strict=True))
    needed = {name for feature in features for name in (feature.name, *feature.operands)}
    numbers = sorted({0, *(number for name in needed for number in taken[name])})
    measures = {number: layout.measures[number] for number in numbers}
    query.start(frame, [layout.slots[measure.slot] for measure in measures.values()])

    def of(*ops: str) -> dict[int, Measure]:
        return {number: measure for number, measure in measures.items() if layout.slots[measure.slot].op in ops}

    add_up(query, layout.slots, of(*ADDITIVE))
    if ranged := of(*RANGED):
        look_over(query, layout.slots, ranged)
    if labelled := of("labels"):
        rank_labels(query, layout.slots, labelled, _longest(view, layout))
    if decaying := {number: measure for number, measure in measures.items() if measure.half_life_us}:
        weigh_days(query, layout.slots, decaying)
    if firsts := of("first"):
        _find_first(query, layout, firsts)
    values = {
        name: value_sql(view.feature(name), layout, taken[name]) for name in needed if not view.feature(name).operands
    }
    return [_column(view, feature, values) for feature in features]


def _find_first(query: Query, layout: Layout, measures: Mapping[int, Measure]) -> None:
    """The oldest time per key, which is a row's measure where it is before the moment."""
    columns = ", ".join(
        f"min(at_us) FILTER ({query.seen_by(layout.slots[measure.slot])}) AS m{number}"
        for number, measure in measures.items()
    )
    query.fill("firsts", [f"SELECT id, {columns} FROM {query.name('events')} GROUP BY id"], by="id")


def _longest(view: ViewPlan, layout: Layout) -> dict[int, int]:
    """How many labels the features want of each measure."""
    longest: dict[int, int] = {}
    for feature, numbers in zip(view.features, layout.feature_measures, strict=True):
        if feature.function == "top_k":
            longest[numbers[0]] = max(longest.get(numbers[0], 0), feature.n)
    return longest


def _column(view: ViewPlan, feature: FeatureSpec, values: Mapping[str, str]) -> str:
    """A feature's column, given the values of features whose entity is known."""
    default = default_sql(feature)
    if feature.function == "ratio":
        above, below = (f"CAST({values[name]} AS DOUBLE)" for name in feature.operands)
        value = f"CASE WHEN {below} = 0 THEN {default} ELSE {above} / {below} END"
    else:
        value = values[feature.name]
    return f'CASE WHEN {fresh_sql(view, "m0")} THEN {value} ELSE {default} END AS "{feature.name}"'
