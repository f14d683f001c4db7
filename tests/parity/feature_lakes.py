"""Lakes that hold given events, as the worker leaves them."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from feature_reference import Arrival, time_of

from tastemaker import names
from tastemaker.lake.tables import SCHEMAS, Lake

__all__ = ["empty_lake", "first_occurrences", "lake_of", "table_of"]


def first_occurrences(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """What the worker appends to the lake: each event id once."""
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.event.event_id, arrival)
    return list(first.values())


def table_of(records: Iterable[Any]) -> pa.Table:
    """Rows of the lake's events table, as the worker writes them.

    Args:
        records: :class:`Arrival`, or anything with ``event``, ``partition``, ``offset`` and perhaps ``ingested_us``.
    """
    rows = []
    for place, record in enumerate(records):
        event = record.event
        ingested_us = getattr(record, "ingested_us", None)
        columns = ("event_id", "type", "user_id", "session_id", "item_id", "occurred_at", "value", "category", "price")
        rows.append(
            {
                **{name: getattr(event, name) for name in (*columns, "corrects")},
                "context": "{}",
                "schema_version": 1,
                "extra": "{}",
                "ingested_at": time_of(event) if ingested_us is None else ingested_us,
                "kafka_partition": getattr(record, "partition", 0),
                "kafka_offset": getattr(record, "offset", place),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS])


@cache
def _template() -> tempfile.TemporaryDirectory[str]:
    directory = tempfile.TemporaryDirectory()
    Lake(Path(directory.name)).create()
    return directory


def empty_lake(path: Path) -> Lake:
    """A lake without rows: a copy of one, because making tables takes longer than a test's example."""
    shutil.copytree(_template().name, path, dirs_exist_ok=True)
    return Lake(path)


def lake_of(path: Path, records: Sequence[Any]) -> Lake:
    """A lake that holds these first occurrences and nothing else, committed as by the worker."""
    lake = empty_lake(path)
    if records:
        last: dict[str, int] = {}
        for place, record in enumerate(records):
            last[f"worker:{names.TOPIC_EVENTS}:{getattr(record, 'partition', 0)}"] = getattr(record, "offset", place)
        lake.append(names.TABLE_EVENTS, table_of(records), last)
    return lake
