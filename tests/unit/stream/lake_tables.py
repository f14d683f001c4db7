"""Events and items as rows of the lake, for the tests of what goes into it and comes out of it."""

from collections.abc import Callable, Sequence

import msgspec
import pyarrow as pa

from tastemaker import names
from tastemaker.events.contract import Event
from tastemaker.events.item import Item
from tastemaker.lake.tables import SCHEMAS


def events_table(events: Sequence[Event], ingested_us: Callable[[Event], int]) -> pa.Table:
    rows = [
        msgspec.structs.asdict(made)
        | {
            names.CONTEXT: msgspec.json.encode(made.context).decode(),
            names.EXTRA: msgspec.json.encode(made.extra).decode(),
            names.INGESTED_AT: ingested_us(made),
            names.PARTITION: -1,
            names.OFFSET: -1,
        }
        for made in events
    ]
    return pa.Table.from_pylist(rows, SCHEMAS[names.TABLE_EVENTS])


def items_table(items: Sequence[Item | str], updated_us: int) -> pa.Table:
    """An id alone is a tombstone."""
    rows = [
        {names.ITEM_ID: made, names.DELETED: True}
        if isinstance(made, str)
        else msgspec.structs.asdict(made)
        | {names.ATTRIBUTES: msgspec.json.encode(made.attributes).decode(), names.DELETED: False}
        for made in items
    ]
    known = {names.UPDATED_AT: updated_us, names.PARTITION: -1, names.OFFSET: -1}
    return pa.Table.from_pylist([row | known for row in rows], SCHEMAS[names.TABLE_ITEMS])
