"""The Online Retail adapter on lines made by hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.errors import DataError
from tastemaker.events.adapters import online_retail
from tastemaker.events.adapters.dataset import Dataset, events_of, items_of

MUG: dict[str, Any] = {
    "invoice_no": "536365",
    "stock_code": "85123A",
    "description": "VINTAGE RED MUG",
    "quantity": 6,
    "invoice_date": datetime(2011, 1, 10, 8, 26),  # noqa: DTZ001  local, as in the source
    "unit_price": 2.55,
    "customer_id": 17850,
    "country": "United Kingdom",
}
SCHEMA = pa.schema(
    [
        ("invoice_no", pa.string()),
        ("stock_code", pa.string()),
        ("description", pa.string()),
        ("quantity", pa.int32()),
        ("invoice_date", pa.timestamp("us")),
        ("unit_price", pa.float64()),
        ("customer_id", pa.int64()),
        ("country", pa.string()),
    ]
)


def load(tmp_path: Path, *lines: dict[str, Any]) -> Dataset:
    """The data set of ``MUG``, changed line by line as given."""
    path = tmp_path / "lines.parquet"
    pq.write_table(pa.Table.from_pylist([MUG | line for line in lines], SCHEMA), path)
    return online_retail.load(path)


def test_a_line_of_a_known_customer_is_a_purchase_of_user_and_session(tmp_path):
    (event,) = events_of(load(tmp_path, {}).events)

    assert (event.event_id, event.type, event.item_id) == ("536365-0001-85123A", "purchase", "85123A")
    assert (event.user_id, event.session_id) == ("17850", "invoice-536365")
    assert event.value == 15.3  # 6 × 2.55
    assert event.context.country == "United Kingdom"
    assert event.occurred_at == datetime(2011, 1, 10, 8, 26, tzinfo=UTC)  # in January UK time is UTC


def test_summer_time_is_an_hour_ahead_of_utc(tmp_path):
    (event,) = events_of(load(tmp_path, {"invoice_date": datetime(2011, 7, 1, 12, 0)}).events)  # noqa: DTZ001

    assert event.occurred_at == datetime(2011, 7, 1, 11, 0, tzinfo=UTC)


def test_a_cancellation_is_a_return_with_a_positive_value(tmp_path):
    _, event = events_of(
        load(
            tmp_path,
            {},
            {"invoice_no": "C536379", "quantity": -2, "invoice_date": datetime(2011, 1, 11, 9, 0)},  # noqa: DTZ001
        ).events
    )

    assert (event.type, event.value, event.session_id) == ("return", 5.1, "invoice-C536379")  # 2 × 2.55


def test_an_event_has_the_unit_price_of_its_line_and_the_category_of_its_item(tmp_path):
    dataset = load(tmp_path, {}, {"invoice_no": "536366", "unit_price": 2.1})

    (item,) = items_of(dataset.items)
    # The item's own price is the median of its first day, (2.55 + 2.10) / 2 = 2.325; the events keep theirs.
    assert [event.price for event in events_of(dataset.events)] == [2.55, 2.1]
    assert item.price == pytest.approx(2.325, abs=0.006)
    assert {event.category for event in events_of(dataset.events)} == {"/".join(item.category)}
    assert item.category


def test_a_guest_is_a_session_without_a_user(tmp_path):
    (event,) = events_of(load(tmp_path, {"customer_id": None}).events)

    assert (event.user_id, event.session_id) == (None, "invoice-536365")


def test_an_unspecified_country_is_no_country(tmp_path):
    (event,) = events_of(load(tmp_path, {"country": "Unspecified"}).events)

    assert event.context.country is None


@pytest.mark.parametrize("code", ["POST", "DOT", "M", "m", "D", "S", "B", "C2", "BANK CHARGES", "PADS", "gift_0001_20"])
def test_a_code_that_is_no_product_is_dropped(tmp_path, code):
    dataset = load(tmp_path, {}, {"stock_code": code})

    assert dataset.report.kept == 1
    assert dataset.report.dropped == (("no product (postage, fees, manual entries, samples, vouchers)", 1),)


@pytest.mark.parametrize("code", ["22423", "85123A", "15056BL", "DCGSSGIRL", "DCGS0076", "85123a"])
def test_a_code_of_a_product_is_kept(tmp_path, code):
    assert load(tmp_path, {"stock_code": code}).events["item_id"].to_pylist() == [code.upper()]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"invoice_no": "1", "unit_price": 0.0}, "zero or negative price"),
        ({"invoice_no": "1", "unit_price": -5.0}, "zero or negative price"),
        ({"invoice_no": "1", "quantity": 0}, "zero quantity"),
        (
            {"invoice_no": "1", "quantity": -5, "unit_price": 0.0},
            "stock correction (negative quantity, no cancellation)",
        ),
        (
            {"invoice_no": "1", "quantity": -5, "unit_price": 0.0, "description": "damaged"},
            'stock note instead of a description ("damaged", "?", "lost")',
        ),
        ({}, "exact duplicate of another line"),
        ({"invoice_date": None}, "no invoice, stock code, quantity, price or date"),
    ],
)
def test_a_line_that_is_no_sale_is_dropped_for_its_reason(tmp_path, line, reason):
    report = load(tmp_path, {}, line).report

    assert (report.kept, report.dropped, report.rows) == (1, ((reason, 1),), 2)


def test_a_slip_of_the_finger_and_its_cancellation_are_dropped_together(tmp_path):
    slip = {"invoice_no": "541431", "quantity": 74_215, "customer_id": 12346}
    undone = slip | {
        "invoice_no": "C541433",
        "quantity": -74_215,
        "invoice_date": datetime(2011, 1, 10, 8, 42),  # noqa: DTZ001
    }

    report = load(tmp_path, {}, slip, undone).report

    assert report.kept == 1
    assert [rows for _, rows in report.dropped] == [2]


def test_a_wholesale_line_that_nobody_cancels_is_kept(tmp_path):
    assert load(tmp_path, {"quantity": 74_215}).report.kept == 1


def test_an_ordinary_line_that_is_cancelled_in_full_stays_as_a_purchase_and_a_return(tmp_path):
    cancelled = {"invoice_no": "C1", "quantity": -6, "invoice_date": datetime(2011, 1, 10, 9, 0)}  # noqa: DTZ001

    assert load(tmp_path, {}, cancelled).events["type"].to_pylist() == ["purchase", "return"]


def test_event_ids_do_not_depend_on_what_is_dropped(tmp_path):
    dataset = load(tmp_path, {"stock_code": "POST"}, {}, {"stock_code": "22423"})

    assert dataset.events["event_id"].to_pylist() == ["536365-0002-85123A", "536365-0003-22423"]


def test_spellings_of_a_code_are_one_item_with_the_usual_description_and_the_median_price(tmp_path):
    dataset = load(
        tmp_path,
        {"invoice_no": "1", "unit_price": 2.0},
        {"invoice_no": "2", "stock_code": "85123a", "unit_price": 3.0},
        {"invoice_no": "3", "description": "CREAM MUG", "unit_price": 9.0},
        {"invoice_no": "4", "description": "?", "unit_price": 0.0, "quantity": -1},
    )

    (item,) = items_of(dataset.items)

    assert (item.item_id, item.title) == ("85123A", "Vintage Red Mug")  # two lines against one
    assert item.price == 3.0  # the median of 2, 3 and 9; the note has no price
    assert item.category == ("Kitchen", "Mugs & cups")
    assert "1 spellings" in " ".join(dataset.report.notes)


def test_an_item_is_known_from_its_first_sale_on(tmp_path):
    first, later = datetime(2011, 1, 10, 8, 26), datetime(2011, 6, 10, 8, 26)  # noqa: DTZ001
    dataset = load(tmp_path, {"invoice_no": "2", "invoice_date": later}, {"invoice_no": "1", "invoice_date": first})

    (item,) = items_of(dataset.items)

    assert item.created_at == datetime(2011, 1, 10, 8, 26, tzinfo=UTC)
    assert item.available


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no file at .*nowhere\.parquet"):
        online_retail.load(tmp_path / "nowhere.parquet")


def test_a_missing_column_is_named_with_what_there_is(tmp_path):
    path = tmp_path / "lines.parquet"
    pq.write_table(pa.Table.from_pylist([MUG], SCHEMA).drop_columns(["customer_id"]), path)

    with pytest.raises(DataError, match="no column 'customer_id'; it has: invoice_no"):
        online_retail.load(path)


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="empty"):
        load(tmp_path)


def test_a_file_without_a_sale_is_refused(tmp_path):
    with pytest.raises(DataError, match="no line that is a purchase"):
        load(tmp_path, {"stock_code": "POST"})


def test_a_column_of_another_type_is_refused(tmp_path):
    path = tmp_path / "lines.parquet"
    table = pa.Table.from_pylist([MUG], SCHEMA)
    pq.write_table(table.set_column(3, "quantity", pa.array(["six"])), path)

    with pytest.raises(DataError, match="not of the shape of Online Retail"):
        online_retail.load(path)
