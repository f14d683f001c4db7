"""From decoded records to rows of the lake's tables."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.events.contract import Context, Event
from tastemaker.events.item import Item
from tastemaker.lake.tables import SCHEMAS
from tastemaker.serving.contract import ServedList
from tastemaker.stream.decode import Decoded, item_id_of

__all__ = ["event_rows", "item_rows", "served_list_rows"]

_json = msgspec.json.Encoder()
_NO_CONTEXT = Context()


def _table(name: str, columns: dict[str, list[Any]]) -> pa.Table:
    """Columns of Python values as a table; times are integers, which skips datetime's slow conversion."""
    schema = SCHEMAS[name]
    arrays = [
        pa.array(columns[field.name], pa.int64()).cast(field.type)
        if pa.types.is_timestamp(field.type)
        else pa.array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _object(value: object) -> str:
    return _json.encode(value).decode() if value else "{}"


def event_rows(decoded: Sequence[Decoded[Event]]) -> pa.Table:
    """Events as rows of ``SCHEMAS["events"]``, in the given order."""
    events = [value for value, _, _ in decoded]
    columns: dict[str, list[Any]] = {name: [getattr(event, name) for event in events] for name in _PLAIN_COLUMNS}
    columns[names.OCCURRED_AT] = [to_us(event.occurred_at) for event in events]
    columns[names.CONTEXT] = [_object(None if e.context == _NO_CONTEXT else e.context) for e in events]
    columns[names.EXTRA] = [_object(event.extra) for event in events]
    columns[names.INGESTED_AT] = [ingested_us for _, _, ingested_us in decoded]
    return _table(names.TABLE_EVENTS, columns | _positions(decoded))


_PLAIN_COLUMNS = (
    names.EVENT_ID,
    names.TYPE,
    names.USER_ID,
    names.SESSION_ID,
    names.ITEM_ID,
    names.VALUE,
    names.REQUEST_ID,
    names.POSITION,
    names.SCHEMA_VERSION,
)


def item_rows(decoded: Sequence[Decoded[Item | None]]) -> pa.Table:
    """Items and tombstones as rows of ``SCHEMAS["items"]``, in the given order."""
    rows = [
        {
            names.ITEM_ID: item_id_of(record),
            names.TITLE: item.title if item else None,
            names.CATEGORY: list(item.category) if item else None,
            names.PRICE: item.price if item else None,
            names.BRAND: item.brand if item else None,
            names.ATTRIBUTES: _object(item.attributes) if item else None,
            names.AVAILABLE: item.available if item else False,
            names.CREATED_AT: to_us(item.created_at) if item else None,
            names.UPDATED_AT: ingested_us,
            names.DELETED: item is None,
        }
        for item, record, ingested_us in decoded
    ]
    columns = {name: [row[name] for row in rows] for name in SCHEMAS[names.TABLE_ITEMS].names[:-2]}
    return _table(names.TABLE_ITEMS, columns | _positions(decoded))


def served_list_rows(decoded: Sequence[Decoded[ServedList]]) -> pa.Table:
    """Served lists as rows of ``SCHEMAS["served_lists"]``, in the given order."""
    served = [value for value, _, _ in decoded]
    columns: dict[str, list[Any]] = {
        names.REQUEST_ID: [s.request_id for s in served],
        "served_at": [to_us(s.served_at) for s in served],
        names.USER_ID: [s.request.user for s in served],
        names.SESSION_ID: [s.request.session for s in served],
        "surface": [s.request.surface for s in served],
        "release": [s.release for s in served],
        "tier": [s.tier for s in served],
        "served_list": [(record.value or b"").decode() for _, record, _ in decoded],
    }
    return _table(names.TABLE_SERVED_LISTS, columns | _positions(decoded))


def _positions(decoded: Sequence[Decoded[Any]]) -> dict[str, list[Any]]:
    return {
        names.PARTITION: [record.partition for _, record, _ in decoded],
        names.OFFSET: [record.offset for _, record, _ in decoded],
    }
