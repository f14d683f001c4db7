"""A data set as the platform sees it: an event table and an item table in the lake's shape."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.clock import from_us, to_us
from tastemaker.errors import DataError
from tastemaker.events.adapters.report import CleaningReport
from tastemaker.events.contract import Context, Event
from tastemaker.events.item import Item
from tastemaker.lake.tables import SCHEMAS

__all__ = ["CleaningReport", "Dataset", "conform", "events_of", "items_of"]

_BATCH_ROWS = 8_192
_NO_PARTITION = -1  # rows that did not come through Kafka
_EMPTY = "{}"


@dataclass(frozen=True)
class Dataset:
    """Events and items of one source.

    Attributes:
        name: for lineage and application ids.
        events: columns of ``SCHEMAS["events"]``, sorted by occurred_at, then event_id; at least one row.
        items: columns of ``SCHEMAS["items"]``, sorted by updated_at, then item_id.
        report: what was kept and dropped.
        simulated: True when no shopper did these things.
        timezone: IANA name of the zone that local times of the source were read in.
    """

    name: str
    events: pa.Table
    items: pa.Table
    report: CleaningReport
    simulated: bool = False
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        for table, rows in ((names.TABLE_EVENTS, self.events), (names.TABLE_ITEMS, self.items)):
            if not rows.schema.equals(SCHEMAS[table]):
                raise DataError(f"{self.name}: {table} have the columns\n{rows.schema}\nbut need\n{SCHEMAS[table]}")

    @property
    def first_event(self) -> datetime:
        """When the first event happened (UTC).

        Raises:
            DataError: there is no event.
        """
        return self._event_time(0)

    @property
    def last_event(self) -> datetime:
        """When the last event happened (UTC).

        Raises:
            DataError: there is no event.
        """
        return self._event_time(self.events.num_rows - 1)

    def _event_time(self, row: int) -> datetime:
        if not self.events.num_rows:
            raise DataError(f"{self.name} has no events")
        return from_us(self.events[names.OCCURRED_AT][row].value)

    def split(self, cut: datetime) -> tuple["Dataset", "Dataset"]:
        """History before a moment, and what came live from it on.

        Args:
            cut: a timezone-aware time; an event that happened exactly then is live.

        Returns:
            Two data sets without copying rows. An item belongs to the part in which it was last updated. Both
            carry the report of the whole.

        Raises:
            DataError: ``cut`` has no timezone.
        """
        if cut.tzinfo is None:
            raise DataError(f"cannot split {self.name} at {cut}: the time needs a timezone, such as UTC")
        cut_us = to_us(cut.astimezone(UTC))
        first_live = _first_from(self.events[names.OCCURRED_AT], cut_us)
        first_live_item = _first_from(self.items[names.UPDATED_AT], cut_us)
        history = replace(self, events=self.events.slice(0, first_live), items=self.items.slice(0, first_live_item))
        live = replace(self, events=self.events.slice(first_live), items=self.items.slice(first_live_item))
        return history, live


def _first_from(sorted_times: pa.ChunkedArray, cut_us: int) -> int:
    """The first row that is not before the cut."""
    return int(np.searchsorted(sorted_times.cast(pa.int64()).to_numpy(), cut_us, side="left"))


def conform(table: str, rows: pa.Table) -> pa.Table:
    """Give rows the exact columns of a lake table, in order and sorted.

    Args:
        table: ``events`` or ``items``.
        rows: at least the required columns; times may be in any zone and unit. A column that is absent becomes
            what it is for history: ``ingested_at`` = ``occurred_at``, no Kafka position, version 1, else null.

    Returns:
        Events sorted by occurred_at, event_id; items by updated_at, item_id.

    Raises:
        DataError: a column does not cast to the lake's type.
    """
    schema = SCHEMAS[table]
    defaults: dict[str, Any] = {
        names.SCHEMA_VERSION: 1,
        names.CONTEXT: _EMPTY,
        names.EXTRA: _EMPTY,
        names.ATTRIBUTES: _EMPTY,
        names.AVAILABLE: True,
        names.DELETED: False,
        names.PARTITION: _NO_PARTITION,
        names.OFFSET: _NO_PARTITION,
    }
    columns = []
    for field in schema:
        source = names.OCCURRED_AT if field.name == names.INGESTED_AT else field.name
        try:
            if source in rows.column_names:
                columns.append(rows[source].cast(field.type))
            else:
                value = pa.scalar(defaults.get(field.name), field.type)
                columns.append(pa.chunked_array([pa.repeat(value, rows.num_rows)]))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"column {field.name!r} of {table} does not convert to {field.type}: {error}") from error
    keys = [names.OCCURRED_AT, names.EVENT_ID] if table == names.TABLE_EVENTS else [names.UPDATED_AT, names.ITEM_ID]
    return pa.table(columns, schema=schema).sort_by([(key, "ascending") for key in keys])


@lru_cache(maxsize=4_096)
def _context(text: str | None) -> Context:
    return msgspec.json.decode(text, type=Context) if text else Context()


def _object(text: str | None) -> dict[str, Any]:
    return {} if text in {None, "", _EMPTY} else msgspec.json.decode(text or _EMPTY, type=dict[str, Any])


def events_of(events: pa.Table) -> Iterator[Event]:
    """The rows of an event table as events, in order, a batch at a time.

    Args:
        events: columns of ``SCHEMAS["events"]``.
    """
    for batch in events.to_batches(max_chunksize=_BATCH_ROWS):
        times = batch[names.OCCURRED_AT].cast(pa.int64()).to_pylist()
        rows = batch.drop_columns([names.OCCURRED_AT, names.INGESTED_AT, names.PARTITION, names.OFFSET]).to_pylist()
        for row, time in zip(rows, times, strict=True):
            row[names.OCCURRED_AT] = from_us(time)
            row[names.CONTEXT] = _context(row[names.CONTEXT])
            row[names.EXTRA] = _object(row[names.EXTRA])
            yield Event(**row)


def items_of(items: pa.Table) -> Iterator[Item]:
    """The rows of an item table as items, in order, a batch at a time; tombstones have no item and are left out.

    Args:
        items: columns of ``SCHEMAS["items"]``.
    """
    for batch in items.to_batches(max_chunksize=_BATCH_ROWS):
        times = batch[names.CREATED_AT].cast(pa.int64()).to_pylist()
        rows = batch.drop_columns([names.CREATED_AT, names.UPDATED_AT, names.PARTITION, names.OFFSET]).to_pylist()
        for row, time in zip(rows, times, strict=True):
            if row.pop(names.DELETED):
                continue
            row[names.CREATED_AT] = from_us(time)
            row[names.CATEGORY] = tuple(row[names.CATEGORY] or ())
            row[names.ATTRIBUTES] = _object(row[names.ATTRIBUTES])
            yield Item(**row)
