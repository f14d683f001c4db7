"""The shipped data and completejourney as tables for ``tastemaker evaluate``, split as their published figures are."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker import names

__all__ = ["Tables", "write_tables"]


@dataclass(frozen=True)
class Tables:
    """Files of one protocol.

    Attributes:
        train: purchases before the cut.
        test: those of the window after it, of users and items that training knows.
        items: the catalogue.
    """

    train: Path
    test: Path
    items: Path


def write_tables(dataset: Any, cut: datetime, days: int | None, directory: Path) -> Tables:
    """Write the purchases of known users before and after a moment.

    Args:
        dataset: of one of the adapters of ``tastemaker.events.adapters``.
        cut: the first moment of the test (UTC).
        days: length of the test window; to the end of the data when None.
        directory: gets the files.
    """
    events = dataset.events
    bought = events.filter(
        pc.and_(
            pc.equal(events["type"], "purchase"),
            pc.and_(pc.is_valid(events[names.USER_ID]), pc.is_valid(events[names.ITEM_ID])),
        )
    )
    table = pa.table(
        {
            "user_id": bought[names.USER_ID],
            "item_id": bought[names.ITEM_ID],
            "timestamp": bought[names.OCCURRED_AT],
        }
    )
    when = table["timestamp"]
    end = datetime.max.replace(tzinfo=UTC) if days is None else cut + timedelta(days=days)
    train = table.filter(pc.less(when, pa.scalar(cut, type=when.type)))
    test = table.filter(
        pc.and_(pc.greater_equal(when, pa.scalar(cut, type=when.type)), pc.less(when, pa.scalar(end, type=when.type)))
    )
    for column in ("user_id", "item_id"):
        test = test.filter(pc.is_in(test[column], value_set=pc.unique(train[column])))
    tables = Tables(directory / "train.parquet", directory / "test.parquet", directory / "items.parquet")
    pq.write_table(train, tables.train)
    pq.write_table(test, tables.test)
    columns = [name for name in ("title", "category", "price", "created_at") if name in dataset.items.column_names]
    pq.write_table(dataset.items.select([names.ITEM_ID, *columns]), tables.items)
    return tables
