"""The item contract: what decodes, what is refused and how it is named."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import ContractError
from tastemaker.events.item import Item, category_path, decode_item, encode_item, item_from_dict

MUG = {"item_id": "m1", "title": "Mug", "created_at": "2010-12-01T08:26:00Z"}

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=100)
items = st.builds(
    Item,
    item_id=st.text(characters, min_size=1, max_size=256),
    title=texts,
    created_at=st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    category=st.lists(texts, max_size=4).map(tuple),
    price=st.none() | st.floats(0, 1e12),
    brand=st.none() | texts,
    attributes=st.dictionaries(texts, texts, max_size=3),
    available=st.booleans(),
)


@given(items)
def test_decode_of_encode_is_the_same_item(item):
    assert decode_item(encode_item(item)) == item


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_a_contract_error(raw):
    try:
        item = decode_item(raw)
    except ContractError:
        return
    assert decode_item(encode_item(item)) == item


def test_an_item_without_the_optional_fields_is_available_and_has_no_price():
    item = item_from_dict(MUG)

    assert (item.available, item.price, item.category, item.attributes) == (True, None, (), {})


@pytest.mark.parametrize("field", ["item_id", "title", "created_at"])
def test_a_missing_required_field_is_named(field):
    with pytest.raises(ContractError, match="is required") as caught:
        item_from_dict({name: value for name, value in MUG.items() if name != field})

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"item_id": ""}, "item_id"),
        ({"price": -1}, "price"),
        ({"category": "kitchen"}, "category"),
        ({"attributes": {"colour": 5}}, "attributes[...]"),
        ({"created_at": "2010-12-01T08:26:00"}, "created_at"),
        ({"created_at": "9999-12-31T23:59:59-12:00"}, "created_at"),
        ({"available": "yes"}, "available"),
    ],
)
def test_a_wrong_value_is_refused_and_named(fields, field):
    with pytest.raises(ContractError) as caught:
        item_from_dict(MUG | fields)

    assert caught.value.field == field


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"x":' + b"[" * 100_000])
def test_bytes_that_are_no_json_say_so(raw):
    with pytest.raises(ContractError, match="not valid JSON"):
        decode_item(raw)


@pytest.mark.parametrize(
    ("levels", "path"),
    [
        (None, None),
        ((), None),
        (("",), None),
        (("kitchen",), "kitchen"),
        (("kitchen", "mugs"), "kitchen/mugs"),
        (("a" * 1000, "b" * 23), "a" * 1000 + "/" + "b" * 23),  # 1,024 characters: as many as an event may have
        (("a" * 1000, "b" * 24), "a" * 1000),
    ],
)
def test_category_path_fits_an_event(levels, path):
    assert category_path(levels) == path
