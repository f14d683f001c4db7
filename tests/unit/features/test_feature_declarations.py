"""What compiles, and what fails at `feast apply`, naming view, aggregation and remedy."""

from datetime import timedelta
from typing import Any

import pytest
from feast import Aggregation, BatchFeatureView, Entity, Field, FileSource, KafkaSource, StreamFeatureView, ValueType
from feast.data_format import DeltaFormat, JsonFormat
from feast.types import Array, Bool, Float32, Float64, Int64, String

from tastemaker.errors import DataError
from tastemaker.features.declarations import compile_view
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import DAY_US

DAY = timedelta(days=1)
JOIN_KEYS = {"user": "user_id", "item": "item_id"}
USER = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)


def lake(table: str, time: str = "occurred_at") -> FileSource:
    return FileSource(name=table, path=f"/lake/{table}", file_format=DeltaFormat(), timestamp_field=time)


def stream(aggregations: list[Aggregation], fields: list[Field], **more: Any) -> StreamFeatureView:
    source = KafkaSource(
        name="stream",
        topic="t",
        kafka_bootstrap_servers="127.0.0.1:1",
        message_format=JsonFormat(schema_json="event_id string"),
        timestamp_field="occurred_at",
        batch_source=more.pop("batch_source", lake("events")),
    )
    return StreamFeatureView(
        name="activity",
        entities=more.pop("entities", [USER]),
        source=source,
        timestamp_field="occurred_at",
        aggregations=aggregations,
        schema=fields,
        **more,
    )


def compiled(view: Any) -> ViewPlan:
    return compile_view(view, JOIN_KEYS)


def count(**more: Any) -> Aggregation:
    return Aggregation(**({"column": "event_id", "function": "count", "name": "n"} | more))


N = Field(name="n", dtype=Int64)


def test_windows_filters_and_defaults_are_compiled() -> None:
    view = compiled(
        stream(
            [
                count(time_window=7 * DAY, slide_interval=DAY),
                Aggregation(column="value", function="sum", name="spend"),
                Aggregation(column="occurred_at", function="time_since_last", name="since"),
                Aggregation(column="event_id", function="decayed_count(60d)", name="decayed"),
            ],
            [
                N,
                Field(name="spend", dtype=Float64, tags={"where": "type in ('return', 'purchase')"}),
                Field(name="since", dtype=Float64, tags={"default": "365"}, description="Days."),
                Field(name="decayed", dtype=Float64),
            ],
            tags={"where": "type = 'view'"},
            ttl=2 * DAY,
            owner="someone",
        )
    )
    assert (view.kind, view.join_keys, view.table, view.ttl_us) == ("aggregate", ("user_id",), "events", 2 * DAY_US)
    n, spend, since, decayed = view.features
    assert (n.window_us, n.slide_us, n.types, n.default_value) == (7 * DAY_US, DAY_US, ("view",), 0)
    assert (spend.window_us, spend.slide_us, spend.types) == (0, 0, ("purchase", "return"))
    assert (since.default_value, since.description) == (365.0, "Days.")
    assert (decayed.function, decayed.half_life_us, decayed.default_value) == ("decayed_count", 60 * DAY_US, 0.0)
    assert view.owner == "someone"


def test_last_n_makes_a_history() -> None:
    view = compiled(
        stream(
            [
                Aggregation(column="item_id", function="last_n(20)", name="ids"),
                Aggregation(column="occurred_at", function="last_n(20)", name="times"),
            ],
            [Field(name="ids", dtype=Array(String)), Field(name="times", dtype=Array(Int64))],
        )
    )
    assert view.kind == "history"
    assert [(feature.dtype, feature.n) for feature in view.features] == [("list[string]", 20), ("list[int64]", 20)]


def test_columns_of_a_table_make_a_batch_view() -> None:
    source = lake("items", "updated_at")
    fields = [Field(name="price", dtype=Float64), Field(name="available", dtype=Bool)]
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    view = compiled(BatchFeatureView(name="profile", entities=[item], source=source, schema=fields, ttl=DAY))
    assert (view.kind, view.table, view.timestamp_field, view.ttl_us) == ("batch", "items", "updated_at", DAY_US)
    assert [feature.dtype for feature in view.features] == ["float64", "bool"]


LISTS = [Aggregation(column="item_id", function="last_n(5)", name="ids"), count()]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (stream([count(function="median")], [N]), "aggregation n: function 'median' .* use count, sum"),
        (stream([count(column="value")], [N]), "aggregation n: count takes column event_id, not 'value'"),
        (stream([count(time_window=DAY)], [N]), "aggregation n: a window needs a slide_interval shorter"),
        (
            stream([count(time_window=30 * DAY, slide_interval=timedelta(minutes=1))], [N]),
            "aggregation n: 43200 tiles per entity are too many",
        ),
        (
            stream(
                [count(column="occurred_at", function="time_since_last", time_window=DAY)],
                [Field(name="n", dtype=Float64)],
            ),
            "aggregation n: time_since_last has no window; remove time_window",
        ),
        (
            stream([count()], [Field(name="n", dtype=Float32)]),
            "aggregation n: .* its values are int64; change the Field",
        ),
        (
            stream([count()], [Field(name="m", dtype=Int64)]),
            r"aggregation n: the schema has no field .* add Field\('n'\)",
        ),
        (stream([count()], [N, Field(name="m", dtype=Int64)]), "field m: no aggregation has that name"),
        (stream([count()], [N], tags={"where": "value > 3"}), "aggregation n: where 'value > 3' does not parse"),
        (stream([count()], [Field(name="n", dtype=Int64, tags={"default": "x"})]), "field n: default 'x' is no number"),
        (
            stream(LISTS, [N, Field(name="ids", dtype=Array(String))]),
            "aggregation ids: a view with last_n has only last_n",
        ),
        (stream([count()], [N], batch_source=lake("items")), "aggregations run over the events"),
        (stream([count()], [N], batch_source=lake("elsewhere")), "is no lake table"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_declaration_that_cannot_run_names_the_line_to_change(view: Any, message: str) -> None:
    with pytest.raises(DataError, match=r"^view activity") as caught:
        compiled(view)
    assert caught.match(message)


def test_batch_field_must_be_a_column_of_a_stored_type() -> None:
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)

    def batch(field: Field) -> BatchFeatureView:
        return BatchFeatureView(name="profile", entities=[item], source=lake("items", "updated_at"), schema=[field])

    with pytest.raises(DataError, match="view profile, field colour: the lake table items has no such column"):
        compiled(batch(Field(name="colour", dtype=String)))
    with pytest.raises(DataError, match=r"view profile, field category: .* use Int64, Float64, Bool or String"):
        compiled(batch(Field(name="category", dtype=Array(String))))
