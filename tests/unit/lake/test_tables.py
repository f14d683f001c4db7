from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.tables import SCHEMAS, Lake


def _events(*ids: str) -> pa.Table:
    moment = datetime(2011, 11, 1, tzinfo=UTC)
    known = {names.EVENT_ID: list(ids), names.OCCURRED_AT: [moment] * len(ids)}
    schema = SCHEMAS[names.TABLE_EVENTS]
    return pa.table({field.name: pa.array(known.get(field.name, [None] * len(ids)), field.type) for field in schema})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.create()
    return lake


def _ids(lake: Lake) -> list[str]:
    rows = lake.connect().execute(f"SELECT {names.EVENT_ID} FROM events ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def test_append_a_redelivered_batch_changes_nothing(lake: Lake) -> None:
    assert lake.append(names.TABLE_EVENTS, _events("a", "b"), {"worker:0": 1})
    assert not lake.append(names.TABLE_EVENTS, _events("a", "b"), {"worker:0": 1})
    assert _ids(lake) == ["a", "b"]


def test_append_a_newer_version_is_written(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"worker:0": 1})
    assert lake.append(names.TABLE_EVENTS, _events("b"), {"worker:0": 2})
    assert _ids(lake) == ["a", "b"]
    assert lake.versions(names.TABLE_EVENTS, ["worker:0", "worker:1"]) == {"worker:0": 2}


def test_create_twice_keeps_the_rows(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"x": 1})
    lake.create()
    assert _ids(lake) == ["a"]


def test_open_before_create_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="import data first"):
        Lake(tmp_path).open(names.TABLE_EVENTS)


def test_path_unknown_table_lists_the_known_ones(lake: Lake) -> None:
    with pytest.raises(DataError, match="events, items, served_lists"):
        lake.path("clicks")


def test_connect_sees_times_in_utc(lake: Lake) -> None:
    lake.append(names.TABLE_EVENTS, _events("a"), {"x": 1})
    row = lake.connect().execute(f"SELECT {names.OCCURRED_AT}::VARCHAR FROM events").fetchone()
    assert row == ("2011-11-01 00:00:00+00",)
