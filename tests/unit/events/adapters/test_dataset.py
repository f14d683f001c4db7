"""Data sets: the lake's shape, the split into history and live, and the way back to events and items."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.clock import from_us, to_us
from tastemaker.errors import DataError
from tastemaker.events.adapters.dataset import CleaningReport, Dataset, conform, events_of, items_of
from tastemaker.events.contract import Context, Event
from tastemaker.events.item import Item
from tastemaker.lake.tables import SCHEMAS, Lake

START = datetime(2011, 11, 1, tzinfo=UTC)


def a_dataset(times: list[datetime]) -> Dataset:
    """One purchase per time; item ``i<n>`` is first sold with event ``e<n>``."""
    count = len(times)
    numbers = range(count)
    events = pa.table(
        {
            "event_id": [f"e{n}" for n in numbers],
            "type": ["purchase"] * count,
            "user_id": ["u"] * count,
            "item_id": [f"i{n}" for n in numbers],
            "occurred_at": pa.array(times, pa.timestamp("us", "UTC")),
            "value": [1.0] * count,
        }
    )
    items = pa.table(
        {
            "item_id": [f"i{n}" for n in numbers],
            "title": [f"Item {n}" for n in numbers],
            "created_at": pa.array(times, pa.timestamp("us", "UTC")),
            "updated_at": pa.array(times, pa.timestamp("us", "UTC")),
        }
    )
    return Dataset("shop", conform("events", events), conform("items", items), CleaningReport("shop", count))


def test_conform_gives_the_lakes_schema_and_what_holds_for_history():
    row = a_dataset([START]).events.to_pylist()[0]

    assert row["ingested_at"] == row["occurred_at"] == START
    assert (row["kafka_partition"], row["kafka_offset"], row["schema_version"]) == (-1, -1, 1)
    assert (row["context"], row["extra"], row["session_id"], row["position"]) == ("{}", "{}", None, None)


def test_conform_sorts_by_time_then_id():
    later, earlier = START + timedelta(seconds=1), START

    dataset = a_dataset([later, earlier, later, earlier])

    assert dataset.events["event_id"].to_pylist() == ["e1", "e3", "e0", "e2"]
    assert dataset.items["item_id"].to_pylist() == ["i1", "i3", "i0", "i2"]


def test_conform_turns_another_zone_into_the_same_moment_in_utc():
    local = pa.table(
        {
            "event_id": ["e"],
            "type": ["view"],
            "occurred_at": pa.array([START], pa.timestamp("ms", "Asia/Tokyo")),
        }
    )

    assert conform("events", local)["occurred_at"].to_pylist() == [START]


def test_conform_names_a_column_that_does_not_cast():
    with pytest.raises(DataError, match="'value' of events does not convert to double"):
        conform("events", pa.table({"event_id": ["e"], "occurred_at": [START], "value": ["much"]}))


def test_a_dataset_of_another_schema_is_refused():
    whole = a_dataset([START])

    with pytest.raises(DataError, match="need"):
        Dataset("shop", whole.events.drop_columns(["extra"]), whole.items, whole.report)


def test_the_lake_takes_the_tables_as_they_are(tmp_path):
    dataset = a_dataset([START, START + timedelta(days=1)])
    lake = Lake(tmp_path)
    lake.create()

    assert lake.append("events", dataset.events, {"backfill": 0})
    assert lake.append("items", dataset.items, {"backfill": 0})

    for table, rows in (("events", dataset.events), ("items", dataset.items)):
        assert rows.schema.equals(SCHEMAS[table])
        assert lake.open(table).to_pyarrow_table().cast(SCHEMAS[table]).sort_by(rows.column_names[0]).equals(rows)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.integers(-1, 41),
)
def test_split_puts_every_row_on_the_right_side_exactly_once(hours, cut_hour):
    dataset = a_dataset([START + timedelta(hours=hour) for hour in hours])
    cut = START + timedelta(hours=cut_hour)

    history, live = dataset.split(cut)

    assert all(time < cut for time in history.events["occurred_at"].to_pylist())
    assert all(time >= cut for time in live.events["occurred_at"].to_pylist())
    assert pa.concat_tables([history.events, live.events]).equals(dataset.events)
    assert pa.concat_tables([history.items, live.items]).equals(dataset.items)
    assert all(time < cut for time in history.items["updated_at"].to_pylist())


def test_split_at_a_time_without_a_zone_is_refused():
    with pytest.raises(DataError, match="timezone"):
        a_dataset([START]).split(datetime(2011, 11, 12))  # noqa: DTZ001


def test_first_and_last_event_are_the_ends_and_an_empty_part_has_none():
    dataset = a_dataset([START + timedelta(hours=2), START])
    empty, _ = dataset.split(START)

    assert (dataset.first_event, dataset.last_event) == (START, START + timedelta(hours=2))
    with pytest.raises(DataError, match="no events"):
        _ = empty.last_event


def event_row(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in Event.__struct_fields__}


def test_events_of_gives_back_every_field():
    event = Event(
        event_id="e",
        type="rating",
        user_id="u",
        session_id="s",
        item_id="i",
        occurred_at=START + timedelta(microseconds=7),
        value=4.5,
        request_id="r",
        position=3,
        context=Context(surface="home", country="France"),
        extra={"campaign": {"name": "spring"}},
    )
    row = event_row(event) | {
        "context": '{"surface":"home","country":"France"}',
        "extra": '{"campaign":{"name":"spring"}}',
    }

    assert list(events_of(conform("events", pa.Table.from_pylist([row])))) == [event]


def test_events_of_reads_more_rows_than_one_batch_holds_in_order():
    count = 20_000  # a batch holds 8,192
    times = [from_us(to_us(START) + n) for n in range(count)]

    assert [event.occurred_at for event in events_of(a_dataset(times).events)] == times


def test_items_of_gives_back_every_field_and_leaves_tombstones_out():
    mug = Item(
        item_id="m",
        title="Mug",
        created_at=START,
        category=("Kitchen", "Mugs & cups"),
        price=2.55,
        brand="Retro",
        attributes={"colour": "red"},
        available=False,
    )
    fields = {name: getattr(mug, name) for name in Item.__struct_fields__}
    row = fields | {"category": list(mug.category), "attributes": '{"colour":"red"}', "updated_at": START}
    gone = row | {"item_id": "x", "deleted": True}
    table = conform("items", pa.Table.from_pylist([row | {"deleted": False}, gone]))

    assert list(items_of(table)) == [mug]
