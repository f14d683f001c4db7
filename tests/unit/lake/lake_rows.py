"""Rows for the tests of the lake."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from tastemaker import names
from tastemaker.lake.tables import SCHEMAS

DAY_0 = datetime(2024, 5, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def events(*rows: tuple[str, float]) -> pa.Table:
    """Events by id and day."""
    made = [
        {names.EVENT_ID: event_id, names.TYPE: "view", names.USER_ID: "u", names.OCCURRED_AT: day(at)}
        for event_id, at in rows
    ]
    return pa.Table.from_pylist(made, SCHEMAS[names.TABLE_EVENTS])


def items(*rows: tuple[str, float, bool]) -> pa.Table:
    """Versions of items by id and day; True is a tombstone."""
    made = [
        {names.ITEM_ID: item_id, names.UPDATED_AT: day(at), names.DELETED: deleted, names.CATEGORY: ["kitchen"]}
        for item_id, at, deleted in rows
    ]
    return pa.Table.from_pylist(made, SCHEMAS[names.TABLE_ITEMS])


def served(*rows: tuple[str, float]) -> pa.Table:
    """Served lists by request and day."""
    made = [{names.REQUEST_ID: request_id, names.SERVED_AT: day(at)} for request_id, at in rows]
    return pa.Table.from_pylist(made, SCHEMAS[names.TABLE_SERVED_LISTS])


def numbered(first: int, count: int) -> Sequence[tuple[str, float]]:
    return [(f"e{n:06d}", n / 1000) for n in range(first, first + count)]
