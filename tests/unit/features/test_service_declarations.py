"""Feature services: their order, and what would give a model other columns than it names."""

from typing import Any

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
from feast.types import Array, Float64, Int64, String

from tastemaker.features.declarations.compile import DeclarationError, compile_plan
from tastemaker.features.plan import FeaturePlan

USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
ITEM = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
CATEGORY = Entity(name="category", join_keys=["category"], value_type=ValueType.STRING)


def lake(table: str, time: str) -> FileSource:
    return FileSource(name=table, path=f"/lake/{table}", file_format=DeltaFormat(), timestamp_field=time)


EVENTS = KafkaSource(
    name="stream",
    topic="t",
    kafka_bootstrap_servers="127.0.0.1:1",
    message_format=JsonFormat(schema_json="event_id string"),
    timestamp_field="occurred_at",
    batch_source=lake("events", "occurred_at"),
)


def counts(name: str, entities: list[Entity], *features: str) -> StreamFeatureView:
    return StreamFeatureView(
        name=name,
        entities=entities,
        source=EVENTS,
        timestamp_field="occurred_at",
        aggregations=[Aggregation("event_id", "count", name=feature) for feature in features],
        schema=[Field(name=feature, dtype=Int64) for feature in features],
    )


ACTIVITY = counts("activity", [USER], "n", "m")
SHELF = counts("shelf", [USER, CATEGORY], "n")
PROFILE = BatchFeatureView(
    name="profile",
    entities=[ITEM],
    source=lake("items", "updated_at"),
    online=True,
    schema=[Field(name="price", dtype=Float64), Field(name="category", dtype=Array(String))],
)
VIEWS = [ACTIVITY, SHELF, PROFILE]


def compiled(*features: Any, views: list[Any] = VIEWS) -> FeaturePlan:
    service = FeatureService(name="s", features=list(features), description="d", owner="o")
    return compile_plan(views, [service], [USER, ITEM, CATEGORY])


def test_service_keeps_the_order_of_its_features() -> None:
    service = compiled(PROFILE[["price"]], ACTIVITY[["m", "n"]]).service("s")
    assert service.features == (("profile", "price"), ("activity", "m"), ("activity", "n"))
    assert (service.description, service.owner) == ("d", "o")


def test_same_feature_names_are_fine_in_different_services() -> None:
    services = [FeatureService(name=view.name, features=[view]) for view in (ACTIVITY, SHELF)]
    assert len(compile_plan(VIEWS, services, [USER, ITEM, CATEGORY]).services) == 2


@pytest.mark.parametrize(
    ("features", "views", "message"),
    [
        ([ACTIVITY.with_join_key_map({"user_id": "buyer"})], VIEWS, "it renames view activity or its join keys"),
        ([ACTIVITY.with_name("other")], VIEWS, "it renames view activity or its join keys"),
        ([ACTIVITY], [SHELF], "no view is called activity; declare it, or remove it"),
        ([ACTIVITY], [counts("activity", [USER], "n")], "view activity has no feature m; remove it"),
        ([ACTIVITY[[]]], VIEWS, "it has no features"),
        ([ACTIVITY, SHELF], VIEWS, "n of view shelf is also a column of view activity, .* rename the feature"),
        ([ACTIVITY[["n"]], ACTIVITY[["n"]]], VIEWS, "n of view activity is also a column of view activity"),
        ([SHELF, PROFILE], VIEWS, "category of view profile is also a column of the ids of view shelf"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_service_that_cannot_be_served_says_what_to_change(features: list[Any], views: list[Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=rf"^service s: {message}"):
        compiled(*features, views=views)


def test_feast_itself_refuses_a_feature_that_its_view_does_not_have() -> None:
    with pytest.raises(ValueError, match="Feature typo does not exist in this feature view"):
        ACTIVITY[["typo"]]
