"""Smallest and largest amounts and occupied cells in windows, which running totals cannot give.

DuckDB answers a frame whose bounds differ by row from a segment tree, and a distinct count from a merge sort tree
(Leis et al.: Efficient processing of window functions in analytical SQL queries, 2015; Vogelsgesang et al.: Efficient
evaluation of arbitrarily-framed holistic SQL aggregates and window functions, 2022).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tastemaker.features.expressions import floor_sql
from tastemaker.features.layout import Measure, Slot
from tastemaker.features.sql_query import Query, amount_of, cell_sql, columns_of

__all__ = ["RANGED", "look_over"]

RANGED: Final = frozenset({"min", "max", "cells"})
# Before every event, and far enough from the edge of 64 bits to subtract it from a time.
_LONG_AGO: Final = -(2**62)


def look_over(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure]) -> None:
    """Compute measures over frames: a table with ``rn`` and a column ``m<number>`` per measure.

    Args:
        query: the question.
        slots: of the layout.
        measures: by number, those with a slot of :data:`RANGED`.
    """
    reaches = list(dict.fromkeys(map(_reach, measures.values())))
    columns = []
    for number, measure in measures.items():
        slot = slots[measure.slot]
        reach = f"r{reaches.index(_reach(measure))}"
        frame = f"(PARTITION BY id ORDER BY at_us RANGE BETWEEN {reach} PRECEDING AND 1 PRECEDING)"
        value = cell_sql(slot) if slot.op == "cells" else amount_of(slot)
        function = "count(DISTINCT" if slot.op == "cells" else f"{slot.op}("
        columns.append(f"{function} CASE WHEN {query.seen_by(slot)} THEN {value} END) OVER {frame} AS m{number}")
    needed = sorted({name for measure in measures.values() for name in columns_of(query.view, slots[measure.slot])})
    taken, empty = "".join(f", {column}" for column in needed), "".join(", NULL" for _ in needed)
    # An event asks for nothing: its frame is empty.
    nothing = "".join(f", CAST(0 AS BIGINT) AS r{place}" for place in range(len(reaches)))
    lengths = "".join(f", {reach}" for reach in reaches)
    weight = " UNION ALL ".join(f"SELECT id, 1 AS weight FROM {query.name(table)}" for table in ("events", "rows"))
    query.fill(
        "ranges",
        (
            f"SELECT rn, {', '.join(f'm{number}' for number in measures)} FROM (SELECT rn, {', '.join(columns)} FROM ("
            f"SELECT id, at_us, CAST(NULL AS INTEGER) AS rn, kind{nothing}{taken} FROM {query.name('events')}"
            f" WHERE {piece} UNION ALL"
            f" SELECT id, as_of_us, rn, NULL{lengths}{empty} FROM {query.name('rows')} WHERE {piece}"
            ")) WHERE rn IS NOT NULL"
            for piece in query.pieces(weight)
        ),
    )


def _reach(measure: Measure) -> str:
    """How far back a measure looks from the moment."""
    begin = floor_sql(f"(as_of_us - {measure.window_us})", measure.slide_us) if measure.window_us else f"({_LONG_AGO})"
    return f"as_of_us - {begin}"
