from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.interactions import INTERACTIONS, load
from tastemaker.lake.tables import SCHEMAS, Lake

START = datetime(2024, 1, 1, tzinfo=UTC)


def _event(number, **changes):
    row = {
        "event_id": f"e{number}",
        "type": "purchase",
        "user_id": "u",
        "item_id": "a",
        "occurred_at": START + timedelta(days=number),
        "ingested_at": START + timedelta(days=number),
        "kafka_partition": 0,
        "kafka_offset": number,
    }
    return {**dict.fromkeys(SCHEMAS["events"].names), **row, **changes}


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.create()
    rows = [
        _event(3),
        _event(1),
        _event(2, type="view"),
        _event(4, user_id=None, session_id="s"),
        _event(5, item_id="b"),
        _event(6, event_id="e1", item_id="sent again"),
    ]
    lake.append("events", pa.Table.from_pylist(rows, schema=SCHEMAS["events"]), {"test": 1})
    return lake


def test_purchases_of_known_users_once_each_oldest_first(lake):
    found = load(lake)
    assert found.schema == INTERACTIONS
    assert found["item_id"].to_pylist() == ["a", "a", "b"]
    assert found["occurred_at"].to_pylist() == [START + timedelta(days=day) for day in (1, 3, 5)]


def test_a_purchase_that_is_corrected_or_taken_back_does_not_count(lake):
    rows = [
        _event(7, item_id="c", corrects="e5"),
        _event(8, item_id=None, type="retraction", corrects="e3"),
        _event(9, item_id="d"),
        _event(10, item_id=None, type="retraction", corrects="e9"),
    ]
    lake.append("events", pa.Table.from_pylist(rows, schema=SCHEMAS["events"]), {"test": 2})
    # e3 and e9 are taken back, and e7 stands in the place of e5, with its own time and item.
    assert load(lake)["item_id"].to_pylist() == ["a", "c"]
    assert load(lake, end=START + timedelta(days=6))["item_id"].to_pylist() == ["a"]


def test_bounds_include_the_start_and_leave_out_the_end(lake):
    found = load(lake, start=START + timedelta(days=3), end=START + timedelta(days=5))
    assert found["occurred_at"].to_pylist() == [START + timedelta(days=3)]


def test_a_lake_without_events_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="import data first"):
        load(Lake(tmp_path))


def test_an_empty_lake_gives_an_empty_table(tmp_path):
    lake = Lake(tmp_path)
    lake.create()
    assert load(lake).num_rows == 0
