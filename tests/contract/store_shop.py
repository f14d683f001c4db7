"""A small shop in Feast's words: a view of every kind over one online store, fed as the platform feeds it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from feast import (
    Aggregation,
    BatchFeatureView,
    Entity,
    FeatureService,
    FeatureStore,
    Field,
    FileSource,
    KafkaSource,
    RepoConfig,
    RequestSource,
    StreamFeatureView,
    ValueType,
)
from feast.data_format import DeltaFormat, JsonFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Float64, Int64, String

from tastemaker.clock import from_us
from tastemaker.events.contract import Event
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.semantics import DAY_US
from tastemaker.features.streaming.state import ConsumedEvent, FeatureState

__all__ = ["HOUR_US", "NOW_US", "PROFILE", "VIEWS", "Shop", "apply", "event"]

PLAN_FILE = "plan.json"
HOUR_US = DAY_US // 24
NOW_US = 18_000 * DAY_US + DAY_US // 2
USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
DOCUMENTED = {"description": "For a test.", "owner": "tests"}
EVENTS = KafkaSource(
    name="events",
    topic="events",
    kafka_bootstrap_servers="127.0.0.1:1",
    message_format=JsonFormat(schema_json="event_id string"),
    timestamp_field="occurred_at",
    batch_source=FileSource(
        name="events_in_lake", path="/lake/events", file_format=DeltaFormat(), timestamp_field="occurred_at"
    ),
)
ITEMS = FileSource(name="items", path="/lake/items", file_format=DeltaFormat(), timestamp_field="updated_at")
REQUEST = RequestSource(name="request", schema=[Field(name="budget", dtype=Float64)])


def field(name: str, dtype: Any, **tags: str) -> Field:
    return Field(name=name, dtype=dtype, tags=tags, description="For a test.")


def stream(name: str, entities: list[Entity], **more: Any) -> StreamFeatureView:
    declared = {"source": EVENTS, "timestamp_field": "occurred_at", "tags": {"where": "type = 'purchase'"}}
    return StreamFeatureView(name=name, entities=entities, **DOCUMENTED, **(declared | more))


HABITS = stream(
    "habits",
    [USER],
    ttl=timedelta(days=3),
    aggregations=[
        Aggregation("event_id", "count", timedelta(days=2), timedelta(days=1), name="buys_2d"),
        Aggregation("value", "mean", name="usual"),
        Aggregation("category", "top_k(2)", name="shelves"),
        Aggregation("occurred_at", "time_since_last", name="days_since"),
    ],
    schema=[
        field("buys_2d", Int64),
        field("usual", Float64),
        field("shelves", Array(String)),
        field("days_since", Float64, default="999"),
    ],
)
TRAIL = stream(
    "trail",
    [USER],
    ttl=timedelta(days=3),
    aggregations=[
        Aggregation("item_id", "last_n(2)", name="items"),
        Aggregation("occurred_at", "last_n(2)", name="times"),
        Aggregation("value", "last", name="last_value"),
    ],
    schema=[
        field("items", Array(String)),
        field("times", Array(Int64)),
        field("last_value", Float64, default="-1"),
    ],
)
PAIRS = stream(
    "pairs",
    [USER, ITEM],
    aggregations=[Aggregation("event_id", "count", name="pair_buys")],
    schema=[field("pair_buys", Int64, default="-7")],
)
PROFILE = BatchFeatureView(
    name="profile",
    entities=[ITEM],
    source=ITEMS,
    online=True,
    ttl=timedelta(days=2),
    schema=[
        field("price", Float64, default="-1"),
        field("available", Bool, default="true"),
        field("title", String, default="?"),
        field("category", Array(String)),
        field("age", Float64, since="created_at", default="0"),
    ],
    **DOCUMENTED,
)


@on_demand_feature_view(
    name="affordable",
    sources=[PROFILE[["price"]], REQUEST],
    schema=[Field(name="share", dtype=Float64)],
    tags={"share": "For a test."},
    **DOCUMENTED,
)
def affordable(inputs: pd.DataFrame) -> pd.DataFrame:
    """Price over budget."""
    return pd.DataFrame({"share": inputs["price"] / inputs["budget"]})


VIEWS = (HABITS, TRAIL, PAIRS, PROFILE)


def event(number: int, ago_us: int, user: str, item: str, **more: Any) -> Event:
    """A purchase."""
    return Event(
        event_id=f"e{number}",
        type="purchase",
        occurred_at=from_us(NOW_US - ago_us),
        user_id=user,
        item_id=item,
        **more,
    )


def feast_store(location: Path | str, directory: Path) -> FeatureStore:
    """Feast over the packed store at a location, with registry and plan in a directory."""
    return FeatureStore(
        config=RepoConfig(
            project="shop",
            provider="local",
            registry={"registry_type": "sql", "path": f"sqlite:///{directory}/registry.db"},
            entity_key_serialization_version=3,
            offline_store={
                "type": "tastemaker.features.feast.offline.AsofOfflineStore",
                "lake": str(directory / "lake"),
            },
            online_store={
                "type": "tastemaker.features.feast.online.PackedOnlineStore",
                "location": str(location),
                "plan": str(directory / PLAN_FILE),
                "clock_offset_us": 0,
            },
        )
    )


def apply(directory: Path) -> None:
    """Make registry and plan of the declarations."""
    everything = FeatureService(name="everything", features=[*VIEWS, affordable], **DOCUMENTED)
    store = feast_store("memory:nowhere", directory)
    store.apply([USER, ITEM, EVENTS, ITEMS, *VIEWS, affordable, everything])


class Shop:
    """An online store at a location, with its one writer, and Feast's view of it.

    Args:
        location: of the online store.
        directory: with what :func:`apply` made.
    """

    def __init__(self, location: Path | str, directory: Path) -> None:
        self.location = location
        self.feast = feast_store(location, directory)
        self.plan_path = directory / PLAN_FILE
        self.plan = FeaturePlan.load(self.plan_path)
        self.state = FeatureState.open(location, self.plan)
        self._offset = 0

    def consume(self, *events: Event) -> None:
        """Apply events as the stream worker does."""
        records = [ConsumedEvent(one, 0, self._offset + place) for place, one in enumerate(events)]
        self._offset += len(records)
        self.state.apply(records, {0: self._offset})

    def write_profile(self, *rows: dict[str, Any]) -> None:
        """Write rows of the batch view through Feast's API."""
        self.feast.write_to_online_store("profile", pd.DataFrame(list(rows)))

    def close(self) -> None:
        self.state.close()
