"""The table adapter: CSV and Parquet files by a column mapping."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.events.adapters import tabular
from tastemaker.events.adapters.dataset import Dataset, events_of
from tastemaker.events.adapters.tabular import ItemMapping, TableMapping
from tastemaker.events.contract import Context, check_event, decode_event, encode_event

COLUMNS = {"user_id": "customer", "item_id": "sku", "occurred_at": "time", "type": "=purchase"}
NOON = datetime(2011, 7, 1, 12, 0, tzinfo=UTC)


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def load_csv(tmp_path: Path, text: str, **mapping: Any) -> Dataset:
    columns = mapping.pop("columns", COLUMNS)
    return tabular.load(write_csv(tmp_path / "shop.csv", text), TableMapping(columns=columns, **mapping))


def test_a_plain_dict_maps_columns_and_a_constant(tmp_path):
    path = write_csv(tmp_path / "shop.csv", "customer,sku,time\nu1,i1,2011-07-01T12:00:00Z\n")

    (event,) = events_of(tabular.load(path, COLUMNS).events)

    assert (event.event_id, event.type, event.user_id, event.item_id) == ("shop-1", "purchase", "u1", "i1")
    assert event.occurred_at == NOON


def test_every_field_can_be_mapped(tmp_path):
    text = (
        "id,kind,u,s,i,t,v,c,unit,old,r,p,where,lang\n"
        "e1,buy,u1,s1,i1,2011-07-01 12:00:00,2.5,kitchen/mugs,1.25,e0,r1,3,home,fr\n"
    )
    columns = {
        "event_id": "id",
        "type": "kind",
        "user_id": "u",
        "session_id": "s",
        "item_id": "i",
        "occurred_at": "t",
        "value": "v",
        "category": "c",
        "price": "unit",
        "corrects": "old",
        "request_id": "r",
        "position": "p",
        "context.surface": "where",
        "context.device": "=till",
    }

    (event,) = events_of(load_csv(tmp_path, text, columns=columns, type_values={"buy": "purchase"}).events)

    assert (event.event_id, event.type, event.user_id, event.session_id) == ("e1", "purchase", "u1", "s1")
    assert (event.item_id, event.value, event.request_id, event.position) == ("i1", 2.5, "r1", 3)
    assert (event.category, event.price, event.corrects) == ("kitchen/mugs", 1.25, "e0")
    assert event.context == Context(surface="home", device="till")


def test_category_and_price_come_from_the_items_where_the_events_do_not_say(tmp_path):
    items = write_csv(tmp_path / "items.csv", "sku,path,cost\ni1,kitchen > mugs,2.5\n")
    mapping = ItemMapping(path=items, columns={"item_id": "sku", "category": "path", "price": "cost"})
    text = "customer,sku,time,paid\nu1,i1,2011-07-01 12:00:00,\nu1,i1,2011-07-01 13:00:00,2\nu1,i2,2011-07-02,\n"

    dataset = load_csv(tmp_path, text, columns=COLUMNS | {"price": "paid"}, items=mapping)

    facts = [(event.item_id, event.category, event.price) for event in events_of(dataset.events)]
    assert facts == [("i1", "kitchen/mugs", 2.5), ("i1", "kitchen/mugs", 2.0), ("i2", None, None)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("e1,retraction,u1,,2011-07-01 12:00:00,1,", "a retraction without corrects"),
        ("e1,view,u1,i1,2011-07-01 12:00:00,1,e1", "an event that corrects itself"),
        ("e1,view,u1,i1,2011-07-01 12:00:00,-1,e0", "price is no number from 0 to 1e+12"),
        ("e1,view,u1,i1,2011-07-01 12:00:00,cheap,e0", "price is no number from 0 to 1e+12"),
    ],
)
def test_a_correction_or_price_that_is_none_is_dropped_for_its_reason(tmp_path, row, reason):
    text = f"id,kind,u,i,t,unit,old\n{row}\nok,retraction,u1,,2011-07-01 12:00:00,,e0\n"
    columns = {"event_id": "id", "type": "kind", "user_id": "u", "item_id": "i"}
    columns |= {"occurred_at": "t", "price": "unit", "corrects": "old"}

    dataset = load_csv(tmp_path, text, columns=columns)

    assert dataset.report.dropped == ((reason, 1),)
    assert [(event.event_id, event.corrects) for event in events_of(dataset.events)] == [("ok", "e0")]


def test_a_type_column_maps_by_value_and_tells_which_values_it_does_not_know(tmp_path):
    text = "customer,sku,time,kind\n" + "".join(
        f"u,i,2011-07-01 12:00:00,{kind}\n" for kind in ("transaction", "view", "hover", "hover")
    )

    dataset = load_csv(tmp_path, text, columns=COLUMNS | {"type": "kind"}, type_values={"transaction": "purchase"})

    assert dataset.events["type"].to_pylist() == ["purchase", "view"]
    assert dataset.report.dropped == (("type is no event type", 2),)
    assert "'hover' (2)" in dataset.report.notes[0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",i,2011-07-01,1,0,e2", "neither user_id nor session_id"),
        ("u,,2011-07-01,1,0,e2", "no item_id"),
        ("u," + "i" * 257 + ",2011-07-01,1,0,e2", "an id is longer than 256 characters"),
        ("u,i,2011-07-01,free,0,e2", "value is no number from 0 to 1e+12"),
        ("u,i,2011-07-01,-1,0,e2", "value is no number from 0 to 1e+12"),
        ("u,i,2011-07-01,nan,0,e2", "value is no number from 0 to 1e+12"),
        ("u,i,2011-07-01,inf,0,e2", "value is no number from 0 to 1e+12"),
        ("u,i,2011-07-01,1,first,e2", "position is no whole number from 0 to 100000"),
        ("u,i,2011-07-01,1,0,", "no event_id"),
        ("u,i,2011-07-01,1,0,e1", "event_id repeats an earlier row"),
        ("u,i,2011-07-01,1", "line does not split into the columns of the header"),
        ("u,i,2011-07-01,1,0,e2,too,many", "line does not split into the columns of the header"),
    ],
)
def test_a_row_that_is_no_event_is_dropped_for_its_reason(tmp_path, row, reason):
    columns = COLUMNS | {"value": "v", "position": "p", "event_id": "id"}
    text = f"customer,sku,time,v,p,id\nu,i,2011-07-01,1,0,e1\n{row}\nu,i,2011-07-02,1,0,e3\n"

    report = load_csv(tmp_path, text, columns=columns).report

    assert (report.kept, report.dropped, report.rows) == (2, ((reason, 1),), 3)


def test_a_valid_row_after_an_invalid_one_of_the_same_id_is_kept(tmp_path):
    text = "customer,sku,time,id\nu,,2011-07-01,e1\nu,i,2011-07-01,e1\n"

    assert load_csv(tmp_path, text, columns=COLUMNS | {"event_id": "id"}).report.kept == 1


def test_a_search_needs_no_item(tmp_path):
    columns = {"user_id": "customer", "occurred_at": "time", "type": "=search", "context.query": "words"}

    (event,) = events_of(load_csv(tmp_path, "customer,time,words\nu,2011-07-01,red mug\n", columns=columns).events)

    assert (event.type, event.item_id, event.context.query) == ("search", None, "red mug")


def test_ids_that_gaps_turned_into_floats_are_whole_again_and_nan_is_none(tmp_path):
    path = tmp_path / "shop.parquet"
    table = {"customer": [17850.0, float("nan")], "visit": ["s1", "s2"], "sku": ["i", "i"], "time": [NOON, NOON]}
    pq.write_table(pa.table(table), path)

    events = tabular.load(path, COLUMNS | {"session_id": "visit"}).events

    assert events["user_id"].to_pylist() == ["17850", None]


def test_columns_with_quotes_braces_and_spaces_in_their_names_are_read(tmp_path):
    path = tmp_path / "shop.parquet"
    pq.write_table(pa.table({'the "customer"': ["u"], "s'ku": ["i"], "{time}": ["1309521600"]}), path)
    columns = {"user_id": 'the "customer"', "item_id": "s'ku", "occurred_at": "{time}", "type": "=view"}

    (event,) = events_of(tabular.load(path, columns).events)

    assert (event.user_id, event.item_id, event.occurred_at) == ("u", "i", NOON)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file at .*nowhere\.csv"):
        tabular.load(tmp_path / "nowhere.csv", COLUMNS)


def test_a_missing_column_is_named_with_what_there_is(tmp_path):
    with pytest.raises(DataError, match="no column 'sku'; it has: customer, product, time"):
        load_csv(tmp_path, "customer,product,time\nu,i,2011-07-01\n")


@pytest.mark.parametrize("text", ["", "customer,sku,time\n"])
def test_an_empty_file_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="empty"):
        load_csv(tmp_path, text)


def test_a_file_without_one_usable_row_says_why(tmp_path):
    with pytest.raises(DataError, match=r"no row is an event .*occurred_at does not parse: 2"):
        load_csv(tmp_path, "customer,sku,time\nu,i,soon\nu,i,later\n")


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not read as Parquet"):
        tabular.load(write_csv(tmp_path / "shop.parquet", "customer,sku,time\n"), COLUMNS)


def test_an_unknown_zone_is_refused(tmp_path):
    with pytest.raises(DataError, match="'Europe/Lundon' is no timezone"):
        load_csv(tmp_path, "customer,sku,time\nu,i,2011-07-01\n", timezone="Europe/Lundon")


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"columns": {"user": "customer"}}, "an event has no field 'user'; it has: event_id, type"),
        ({"columns": {"user_id": "u", "type": "=view"}}, "needs occurred_at"),
        ({"columns": {"user_id": "u", "occurred_at": "t"}}, "needs type"),
        ({"columns": {"occurred_at": "t", "type": "=view"}}, "needs user_id or session_id"),
        ({"columns": COLUMNS | {"type": "=buy"}}, "'buy' is no event type; one of impression"),
        ({"columns": COLUMNS, "type_values": {"t": "buy"}}, "'buy' is no event type"),
        ({"columns": COLUMNS, "timestamp": "minutes"}, "timestamp 'minutes' is unknown; one of auto"),
    ],
)
def test_a_mapping_that_makes_no_event_is_refused(mapping, problem):
    with pytest.raises(DataError, match=problem):
        TableMapping(**mapping)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
rows = st.lists(
    st.tuples(
        cells,
        cells,
        st.sampled_from(["2011-07-01T12:00:00Z", "1309521600", "soon", "", "infinity", "1e9"]) | cells,
        st.sampled_from(["1", "0.5", "-1", "nan", "inf", "1e13", ""]) | cells,
        st.sampled_from(["view", "purchase", "search", "buy", ""]) | cells,
    ),
    min_size=1,
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(rows)
def test_whatever_is_in_the_cells_every_kept_row_keeps_the_contract_and_every_row_is_counted(tmp_path, rows):
    path = tmp_path / "fuzz.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["customer", "sku", "time", "amount", "kind"])
        writer.writerows(rows)
    mapping = TableMapping(columns=COLUMNS | {"value": "amount", "type": "kind", "context.query": "sku"})

    try:
        dataset = tabular.load(path, mapping)
    except DataError as error:
        assert "no row is an event" in str(error)  # noqa: PT017  a file may well hold no event
        return

    assert dataset.report.rows == len(rows)
    for event in events_of(dataset.events):
        check_event(event)
        assert decode_event(encode_event(event)) == event
