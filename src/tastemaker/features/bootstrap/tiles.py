"""The packed states of an aggregate view, from the lake: what applying every event one by one would have left.

All entries of all entities come out of one query, as sorted rows of whole numbers; cutting their bytes at the
entities' borders gives the states.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.features.layout import APPLIED, BASE, FIRST_GROUP, MERGES, WIDTH, Layout, Slot, layout_of
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import HEAD_US, SUM_CAP
from tastemaker.features.sql.expressions import floor_sql, label_number_sql
from tastemaker.features.sql.temporary_tables import amount_of, cell_sql, columns_of, kind_sql, seen_sql

__all__ = ["tile_rows"]

_EVENTS: Final = "bootstrap_events"
_KEYS: Final = "bootstrap_keys"


def tile_rows(
    duck: duckdb.DuckDBPyConnection, view: ViewPlan, events: Callable[[list[str]], str]
) -> Iterator[tuple[str, int, bytes]]:
    """Key, newest event's time and packed state of every entity.

    Args:
        duck: a connection with the lake's tables.
        view: an aggregate view.
        events: from columns to a query of the events that count, as
            :func:`tastemaker.features.sql.expressions.events_of_view` makes it.
    """
    keys, entries = _entries(duck, view, events)
    rows = np.column_stack([_numbers(entries, name) for name in ("code", "start", "label", "value")]).astype("<i8")
    packed = rows.tobytes()
    borders = (np.searchsorted(_numbers(entries, "id"), np.arange(len(keys) + 1)) * 8 * WIDTH).tolist()
    newest = _numbers(keys, "newest_us").tolist()
    for place, key in enumerate(keys.column("key").to_pylist()):
        yield key, newest[place], packed[borders[place] : borders[place + 1]]


def _entries(
    duck: duckdb.DuckDBPyConnection, view: ViewPlan, events: Callable[[list[str]], str]
) -> tuple[pa.Table, pa.Table]:
    """The keys in order, and ``id`` (the place of the key) with the four words of each entry, in order."""
    layout = layout_of(view)
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {_EVENTS}_raw AS SELECT * EXCLUDE (type), {kind_sql(view)} AS kind"
        f" FROM ({events(_columns(view, layout))})"
    )
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {_KEYS} AS SELECT key, max(at_us) AS newest_us,"
        f" row_number() OVER (ORDER BY key) - 1 AS id FROM {_EVENTS}_raw GROUP BY key"
    )
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {_EVENTS} AS SELECT id, newest_us, at_us >= newest_us - {HEAD_US} AS is_head,"
        f" e.* EXCLUDE (key) FROM {_EVENTS}_raw AS e JOIN {_KEYS} USING (key)"
    )
    selects = [
        f"SELECT id, CAST({layout.code(APPLIED, 0)} AS BIGINT) AS code, CAST({names.PARTITION} AS BIGINT) AS start,"
        f" CAST(0 AS BIGINT) AS label, max({names.OFFSET}) AS value FROM {_EVENTS}"
        f" WHERE {names.PARTITION} >= 0 GROUP BY id, {names.PARTITION}",
        *_kind(view, layout.head, "at_us", range(len(layout.slots)), "is_head"),
        *_kind(view, BASE, "CAST(0 AS BIGINT)", layout.base_slots, "NOT is_head"),
    ]
    for number, group in enumerate(layout.groups):
        start = floor_sql("at_us", group.hop_us)
        oldest = floor_sql(f"(newest_us - {HEAD_US + group.horizon_us})", group.hop_us)
        selects += _kind(view, FIRST_GROUP + number, start, group.slots, f"NOT is_head AND {start} >= {oldest}")
    entries = duck.sql(
        f"SELECT id, code, start, label, value FROM ({' UNION ALL '.join(selects)}) ORDER BY id, code, start, label"
    ).to_arrow_table()
    keys = duck.sql(f"SELECT key, newest_us FROM {_KEYS} ORDER BY id").to_arrow_table()
    for table in (f"{_EVENTS}_raw", _EVENTS, _KEYS):
        duck.execute(f"DROP TABLE {table}")
    return keys, entries


def _columns(view: ViewPlan, layout: Layout) -> list[str]:
    """The columns of events that the slots need, as expressions over the events table."""
    found = {name: sql for slot in layout.slots for name, sql in columns_of(view, slot).items()}
    for slot in layout.slots:
        if slot.op == "labels":  # entries hold the labels' numbers
            found[f"number_{slot.column}"] = label_number_sql(found[f"text_{slot.column}"])
    return [f"{sql} AS {name}" for name, sql in found.items()] + [names.PARTITION, names.OFFSET]


def _numbers(table: pa.Table, column: str) -> np.ndarray:
    found: np.ndarray = table.column(column).to_numpy()
    return found


def _kind(view: ViewPlan, kind: int, start: str, indices: Sequence[int], condition: str) -> Iterator[str]:
    """Queries of the entries of one kind: the plain slots in one, those with labels one by one."""
    layout = layout_of(view)
    plain = [index for index in indices if layout.slots[index].op not in {"cells", "labels"}]
    if plain:
        codes = [layout.code(kind, index) for index in plain]
        values = ", ".join(_value(view, layout.slots[index]) for index in plain)
        yield (
            "SELECT id, code, start, CAST(0 AS BIGINT) AS label, value FROM (SELECT id, start,"
            f" unnest(CAST({codes} AS BIGINT[])) AS code, unnest(parts) AS value FROM (SELECT id, {start} AS start,"
            f" [{values}] AS parts FROM {_EVENTS} WHERE {condition} GROUP BY ALL)) WHERE value IS NOT NULL"
        )
    for index in indices:
        slot = layout.slots[index]
        if index in plain:
            continue
        label = cell_sql(slot) if slot.op == "cells" else f"number_{slot.column}"
        horizon = layout.cell_horizons_us[index]
        reached = (
            f" HAVING max(at_us) >= any_value(newest_us) - {HEAD_US + horizon}" if kind == BASE and horizon else ""
        )
        weight = f" AND micros_{slot.by} > 0" if slot.by else ""  # what weighs nothing leaves no entry
        yield (
            f"SELECT id, CAST({layout.code(kind, index)} AS BIGINT) AS code, {start} AS start, {label} AS label,"
            f" {_merged(slot, f'micros_{slot.by}' if slot.by else '')} AS value FROM {_EVENTS}"
            f" WHERE {condition} AND {seen_sql(view, slot)}{weight} GROUP BY ALL{reached}"
        )


def _value(view: ViewPlan, slot: Slot) -> str:
    """A plain slot as an aggregate; null where no event counts."""
    seen = f"FILTER ({seen_sql(view, slot)})"
    if slot.op == "count":
        return f"nullif(count(*) {seen}, 0)"
    if MERGES[slot.op] == "sum":
        total = f"sum({amount_of(slot)}) {seen}"
        return f"CAST(CASE WHEN {total} > {SUM_CAP} THEN {SUM_CAP} ELSE {total} END AS BIGINT)"
    return f"{MERGES[slot.op]}({'at_us' if slot.op in {'last', 'first'} else amount_of(slot)}) {seen}"


def _merged(slot: Slot, weight: str) -> str:
    """The value of an entry of a label or cell."""
    if slot.op == "cells":
        return "max(at_us)"
    return f"CAST(least(sum({weight}), {SUM_CAP}) AS BIGINT)" if weight else "count(*)"
