"""Build the online state from the lake with set-based SQL: what applying every event one by one would have left."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import duckdb
import msgspec

from tastemaker import names
from tastemaker.events.item import Item, encode_item
from tastemaker.features.bootstrap.history import HISTORY_EVENT_COLUMNS, history_rows
from tastemaker.features.bootstrap.tiles import tile_rows
from tastemaker.features.layout import layout_of
from tastemaker.features.plan import ViewPlan
from tastemaker.features.sql.columns import stored_columns, version_order
from tastemaker.features.sql.expressions import (
    bucket_sql,
    event_column,
    events_of_view,
    has_corrections,
    key_sql,
    keys_sql,
    label_number_sql,
)
from tastemaker.features.stores.protocol import StoredItem

__all__ = [
    "corrected_of",
    "items_of",
    "labels_of_view",
    "rows_of_view",
    "seen_of",
]

_CHUNK: Final = 10_000


def rows_of_view(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    *,
    until_us: int | None = None,
    keys: Collection[str] | None = None,
    bucket: tuple[int, int] | None = None,
    upto: Mapping[int, int] | None = None,
) -> Iterator[tuple[str, int, bytes]]:
    """The rows of a view as the online store holds them.

    Args:
        duck: a connection with the lake's tables.
        view: of any kind.
        until_us: leave out events that happened at or after this moment, and table rows after it.
        keys: only these keys.
        bucket: ``(i, n)``: only keys with ``bucket_of(key) % n == i``, so that memory is bounded by the bucket.
        upto: only events that were imported, or whose offset is at most this one, by partition of the events topic;
            partitions that are not named give none. Rows of batch views are of other topics, and all count.

    Yields:
        Key, time of the newest event or table row in microseconds, and packed state; by key.
    """
    if view.kind == "batch":
        return _latest(duck, view, until_us, keys, bucket)

    def events(columns: list[str]) -> str:
        return events_of_view(
            view,
            columns,
            corrections=has_corrections(duck),
            until_us=until_us,
            upto=upto,
            keys=keys,
            bucket=bucket,
        )

    if view.kind == "aggregate":
        return tile_rows(duck, view, events)
    return history_rows(duck, view, events([*HISTORY_EVENT_COLUMNS]))


def labels_of_view(duck: duckdb.DuckDBPyConnection, view: ViewPlan) -> Iterator[tuple[int, str]]:
    """Number and text of every label that an entry of the view may name; some more than once."""
    if view.kind != "aggregate":
        return
    for column in sorted({slot.column for slot in layout_of(view).slots if slot.op == "labels"}):
        text = event_column(view, column)
        yield from _stream(
            duck,
            f"SELECT {label_number_sql('label')}, label FROM (SELECT DISTINCT {text} AS label"
            f" FROM {names.TABLE_EVENTS} WHERE {text} IS NOT NULL)",
        )


def items_of(duck: duckdb.DuckDBPyConnection, until_us: int | None = None) -> Iterator[StoredItem]:
    """The newest version of every item, removed ones included.

    Args:
        duck: a connection with the lake's tables.
        until_us: no version after this moment.
    """
    until = "" if until_us is None else f"WHERE epoch_us({names.UPDATED_AT}) <= {until_us}"
    fields = [name for name in Item.__struct_fields__ if name != names.ITEM_ID]
    rows = _stream(
        duck,
        f"SELECT {names.ITEM_ID}, epoch_us({names.UPDATED_AT}), coalesce({names.DELETED}, false), {', '.join(fields)}"
        f" FROM {names.TABLE_ITEMS} {until} QUALIFY row_number() OVER (PARTITION BY {names.ITEM_ID}"
        f" ORDER BY {names.UPDATED_AT} DESC, {names.OFFSET} DESC) = 1",
    )
    for item_id, updated_us, deleted, *values in rows:
        yield StoredItem(item_id, updated_us, None if deleted else _item_json(item_id, fields, values))


def seen_of(duck: duckdb.DuckDBPyConnection) -> Iterator[tuple[bytes, int, int]]:
    """Digest of every event id in the lake, with the partition and offset of its first occurrence; by digest."""
    with duck.cursor() as cursor:
        batches = cursor.sql(
            f"SELECT unhex(md5({names.EVENT_ID})) AS digest, {names.PARTITION}, {names.OFFSET}"
            f" FROM {names.TABLE_EVENTS} ORDER BY digest"
        ).to_arrow_reader(_CHUNK)
        for batch in batches:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def corrected_of(duck: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    """Digest of every event id that an event in the lake corrects."""
    found = _stream(
        duck,
        f"SELECT DISTINCT unhex(md5({names.CORRECTS})) FROM {names.TABLE_EVENTS} WHERE {names.CORRECTS} IS NOT NULL",
    )
    return (digest for (digest,) in found)


def _latest(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    until_us: int | None,
    keys: Collection[str] | None,
    bucket: tuple[int, int] | None,
) -> Iterator[tuple[str, int, bytes]]:
    key, time = key_sql(view.join_keys), f"epoch_us({view.timestamp_field})"
    conditions = [f"{column} IS NOT NULL" for column in (*view.join_keys, view.timestamp_field)]
    if until_us is not None:
        conditions.append(f"{time} <= {until_us}")
    if keys is not None:
        conditions += keys_sql(view.join_keys, keys)
    if bucket is not None:
        conditions.append(f"{bucket_sql(key, bucket[1])} = {bucket[0]}")
    order = ", ".join(f"{column} DESC" for column in version_order(view))
    rows = _stream(
        duck,
        f"SELECT {key} AS key, {time}, {', '.join(stored_columns(view))} FROM {view.table}"
        f" WHERE {' AND '.join(conditions)} QUALIFY row_number() OVER (PARTITION BY {', '.join(view.join_keys)}"
        f" ORDER BY {order}) = 1 ORDER BY key",
    )
    for found, at_us, *values in rows:
        yield found, at_us, msgspec.msgpack.encode(values)


def _item_json(item_id: str, fields: list[str], values: list[object]) -> bytes:
    known = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
    attributes = known.get(names.ATTRIBUTES)
    if isinstance(attributes, str):
        known[names.ATTRIBUTES] = msgspec.json.decode(attributes or "{}")
    known[names.ITEM_ID] = item_id
    return encode_item(msgspec.convert(known, Item))


def _stream(duck: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple]:  # type: ignore[type-arg]
    """The rows of a query; other queries may run on the connection meanwhile."""
    with duck.cursor() as cursor:
        found = cursor.execute(query)
        while chunk := found.fetchmany(_CHUNK):
            yield from chunk
