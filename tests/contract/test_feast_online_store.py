"""Feast's online store over SQLite, memory, a Redis server and a Redis cluster gives what the serving path reads."""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_shop import HABITS, HOUR_US, NOW_US, PROFILE, VIEWS, Shop, apply, event

from tastemaker.clock import Clock, from_us
from tastemaker.errors import DataError
from tastemaker.features.feast.online import PackedOnlineStore
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.semantics import DAY_US

# Ids that only their escaping keeps apart in a key, one that is a pattern, and one that chooses a cluster's slot.
STRANGE = ["u\x1fi1", "u\x1b", "ü\0", "{tag}", "*"]
USERS = ["u1", "u2", "nobody", *STRANGE]
ITEMS = ["i1", "i2", "i3", "nothing"]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the registry and the plan: applying takes longer than all else here."""
    directory = tmp_path_factory.mktemp("applied")
    apply(directory)
    return directory


@pytest.fixture
def shop(location: Path | str, applied: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(applied, tmp_path, dirs_exist_ok=True)
    opened = Shop(location, tmp_path)
    opened.consume(
        event(1, 5 * DAY_US, "u1", "i1", category="a", value=2.0),
        event(2, HOUR_US, "u1", "i2", category="b", value=4.0),
        event(3, HOUR_US + 1, "u1", "i1", category="b"),
        event(4, 2 * DAY_US, "u2", "i1", category="", value=1.5),
        *(event(10 + place, HOUR_US, user, "i1", value=1.0) for place, user in enumerate(STRANGE)),
    )
    opened.write_profile(
        row("i1", HOUR_US, price=3.0, available=False, title="Mug", category=["kitchen", "mugs"]),
        row("i2", DAY_US),  # nulls
    )
    yield opened
    opened.close()


def row(item: str, ago_us: int, **columns: Any) -> dict[str, Any]:
    blank = {"price": None, "available": None, "title": None, "category": None}
    updated = from_us(NOW_US - ago_us)
    # Of an age, its time is stored: ten days ago.
    return {"item_id": item, "updated_at": updated, "age": float(NOW_US - 10 * DAY_US), **blank, **columns}


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the online store's present."""

    def move(now_us: int) -> int:
        monkeypatch.setattr(Clock, "now_us", lambda _: now_us)
        return now_us

    move(NOW_US)
    return move


def asked(shop: Shop, view: str) -> tuple[list[tuple[str, ...]], list[dict[str, str]]]:
    columns = shop.plan.view(view).join_keys
    if len(columns) == 2:
        keys: list[tuple[str, ...]] = [(user, item) for user in USERS for item in ITEMS]
    else:
        keys = [(one,) for one in (USERS if columns == ("user_id",) else ITEMS)]
    return keys, [dict(zip(columns, key, strict=True)) for key in keys]


def through_feast(shop: Shop, view: str, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    names = shop.plan.view(view).feature_names
    found = shop.feast.get_online_features([f"{view}:{name}" for name in names], rows).to_dict()
    return [{name: found[name][place] for name in names} for place in range(len(rows))]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


NOTHING = {
    "habits": {"buys_2d": 0, "usual": math.nan, "shelves": [], "days_since": 999.0},
    "trail": {"items": [], "times": [], "last_value": -1.0},
    "pairs": {"pair_buys": -7},
    "profile": {"price": -1.0, "available": True, "title": "?", "category": [], "age": 0.0},
}


@pytest.mark.parametrize("later_us", [0, 2 * DAY_US, 4 * DAY_US])
def test_online_features_equal_the_readers_to_the_last_bit(shop: Shop, at: Any, later_us: int) -> None:
    now_us = at(NOW_US + later_us)
    reader = FeatureReader(shop.location, shop.plan)
    for view in VIEWS:
        keys, rows = asked(shop, view.name)
        plan = shop.plan.view(view.name)
        found = through_feast(shop, view.name, rows)
        served = reader.rows(view.name, keys, now_us)
        for key, left, right in zip(keys, found, served, strict=True):
            assert all(same(left[name], right[name]) for name in plan.feature_names), (view.name, key, left, right)
        numeric = [feature.name for feature in plan.features if feature.is_numeric]
        if plan.kind != "history":
            matrix = reader.values(view.name, keys, now_us, numeric)
            for line, left in zip(matrix.tolist(), found, strict=True):
                assert all(same(value, float(left[name])) for value, name in zip(line, numeric, strict=True))
    reader.close()


def test_values_are_those_of_the_declarations(shop: Shop, at: Any) -> None:
    habits = through_feast(shop, "habits", [{"user_id": "u1"}, {"user_id": "u2"}])
    # u1: two purchases since midnight two days ago; (2 + 4) / 2; "b" twice before "a" once; one hour is 1/24 day.
    assert habits[0] == {"buys_2d": 2, "usual": 3.0, "shelves": ["b", "a"], "days_since": 1 / 24}
    # u2: exactly two days ago, at noon, which is after midnight two days ago.
    assert habits[1] == {"buys_2d": 1, "usual": 1.5, "shelves": [""], "days_since": 2.0}
    (trail,) = through_feast(shop, "trail", [{"user_id": "u1"}])
    assert trail == {"items": ["i2", "i1"], "times": [NOW_US - HOUR_US, NOW_US - HOUR_US - 1], "last_value": 4.0}
    pairs = through_feast(shop, "pairs", [{"user_id": "u1", "item_id": "i1"}, {"user_id": "u1", "item_id": "i3"}])
    assert pairs == [{"pair_buys": 2}, NOTHING["pairs"]]
    mug, blank = through_feast(shop, "profile", [{"item_id": "i1"}, {"item_id": "i2"}])
    assert mug == {"price": 3.0, "available": False, "title": "Mug", "category": ["kitchen", "mugs"], "age": 10.0}
    assert blank == NOTHING["profile"] | {"age": 10.0}


def test_what_is_not_known_has_every_declared_default(shop: Shop, at: Any) -> None:
    for view in VIEWS:
        columns = shop.plan.view(view.name).join_keys
        (found,) = through_feast(shop, view.name, [dict.fromkeys(columns, "nobody")])
        assert all(same(found[name], value) for name, value in NOTHING[view.name].items()), found


def test_what_is_older_than_its_ttl_has_every_declared_default(shop: Shop, at: Any) -> None:
    newest = {"habits": NOW_US - HOUR_US, "trail": NOW_US - HOUR_US, "profile": NOW_US - HOUR_US}
    for view, newest_us in newest.items():
        ttl_us = shop.plan.view(view).ttl_us
        (key,) = shop.plan.view(view).join_keys
        entity = [{key: "u1" if key == "user_id" else "i1"}]
        at(newest_us + ttl_us)  # inclusive
        (alive,) = through_feast(shop, view, entity)
        at(newest_us + ttl_us + 1)
        (stale,) = through_feast(shop, view, entity)
        assert not any(same(alive[name], NOTHING[view][name]) for name in alive if name != "buys_2d"), alive
        assert all(same(stale[name], value) for name, value in NOTHING[view].items()), stale
    at(NOW_US + 10_000 * DAY_US)  # no TTL
    assert through_feast(shop, "pairs", [{"user_id": "u1", "item_id": "i1"}]) == [{"pair_buys": 2}]


def test_window_empties_while_nothing_happens(shop: Shop, at: Any) -> None:
    # The window of two days begins at a midnight. What happened an hour ago, at 11:00, leaves it when the midnight that
    # followed, 12 hours from now, is two days old: in 60 hours. The TTL of 3 days is not over by then.
    found = []
    for later_us in (0, 60 * HOUR_US - 1, 60 * HOUR_US):
        at(NOW_US + later_us)
        found.append(through_feast(shop, "habits", [{"user_id": "u1"}])[0]["buys_2d"])
    assert found == [2, 2, 0]


def test_derived_features_equal_the_readers(shop: Shop, at: Any) -> None:
    rows = [{"item_id": item, "budget": 2.0} for item in ITEMS]
    found = shop.feast.get_online_features(["affordable:share"], rows).to_dict()["share"]
    reader = FeatureReader(shop.location, shop.plan)
    served = reader.derived("affordable", {"profile": ITEMS}, {"budget": [2.0] * len(ITEMS)}, NOW_US)
    reader.close()
    # Price over budget: 3 / 2, and the default of the price for what is not known.
    assert found == served["share"].tolist() == [1.5, -0.5, -0.5, -0.5]


def test_older_row_written_through_feast_never_replaces_a_newer_one(shop: Shop, at: Any) -> None:
    for ago_us, price, expected in [(2 * HOUR_US, 9.0, 3.0), (HOUR_US, 5.0, 5.0), (0, 6.0, 6.0), (1, 7.0, 6.0)]:
        shop.write_profile(row("i1", ago_us, price=price))
        assert through_feast(shop, "profile", [{"item_id": "i1"}])[0]["price"] == expected


def test_many_rows_come_back_from_one_batch(shop: Shop, at: Any) -> None:
    shop.write_profile(*(row(f"m{number}", 0, price=float(number)) for number in range(3000)))
    found = through_feast(shop, "profile", [{"item_id": f"m{number}"} for number in range(3000)])
    assert [one["price"] for one in found] == list(range(3000))


def test_read_gives_the_time_of_the_newest_event_and_only_what_was_asked(shop: Shop, at: Any) -> None:
    keys = [key for key, _, _, _ in proto_rows(shop, "u1", "nobody")]
    known, unknown = PackedOnlineStore().online_read(shop.feast.config, HABITS, keys, ["usual"])
    assert known[0] == from_us(NOW_US - HOUR_US)
    assert known[1] is not None
    assert {name: value.double_val for name, value in known[1].items()} == {"usual": 3.0}
    assert unknown[0] is None
    assert unknown[1] is not None
    assert math.isnan(unknown[1]["usual"].double_val)


def proto_rows(shop: Shop, *users: str) -> list[Any]:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return [
        (EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user)]), {}, from_us(NOW_US), None)
        for user in users
    ]


def test_view_of_the_stream_is_not_written_through_feast(shop: Shop, at: Any) -> None:
    before = through_feast(shop, "habits", [{"user_id": "u1"}])
    with pytest.raises(DataError, match="only batch views are written"):
        PackedOnlineStore().online_write_batch(shop.feast.config, HABITS, proto_rows(shop, "u1"), None)
    assert through_feast(shop, "habits", [{"user_id": "u1"}]) == before


def test_deleted_entity_has_every_declared_default(shop: Shop, at: Any) -> None:
    for view in (HABITS, *VIEWS[2:3]):
        signature = shop.plan.view(view.name).signature
        with shop.state.store.transaction() as tx:
            tx.delete_entity(signature, "u1")
    assert through_feast(shop, "pairs", [{"user_id": "u1", "item_id": "i1"}]) == [NOTHING["pairs"]]
    left, stays = through_feast(shop, "habits", [{"user_id": "u1"}, {"user_id": "u2"}])
    assert all(same(left[name], value) for name, value in NOTHING["habits"].items())
    assert stays["usual"] == 1.5


def test_update_takes_a_deleted_view_from_the_plan_and_from_the_store(shop: Shop, at: Any) -> None:
    signature = shop.plan.view("profile").signature
    everything = shop.feast.get_feature_service("everything")
    derived = shop.feast.get_on_demand_feature_view("affordable")
    shop.feast.apply([], objects_to_delete=[everything, derived, PROFILE], partial=False)
    plan = FeaturePlan.load(shop.plan_path)
    assert [view.name for view in plan.views] == ["habits", "pairs", "trail"]
    reader = shop.state.store.reader()
    assert list(reader.all_rows(signature)) == []
    assert reader.rows(shop.plan.view("habits").signature, [join_key("u1")]) != [None]
    reader.close()


def test_teardown_empties_the_views(shop: Shop, at: Any) -> None:
    PackedOnlineStore().teardown(shop.feast.config, [HABITS, PROFILE], [])
    reader = shop.state.store.reader()
    left = {view.name: len(list(reader.all_rows(shop.plan.view(view.name).signature))) for view in VIEWS}
    reader.close()
    # Of each of the 2 + 5 shoppers: one list; of u1 two items, of the others one.
    assert left == {"habits": 0, "trail": 7, "pairs": 8, "profile": 0}
