"""Events of history get the category and price of their item as it was."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tastemaker import names
from tastemaker.events.adapters.stamp import stamp
from tastemaker.lake.tables import SCHEMAS

DAY_0 = datetime(2024, 5, 1, tzinfo=UTC)


def _events(*rows: tuple[str | None, int, str | None, float | None]) -> pa.Table:
    made = [
        {
            names.EVENT_ID: str(n),
            names.ITEM_ID: item,
            names.OCCURRED_AT: DAY_0 + timedelta(days=day),
            "category": c,
            "price": p,
        }
        for n, (item, day, c, p) in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, SCHEMAS[names.TABLE_EVENTS])


def _items(*rows: tuple[str, int, list[str] | None, float | None, bool]) -> pa.Table:
    made = [
        {
            "item_id": item,
            names.UPDATED_AT: DAY_0 + timedelta(days=day),
            "category": path,
            "price": price,
            "deleted": gone,
        }
        for item, day, path, price, gone in rows
    ]
    return pa.Table.from_pylist(made, SCHEMAS[names.TABLE_ITEMS])


def _facts(events: pa.Table) -> list[tuple[Any, Any]]:
    return list(zip(events[names.CATEGORY].to_pylist(), events[names.PRICE].to_pylist(), strict=True))


def test_each_event_gets_the_version_of_its_time():
    items = _items(("mug", 0, ["kitchen", "mugs"], 4.0, False), ("mug", 10, ["sale"], 2.0, False))
    events = _events(("mug", 0, None, None), ("mug", 9, None, None), ("mug", 10, None, None), ("mug", 50, None, None))
    assert _facts(stamp(events, items)) == [("kitchen/mugs", 4.0)] * 2 + [("sale", 2.0)] * 2


def test_an_event_before_its_item_s_first_version_gets_the_first():
    items = _items(("mug", 10, ["sale"], None, False), ("mug", 5, ["kitchen"], 4.0, False))
    assert _facts(stamp(_events(("mug", 0, None, None)), items)) == [("kitchen", 4.0)]


def test_what_a_version_lacks_is_not_taken_from_an_earlier_one():
    items = _items(("mug", 0, ["kitchen"], 4.0, False), ("mug", 5, None, None, False))
    assert _facts(stamp(_events(("mug", 6, None, None)), items)) == [(None, None)]


def test_what_the_source_says_is_kept():
    items = _items(("mug", 0, ["kitchen"], 4.0, False))
    events = _events(("mug", 1, None, 0.0), ("mug", 1, "gifts", None), ("mug", 1, "gifts", 3.0))
    assert _facts(stamp(events, items)) == [("kitchen", 0.0), ("gifts", 4.0), ("gifts", 3.0)]


def test_tombstones_unknown_items_and_events_without_an_item_say_nothing():
    items = _items(("mug", 0, ["kitchen"], 4.0, False), ("mug", 5, None, None, True), ("gone", 0, None, None, True))
    events = _events(("mug", 6, None, None), ("gone", 6, None, None), ("other", 6, None, None), (None, 6, None, None))
    assert _facts(stamp(events, items)) == [("kitchen", 4.0), (None, None), (None, None), (None, None)]


def test_order_schema_and_all_other_columns_stay():
    items = _items(("mug", 0, ["kitchen"], 4.0, False))
    events = _events(*[("mug", day, None, None) for day in (3, 1, 2)])
    stamped = stamp(events, items)
    assert stamped.schema.equals(SCHEMAS[names.TABLE_EVENTS])
    others = [name for name in events.column_names if name not in {names.CATEGORY, names.PRICE}]
    assert stamped.select(others).equals(events.select(others))


def test_no_events_and_no_items_are_no_problem():
    assert stamp(_events(), _items()).num_rows == 0
    assert _facts(stamp(_events(("mug", 0, None, None)), _items())) == [(None, None)]
