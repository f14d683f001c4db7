"""Build the online state from the lake with set-based SQL: what applying every event one by one would have left."""

import sqlite3
from collections.abc import Iterator
from itertools import groupby

import duckdb
import msgspec
import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.events.item import Item, encode_item
from tastemaker.features.expressions import events_of_view, floor_sql, key_sql, slot_sql
from tastemaker.features.history import HistoryEvent, newest_first, pack_history
from tastemaker.features.layout import BASE, HEAD, Layout, layout_of
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.semantics import HEAD_US, NEVER
from tastemaker.lake.tables import Lake

__all__ = ["build_state", "lake_positions"]

_Row = tuple[str, int, bytes]
_MAX_PARTITIONS = 256


def build_state(
    connection: sqlite3.Connection, plan: FeaturePlan, lake: Lake, rev: int, until_us: int | None = None
) -> None:
    """Replace the rows of these views, and all items and seen events, within the running transaction.

    Args:
        connection: of the online store.
        plan: the declarations.
        lake: where the events and items are.
        rev: the transaction's revision; every row gets it.
        until_us: leave out what happened at or after this moment; None takes everything.
    """
    connection.executemany("DELETE FROM online WHERE view = ?", [(view.signature,) for view in plan.views])
    for table in ("seen", "items"):
        connection.execute(f"DELETE FROM {table}")
    with lake.connect() as duck:
        for view in plan.views:
            build = {"aggregate": _tiles, "history": _histories, "batch": _latest}[view.kind]
            connection.executemany(
                "INSERT INTO online(view, key, event_us, rev, state) VALUES (?, ?, ?, ?, ?)",
                ((view.signature, key, at_us, rev, state) for key, at_us, state in build(duck, view, until_us)),
            )
        connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", _items(duck, rev, until_us))
        if until_us is None:  # a state as of the past is only read
            connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", _seen(duck))


def lake_positions(lake: Lake, topic: str, table: str) -> dict[int, int]:
    """The next offset after what the lake has committed, by partition of a topic."""
    apps = {f"worker:{topic}:{partition}": partition for partition in range(_MAX_PARTITIONS)}
    return {apps[app]: version + 1 for app, version in lake.versions(table, apps).items()}


def _tiles(duck: duckdb.DuckDBPyConnection, view: ViewPlan, until_us: int | None) -> Iterator[_Row]:
    layout = layout_of(view)
    table = duck.sql(_tiles_sql(view, layout, until_us)).to_arrow_table()
    if not len(table):
        return
    keys = table.column("key").combine_chunks()
    rows = np.column_stack([table.column(index).to_numpy() for index in range(1, layout.width + 1)]).astype("<i8")
    changes = pa.compute.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
    begins = np.concatenate(([0], np.flatnonzero(changes) + 1, [len(keys)]))
    packed = rows.tobytes()
    newest = np.maximum.reduceat(rows[:, 1], begins[:-1]).tolist()  # the last head row starts at the newest event
    size = 8 * layout.width
    offsets = (begins * size).tolist()
    for index, key in enumerate(keys.take(pa.array(begins[:-1])).to_pylist()):
        yield key, newest[index], packed[offsets[index] : offsets[index + 1]]


def _tiles_sql(view: ViewPlan, layout: Layout, until_us: int | None) -> str:
    empty = [f"CAST({NEVER if slot.op == 'last' else 0} AS BIGINT)" for slot in layout.slots]
    every = range(len(layout.slots))

    def columns(used: tuple[int, ...] | range) -> str:
        chosen = (slot_sql(layout.slots[i]) if i in used else empty[i] for i in every)
        return ", ".join(f"{sql} AS slot_{i}" for i, sql in enumerate(chosen))

    selects = [
        f"SELECT key, CAST({HEAD} AS BIGINT) AS kind, at_us AS start, {columns(every)} FROM marked"
        " WHERE is_head GROUP BY key, at_us",
        f"SELECT key, CAST({BASE} AS BIGINT) AS kind, CAST(0 AS BIGINT) AS start, {columns(layout.base_slots)}"
        " FROM marked WHERE NOT is_head GROUP BY key",
    ]
    for kind, group in enumerate(layout.groups):
        oldest = floor_sql(f"(newest_us - {HEAD_US + group.horizon_us})", group.hop_us)
        used = " OR ".join(f"slot_{index} > 0" for index in group.slots)
        selects.append(
            f"SELECT key, CAST({kind} AS BIGINT) AS kind, {floor_sql('at_us', group.hop_us)} AS start,"
            f" {columns(group.slots)} FROM marked WHERE NOT is_head AND {floor_sql('at_us', group.hop_us)} >= {oldest}"
            f" GROUP BY ALL HAVING {used}"
        )
    return (
        f"WITH seen AS ({events_of_view(view, until_us)}),"
        " spans AS (SELECT key, max(at_us) AS newest_us FROM seen GROUP BY key),"
        f" marked AS (SELECT seen.*, newest_us, at_us >= newest_us - {HEAD_US} AS is_head"
        " FROM seen JOIN spans USING (key)) "
        + " UNION ALL ".join(selects)
        + f" ORDER BY key, CASE kind WHEN {HEAD} THEN {len(layout.groups)} ELSE kind END, start"
    )


def _histories(duck: duckdb.DuckDBPyConnection, view: ViewPlan, until_us: int | None) -> Iterator[_Row]:
    rows = duck.execute(
        f"WITH seen AS ({events_of_view(view, until_us)}),"
        " marked AS (SELECT *, at_us >= max(at_us) OVER own - " + str(HEAD_US) + " AS is_head FROM seen"
        " WINDOW own AS (PARTITION BY key)),"
        " ranked AS (SELECT *, row_number() OVER (PARTITION BY key ORDER BY at_us DESC, event_id DESC) AS place,"
        " count(*) FILTER (is_head) OVER (PARTITION BY key) AS in_head FROM marked)"
        f" SELECT key, at_us, event_id, item_id, type FROM ranked WHERE place <= in_head + {newest_first(view)}"
        " ORDER BY key, place"
    ).fetchall()
    for key, own in groupby(rows, key=lambda row: row[0]):
        events = [HistoryEvent(*row[1:]) for row in own]
        yield key, events[0].occurred_us, pack_history(events)


def _latest(duck: duckdb.DuckDBPyConnection, view: ViewPlan, until_us: int | None) -> Iterator[_Row]:
    time = f"epoch_us({view.timestamp_field})"
    until = "" if until_us is None else f" AND {time} <= {until_us}"
    columns = ", ".join(feature.column for feature in view.features)
    keys = " AND ".join(f"{column} IS NOT NULL" for column in view.join_keys)
    rows = duck.execute(
        f"SELECT {key_sql(view.join_keys)}, {time}, {columns} FROM {view.table} WHERE {keys}{until}"
        f" QUALIFY row_number() OVER (PARTITION BY {', '.join(view.join_keys)}"
        f" ORDER BY {view.timestamp_field} DESC, {names.OFFSET} DESC) = 1"
    )
    while chunk := rows.fetchmany(10_000):
        for key, at_us, *values in chunk:
            yield key, at_us, msgspec.msgpack.encode(values)


def _items(
    duck: duckdb.DuckDBPyConnection, rev: int, until_us: int | None
) -> Iterator[tuple[str, int, int, bytes | None]]:
    until = "" if until_us is None else f"WHERE epoch_us({names.UPDATED_AT}) <= {until_us}"
    fields = [name for name in Item.__struct_fields__ if name != names.ITEM_ID]
    rows = duck.execute(
        f"SELECT {names.ITEM_ID}, epoch_us({names.UPDATED_AT}), coalesce({names.DELETED}, false), {', '.join(fields)}"
        f" FROM {names.TABLE_ITEMS} {until} QUALIFY row_number() OVER (PARTITION BY {names.ITEM_ID}"
        f" ORDER BY {names.UPDATED_AT} DESC, {names.OFFSET} DESC) = 1"
    )
    while chunk := rows.fetchmany(10_000):
        for item_id, updated_us, deleted, *values in chunk:
            yield item_id, updated_us, rev, None if deleted else _item_json(item_id, fields, values)


def _item_json(item_id: str, fields: list[str], values: list[object]) -> bytes:
    known = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
    attributes = known.get(names.ATTRIBUTES)
    if isinstance(attributes, str):
        known[names.ATTRIBUTES] = msgspec.json.decode(attributes or "{}")
    known[names.ITEM_ID] = item_id
    return encode_item(msgspec.convert(known, Item))


def _seen(duck: duckdb.DuckDBPyConnection) -> Iterator[tuple[bytes, int, int]]:
    rows = duck.execute(
        f"SELECT unhex(md5({names.EVENT_ID})) AS digest, {names.PARTITION}, {names.OFFSET} FROM {names.TABLE_EVENTS}"
        " ORDER BY digest"
    )
    while chunk := rows.fetchmany(50_000):
        yield from chunk
