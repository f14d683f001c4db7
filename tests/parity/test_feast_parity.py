"""Feast's own API gives the engine's values: offline as of any row, online as the serving path reads them."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import (
    Aggregation,
    BatchFeatureView,
    Entity,
    FeatureService,
    Field,
    FileSource,
    KafkaSource,
    StreamFeatureView,
    ValueType,
)
from feast.data_format import DeltaFormat, JsonFormat
from feast.types import Array, Bool, Float64, Int64, String
from feature_histories import ANY, DAY_US, HOUR_US, LATENESS_US, NOW_US, PLAN, lake_of, reference, same
from feature_reference import Arrival

from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import DataError
from tastemaker.events.contract import Event
from tastemaker.features.feast.offline import AsofOfflineStore
from tastemaker.features.feast.online import PackedOnlineStore
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.repository import materialize, open_store, training_frame
from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import SCHEMAS
from tastemaker.settings import Settings

REPOSITORY = Path(__file__).parents[2]
DTYPES = {
    "int64": Int64,
    "float64": Float64,
    "string": String,
    "list[string]": Array(String),
    "list[int64]": Array(Int64),
    "list[float64]": Array(Float64),
}
KEYS = {"user": "user_id", "item": "item_id", "session": "session_id", "category": "category"}
ENTITIES = {name: Entity(name=name, join_keys=[key], value_type=ValueType.STRING) for name, key in KEYS.items()}


def history(seed: int, size: int = 150) -> list[Arrival]:
    """Many events close together: hours, minutes and identical moments; some come late, some correct another."""
    draw = random.Random(seed)
    made = [
        Event(
            event_id=f"e{number}",
            type=draw.choice(ANY),  # type: ignore[arg-type]
            occurred_at=from_us(NOW_US - draw.choice([0, 1, 3, 30, 100]) * HOUR_US - draw.randrange(3) * 60_000_000),
            user_id=draw.choice(["u1", "u2", "u3"]),
            session_id=draw.choice(["s1", "s2", None]),
            item_id=draw.choice(["i1", "i2", "i3", "i4"]),
            category=draw.choice(["a", "a/b", None]),
            value=draw.choice([None, draw.uniform(0, 100)]),
            price=draw.choice([None, 2.5, 7.0]),
            corrects=f"e{draw.randrange(number)}" if number and draw.random() < 0.05 else None,
        )
        for number in range(size)
    ]
    lags = [0, LATENESS_US, LATENESS_US + 1]
    return [Arrival(event, to_us(event.occurred_at) + draw.choice(lags)) for event in made]


def declared(view: ViewPlan, source: KafkaSource) -> StreamFeatureView:
    """A plan's view in Feast's words."""

    def function(feature: FeatureSpec) -> str:
        if feature.half_life_us:
            return f"{feature.function}({feature.half_life_us // HOUR_US}h)"
        if feature.n and feature.function != "last":
            return f"{feature.function}({feature.n}{f', {feature.by}' if feature.by else ''})"
        return feature.function

    def tags(feature: FeatureSpec) -> dict[str, str]:
        default = {} if feature.default is None else {"default": str(feature.default)}
        types = ", ".join(repr(name) for name in feature.types)
        return default if feature.operands else default | {"where": f"type in ({types})"}

    def duration(us: int) -> timedelta | None:
        return timedelta(microseconds=us) if us else None

    return StreamFeatureView(
        name=view.name,
        description="As the other parity tests have it.",
        owner="tests",
        entities=[ENTITIES[name] for name in view.entities],
        source=source,
        timestamp_field="occurred_at",
        ttl=timedelta(microseconds=view.ttl_us),
        aggregations=[
            Aggregation(
                column=" / ".join(feature.operands) or feature.column,
                function=function(feature),
                time_window=duration(feature.window_us),
                slide_interval=duration(feature.slide_us),
                name=feature.name,
            )
            for feature in view.features
        ],
        schema=[
            Field(
                name=feature.name,
                dtype=DTYPES[feature.dtype],
                description=feature.function,
                tags=tags(feature),
            )
            for feature in view.features
        ],
    )


class World:
    """A temporary platform: lake, online store, registry, with the plan of the other parity tests applied."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, repository=REPOSITORY)
        self.arrivals = history(seed=1)
        self.lake = lake_of(self.settings.lake_dir, self.arrivals)
        self.lake.append("items", item_rows(), {"test": 0})
        self.store = open_store(self.settings)
        self.apply()
        self.plan = FeaturePlan.load(self.settings.plan_path)
        state = FeatureState.open(self.settings.online_path, self.plan)
        state.bootstrap(self.lake)
        state.close()

    def apply(self) -> None:
        lake = FileSource(
            name="lake_events",
            path=str(self.settings.lake_dir / "events"),
            file_format=DeltaFormat(),
            timestamp_field="occurred_at",
        )
        streams = {
            lateness_us: KafkaSource(
                name=f"stream_events_{lateness_us}",
                topic="t",
                kafka_bootstrap_servers="127.0.0.1:1",
                message_format=JsonFormat(schema_json="event_id string"),
                timestamp_field="occurred_at",
                watermark_delay_threshold=timedelta(microseconds=lateness_us) if lateness_us else None,
                batch_source=lake,
            )
            for lateness_us in {view.lateness_us for view in PLAN.views}
        }
        items = FileSource(
            name="items",
            path=str(self.settings.lake_dir / "items"),
            file_format=DeltaFormat(),
            timestamp_field="updated_at",
            created_timestamp_column="created_at",
        )
        profile = BatchFeatureView(
            name="profile",
            description="Columns of the catalogue, of every type.",
            owner="tests",
            entities=[ENTITIES["item"]],
            source=items,
            online=True,
            ttl=timedelta(days=2),
            schema=[
                Field(name="price", dtype=Float64, tags={"default": "-1"}, description="A number."),
                Field(name="available", dtype=Bool, description="A truth."),
                Field(name="title", dtype=String, tags={"default": "?"}, description="A text."),
                Field(
                    name="age",
                    dtype=Float64,
                    tags={"since": "created_at", "default": "-2"},
                    description="Days that pass.",
                ),
                Field(name="path", dtype=String, tags={"column": "category"}, description="A list as a text."),
                Field(name="shelves", dtype=Array(String), tags={"column": "category"}, description="A list."),
            ],
        )
        views = [declared(view, streams[view.lateness_us]) for view in PLAN.views]
        services = [
            FeatureService(name=f"all_{view.name}", features=[view], description="One view.", owner="tests")
            for view in [*views, profile]
        ]
        self.store.apply([*ENTITIES.values(), lake, *streams.values(), items, *views, profile, *services])

    def frame(self, view: ViewPlan, keys: list[tuple[str, ...]], moments: list[int]) -> pd.DataFrame:
        rows = [(*key, from_us(at), place) for place, (key, at) in enumerate((k, m) for k in keys for m in moments)]
        return pd.DataFrame(rows, columns=[*view.join_keys, "event_timestamp", "row"])


def item_rows() -> pa.Table:
    """Versions of items: i1 twice, i2 without a price, i3 known a day after its time, i4 nine days old."""
    rows = [
        {"item_id": "i1", "title": "old", "price": 1.0, "ago": 30, "known": 30, "available": True},
        {"item_id": "i1", "title": "new", "price": 2.5, "ago": 10, "known": 10, "available": False},
        {"item_id": "i2", "title": "unpriced", "price": None, "ago": 10, "known": 10, "available": True},
        {"item_id": "i3", "title": "late", "price": 3.0, "ago": 30, "known": 6, "available": True},
        {"item_id": "i4", "title": "stale", "price": 4.0, "ago": 216, "known": 216, "available": True},
    ]
    table = [
        {
            **{name: row[name] for name in ("item_id", "title", "price", "available")},
            "updated_at": from_us(NOW_US - row["ago"] * HOUR_US),
            "created_at": from_us(NOW_US - row["known"] * HOUR_US),
            "category": ["a", "b"] if row["item_id"] == "i1" else [],
            "attributes": "{}",
            "deleted": False,
            "kafka_partition": -1,
            "kafka_offset": -1,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(table, schema=SCHEMAS["items"])


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
    reader = FeatureReader(world.settings.online_path, world.plan)
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
