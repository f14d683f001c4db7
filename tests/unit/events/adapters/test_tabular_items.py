"""Items of mapped tables, with a file of their own and without."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.errors import DataError
from tastemaker.events.adapters import tabular
from tastemaker.events.adapters.dataset import Dataset, items_of
from tastemaker.events.adapters.tabular import ItemMapping, TableMapping

COLUMNS = {"user_id": "customer", "item_id": "sku", "occurred_at": "time", "type": "=purchase"}
NOON = datetime(2011, 7, 1, 12, 0, tzinfo=UTC)


def load_csv(tmp_path: Path, text: str, **mapping: Any) -> Dataset:
    path = tmp_path / "shop.csv"
    path.write_text(text)
    return tabular.load(path, TableMapping(columns=COLUMNS, **mapping))


def test_items_are_their_ids_when_nothing_else_is_known(tmp_path):
    text = "customer,sku,time\nu,mug,2011-07-02T12:00:00Z\nv,mug,2011-07-01T12:00:00Z\n"

    (item,) = items_of(load_csv(tmp_path, text).items)

    assert (item.item_id, item.title, item.created_at) == ("mug", "mug", NOON)


ITEM_COLUMNS = {
    "item_id": "sku",
    "title": "name",
    "category": "path",
    "price": "price",
    "brand": "maker",
    "available": "stock",
    "attributes.colour": "colour",
}


def load_items(tmp_path: Path, text: str) -> Dataset:
    path = tmp_path / "items.csv"
    path.write_text(text)
    items = ItemMapping(path=path, columns=ITEM_COLUMNS)
    return load_csv(tmp_path, "customer,sku,time\nu,mug,2011-07-01T12:00:00Z\n", items=items)


def test_an_items_file_gives_titles_paths_prices_and_attributes(tmp_path):
    dataset = load_items(tmp_path, "sku,name,path,price,maker,stock,colour\nmug,Red mug,Kitchen > Mugs,2.5,R,no,red\n")

    (item,) = items_of(dataset.items)

    assert (item.title, item.category, item.price) == ("Red mug", ("Kitchen", "Mugs"), 2.5)
    assert (item.brand, item.available, item.attributes) == ("R", False, {"colour": "red"})
    assert item.created_at == NOON  # its first event


def test_empty_fields_of_an_item_are_its_defaults(tmp_path):
    dataset = load_items(tmp_path, "sku,name,path,price,maker,stock,colour\nlamp,,,,,,\n")

    (item,) = items_of(dataset.items)

    assert (item.title, item.category, item.price, item.brand) == ("lamp", (), None, None)
    assert (item.available, item.attributes) == (True, {})
    assert item.created_at == NOON  # the data's first event; this item has none
    assert "1 items have events but no row in the items file" in dataset.report.notes[0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Mug,,,,,", "no item_id"),
        ("x,Mug,,cheap,,,", "price is no number from 0 to 1e+12"),
        ("x,Mug,,,,maybe,", "available is neither true nor false"),
        ("x," + "M" * 1025 + ",,,,,", "a text is longer than 1024 characters"),
        ("mug,Blue mug,,,,,", "a later row describes the same item"),
        ("x,Mug", "line does not split into the columns of the header"),
    ],
)
def test_an_item_row_that_is_no_item_is_dropped_for_its_reason(tmp_path, row, reason):
    dataset = load_items(tmp_path, f"sku,name,path,price,maker,stock,colour\n{row}\nmug,Red mug,,,,,\n")

    assert dataset.items["title"].to_pylist() == ["Red mug"]
    assert dataset.report.items_dropped == ((reason, 1),)


def test_a_parquet_list_is_a_category_path(tmp_path):
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"sku": ["mug"], "path": [["Kitchen", "Mugs"]]}), path)
    items = ItemMapping(path=path, columns={"item_id": "sku", "category": "path"})

    dataset = load_csv(tmp_path, "customer,sku,time\nu,mug,2011-07-01\n", items=items)

    assert dataset.items["category"].to_pylist() == [["Kitchen", "Mugs"]]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [({"item_id": "sku", "colour": "c"}, "an item has no field 'colour'"), ({"title": "name"}, "needs item_id")],
)
def test_an_item_mapping_that_makes_no_item_is_refused(columns, problem):
    with pytest.raises(DataError, match=problem):
        ItemMapping(path=Path("items.csv"), columns=columns)
