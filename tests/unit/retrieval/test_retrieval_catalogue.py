from datetime import UTC, datetime

import msgspec
import numpy as np

from tastemaker.events.item import Item
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.item_content import ContentParameters, encode_items

MUG = Item(
    item_id="mug", title="Red Mug", created_at=datetime(2026, 1, 1, tzinfo=UTC), category=("home", "mugs"), price=3
)
POT = Item(item_id="pot", title="Blue pot", created_at=datetime(2026, 1, 2, tzinfo=UTC))


def catalogue():
    return Catalogue(("mug", "pot"), (MUG, POT), np.zeros((2, 1), dtype=np.float32), 2)


def encode(items, codes):
    """A vector that tells which code an item was encoded with."""
    return np.array([[float(code)] for code in codes], dtype=np.float32)


def test_new_item_is_appended_and_encoded_without_an_id():
    cup = msgspec.structs.replace(MUG, item_id="cup")
    changed = catalogue().updated([("cup", cup)], encode)
    assert changed.item_ids == ("mug", "pot", "cup")
    assert changed.vectors[:, 0].tolist() == [0.0, 0.0, 0.0]
    assert changed.row_of["cup"] == 2
    assert changed.servable.all()


def test_changed_item_keeps_its_row_and_is_encoded_with_its_id():
    changed = catalogue().updated([("pot", msgspec.structs.replace(POT, title="Green pot"))], encode)
    assert changed.item_ids == ("mug", "pot")
    assert changed.vectors[:, 0].tolist() == [0.0, 2.0]
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


def test_content_shares_the_parents_of_a_new_category():
    parameters = ContentParameters()
    other = msgspec.structs.replace(MUG, category=("home", "vases"))
    content = encode_items([MUG, other, None], parameters)
    assert content.categories[0, 0] == content.categories[1, 0] > 0
    assert content.categories[0, 1] != content.categories[1, 1]
    assert not content.tokens[2].any()
    assert content.has_price.tolist() == [1.0, 1.0, 0.0]


def test_content_ignores_case_and_punctuation_and_cuts_long_titles():
    parameters = ContentParameters(n_tokens=3)
    shout = msgspec.structs.replace(MUG, title="RED, mug!")
    long = msgspec.structs.replace(MUG, title="red mug one two three four")
    content = encode_items([MUG, shout, long], parameters)
    assert content.tokens[0].tolist() == content.tokens[1].tolist()
    assert (content.tokens[2] > 0).sum() == 3
