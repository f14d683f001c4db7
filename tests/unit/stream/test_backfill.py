"""History into the lake, once."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from lake_tables import events_table, items_table
from stream_cases import THEN, event, item

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import CleaningReport, Dataset
from tastemaker.events.contract import Event
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.stream.backfill import Backfilled, backfill, imported_items
from tastemaker.stream.enrichment import ItemFacts


def dataset(*events: Event, item_ids: tuple[str, ...] = ("mug",)) -> Dataset:
    rows = events_table(events, lambda made: 1_000_000)
    items = items_table([item(item_id) for item_id in item_ids], updated_us=1_000_000)
    return Dataset("shop", rows, items, CleaningReport("a test", kept=len(events)))


def ids(lake: Lake, table: str, column: str) -> list[str]:
    return sorted(lake.open(table).to_pyarrow_table()[column].to_pylist())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_history_comes_in_once_however_often_it_is_brought(lake):
    history = dataset(event("e1"), event("e2"))
    assert backfill(lake, history) == Backfilled(events=2, items=1, known_events=0, known_items=0)
    assert backfill(lake, history) == Backfilled(events=0, items=0, known_events=2, known_items=1)
    assert ids(lake, names.TABLE_EVENTS, names.EVENT_ID) == ["e1", "e2"]


def test_longer_history_adds_what_is_new(lake):
    backfill(lake, dataset(event("e1")))
    longer = dataset(event("e1"), event("e2", occurred_at=THEN + timedelta(days=1)), item_ids=("mug", "tea"))
    assert backfill(lake, longer) == Backfilled(events=1, items=1, known_events=1, known_items=1)
    assert ids(lake, names.TABLE_EVENTS, names.EVENT_ID) == ["e1", "e2"]
    assert ids(lake, names.TABLE_ITEMS, names.ITEM_ID) == ["mug", "tea"]


def test_event_that_came_live_before_is_not_added_again(lake):
    lake.create()
    live = events_table([event("e1")], lambda made: 1_000_000)
    lake.append(names.TABLE_EVENTS, live, {"worker:x:0": 0})
    assert backfill(lake, dataset(event("e1"), event("e2"))).events == 1
    assert ids(lake, names.TABLE_EVENTS, names.EVENT_ID) == ["e1", "e2"]


def test_event_id_that_stands_twice_in_the_source_is_refused(lake):
    with pytest.raises(DataError, match="more than once"):
        backfill(lake, dataset(event("e1"), event("e1")))


def test_imported_items_are_those_whose_newest_row_is_no_tombstone(tmp_path):
    lake = Lake(tmp_path / "lake")
    assert list(imported_items(lake)) == []
    lake.create()
    schema = SCHEMAS[names.TABLE_ITEMS]
    # (item, seconds, tombstone, category, price): "gone" was removed after it came; "back" came again after it was
    # removed; "changed" lost its price.
    rows = [
        ("kept", 1, False, ["kitchen", "mugs"], 2.5),
        ("gone", 1, False, None, None),
        ("gone", 2, True, None, None),
        ("back", 1, True, None, None),
        ("back", 2, False, [], 1.0),
        ("changed", 2, False, ["tea"], None),
        ("changed", 1, False, ["kitchen"], 9.0),
    ]
    known = {
        names.ITEM_ID: [row[0] for row in rows],
        names.UPDATED_AT: [row[1] * 1_000_000 for row in rows],
        names.DELETED: [row[2] for row in rows],
        names.CATEGORY: [row[3] for row in rows],
        names.PRICE: [row[4] for row in rows],
    }
    table = pa.table({f.name: pa.array(known.get(f.name, [None] * len(rows)), f.type) for f in schema})
    lake.append(names.TABLE_ITEMS, table, {"test": 1})
    assert dict(imported_items(lake)) == {
        "kept": ItemFacts("kitchen/mugs", 2.5),
        "back": ItemFacts(None, 1.0),
        "changed": ItemFacts("tea", None),
    }
