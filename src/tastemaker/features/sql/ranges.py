"""Smallest and largest amounts and occupied cells in windows, which running totals cannot give.

Where keys have few events, each row is joined to those before it. Elsewhere that product would be too large, and
DuckDB answers a frame whose bounds differ by row from a segment tree, and a distinct count from a merge sort tree
(Leis et al.: Efficient processing of window functions in analytical SQL queries, 2015; Vogelsgesang et al.: Efficient
evaluation of arbitrarily-framed holistic SQL aggregates and window functions, 2022).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tastemaker.features.layout import Measure, Slot
from tastemaker.features.sql.expressions import floor_sql
from tastemaker.features.sql.temporary_tables import Query, amount_of, cell_sql, columns_of

__all__ = ["PAIRS_PER_LINE", "RANGED", "look_over"]

RANGED: Final = frozenset({"min", "max", "cells"})
# Joining a pair costs a twentieth of what a frame costs per event and row (measured with distinct counts, where the
# trees are dearest: 38 ns to 0.9 us).
PAIRS_PER_LINE: Final = 16
# Before every event, and far enough from the edge of 64 bits to subtract it from a time.
_LONG_AGO: Final = -(2**62)


def look_over(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure]) -> None:
    """Compute measures over frames: tables with ``rn`` and a column ``m<number>`` per measure.

    Args:
        query: the question.
        slots: of the layout.
        measures: by number, those with a slot of :data:`RANGED`.
    """
    # Trees are only built over the events that count: one table per set of event types.
    by_types: dict[tuple[str, ...], dict[int, Measure]] = {}
    for number, measure in measures.items():
        by_types.setdefault(slots[measure.slot].types, {})[number] = measure
    for place, some in enumerate(by_types.values()):
        _look_over(query, slots, some, f"ranges{place}")


def _look_over(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure], table: str) -> None:
    used = {measure.slot: slots[measure.slot] for measure in measures.values()}
    seen = " OR ".join(f"({query.seen_by(slot)})" for slot in used.values())
    events = f"(SELECT * FROM {query.name('events')} WHERE {seen})"
    lines = f"SELECT id, 1 AS weight FROM {events} UNION ALL SELECT id, 1 AS weight FROM {query.name('rows')}"
    pairs = query.pairs(events)
    [(pair_count, line_count)] = query.duck.execute(
        f"SELECT (SELECT coalesce(sum(weight), 0) FROM ({pairs})), (SELECT count(*) FROM ({lines}))"
    ).fetchall()
    if pair_count <= PAIRS_PER_LINE * line_count:
        query.fill(table, (_joined(query, slots, measures, events, piece) for piece in query.pieces(pairs, "r.id")))
    else:
        query.fill(table, (_framed(query, slots, measures, events, piece) for piece in query.pieces(lines)))


def _joined(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure], events: str, piece: str) -> str:
    """Every row with all earlier events of its key."""
    columns = ", ".join(
        f"{_function(slots[measure.slot])}) FILTER (as_of_us - e.at_us <= {_reach(measure)}) AS m{number}"
        for number, measure in measures.items()
    )
    return (
        f"SELECT r.rn, {columns} FROM {query.name('rows')} AS r"
        f" JOIN {events} AS e ON r.id = e.id AND e.at_us < r.as_of_us WHERE {piece} GROUP BY r.rn"
    )


def _framed(query: Query, slots: Sequence[Slot], measures: Mapping[int, Measure], events: str, piece: str) -> str:
    """Rows among the events of their key, each with a frame of its own."""
    reaches = list(dict.fromkeys(map(_reach, measures.values())))
    columns = []
    for number, measure in measures.items():
        reach = f"r{reaches.index(_reach(measure))}"
        frame = f"(PARTITION BY id ORDER BY at_us RANGE BETWEEN {reach} PRECEDING AND 1 PRECEDING)"
        columns.append(f"{_function(slots[measure.slot])}) OVER {frame} AS m{number}")
    # Nulls do not count, and an event asks for nothing: its frame is empty.
    needed = sorted({name for m in measures.values() for name in columns_of(query.view, slots[m.slot])})
    taken, empty = "".join(f", {column}" for column in needed), "".join(", NULL" for _ in needed)
    nothing = "".join(f", CAST(0 AS BIGINT) AS r{place}" for place in range(len(reaches)))
    lengths = "".join(f", {reach}" for reach in reaches)
    return (
        f"SELECT rn, {', '.join(f'm{number}' for number in measures)} FROM (SELECT rn, {', '.join(columns)} FROM ("
        f"SELECT id, at_us, CAST(NULL AS INTEGER) AS rn{nothing}{taken} FROM {events}"
        f" WHERE {piece} UNION ALL"
        f" SELECT id, as_of_us, rn{lengths}{empty} FROM {query.name('rows')} WHERE {piece}"
        ")) WHERE rn IS NOT NULL"
    )


def _function(slot: Slot) -> str:
    """The aggregate, up to its closing bracket."""
    return f"count(DISTINCT {cell_sql(slot)}" if slot.op == "cells" else f"{slot.op}({amount_of(slot)}"


def _reach(measure: Measure) -> str:
    """How far back a measure looks from the moment."""
    begin = floor_sql(f"(as_of_us - {measure.window_us})", measure.slide_us) if measure.window_us else f"({_LONG_AGO})"
    return f"as_of_us - {begin}"
