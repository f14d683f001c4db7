import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.release.item_item_parameters import ItemItemParameters
from tastemaker.training.interactions import Interactions, load_interactions
from tastemaker.training.item_item import fit_item_item
from tastemaker.training.items import load_items
from tastemaker.training.outcomes import outcomes_between, positions_between
from tastemaker.training.tower_histories import tower_histories

CUT = datetime(2026, 3, 1, tzinfo=UTC)
PURCHASE = EVENT_TYPES.index("purchase")


def event(event_id, minutes, item, *, user="u1", session=None, event_type="purchase", corrects=None, position=None):
    at = CUT + timedelta(minutes=minutes)
    return {
        names.EVENT_ID: event_id,
        names.TYPE: event_type,
        names.USER_ID: user,
        names.SESSION_ID: session,
        names.ITEM_ID: item,
        names.CORRECTS: corrects,
        names.POSITION: position,
        names.OCCURRED_AT: at,
        names.INGESTED_AT: at,
        names.PARTITION: -1,
        names.OFFSET: -1,
        names.SCHEMA_VERSION: 1,
    }


def lake_with(tmp_path, events, items=()):
    lake = Lake(tmp_path / "lake")
    lake.create()
    lake.append(names.TABLE_EVENTS, pa.Table.from_pylist(events, schema=SCHEMAS[names.TABLE_EVENTS]), {"test": 0})
    if items:
        lake.append(names.TABLE_ITEMS, pa.Table.from_pylist(items, schema=SCHEMAS[names.TABLE_ITEMS]), {"test": 0})
    return lake


def interactions(*events):
    """From ``(shopper, item, time in seconds)``, sorted by shopper, then time."""
    shopper, item, seconds = (np.array(column) for column in zip(*events, strict=True))
    return Interactions(
        shoppers=tuple(f"s{index}" for index in range(shopper.max() + 1)),
        n_users=int(shopper.max()) + 1,
        shopper=shopper.astype(np.int32),
        item=item.astype(np.int32),
        type=np.full(len(item), PURCHASE, dtype=np.int8),
        time_us=seconds.astype(np.int64) * 1_000_000,
    )


def test_nothing_from_the_cut_on_is_read(tmp_path):
    lake = lake_with(tmp_path, [event("a", -1, "x"), event("b", 0, "x"), event("c", 1, "x")])
    found = load_interactions(lake, ["x"], CUT, ["purchase"])
    assert len(found) == 1


def test_an_event_id_counts_once_and_unknown_items_and_types_do_not(tmp_path):
    twice = event("a", -5, "x")
    rows = [twice, twice, event("b", -4, "ghost"), event("c", -3, "y", event_type="return"), event("d", -2, "y")]
    found = load_interactions(lake_with(tmp_path, rows), ["x", "y"], CUT, ["purchase"])
    assert found.item.tolist() == [0, 1]


def test_what_was_taken_back_is_no_interaction_and_a_correction_stands_in_its_place(tmp_path):
    rows = [
        event("kept", -9, "x"),
        event("taken back", -8, "x"),
        event("mistaken", -7, "x"),
        event("a", -6, None, event_type="retraction", corrects="taken back"),
        event("b", -5, "y", corrects="mistaken"),
        event("c", 5, None, event_type="retraction", corrects="later"),  # came before what it takes back
        event("later", -4, "z"),
        event("d", -3, "z", corrects="mistaken as well"),
        event("e", -2, None, event_type="retraction", corrects="d"),  # a correction that is taken back in turn
        event("mistaken as well", -10, "z"),
    ]
    found = load_interactions(lake_with(tmp_path, rows), ["x", "y", "z"], CUT, ["purchase"])
    assert found.item.tolist() == [0, 1]
    assert found.time_us.tolist() == [int((CUT.timestamp() - minutes * 60) * 1e6) for minutes in (9, 5)]


def test_labels_are_what_was_bought_in_the_window_and_not_taken_back(tmp_path):
    rows = [
        event("before", -1, "x"),
        event("first", 0, "x"),
        event("mistaken", 1, "y"),
        event("a", 2, "z", corrects="mistaken"),
        event("taken back", 3, "y", user="u2"),
        event("b", 90, None, user="u2", event_type="retraction", corrects="taken back"),
        event("at the end", 60, "y"),
        event("looked", 4, "y", event_type="view"),
        event("not asked for", 5, "z", event_type="cart_add"),
    ]
    lake = lake_with(tmp_path, rows)
    found = outcomes_between(lake, CUT, CUT + timedelta(hours=1), ["view", "purchase", "like"])
    assert found == {"view": {"u1": {"y"}}, "purchase": {"u1": {"x", "z"}}, "like": {}}


def test_an_item_counts_at_the_best_place_where_its_user_saw_it(tmp_path):
    rows = [
        event("a", 1, "x", event_type="impression", position=7),
        event("b", 2, "x", event_type="impression", position=2),
        event("nobody knows where", 3, "y", event_type="impression"),
        event("first", 4, "x", event_type="impression", position=0, user="u2"),
        event("no impression", 5, "z", event_type="view", position=1),
        event("too late", 60, "x", event_type="impression", position=0),
    ]
    found = positions_between(lake_with(tmp_path, rows), CUT, CUT + timedelta(hours=1))
    assert found == {"u1": {"x": 3}, "u2": {"x": 1}}  # an event counts from 0, a list from 1


def test_guests_are_shoppers_after_the_users_even_with_a_users_name(tmp_path):
    rows = [
        event("a", -5, "x", user=None, session="u1"),
        event("b", -4, "y", user="u1"),
        event("c", -3, "x", user="u0"),
    ]
    found = load_interactions(lake_with(tmp_path, rows), ["x", "y"], CUT, ["purchase"])
    assert found.shoppers == ("u0", "u1", "u1")
    assert found.n_users == 2
    assert found.item.tolist() == [0, 1, 0]


def test_no_data_before_the_cut_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match="import data"):
        load_interactions(lake_with(tmp_path, [event("a", 1, "x")]), ["x"], CUT, ["purchase"])


def test_catalogue_is_as_it_was_at_the_moment(tmp_path):
    def state(item, days, title, deleted=False):
        at = CUT - timedelta(days=days)
        return {
            names.ITEM_ID: item,
            names.TITLE: title,
            names.CATEGORY: ["home"],
            names.ATTRIBUTES: '{"colour": "red"}',
            names.AVAILABLE: True,
            names.CREATED_AT: at,
            names.UPDATED_AT: at,
            names.DELETED: deleted,
            names.PARTITION: -1,
            names.OFFSET: -1,
        }

    rows = [
        state("mug", 9, "old"),
        state("mug", 5, "new"),
        state("mug", -1, "of tomorrow"),
        state("pot", 9, "pot"),
        state("pot", 1, "pot", deleted=True),
        state("late", -1, "late"),
    ]
    (mug,) = load_items(lake_with(tmp_path, [event("a", -1, "mug")], rows), CUT)
    assert (mug.item_id, mug.title, mug.category, mug.attributes) == ("mug", "new", ("home",), {"colour": "red"})


def test_baskets_end_with_the_shopper_and_with_a_gap():
    found = interactions((0, 1, 0), (0, 2, 60), (0, 3, 7_200), (1, 1, 7_200))
    assert found.baskets().tolist() == [0, 0, 1, 2]


def test_what_was_bought_together_is_one_moment_and_other_events_keep_theirs():
    found = interactions((0, 1, 0), (0, 2, 60), (0, 3, 90), (0, 4, 7_200), (1, 1, 7_200))
    view = EVENT_TYPES.index("view")
    found = dataclasses.replace(found, type=np.array([PURCHASE, PURCHASE, view, PURCHASE, PURCHASE], dtype=np.int8))
    histories = tower_histories(found, 5)
    # Items 1 and 2 are one basket; two hours later begins another; the second shopper is a history of its own.
    assert histories.items.tolist() == [1, 2, 3, 4, 1]
    assert histories.times.tolist() == [0, 0, 90e6, 7_200e6, 7_200e6]
    assert histories.offsets.tolist() == [0, 4, 5]


def test_events_of_the_towers_have_types_by_name_and_weigh_by_what_they_say():
    found = interactions((0, 1, 0), (0, 2, 60), (0, 3, 90))
    view, cart = EVENT_TYPES.index("view"), EVENT_TYPES.index("cart_add")
    histories = tower_histories(dataclasses.replace(found, type=np.array([PURCHASE, cart, view], dtype=np.int8)), 5)
    assert [histories.type_names[code] for code in histories.types] == ["purchase", "cart_add", "view"]
    np.testing.assert_allclose(histories.weights, [1.0, 0.8, 0.5])


def test_ease_equals_its_closed_form():
    data = interactions((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (1, 2, 0), (2, 2, 0))
    seen = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=float)
    inverse = np.linalg.inv(seen.T @ seen + 2.0 * np.eye(3))
    expected = -inverse / np.diag(inverse)  # column j divided by P_jj (Steck, 2019, equation 8)
    np.fill_diagonal(expected, 0.0)
    found = fit_item_item(data, 4, ItemItemParameters(ridge=2.0, neighbours=3))
    for row in range(3):
        for column, weight in zip(found.items[row], found.weights[row], strict=True):
            if column >= 0:
                assert weight == pytest.approx(expected[row, column], rel=1e-5)
    assert (found.items[3] == -1).all()  # nobody ever met it


@pytest.mark.parametrize("ease_max_items", [100, 0])
def test_items_of_one_group_are_neighbours_whichever_method(ease_max_items):
    # Even shoppers take even items, odd shoppers odd ones.
    events = [(s, item, 0) for s in range(20) for item in range(s % 2, 10, 2) if (s + item) % 3]
    found = fit_item_item(
        interactions(*events), 10, ItemItemParameters(ridge=1.0, neighbours=4, ease_max_items=ease_max_items)
    )
    for row in range(10):
        assert all(other % 2 == row % 2 and other != row for other in found.items[row] if other >= 0)
        assert (found.items[row] >= 0).any()
