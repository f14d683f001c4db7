"""What compiles, to what."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from declared_views import CATEGORY, DAY, USER, N, batch, compiled, count, kafka, lake, one, stream
from feast import (
    Aggregation,
    Entity,
    Field,
    ValueType,
)
from feast.types import Array, Bool, Float64, Int64, String

from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES, RETRACTION
from tastemaker.features.declarations.compile import compile_plan
from tastemaker.features.declarations.grammar import FUNCTIONS
from tastemaker.features.semantics import DAY_US


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


def test_every_function_compiles_to_what_it_says() -> None:
    window = {"time_window": DAY, "slide_interval": DAY / 24}
    nan = float("nan")
    # By function: what it runs over, how it is written, its field, what more it takes; then type, default and argument.
    cases: dict[str, tuple[str, str, Any, dict[str, Any], str, Any, int]] = {
        "count": ("event_id", "count", Int64, window, "int64", 0, 0),
        "sum": ("value", "sum", Float64, window, "float64", 0.0, 0),
        "mean": ("price", "mean", Float64, window, "float64", nan, 0),
        "min": ("value", "min", Float64, window, "float64", nan, 0),
        "max": ("price", "max", Float64, window, "float64", nan, 0),
        "stddev": ("price", "stddev", Float64, window, "float64", nan, 0),
        "approx_distinct": ("session_id", "approx_distinct(64)", Int64, window, "int64", 0, 64),
        "top_k": ("category", "top_k(5, value)", Array(String), window, "list[string]", [], 5),
        "time_since_last": ("occurred_at", "time_since_last", Float64, {}, "float64", nan, 0),
        "time_since_first": ("occurred_at", "time_since_first", Float64, {}, "float64", nan, 0),
        "mean_interval": ("occurred_at", "mean_interval", Float64, {}, "float64", nan, 0),
        "decayed_count": ("event_id", "decayed_count(30m)", Float64, {}, "float64", 0.0, 0),
        "decayed_sum": ("value", "decayed_sum(3h)", Float64, {}, "float64", 0.0, 0),
        "last": ("category", "last", String, {}, "string", "", 1),
        "last_n": ("price", "last_n(4)", Array(Float64), {}, "list[float64]", [], 4),
    }
    assert cases.keys() == FUNCTIONS.keys() - {"ratio"}  # which the next test is about
    for name, (column, function, of, more, dtype, default, n) in cases.items():
        (found,) = compiled(one(column, function, of, **more)).features
        assert (found.function, found.column, found.dtype, found.n) == (name, column, dtype, n)
        assert repr(found.default_value) == repr(default), name  # NaN among them
        assert (found.window_us, found.slide_us) == ((DAY_US, DAY_US // 24) if more else (0, 0))
    assert compiled(one("value", "decayed_sum(3h)", Float64)).features[0].half_life_us == DAY_US // 8
    assert compiled(one("category", "top_k(5, value)", Array(String))).features[0].by == "value"


def test_window_need_not_be_a_multiple_of_its_slide() -> None:
    view = one("event_id", "count", Int64, time_window=timedelta(hours=25), slide_interval=timedelta(hours=7))
    (found,) = compiled(view).features
    assert (found.window_us, found.slide_us) == (25 * DAY_US // 24, 7 * DAY_US // 24)


def test_view_without_a_ttl_lives_for_ever() -> None:
    assert compiled(stream([count()], [N])).ttl_us == 0
    assert compiled(batch(Field(name="price", dtype=Float64), ttl=None)).ttl_us == 0


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        (Float64, "nan", float("nan")),
        (Float64, "-1.5", -1.5),
        (Bool, "TRUE", True),
        (Bool, "0", False),
        (String, "", ""),
    ],
)
def test_default_is_of_the_fields_type(dtype: Any, text: str, value: Any) -> None:
    column = {Float64: "price", Bool: "available", String: "title"}[dtype]
    (found,) = compiled(batch(Field(name=column, dtype=dtype, tags={"default": text}))).features
    assert repr(found.default_value) == repr(value)


def test_ratio_names_two_features_of_its_view() -> None:
    view = stream(
        [count(), count(name="m"), Aggregation("n / m", "ratio", name="r")],
        [N, Field(name="m", dtype=Int64), Field(name="r", dtype=Float64, tags={"default": "0"})],
    )
    ratio = compiled(view).features[2]
    assert (ratio.operands, ratio.column, ratio.default_value) == (("n", "m"), "", 0.0)


def test_ratio_sees_the_events_of_the_two_features_and_no_more() -> None:
    view = stream(
        [Aggregation("n / m", "ratio", name="r"), count(), count(name="m")],
        [
            Field(name="n", dtype=Int64, tags={"where": "type = 'purchase'"}),
            Field(name="m", dtype=Int64, tags={"where": "type = 'view'"}),
            Field(name="r", dtype=Float64),
        ],
    )
    assert compiled(view).types == {"purchase", "view"}


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


def test_keys_of_several_entities_keep_their_order() -> None:
    view = compiled(stream([count()], [N], entities=[USER, CATEGORY]))
    assert (view.entities, view.join_keys) == (("user", "category"), ("user_id", "category"))


def test_lateness_is_that_of_the_source() -> None:
    assert compiled(stream([count()], [N])).lateness_us == 0
    late = kafka(watermark_delay_threshold=3 * DAY)
    assert compiled(stream([count()], [N], source=late)).lateness_us == 3 * DAY_US


def test_no_where_lets_all_types_through_but_retractions() -> None:
    (n,) = compiled(stream([count()], [N])).features
    assert set(n.types) == set(EVENT_TYPES) - {RETRACTION}


def test_columns_of_a_table_make_a_batch_view() -> None:
    view = compiled(batch(Field(name="price", dtype=Float64), Field(name="available", dtype=Bool), ttl=DAY))
    assert (view.kind, view.table, view.timestamp_field, view.ttl_us) == ("batch", "items", "updated_at", DAY_US)
    assert [feature.dtype for feature in view.features] == ["float64", "bool"]


def test_batch_fields_name_columns_ages_paths_and_lists() -> None:
    path, age, tags = compiled(
        batch(
            Field(name="shelf", dtype=String, tags={"column": "category"}),
            Field(name="age", dtype=Float64, tags={"since": "created_at", "default": "0"}),
            Field(name="category", dtype=Array(String)),
        )
    ).features
    assert (path.column, path.dtype, path.default_value) == ("category", "string", "")
    assert (age.column, age.function, age.default_value) == ("created_at", "age", 0.0)
    assert (tags.dtype, tags.default_value) == ("list[string]", [])
    vector = Field(name="vector", dtype=Array(Float64))
    (found,) = compiled(batch(vector, source=lake("item_content", "updated_at"))).features
    assert found.dtype == "list[float64]"


def test_entity_of_numbers_is_refused() -> None:
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
    with pytest.raises(DataError, match=r"^entity shop: its ids are INT64; .* value_type=ValueType.STRING"):
        compile_plan([], [], [shop])


def test_a_frame_is_no_declaration() -> None:
    with pytest.raises(AttributeError):
        compile_plan([pd.DataFrame()], [], [USER])
