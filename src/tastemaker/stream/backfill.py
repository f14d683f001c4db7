"""History into the lake: a data set's events and items that are not there yet, in one commit per table.

Whoever calls this holds the :func:`tastemaker.stream.lock.writer_lock` of the home directory, and rebuilds the
online state from the lake afterwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import Dataset
from tastemaker.events.item import category_path
from tastemaker.lake.tables import Lake
from tastemaker.stream.enrichment import ItemFacts

__all__ = ["Backfilled", "backfill", "imported_items"]

_FETCHED_ROWS = 100_000


@dataclass(frozen=True)
class Backfilled:
    """What one backfill did.

    Attributes:
        events: rows that were added.
        items: rows that were added.
        known_events: rows that the lake had already.
        known_items: likewise.
    """

    events: int
    items: int
    known_events: int
    known_items: int


def backfill(lake: Lake, dataset: Dataset) -> Backfilled:
    """Bring a data set into the lake; what is there already, from whatever source, is left out.

    Args:
        lake: tables are made when missing.
        dataset: its event ids are deterministic, so that running this again adds nothing.

    Raises:
        DataError: an event id stands twice in the data set.
    """
    lake.create()
    ids = dataset.events[names.EVENT_ID]
    if pc.count_distinct(ids).as_py() != len(ids):
        raise DataError(f"{dataset.name}: event ids stand more than once; the adapter must drop or rename them")
    events = _new_rows(lake, names.TABLE_EVENTS, dataset.events, (names.EVENT_ID,))
    items = _new_rows(lake, names.TABLE_ITEMS, dataset.items, (names.ITEM_ID, names.UPDATED_AT))
    for table, rows in ((names.TABLE_ITEMS, items), (names.TABLE_EVENTS, events)):
        if not rows.num_rows:
            continue
        application = f"backfill:{dataset.name}:{table}"
        version = lake.versions(table, [application]).get(application, 0) + 1
        lake.append(table, rows, {application: version})
    return Backfilled(
        events.num_rows,
        items.num_rows,
        dataset.events.num_rows - events.num_rows,
        dataset.items.num_rows - items.num_rows,
    )


def imported_items(lake: Lake) -> Iterator[tuple[str, ItemFacts]]:
    """The items whose newest row in the lake is no tombstone, by id; none where there is no lake yet."""
    if not (lake.path(names.TABLE_ITEMS) / "_delta_log").is_dir():
        return
    newest = ", ".join(f"arg_max_null({column}, {names.UPDATED_AT})" for column in (names.CATEGORY, names.PRICE))
    with lake.connect() as duck:
        found = duck.execute(
            f"""SELECT {names.ITEM_ID}, {newest} FROM {names.TABLE_ITEMS} GROUP BY {names.ITEM_ID}
            HAVING NOT arg_max({names.DELETED}, {names.UPDATED_AT})"""
        )
        while rows := found.fetchmany(_FETCHED_ROWS):
            for item_id, category, price in rows:
                yield item_id, ItemFacts(category_path(category), price)


def _new_rows(lake: Lake, table: str, rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """The rows whose key the lake's table does not have, in their order."""
    if not lake.open(table).to_pyarrow_dataset().count_rows():
        return rows
    with lake.connect() as duck:
        duck.register("incoming", rows.select(key).append_column("row_number", pa.array(range(rows.num_rows))))
        fresh = duck.execute(
            f"SELECT row_number FROM incoming ANTI JOIN {table} USING ({', '.join(key)}) ORDER BY row_number"
        ).to_arrow_table()
    return rows.take(fresh["row_number"])
