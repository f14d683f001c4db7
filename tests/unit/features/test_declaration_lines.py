"""Every refusal of a feature repository says on which line what has to change."""

from pathlib import Path
from typing import Any

import pytest

from tastemaker.features.declarations.compile import compile_plan
from tastemaker.features.declarations.documented import check_documented
from tastemaker.features.declarations.error import DeclarationError

# A small feature repository; each case changes one line of it, and the refusal names that line.
REPOSITORY = """
from datetime import timedelta
import pandas as pd
from feast import Aggregation, BatchFeatureView, Entity, FeatureService, Field, FileSource, KafkaSource
from feast import StreamFeatureView, ValueType
from feast.data_format import DeltaFormat, JsonFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Float64, Int64, String

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
lake = FileSource(name="l", path="/events", file_format=DeltaFormat(), timestamp_field="occurred_at")
items = FileSource(name="i", path="/items", file_format=DeltaFormat(), timestamp_field="updated_at")
events = KafkaSource(
    name="e",
    topic="t",
    kafka_bootstrap_servers="127.0.0.1:1",
    message_format=JsonFormat(schema_json="event_id string"),
    timestamp_field="occurred_at",
    batch_source=lake,
)
activity = StreamFeatureView(
    name="activity",
    description="d",
    owner="o",
    entities=[user],
    source=events,
    timestamp_field="occurred_at",
    aggregations=[
        Aggregation("event_id", "count", timedelta(days=1), timedelta(hours=1), name="n"),
        Aggregation("price", "mean", name="usual"),
        Aggregation("n / m", "ratio", name="rate"),
        Aggregation("event_id", "count", name="m"),
    ],
    schema=[
        Field(name="n", dtype=Int64, description="d"),
        Field(name="usual", dtype=Float64, description="d"),
        Field(name="rate", dtype=Float64, description="d"),
        Field(name="m", dtype=Int64, description="d"),
    ],
)
trail = StreamFeatureView(
    name="trail",
    description="d",
    owner="o",
    entities=[user],
    source=events,
    timestamp_field="occurred_at",
    aggregations=[
        Aggregation("item_id", "last_n(5)", name="ids"),
    ],
    schema=[
        Field(name="ids", dtype=Array(String), description="d"),
    ],
)
profile = BatchFeatureView(
    name="profile",
    description="d",
    owner="o",
    entities=[item],
    source=items,
    online=True,
    schema=[
        Field(name="cost", dtype=Float64, tags={"column": "price"}, description="d"),
    ],
)
service = FeatureService(
    name="service",
    features=[activity, trail, profile],
    description="d",
    owner="o",
)
"""


def refused(text: str, directory: Path) -> str:
    """What applying a feature repository says."""
    (directory / "views.py").write_text(text)
    found: dict[str, Any] = {}
    exec(text, found)
    views = [found["activity"], found["trail"], found["profile"]]
    with pytest.raises(DeclarationError) as caught:
        check_documented(compile_plan(views, [found["service"]], [found["user"], found["item"]]))
    return str(caught.value.located(directory))


AGGREGATED, USUAL, LISTED, M = (
    '"event_id", "count", timedelta',
    '"price", "mean"',
    '"last_n(5)"',
    'name="m", dtype=Int64',
)
STRING = 'join_keys=["user_id"], value_type=ValueType.STRING'


@pytest.mark.parametrize(
    ("right", "wrong", "message", "at"),
    [
        (AGGREGATED, '"event_id", "tally", timedelta', "function 'tally' is not one", ""),
        (AGGREGATED, '"brand", "count", timedelta', "count takes column event_id or", ""),
        ("timedelta(hours=1), name", "None, name", "a window needs a slide_interval shorter than it", ""),
        ("timedelta(hours=1), name", "timedelta(seconds=1), name", "86400 tiles per entity are too many", ""),
        (USUAL, '"price", "stddev(2)"', "stddev takes no argument", ""),
        (USUAL, '"item_id", "mean"', "mean takes column value or price", ""),
        ('"n / m", "ratio"', '"n / buys", "ratio"', "'buys' is no count", ""),
        (LISTED, '"last_n(5000)"', "needs a number from 1 to 1000", ""),
        (M, 'name="m", dtype=Int64, tags={"default": "some"}', "default 'some' is no number", ""),
        (M, 'name="m", dtype=Int64, tags={"since": "created_at"}', "tag 'since' would have no effect", ""),
        (M, 'name="m", dtype=Int64, tags={"where": "type = \'click\'"}', "event types are", ""),
        (M, 'name="m", dtype=Float64', "its values are int64; change its dtype", ""),
        (M, 'name="k", dtype=Int64', "add Field(name='m', ...)", '"count", name="m"'),
        ('name="ids", dtype=Array(String), description="d"', 'name="ids", dtype=Array(String)', "no description", ""),
        ('{"column": "price"}', '{"column": "cost"}', "the lake table items has no column cost", ""),
        ('{"column": "price"}', '{"since": "price"}', "the days since price need a time column", ""),
        ('["item_id"]', '["sku"]', "the lake table items has no column sku", "BatchFeatureView(\n"),
        ('path="/items"', 'path="/stock"', "its batch source '/stock' is no lake table", "BatchFeatureView(\n"),
        (STRING, 'join_keys=["user_id"], value_type=ValueType.INT64', "its ids are INT64", ""),
        ("[activity, trail, profile]", '[activity, activity[["n"]]]', "n of view activity is also a", "Service(\n"),
    ],
    ids=lambda value: "",
)
def test_refusal_names_the_line_the_part_and_the_remedy(
    right: str, wrong: str, message: str, at: str, tmp_path: Path
) -> None:
    assert REPOSITORY.count(right) == 1
    text = REPOSITORY.replace(right, wrong)
    line = text[: text.index(at or wrong)].count("\n") + 1
    found = refused(text, tmp_path)
    assert message in found
    assert found.startswith(f"views.py:{line}: ")
