"""The items of a mapped table: from a file of their own, or as far as the events tell."""

import duckdb
import pyarrow as pa

from tastemaker import names
from tastemaker.events.adapters.dataset import conform
from tastemaker.events.adapters.source import connect, dropped_counts, identifier, quoted, read_source, require_columns
from tastemaker.events.adapters.tabular_mapping import ItemMapping, mapped_columns
from tastemaker.events.adapters.tabular_sql import IN_RANGE, object_sql, text_sql, time_sql

__all__ = ["items_from_events", "load_items"]

_ATTRIBUTE_PREFIX = f"{names.ATTRIBUTES}."

_FROM_EVENTS = """
SELECT item_id, item_id AS title, min(occurred_at) AS created_at, min(occurred_at) AS updated_at
FROM events WHERE item_id IS NOT NULL GROUP BY item_id
"""

_PROBLEM = f"""CASE
    WHEN item_id IS NULL THEN 'no item_id'
    WHEN length(item_id) > 256 THEN 'item_id is longer than 256 characters'
    WHEN greatest(length(title), length(brand), list_max([length(level) FOR level IN category])) > 1024
        THEN 'a text is longer than 1024 characters'
    WHEN raw_price IS NOT NULL AND (price IS NULL OR price NOT BETWEEN 0 AND 1e12)
        THEN 'price is no number from 0 to 1e+12'
    WHEN raw_available IS NOT NULL AND available IS NULL THEN 'available is neither true nor false'
    WHEN raw_created_at IS NOT NULL AND (created_at IS NULL OR created_at NOT {IN_RANGE})
        THEN 'created_at does not parse'
    END"""

# An item without a date of its own enters with its first event; one without events, with the data.
_VALID = """
SELECT * EXCLUDE (created_at, available), coalesce(available, true) AS available, created_at, created_at AS updated_at
FROM (
    SELECT * REPLACE (coalesce(created_at, first_event, (SELECT min(occurred_at) FROM events)) AS created_at)
    FROM checked LEFT JOIN
        (SELECT item_id, min(occurred_at) AS first_event FROM events GROUP BY item_id) USING (item_id)
    WHERE dropped IS NULL
)
"""


def items_from_events(events: pa.Table) -> pa.Table:
    """Items that are known by their id alone.

    Args:
        events: columns of ``SCHEMAS["events"]``.

    Returns:
        Columns of ``SCHEMAS["items"]``; the id is the title, the first event the time of creation.
    """
    connection = connect()
    connection.register("events", events)
    return conform(names.TABLE_ITEMS, connection.sql(_FROM_EVENTS).to_arrow_table())


def load_items(
    mapping: ItemMapping, timezone: str, events: pa.Table
) -> tuple[pa.Table, tuple[tuple[str, int], ...], tuple[str, ...]]:
    """Read a file of items.

    Args:
        mapping: the file and its columns.
        timezone: IANA name of the zone of times without an offset.
        events: columns of ``SCHEMAS["events"]``.

    Returns:
        Columns of ``SCHEMAS["items"]``, (reason, rows) of what was dropped, and notes for the report.

    Raises:
        DataError: the file is missing, unreadable or empty, or lacks a column.
    """
    connection = connect(timezone)
    types, rejected = read_source(connection, mapping.path, "source")
    require_columns(mapping.path, types, mapped_columns(mapping.columns))
    connection.register("events", events)
    connection.execute(f"CREATE TABLE fields AS SELECT {_fields(mapping, types)} FROM source")
    later = f"row_number() OVER (PARTITION BY item_id, {_PROBLEM} ORDER BY source_row DESC) > 1"
    repeated = f"CASE WHEN {later} THEN 'a later row describes the same item' END"
    connection.execute(f"CREATE TABLE checked AS SELECT *, coalesce({_PROBLEM}, {repeated}) AS dropped FROM fields")
    items = conform(names.TABLE_ITEMS, connection.sql(_VALID).to_arrow_table())
    return items, dropped_counts(connection, "checked", rejected), _notes(connection)


def _fields(mapping: ItemMapping, types: dict[str, str]) -> str:
    columns = mapping.columns
    texts = {field: text_sql(columns, types, field) for field in (names.ITEM_ID, names.TITLE, names.BRAND)}
    price, available = text_sql(columns, types, names.PRICE), text_sql(columns, types, names.AVAILABLE)
    attributes = {
        field.removeprefix(_ATTRIBUTE_PREFIX): text_sql(columns, types, field)
        for field in columns
        if field.startswith(_ATTRIBUTE_PREFIX)
    }
    expressions = {
        "source_row": "source_row",
        **texts,
        names.TITLE: f"coalesce({texts[names.TITLE]}, {texts[names.ITEM_ID]})",
        names.CATEGORY: _category(mapping, types),
        "raw_price": price,
        names.PRICE: f"TRY_CAST({price} AS DOUBLE)",
        "raw_available": available,
        names.AVAILABLE: f"TRY_CAST({available} AS BOOLEAN)",
        names.ATTRIBUTES: object_sql(attributes),
        "raw_created_at": text_sql(columns, types, names.CREATED_AT),
        names.CREATED_AT: time_sql(columns, types, names.CREATED_AT, mapping.timestamp),
    }
    return ", ".join(f"{expression} AS {field}" for field, expression in expressions.items())


def _category(mapping: ItemMapping, types: dict[str, str]) -> str:
    column = mapping.columns.get(names.CATEGORY, "")
    if types.get(column, "").endswith("[]"):
        levels = f"{identifier(column)}::VARCHAR[]"
    else:
        levels = (
            f"string_split({text_sql(mapping.columns, types, names.CATEGORY)}, {quoted(mapping.category_separator)})"
        )
    return f"[trim(level) FOR level IN {levels} IF trim(level) <> '']"


def _notes(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    ((unlisted,),) = connection.execute(
        """SELECT count(DISTINCT item_id) FROM events
        WHERE item_id NOT IN (SELECT item_id FROM checked WHERE dropped IS NULL)"""
    ).fetchall()
    if not unlisted:
        return ()
    return (f"{unlisted:,} items have events but no row in the items file; they cannot be recommended.",)
