"""The content key: the same for the same rows, whatever the tables' versions; another for any input that differs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tastemaker import names
from tastemaker.lake.maintenance import compact
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.promotion.training_key import rows_before

CUT = datetime(2024, 5, 1, tzinfo=UTC)


def _events(*rows: tuple[str, datetime]) -> pa.Table:
    schema = SCHEMAS[names.TABLE_EVENTS]
    columns = {name: [None] * len(rows) for name in schema.names}
    columns[names.EVENT_ID] = [event for event, _ in rows]
    columns[names.OCCURRED_AT] = [at for _, at in rows]
    columns[names.TYPE] = ["view"] * len(rows)
    return pa.table(columns, schema=schema)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.create()
    made.append(names.TABLE_EVENTS, _events(("a", CUT - timedelta(days=2))), {"t": 1})
    made.append(names.TABLE_EVENTS, _events(("b", CUT - timedelta(days=1))), {"t": 2})
    return made


def test_rows_before_is_the_same_after_later_events_and_after_compaction(lake: Lake) -> None:
    before = rows_before(lake, CUT)
    assert before[names.TABLE_EVENTS].startswith("2-")
    lake.append(names.TABLE_EVENTS, _events(("c", CUT), ("d", CUT + timedelta(days=1))), {"t": 3})
    compact(lake, names.TABLE_EVENTS)
    assert rows_before(lake, CUT) == before


def test_rows_before_differs_after_a_late_event(lake: Lake) -> None:
    before = rows_before(lake, CUT)
    lake.append(names.TABLE_EVENTS, _events(("late", CUT - timedelta(microseconds=1))), {"t": 3})
    assert rows_before(lake, CUT) != before


def test_rows_before_of_an_empty_lake_has_no_rows_and_of_none_no_tables(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert rows_before(lake, CUT) == {}
    lake.create()
    assert set(rows_before(lake, CUT).values()) == {"0-0"}
