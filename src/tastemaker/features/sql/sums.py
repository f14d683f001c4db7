"""Counts, sums and newest times by running totals.

Events and the moments at which windows begin and end are sorted together, once; one pass over them keeps running
totals over everything, also across keys, and the difference of two of them is a window's value. Totals are whole
numbers of 128 bits, so that the difference is exact. Time grows with events plus rows, not with their product; DuckDB
streams the pass (windows without partition or order), where a window function per feature would build a tree each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tastemaker.features.layout import Measure, Slot
from tastemaker.features.semantics import DAY_US, NEVER, SUM_CAP
from tastemaker.features.sql.expressions import floor_sql
from tastemaker.features.sql.temporary_tables import Query, amount_of, columns_of

__all__ = ["ADDITIVE", "add_up"]

ADDITIVE: Final = frozenset({"count", "sum", "sum_sq", "last"})
_END: Final = "as_of_us"
_START: Final = f"CAST({NEVER} AS BIGINT)"


def add_up(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure]) -> None:
    """Compute additive measures: a table with ``rn`` and ``m0``, ``m1``, ... by the number of the measure.

    Args:
        query: the question.
        slots: of the layout.
        measures: by number, those with an additive slot; of a decaying one, what the moment's own day adds.
    """
    # One bound per beginning of a window; bound 0 is the moment itself.
    bounds = list(dict.fromkeys([_END, *map(_begin, measures.values())]))
    totals: list[str] = []

    def at(total: str, bound: int) -> str:
        if total not in totals:
            totals.append(total)
        return f"any_value(t{totals.index(total)}) FILTER (bound = {bound})"

    columns = []
    for number, measure in measures.items():
        slot, begin = slots[measure.slot], bounds.index(_begin(measure))
        seen = query.seen_by(slot)
        total = f"sum(CASE WHEN {seen} THEN {amount_of(slot)} END)" if slot.column else ""
        if slot.op in {"count", "last"}:
            total = f"count(*) FILTER ({seen})"
        value = f"{at(total, 0)} - {at(total, begin)}"
        if slot.op == "last":
            # The newest time so far may be an earlier key's, unless this one has such an event.
            newest = f"last_value(CASE WHEN {seen} THEN at_us END IGNORE NULLS)"
            value = f"CASE WHEN {value} > 0 THEN {at(newest, 0)} END"
        elif slot.op != "count":
            value = f"least({value}, {SUM_CAP})"
        columns.append(f"CAST({value} AS BIGINT) AS m{number}")
    running = ", ".join(f"coalesce({total} OVER upto, 0) AS t{place}" for place, total in enumerate(totals))
    needed = sorted({name for measure in measures.values() for name in columns_of(query.view, slots[measure.slot])})

    def queries() -> Iterator[str]:
        weight = (
            f"SELECT id, 1 AS weight FROM {query.name('events')}"
            f" UNION ALL SELECT id, {len(bounds)} AS weight FROM {query.name('rows')}"
        )
        for piece in query.pieces(weight):
            query.duck.execute(
                f"CREATE OR REPLACE TEMP TABLE {query.name('sorted')} AS {_sorted(query, bounds, needed, piece)}"
            )
            yield (
                f"SELECT rn, {', '.join(columns)} FROM (SELECT rn, bound, {running} FROM {query.name('sorted')}"
                " WINDOW upto AS (ROWS UNBOUNDED PRECEDING)) WHERE rn IS NOT NULL GROUP BY rn"
            )

    with query.in_order():
        query.fill("sums", queries())
    query.duck.execute(f"DROP TABLE IF EXISTS {query.name('sorted')}")


def _begin(measure: Measure) -> str:
    """Where a measure begins: what lies before it is subtracted."""
    if measure.half_life_us:
        return floor_sql(_END, DAY_US)  # the days before are weighed one by one
    if measure.window_us:
        return floor_sql(f"({_END} - {measure.window_us})", measure.slide_us)
    return _START


def _sorted(query: Query, bounds: Sequence[str], columns: Sequence[str], piece: str) -> str:
    """Events and bounds of some keys by time; a bound comes before the events at its time."""
    taken = "".join(f", {column}" for column in columns)
    empty = "".join(", NULL" for _ in columns)
    return (
        f"SELECT rn, bound, at_us, kind{taken} FROM ("
        "SELECT id, at_us, true AS is_event, CAST(NULL AS INTEGER) AS rn, CAST(NULL AS UTINYINT) AS bound,"
        f" kind{taken} FROM {query.name('events')} WHERE {piece} UNION ALL"
        f" SELECT id, unnest([{', '.join(bounds)}]), false, rn, unnest(CAST(range({len(bounds)}) AS UTINYINT[])),"
        f" NULL{empty} FROM {query.name('rows')} WHERE {piece}) ORDER BY id, at_us, is_event"
    )
