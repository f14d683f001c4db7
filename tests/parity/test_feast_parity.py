"""Feast's own API gives the engine's values: offline as of any row, online as the serving path reads them."""

from typing import Any

import pandas as pd
import pytest
from feast_world import World
from feature_histories import DAY_US, HOUR_US, NOW_US, PLAN, reference, same

from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import DataError
from tastemaker.features.feast.offline import AsofOfflineStore
from tastemaker.features.feast.online import PackedOnlineStore
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.repository import materialize, training_frame
from tastemaker.features.stores.opening import open_online_store


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("platform"))


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> int:
    """The online store's present: 90 minutes after the history's newest event."""
    now_us = NOW_US + 90 * 60_000_000
    monkeypatch.setattr(Clock, "now_us", lambda _: now_us)
    return now_us


def all_keys(view: ViewPlan) -> list[tuple[str, ...]]:
    ids = {
        "user": ["u1", "u2", "nobody"],
        "item": ["i1", "i3", "nothing"],
        "session": ["s1", "s2", "none"],
        "category": ["a", "a/b", "none"],
    }
    if len(view.entities) == 1:
        return [(name,) for name in ids[view.entities[0]]]
    return [(left, right) for left in ids[view.entities[0]] for right in ids[view.entities[1]]]


def test_apply_compiles_what_was_declared(world: World) -> None:
    for view in PLAN.views:
        assert world.plan.view(view.name).signature == view.signature


@pytest.mark.parametrize("view", PLAN.views, ids=lambda view: view.name)
def test_historical_features_equal_the_reference(world: World, view: ViewPlan) -> None:
    # Moments of events (which must not see themselves), between them, and after all.
    moments = [to_us(world.arrivals[0].event.occurred_at), NOW_US - HOUR_US + 1, NOW_US - 7 * HOUR_US, NOW_US + DAY_US]
    keys = all_keys(view)
    frame = world.frame(view, keys, moments).sample(frac=1.0, random_state=3)
    found = training_frame(world.settings, frame, f"all_{view.name}").to_pylist()
    assert [row["row"] for row in found] == frame["row"].tolist()
    for row in found:
        key = tuple(row[column] for column in view.join_keys)
        expected = reference(view, world.arrivals, key, to_us(row["event_timestamp"]))
        assert same({name: row[name] for name in view.feature_names}, expected)


@pytest.mark.parametrize("view", PLAN.views, ids=lambda view: view.name)
def test_online_features_equal_reader_and_reference(world: World, view: ViewPlan, frozen_clock: int) -> None:
    keys = all_keys(view)
    rows = [dict(zip(view.join_keys, key, strict=True)) for key in keys]
    service = world.store.get_feature_service(f"all_{view.name}")
    found = world.store.get_online_features(service, rows).to_dict()
    reader = FeatureReader(world.settings.online_location, world.plan)
    for place, (key, row) in enumerate(zip(keys, reader.rows(view.name, keys, frozen_clock), strict=True)):
        expected = reference(view, world.arrivals, key, frozen_clock)
        assert same(row, expected)
        assert same({name: found[name][place] for name in view.feature_names}, expected)
    reader.close()


def profiles(found: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(found["price"], found["available"], found["title"], strict=True))


DEFAULTS = (-1.0, False, "?")


def test_batch_view_joins_the_newest_row_within_its_ttl(world: World) -> None:
    hours = [(1, 31), (1, 30), (1, 11), (1, 10), (2, 0), (3, 20), (4, 216 - 48), (4, 216 - 49), (9, 0)]
    frame = pd.DataFrame(
        [(f"i{item}", from_us(NOW_US - ago * HOUR_US)) for item, ago in hours], columns=["item_id", "event_timestamp"]
    )
    found = training_frame(world.settings, frame, "all_profile").to_pydict()
    assert profiles(found) == [
        DEFAULTS,  # before its first row
        (1.0, True, "old"),  # at the moment of it
        (1.0, True, "old"),
        (2.5, False, "new"),
        (-1.0, True, "unpriced"),  # a null becomes the default
        (3.0, True, "late"),
        (4.0, True, "stale"),  # 48 hours old: inclusive
        DEFAULTS,  # 49 hours old
        DEFAULTS,
    ]


def test_batch_values_offline_equal_those_served(world: World, frozen_clock: int) -> None:
    """Columns of every type, an age among them; i4 is past its TTL, i9 is unknown."""
    rows = [{"item_id": f"i{number}"} for number in (1, 2, 3, 4, 9)]
    served = world.store.get_online_features(world.store.get_feature_service("all_profile"), rows).to_dict()
    frame = pd.DataFrame(rows).assign(event_timestamp=from_us(frozen_clock))
    offline = training_frame(world.settings, frame, "all_profile").to_pydict()
    for name in world.plan.view("profile").feature_names:
        assert same(offline[name], served[name]), name
    # Newest versions of i1 and i2 were created 10 hours before the history's end, of i3 6; now is 1.5 hours later.
    assert offline["age"] == [11.5 / 24, 11.5 / 24, 7.5 / 24, -2.0, -2.0]
    assert (offline["path"][0], offline["shelves"][0], offline["shelves"][4]) == ("a/b", ["a", "b"], [])


def test_rows_known_later_stay_out_where_asked(world: World) -> None:
    moments = [NOW_US - 7 * HOUR_US, NOW_US - 6 * HOUR_US]
    frame = pd.DataFrame({"item_id": ["i3", "i3"], "event_timestamp": [from_us(at) for at in moments]})
    service = world.store.get_feature_service("all_profile")
    job = world.store.get_historical_features(frame, service, filter_by_created_timestamp=True)
    assert profiles(job.to_arrow().to_pydict()) == [DEFAULTS, (3.0, True, "late")]


@pytest.mark.parametrize(
    ("column", "renamed", "message"),
    [
        ("item_id", "sku", r"have no column item_id, by which view profile is joined; add it"),
        ("label", "title", r"have a column title, as view profile has a feature; .* full_feature_names=True"),
    ],
)
def test_frame_that_cannot_be_joined_says_what_to_change(world: World, column: str, renamed: str, message: str) -> None:
    frame = pd.DataFrame({"item_id": ["i1"], "event_timestamp": [from_us(NOW_US)], "label": [1]})
    with pytest.raises(DataError, match=message):
        training_frame(world.settings, frame.rename(columns={column: renamed}), "all_profile")


def test_full_feature_names_stand_beside_columns_of_the_same_name(world: World) -> None:
    frame = pd.DataFrame({"item_id": ["i1"], "event_timestamp": [from_us(NOW_US)], "price": [7.0]})
    service = world.store.get_feature_service("all_profile")
    found = world.store.get_historical_features(frame, service, full_feature_names=True).to_arrow().to_pydict()
    assert (found["price"], found["profile__price"]) == ([7.0], [2.5])


def test_processing_delay_ages_what_a_row_sees(world: World) -> None:
    view = PLAN.view("by_user")
    frame = world.frame(view, [("u1",)], [NOW_US + 1])
    delayed = training_frame(world.settings, frame, "all_by_user", processing_delay_seconds=7200.0).to_pylist()[0]
    expected = reference(view, world.arrivals, ("u1",), NOW_US + 1 - 2 * HOUR_US)
    assert same({name: delayed[name] for name in view.feature_names}, expected)


def online_profiles(world: World) -> list[tuple[Any, ...]]:
    rows = [{"item_id": f"i{number}"} for number in (1, 2, 3, 4, 9)]
    service = world.store.get_feature_service("all_profile")
    return profiles(world.store.get_online_features(service, rows).to_dict())


def test_materialised_rows_equal_those_of_a_rebuild(world: World, frozen_clock: int) -> None:
    view = FeaturePlan.load(world.settings.plan_path).view("profile").signature
    store = open_online_store(world.settings.online_location)
    reader = store.reader()
    rebuilt = sorted(reader.all_rows(view))
    assert len(rebuilt) == 4
    with store.transaction() as tx:
        tx.drop_view(view)
    assert online_profiles(world) == [DEFAULTS] * 5
    assert materialize(world.settings, from_us(frozen_clock)) == ("profile",)
    assert sorted(reader.all_rows(view)) == rebuilt
    reader.close()
    store.close()
    # i4 is 217.5 hours old by now, past the TTL of 48, which Feast itself does not enforce.
    late = (3.0, True, "late")
    assert online_profiles(world) == [(2.5, False, "new"), (-1.0, True, "unpriced"), late, DEFAULTS, DEFAULTS]


def test_materialising_the_past_does_not_overwrite_newer_rows(world: World, frozen_clock: int) -> None:
    materialize(world.settings, from_us(frozen_clock))
    materialize(world.settings, from_us(NOW_US - 20 * HOUR_US))
    assert online_profiles(world)[0] == (2.5, False, "new")


def test_view_of_the_stream_is_not_written_by_materialisation(world: World) -> None:
    view = world.store.get_stream_feature_view("by_item")
    job = AsofOfflineStore.pull_latest_from_table_or_query(
        world.store.config,
        view.batch_source,
        ["item_id"],
        ["buys_2h"],
        "occurred_at",
        None,
        from_us(0),
        from_us(NOW_US),
    )
    with pytest.raises(DataError, match=r"events has no column buys_2h: .* kept up to date by the stream worker"):
        job.to_arrow()
    with pytest.raises(DataError, match="only batch views are written"):
        PackedOnlineStore().online_write_batch(world.store.config, view, [], None)
