"""Any CSV or Parquet table as events, by a column mapping."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import Dataset, conform
from tastemaker.events.adapters.report import CleaningReport
from tastemaker.events.adapters.source import connect, dropped_counts, quoted, read_source, require_columns
from tastemaker.events.adapters.stamp import stamp
from tastemaker.events.adapters.tabular_items import items_from_events, load_items
from tastemaker.events.adapters.tabular_mapping import ItemMapping, TableMapping, mapped_columns
from tastemaker.events.adapters.tabular_sql import IN_RANGE, object_sql, text_sql, time_sql
from tastemaker.events.contract import EVENT_TYPES, RETRACTION, TYPES_WITHOUT_ITEM, Context

__all__ = ["ItemMapping", "TableMapping", "load"]

_ID_LENGTH = 256
_TEXT_LENGTH = 1024
_LARGEST_AMOUNT = 1e12
_LARGEST_POSITION = 100_000
_UNKNOWN_TYPE = "type is no event type"
_IDS = (names.EVENT_ID, names.USER_ID, names.SESSION_ID, names.ITEM_ID, names.CORRECTS, names.REQUEST_ID)
_AMOUNTS = (names.VALUE, names.PRICE)


def load(path: Path, mapping: TableMapping | Mapping[str, str]) -> Dataset:
    """Read a table of events.

    Args:
        path: a ``.parquet`` file, or else CSV with a header line.
        mapping: see :class:`TableMapping`; a plain dict is its ``columns``.

    Returns:
        The rows that keep the event contract. The others are dropped and counted by reason in the report.

    Raises:
        DataError: the mapping or the file cannot be used, or no row can.
    """
    if not isinstance(mapping, TableMapping):
        mapping = TableMapping(columns=mapping)
    name = mapping.name or path.stem
    connection = connect(mapping.timezone)
    types, rejected = read_source(connection, path, "source")
    require_columns(path, types, mapped_columns(mapping.columns))
    connection.execute(f"CREATE TABLE fields AS SELECT {_event_fields(mapping, types, name)} FROM source")
    connection.execute(f"CREATE TABLE checked AS SELECT *, {_event_problem(mapping)} AS dropped FROM fields")
    dropped = dropped_counts(connection, "checked", rejected)
    rows = connection.sql("SELECT * EXCLUDE (dropped) FROM checked WHERE dropped IS NULL").to_arrow_table()
    notes = _unknown_types(connection)
    if not rows.num_rows:
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in dropped)
        raise DataError(f"{path}: no row is an event ({reasons or 'the file is empty'}); check the mapping")
    events = conform(names.TABLE_EVENTS, rows)
    items, items_dropped, item_notes = (
        load_items(mapping.items, mapping.timezone, events) if mapping.items else (items_from_events(events), (), ())
    )
    report = CleaningReport(
        source=path.name,
        kept=events.num_rows,
        dropped=dropped,
        items_kept=items.num_rows,
        items_dropped=items_dropped,
        notes=(*notes, *item_notes),
    )
    return Dataset(name, stamp(events, items), items, report, simulated=False, timezone=mapping.timezone)


def _event_fields(mapping: TableMapping, types: Mapping[str, str], name: str) -> str:
    columns = mapping.columns
    raw_type = text_sql(columns, types, names.TYPE)
    cases = "".join(f" WHEN {quoted(raw)} THEN {quoted(kind)}" for raw, kind in mapping.type_values.items())
    ids = {field: text_sql(columns, types, field) for field in _IDS}
    if names.EVENT_ID not in columns:
        ids[names.EVENT_ID] = f"{quoted(name + '-')} || source_row"
    context = {field: text_sql(columns, types, f"{names.CONTEXT}.{field}") for field in Context.__struct_fields__}
    mapped = {field: text for field, text in context.items() if f"{names.CONTEXT}.{field}" in columns}
    texts = [*mapped.values(), text_sql(columns, types, names.CATEGORY)]
    expressions = {
        "source_row": "source_row",
        **ids,
        "raw_type": raw_type,
        names.TYPE: f"CASE {raw_type}{cases} ELSE {raw_type} END" if cases else raw_type,
        names.OCCURRED_AT: time_sql(columns, types, names.OCCURRED_AT, mapping.timestamp),
        **{f"raw_{field}": text_sql(columns, types, field) for field in _AMOUNTS},
        **{field: f"TRY_CAST({text_sql(columns, types, field)} AS DOUBLE)" for field in _AMOUNTS},
        names.CATEGORY: text_sql(columns, types, names.CATEGORY),
        "raw_position": text_sql(columns, types, names.POSITION),
        names.POSITION: f"TRY_CAST({text_sql(columns, types, names.POSITION)} AS INTEGER)",
        names.CONTEXT: object_sql(mapped),
        "longest_text": f"greatest(0, {', '.join(f'length({text})' for text in texts)})",
    }
    return ", ".join(f"{expression} AS {field}" for field, expression in expressions.items())


def _event_problem(mapping: TableMapping) -> str:
    """SQL of the first reason why a row of ``fields`` is no event of the contract, or NULL."""
    kinds = ", ".join(map(quoted, EVENT_TYPES))
    without_item = ", ".join(map(quoted, sorted(TYPES_WITHOUT_ITEM)))
    too_long = " OR ".join(f"length({field}) > {_ID_LENGTH}" for field in _IDS)
    amounts = " ".join(
        f"WHEN raw_{field} IS NOT NULL AND ({field} IS NULL OR {field} NOT BETWEEN 0 AND {_LARGEST_AMOUNT})"
        f" THEN '{field} is no number from 0 to {_LARGEST_AMOUNT:g}'"
        for field in _AMOUNTS
    )
    contract = f"""CASE
        WHEN type IS NULL OR type NOT IN ({kinds}) THEN '{_UNKNOWN_TYPE}'
        WHEN event_id IS NULL THEN 'no event_id'
        WHEN user_id IS NULL AND session_id IS NULL THEN 'neither user_id nor session_id'
        WHEN item_id IS NULL AND type NOT IN ({without_item}) THEN 'no item_id'
        WHEN {too_long} THEN 'an id is longer than {_ID_LENGTH} characters'
        WHEN occurred_at IS NULL THEN 'occurred_at does not parse'
        WHEN occurred_at NOT {IN_RANGE} THEN 'occurred_at is before 1970 or after 9998'
        WHEN type = '{RETRACTION}' AND corrects IS NULL THEN 'a retraction without corrects'
        WHEN corrects = event_id THEN 'an event that corrects itself'
        {amounts}
        WHEN raw_position IS NOT NULL AND (position IS NULL OR position NOT BETWEEN 0 AND {_LARGEST_POSITION})
            THEN 'position is no whole number from 0 to {_LARGEST_POSITION}'
        WHEN longest_text > {_TEXT_LENGTH} THEN 'category or a context text is longer than {_TEXT_LENGTH} characters'
        END"""
    if names.EVENT_ID not in mapping.columns:
        return contract
    copy = f"row_number() OVER (PARTITION BY event_id, {contract} ORDER BY source_row)"
    return f"coalesce({contract}, CASE WHEN {copy} > 1 THEN 'event_id repeats an earlier row' END)"


def _unknown_types(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    found = connection.execute(
        f"""SELECT raw_type, count(*) FROM checked WHERE dropped = '{_UNKNOWN_TYPE}' AND raw_type IS NOT NULL
        GROUP BY ALL ORDER BY count(*) DESC, raw_type LIMIT 5"""
    ).fetchall()
    if not found:
        return ()
    listed = ", ".join(f"{kind!r} ({count:,})" for kind, count in found)
    return (f"Types that are none of the contract: {listed}; name what they mean in type_values.",)
