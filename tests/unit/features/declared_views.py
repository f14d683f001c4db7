"""Views in Feast's words, with one thing to vary."""

from datetime import timedelta
from typing import Any

from feast import (
    Aggregation,
    BatchFeatureView,
    Entity,
    Field,
    FileSource,
    KafkaSource,
    StreamFeatureView,
    ValueType,
)
from feast.data_format import DeltaFormat, JsonFormat
from feast.types import Int64

from tastemaker.features.declarations.compile import compile_view
from tastemaker.features.plan import ViewPlan

__all__ = [
    "CATEGORY",
    "DAY",
    "ITEM",
    "SHOP",
    "USER",
    "N",
    "batch",
    "compiled",
    "count",
    "kafka",
    "lake",
    "one",
    "stream",
]

DAY = timedelta(days=1)
JOIN_KEYS = {"user": "user_id", "item": "item_id", "category": "category", "shop": "shop_id"}
USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
CATEGORY = Entity(name="category", join_keys=["category"], value_type=ValueType.STRING)
SHOP = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)


def lake(table: str, time: str = "occurred_at", **more: Any) -> FileSource:
    return FileSource(name=table, path=f"/lake/{table}", file_format=DeltaFormat(), timestamp_field=time, **more)


def kafka(**more: Any) -> KafkaSource:
    return KafkaSource(
        name="stream",
        topic="t",
        kafka_bootstrap_servers="127.0.0.1:1",
        message_format=JsonFormat(schema_json="event_id string"),
        timestamp_field="occurred_at",
        **({"batch_source": lake("events")} | more),
    )


def stream(aggregations: list[Aggregation], fields: list[Field], **more: Any) -> StreamFeatureView:
    source = more.pop("source", None) or kafka(batch_source=more.pop("batch_source", lake("events")))
    return StreamFeatureView(
        name="activity",
        entities=more.pop("entities", [USER]),
        source=source,
        timestamp_field="occurred_at",
        aggregations=aggregations,
        schema=fields,
        **more,
    )


def batch(*fields: Field, **more: Any) -> BatchFeatureView:
    declared = {"entities": [ITEM], "source": lake("items", "updated_at"), "online": True} | more
    return BatchFeatureView(name="profile", schema=list(fields), **declared)


def compiled(view: Any) -> ViewPlan:
    return compile_view(view, JOIN_KEYS)


def count(**more: Any) -> Aggregation:
    return Aggregation(**({"column": "event_id", "function": "count", "name": "n"} | more))


def one(column: str, function: str, dtype: Any, **more: Any) -> StreamFeatureView:
    """A view of a single aggregation."""
    tags = more.pop("tags", {})
    return stream([Aggregation(column, function, name="x", **more)], [Field(name="x", dtype=dtype, tags=tags)])


N = Field(name="n", dtype=Int64)
