"""What fails at `feast apply`, naming view, part and remedy."""

from datetime import timedelta
from typing import Any

import pytest
from declared_views import DAY, SHOP, USER, N, batch, compiled, count, kafka, lake, one, stream
from feast import (
    Aggregation,
    Field,
    PushSource,
)
from feast.types import Array, Bool, Float32, Float64, Int64, String, UnixTimestamp

from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.declarations.compile import DeclarationError

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
