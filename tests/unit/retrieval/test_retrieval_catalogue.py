from datetime import UTC, datetime

import msgspec
import numpy as np

from tastemaker.events.item import Item
from tastemaker.retrieval.catalogue import Catalogue

MUG = Item(
    item_id="mug", title="Red Mug", created_at=datetime(2026, 1, 1, tzinfo=UTC), category=("home", "mugs"), price=3
)
POT = Item(item_id="pot", title="Blue pot", created_at=datetime(2026, 1, 2, tzinfo=UTC))


def catalogue():
    return Catalogue(("mug", "pot"), (MUG, POT), np.zeros((2, 1), dtype=np.float32), 2)


def encode(items, rows):
    """A vector that tells which row an item was encoded with."""
    return np.array([[float(row)] for row in rows], dtype=np.float32)


def test_new_item_is_appended_and_encoded_without_an_id():
    cup = msgspec.structs.replace(MUG, item_id="cup")
    changed = catalogue().updated([("cup", cup)], encode)
    assert changed.item_ids == ("mug", "pot", "cup")
    assert changed.vectors[:, 0].tolist() == [0.0, 0.0, -1.0]
    assert changed.row_of["cup"] == 2
    assert changed.servable.all()


def test_changed_item_keeps_its_row_and_is_encoded_with_its_id():
    changed = catalogue().updated([("pot", msgspec.structs.replace(POT, title="Green pot"))], encode)
    assert changed.item_ids == ("mug", "pot")
    assert changed.vectors[:, 0].tolist() == [0.0, 1.0]
    assert changed.items[1].title == "Green pot"


def test_removed_and_unavailable_items_cannot_be_served():
    changes = [("mug", None), ("pot", msgspec.structs.replace(POT, available=False))]
    changed = catalogue().updated(changes, encode)
    assert changed.servable.tolist() == [False, False]
    assert changed.items[0] is None
    assert catalogue().servable.all()


def test_same_state_again_gives_the_same_catalogue():
    before = catalogue()
    assert before.updated([("mug", MUG), ("ghost", None)], encode) is before


def test_last_change_of_an_item_counts():
    changed = catalogue().updated([("mug", None), ("mug", MUG)], encode)
    assert changed.items[0] == MUG


def test_unknown_ids_have_no_row():
    assert catalogue().rows(["pot", "ghost"]).tolist() == [1, -1]


def test_unknown_price_and_category_are_told_from_known_ones():
    known = catalogue()
    assert known.leaf.tolist() == [0, -1]
    np.testing.assert_allclose(known.log_price, [np.log(4.0), np.nan])
