"""What expires and what stays."""

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_rows import day, events, items, served

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.retention import TIME_COLUMNS, Expired, expirable, expire
from tastemaker.lake.tables import SCHEMAS, Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.create()
    return made


def _rows(lake: Lake, table: str, column: str) -> list[tuple[str, float]]:
    found = lake.connect().execute(f"SELECT {column}, {TIME_COLUMNS[table]} FROM {table} ORDER BY ALL").fetchall()
    return [(name, (at - day(0)) / timedelta(days=1)) for name, at in found]


def test_every_table_has_a_time_to_go_by() -> None:
    assert set(TIME_COLUMNS) == set(SCHEMAS)
    assert all(column in SCHEMAS[table].names for table, column in TIME_COLUMNS.items())


@pytest.mark.parametrize(
    ("table", "rows", "column"),
    [(names.TABLE_EVENTS, events, names.EVENT_ID), (names.TABLE_SERVED_LISTS, served, names.REQUEST_ID)],
)
def test_what_happened_before_the_cut_goes_and_what_happened_at_it_stays(lake, table, rows, column) -> None:
    just_before = 5 - 1e-6 / 86_400  # a microsecond
    lake.append(table, rows(("a", 0), ("b", just_before), ("c", 5), ("d", 9)), {"x": 1})
    assert expirable(lake, table, day(5)) == Expired(rows=2, kept=2)
    assert expire(lake, table, day(5)) == 2
    assert _rows(lake, table, column) == [("c", 5), ("d", 9)]
    assert expirable(lake, table, day(5)) == Expired(rows=0, kept=2)
    assert expire(lake, table, day(5)) == 0


def test_the_newest_version_of_an_item_never_goes_and_the_one_at_the_cut_stays(lake: Lake) -> None:
    table = names.TABLE_ITEMS
    lake.append(table, items(("old", 0, False)), {"x": 1})  # never changed
    lake.append(table, items(("mug", 0, False), ("mug", 3, False), ("mug", 8, False), ("mug", 9, False)), {"x": 2})
    lake.append(table, items(("gone", 1, False), ("gone", 2, True)), {"x": 3})  # the tombstone is its newest
    # At the cut on day 5, mug is as of day 3: events of day 6 need it. Its version of day 0 was replaced before.
    assert expirable(lake, table, day(5)) == Expired(rows=2, kept=5)
    assert expire(lake, table, day(5)) == 2
    assert _rows(lake, table, names.ITEM_ID) == [("gone", 2), ("mug", 3), ("mug", 8), ("mug", 9), ("old", 0)]
    assert expire(lake, table, day(5)) == 0


def test_content_vectors_expire_like_items(lake: Lake) -> None:
    table = names.TABLE_ITEM_CONTENT
    versions = [{names.ITEM_ID: "mug", names.UPDATED_AT: day(at)} for at in (0, 1, 9)]
    lake.append(table, pa.Table.from_pylist(versions, SCHEMAS[table]), {"x": 1})
    assert expire(lake, table, day(5)) == 1
    assert _rows(lake, table, names.ITEM_ID) == [("mug", 1), ("mug", 9)]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 8), st.booleans()), max_size=12, unique_by=lambda v: v[:2]
    ),
    st.integers(0, 9),
)
@settings(max_examples=10, deadline=None)
def test_every_moment_after_the_cut_sees_the_same_items_as_before(tmp_path_factory, versions, cut) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.create()
    if versions:
        lake.append(names.TABLE_ITEMS, items(*versions), {"x": 1})

    def as_of(moment: int) -> list[tuple[str, datetime]]:
        newest = "SELECT item_id, max(updated_at) FROM items WHERE updated_at <= ? GROUP BY item_id ORDER BY ALL"
        return lake.connect().execute(newest, [day(moment)]).fetchall()

    before = [as_of(moment) for moment in range(cut, 10)]
    expire(lake, names.TABLE_ITEMS, day(cut))
    assert [as_of(moment) for moment in range(cut, 10)] == before


def test_an_empty_table_has_nothing_to_expire(lake: Lake) -> None:
    for table in SCHEMAS:
        assert expirable(lake, table, day(5)) == Expired(0, 0)
        assert expire(lake, table, day(5)) == 0


def test_a_cut_without_a_timezone_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="timezone"):
        expire(lake, names.TABLE_EVENTS, datetime(2024, 5, 1))  # noqa: DTZ001
    with pytest.raises(DataError, match="timezone"):
        expirable(lake, names.TABLE_EVENTS, datetime(2024, 5, 1))  # noqa: DTZ001


def test_a_table_that_is_none_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="events"):
        expire(lake, "clicks", day(5))


def test_a_lake_that_is_none_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="import data first"):
        expirable(Lake(tmp_path), names.TABLE_EVENTS, day(5))
