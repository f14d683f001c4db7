"""What compiles, and what fails at `feast apply`, naming view, part and remedy."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from feast import (
    Aggregation,
    BatchFeatureView,
    Entity,
    Field,
    FileSource,
    KafkaSource,
    PushSource,
    StreamFeatureView,
    ValueType,
)
from feast.data_format import DeltaFormat, JsonFormat
from feast.types import Array, Bool, Float32, Float64, Int64, String, UnixTimestamp

from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES, RETRACTION
from tastemaker.features.declarations.compile import DeclarationError, compile_plan, compile_view
from tastemaker.features.declarations.grammar import FUNCTIONS
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import DAY_US

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


LISTS = [Aggregation(column="item_id", function="last_n(5)", name="ids"), count()]
IDS = Field(name="ids", dtype=Array(String))
TWO_WHERES = [
    Aggregation("item_id", "last_n(5)", name="ids"),
    Aggregation("type", "last_n(5)", name="kinds"),
]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (stream([count(function="median")], [N]), "aggregation n: function 'median' .* use count, sum"),
        (stream([count(column="brand")], [N]), "aggregation n: count takes column event_id or .*, not 'brand'"),
        (stream([count(time_window=DAY)], [N]), "aggregation n: a window needs a slide_interval shorter"),
        (
            stream([count(time_window=DAY, slide_interval=DAY)], [N]),
            "aggregation n: a window needs a slide_interval shorter",
        ),
        (
            stream([count(slide_interval=DAY)], [N]),
            "aggregation n: a slide_interval needs a time_window",
        ),
        (
            stream([count(time_window=30 * DAY, slide_interval=timedelta(minutes=1))], [N]),
            "aggregation n: 43200 tiles per entity are too many",
        ),
        (
            one("occurred_at", "time_since_last", Float64, time_window=DAY, slide_interval=DAY / 2),
            "aggregation x: time_since_last has no window; remove time_window",
        ),
        (one("price", "stddev(3)", Float64), "aggregation x: stddev takes no argument"),
        (one("price", "decayed_sum", Float64), r"aggregation x: 'decayed_sum' needs a half-life, such as"),
        (one("item_id", "approx_distinct", Int64), r"aggregation x: .* needs a number from 16 to 16384"),
        (one("item_id", "top_k(500)", Array(String)), "aggregation x: .* needs a number from 1 to 100"),
        (one("value", "last", String), "field x: its type is String, but its values are float64; change its dtype"),
        (
            stream([count()], [Field(name="n", dtype=Float32)]),
            "field n: its type is Float32, but its values are int64; change its dtype",
        ),
        (
            stream([count()], [Field(name="m", dtype=Int64)]),
            r"aggregation n: the schema has no field .* add Field\(name='n'",
        ),
        (stream([count(), count()], [N]), "aggregation n: two aggregations have that name"),
        (stream([count()], [N, Field(name="m", dtype=Int64)]), "field m: no aggregation has that name"),
        (
            stream([count(name="select")], [Field(name="select", dtype=Int64)]),
            "field select: this cannot be a column's name",
        ),
        (stream([count(name="a-b")], [Field(name="a-b", dtype=Int64)]), "field a-b: this cannot be a column's name"),
        (stream([count()], [N], tags={"where": "value > 3"}), "activity: where 'value > 3' does not parse"),
        (stream([count()], [N], tags={"where": "type = 'click'"}), "activity: .* event types are impression"),
        (stream([count()], [N], tags={"where": "type = 'retraction'"}), "activity: no view sees a retraction"),
        (one("event_id", "count", Int64, tags={"default": "x"}), "field x: default 'x' is no number"),
        (one("event_id", "count", Int64, tags={"default": "0.5"}), "field x: default '0.5' is no whole number"),
        (
            one("category", "top_k(3)", Array(String), tags={"default": "a"}),
            "field x: a list that is not known is empty; remove its default",
        ),
        (one("n over m", "ratio", Float64), "aggregation x: column 'n over m' of a ratio names two features"),
        (
            stream([count(), Aggregation("n / m", "ratio", name="r")], [N, Field(name="r", dtype=Float64)]),
            "aggregation r: 'm' is no count or sum or approx_distinct of this view; it has n",
        ),
        (
            stream(
                [count(), Aggregation("n / n", "ratio", name="r")],
                [N, Field(name="r", dtype=Float64, tags={"where": "type = 'view'"})],
            ),
            "field r: tag 'where' would have no effect here; set it on the two features",
        ),
        (one("item_id", "last_n(5000)", Array(String)), "aggregation x: .* needs a number from 1 to 1000"),
        (one("item_id", "last_n", Array(String)), "aggregation x: .* needs a number from 1 to 1000"),
        (one("hour", "last_n(3)", Array(String)), "aggregation x: last_n takes column item_id or .*, not 'hour'"),
        (
            one("item_id", "last_n(5)", Array(String), time_window=DAY, slide_interval=DAY / 2),
            "aggregation x: last_n has no window; remove time_window",
        ),
        (one("category", "top_k(0)", Array(String)), "aggregation x: .* needs a number from 1 to 100"),
        (one("category", "top_k(3, price)", Array(String)), "aggregation x: function .* use count"),
        (one("value", "sum(1, value)", Float64), "aggregation x: .* weighs by value, which only top_k does"),
        (one("item_id", "approx_distinct(8)", Int64), "aggregation x: .* needs a number from 16 to 16384"),
        (one("value", "approx_distinct(64)", Int64), "aggregation x: approx_distinct takes column item_id or"),
        (one("item_id", "sum", Float64), "aggregation x: sum takes column value or price, not 'item_id'"),
        (one("event_id", "decayed_count(60)", Float64), "aggregation x: .* needs a half-life"),
        (one("event_id", "decayed_count(0d)", Float64), "aggregation x: .* needs a half-life"),
        (one("event_id", "decayed_count(367d)", Float64), "aggregation x: .* 366d is the longest"),
        (
            one("event_id", "count", Int64, time_window=DAY, slide_interval=2 * DAY),
            "aggregation x: a window needs a slide_interval shorter",
        ),
        (
            one("event_id", "count", Int64, time_window=-DAY, slide_interval=-2 * DAY),
            "aggregation x: a window needs a slide_interval shorter",
        ),
        (
            one("event_id", "count", Int64, tags={"column": "price"}),
            "field x: tag 'column' would have no effect here; the column is the aggregation's",
        ),
        (
            one("event_id", "count", Int64, tags={"since": "created_at"}),
            "field x: tag 'since' would have no effect here; .* time_since_last",
        ),
        (one("event_id", "count", Int64, tags={"default": "inf"}), "field x: default 'inf' is not finite"),
        (one("event_id", "count", Int64, tags={"default": "nan"}), "field x: default 'nan' is not finite"),
        (one("event_id", "count", Int64, tags={"default": "1e300"}), "field x: default '1e300' is no whole number"),
        (one("value", "sum", Float64, tags={"default": "-inf"}), "field x: default '-inf' is not finite"),
        (stream([count()], [N], ttl=-DAY), r"activity: its ttl is negative; use timedelta\(0\) for none"),
        (
            stream([count()], [N], source=kafka(watermark_delay_threshold=-DAY)),
            "activity: the watermark_delay_threshold of its source is negative",
        ),
        (stream(LISTS, [N, IDS]), "aggregation n: a view with last or last_n has no other functions"),
        (
            stream(TWO_WHERES, [IDS, Field(name="kinds", dtype=Array(String), tags={"where": "type = 'view'"})]),
            "aggregation kinds: a view with last or last_n has one where for all",
        ),
        (stream([], [N]), "activity: it has no aggregations; .* BatchFeatureView"),
        (stream([count()], [N], entities=[]), "activity: it has no entity"),
        (stream([count()], [N], entities=[SHOP]), "activity: aggregations run over the events, by user"),
        (stream([count()], [N], batch_source=lake("items")), "activity: aggregations run over the events"),
        (stream([count()], [N], batch_source=lake("elsewhere")), "activity: its batch source .* is no lake table"),
        (
            stream([count()], [N], source=PushSource(name="push", batch_source=lake("events"))),
            "activity: its source is no KafkaSource",
        ),
        (
            stream([count()], [N], enable_tiling=True, tiling_hop_size=DAY / 24),
            "activity: .* remove enable_tiling",
        ),
        (
            stream([count()], [N], udf=lambda frame: frame, udf_string="lambda frame: frame"),
            "activity: its function would not run; .* on_demand_feature_view",
        ),
        (
            stream(
                [Aggregation("value", "sum", name=f"n{number}") for number in range(70)],
                [
                    Field(
                        name=f"n{number}",
                        dtype=Float64,
                        # 70 different filters: the subsets of seven types, by the bits of a number from 1 on.
                        tags={
                            "where": "type in ("
                            + ", ".join(f"'{EVENT_TYPES[bit]}'" for bit in range(7) if (number + 1) >> bit & 1)
                            + ")"
                        },
                    )
                    for number in range(70)
                ],
            ),
            # One for the newest event, and one per sum.
            "activity: its features need 71 partial aggregates, at most 64 fit a view",
        ),
        (batch(Field(name="colour", dtype=String)), "field colour: the lake table items has no column colour"),
        (batch(Field(name="title", dtype=Float32)), "field title: type .* is not stored"),
        (batch(Field(name="title", dtype=UnixTimestamp)), "field title: type .* is not stored"),
        (batch(Field(name="title", dtype=Float64)), "field title: column title is string, which does not fit"),
        (
            batch(Field(name="created_at", dtype=Int64)),
            r"field created_at: column created_at is timestamp.* for its age, say tags=\{'since'",
        ),
        (
            batch(Field(name="age", dtype=Float64, tags={"since": "price"})),
            "field age: the days since price need a time column",
        ),
        (
            batch(Field(name="available", dtype=Bool, tags={"default": "perhaps"})),
            "field available: default 'perhaps' is no true or false",
        ),
        (
            batch(N, source=batch(Field(name="price", dtype=Float64)), sink_source=lake("items", "updated_at")),
            "profile: it reads other views; give it a source of feature_repo/sources.py",
        ),
        (batch(), "profile: it has no features; give it a schema"),
        (
            batch(Field(name="price", dtype=Float64, tags={"where": "type = 'view'"})),
            "field price: tag 'where' would have no effect here; it filters events",
        ),
        (
            batch(Field(name="price", dtype=Float64), tags={"where": "type = 'view'"}),
            "profile: tag 'where' would have no effect here; it filters events",
        ),
        (batch(Field(name="price", dtype=Float64), ttl=-DAY), "profile: its ttl is negative"),
        (batch(Field(name="as_of_us", dtype=Int64)), "field as_of_us: this cannot be a column's name"),
        (batch(Field(name="price", dtype=Float64), online=False), "profile: .* set online=True"),
        (
            batch(Field(name="price", dtype=Float64), aggregations=[Aggregation("price", "sum", name="price")]),
            "profile: aggregations need a StreamFeatureView",
        ),
        (
            batch(Field(name="price", dtype=Float64), source=lake("items", "title")),
            "profile: its source's time 'title' is no time column",
        ),
        (
            batch(Field(name="price", dtype=Float64), source=lake("items", "updated_at", created_timestamp_column="x")),
            "profile: its source's time 'x' is no time column",
        ),
        (batch(Field(name="price", dtype=Float64), entities=[USER]), "profile: .* no column user_id to join by"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_declaration_that_cannot_run_says_what_to_change(view: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=r"^view (activity|profile)") as caught:
        compiled(view)
    assert caught.match(message)


def test_entity_of_numbers_is_refused() -> None:
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
    with pytest.raises(DataError, match=r"^entity shop: its ids are INT64; .* value_type=ValueType.STRING"):
        compile_plan([], [], [shop])


def test_a_frame_is_no_declaration() -> None:
    with pytest.raises(AttributeError):
        compile_plan([pd.DataFrame()], [], [USER])
