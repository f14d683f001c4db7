"""From decoded records to rows of the lake's tables."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.events.contract import Context, Event
from tastemaker.features.streaming.state import ConsumedEvent, ConsumedItem
from tastemaker.features.streaming.times import times_us
from tastemaker.lake.tables import SCHEMAS
from tastemaker.stream.decode import ConsumedList

__all__ = ["event_rows", "item_rows", "served_list_rows"]

_json = msgspec.json.Encoder()
# The very object that every decoded event without a context has.
_NO_CONTEXT = next(default for default in Event.__struct_defaults__ if isinstance(default, Context))


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
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


_PLAIN_COLUMNS = (
    names.EVENT_ID,
    names.TYPE,
    names.USER_ID,
    names.SESSION_ID,
    names.ITEM_ID,
    names.VALUE,
    names.CATEGORY,
    names.PRICE,
    names.CORRECTS,
    names.REQUEST_ID,
    names.POSITION,
    names.SCHEMA_VERSION,
)


_plain = attrgetter(*_PLAIN_COLUMNS, names.OCCURRED_AT, names.CONTEXT, names.EXTRA)


def event_rows(consumed: Sequence[ConsumedEvent]) -> pa.Table:
    """Events as rows of ``SCHEMAS["events"]``, in the given order."""
    fields = list(zip(*(_plain(row.event) for row in consumed), strict=True)) or [()] * (len(_PLAIN_COLUMNS) + 3)
    *plain, occurred_at, context, extra = fields
    columns: dict[str, Any] = dict(zip(_PLAIN_COLUMNS, plain, strict=True))
    columns[names.OCCURRED_AT] = times_us(occurred_at)
    columns[names.CONTEXT] = ["{}" if value is _NO_CONTEXT else _context(value) for value in context]
    columns[names.EXTRA] = [_object(value) if value else "{}" for value in extra]
    columns[names.INGESTED_AT] = [row.ingested_us for row in consumed]
    return _table(names.TABLE_EVENTS, columns | _positions(consumed))


def _context(context: Context) -> str:
    return _object(context) if context != _NO_CONTEXT else "{}"


def item_rows(consumed: Sequence[ConsumedItem]) -> pa.Table:
    """Items and tombstones as rows of ``SCHEMAS["items"]``, in the given order."""
    rows = [
        {
            names.ITEM_ID: item_id,
            names.TITLE: item.title if item else None,
            names.CATEGORY: list(item.category) if item else None,
            names.PRICE: item.price if item else None,
            names.BRAND: item.brand if item else None,
            names.ATTRIBUTES: _object(item.attributes) if item else None,
            names.AVAILABLE: item.available if item else False,
            names.CREATED_AT: to_us(item.created_at) if item else None,
            names.UPDATED_AT: updated_us,
            names.DELETED: item is None,
        }
        for item_id, item, updated_us, _, _ in consumed
    ]
    columns = {name: [row[name] for row in rows] for name in SCHEMAS[names.TABLE_ITEMS].names[:-2]}
    return _table(names.TABLE_ITEMS, columns | _positions(consumed))


def served_list_rows(consumed: Sequence[ConsumedList]) -> pa.Table:
    """Served lists as rows of ``SCHEMAS["served_lists"]``, in the given order."""
    served = [row.served for row in consumed]
    columns: dict[str, Sequence[Any]] = {
        names.REQUEST_ID: [s.request_id for s in served],
        "served_at": [to_us(s.served_at) for s in served],
        names.USER_ID: [s.request.user for s in served],
        names.SESSION_ID: [s.request.session for s in served],
        "surface": [s.request.surface for s in served],
        "release": [s.release for s in served],
        "tier": [s.tier for s in served],
        "latency_us": [s.latency_us for s in served],
        "listed": [len(s.items) for s in served],
        "shadow_of": [s.shadow_of or None for s in served],
        "stands_in_for": [s.stands_in_for or None for s in served],
        "served_list": [row.raw.decode() for row in consumed],
    }
    return _table(names.TABLE_SERVED_LISTS, columns | _positions(consumed))


def _positions(consumed: Sequence[ConsumedEvent | ConsumedItem | ConsumedList]) -> dict[str, Sequence[Any]]:
    return {
        names.PARTITION: [row.partition for row in consumed],
        names.OFFSET: [row.offset for row in consumed],
    }
