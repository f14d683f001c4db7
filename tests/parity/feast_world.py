"""The parity tests' views in Feast's words, over a temporary platform."""

import random
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
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
from feature_histories import ANY, HOUR_US, LATENESS_US, NOW_US, PLAN, lake_of
from feature_reference import Arrival

from tastemaker.clock import from_us, to_us
from tastemaker.events.contract import Event
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.repository import open_store
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import SCHEMAS
from tastemaker.settings import Settings

__all__ = ["World", "history"]

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
        state = FeatureState.open(self.settings.online_location, self.plan)
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
