"""What a shopper does, and did last."""

from datetime import timedelta

from entities import session, user
from feast import Aggregation, Field, StreamFeatureView
from feast.types import Array, Float64, Int64, String
from sources import events

from tastemaker import names

_DAY = timedelta(days=1)
_OWNER = "recommendations"
_INTEREST = "type in ('view', 'cart_add', 'wishlist', 'purchase')"

user_activity = StreamFeatureView(
    name=names.VIEW_USER_ACTIVITY,
    description="How often, how much and how recently a shopper buys.",
    owner=_OWNER,
    entities=[user],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type = 'purchase'"},
    aggregations=[
        Aggregation(
            column="event_id", function="count", time_window=7 * _DAY, slide_interval=_DAY, name="user_purchases_7d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=28 * _DAY, slide_interval=_DAY, name="user_purchases_28d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=90 * _DAY, slide_interval=_DAY, name="user_purchases_90d"
        ),
        Aggregation(column="event_id", function="count", name="user_purchases"),
        Aggregation(column="value", function="sum", time_window=28 * _DAY, slide_interval=_DAY, name="user_spend_28d"),
        Aggregation(column="value", function="sum", time_window=90 * _DAY, slide_interval=_DAY, name="user_spend_90d"),
        Aggregation(column="value", function="sum", name="user_spend"),
        Aggregation(column="occurred_at", function="time_since_last", name="user_days_since_purchase"),
    ],
    schema=[
        Field(name="user_purchases_7d", dtype=Int64, description="Items bought in the last 7 days."),
        Field(name="user_purchases_28d", dtype=Int64, description="Items bought in the last 28 days."),
        Field(name="user_purchases_90d", dtype=Int64, description="Items bought in the last 90 days."),
        Field(name="user_purchases", dtype=Int64, description="Items bought ever."),
        Field(name="user_spend_28d", dtype=Float64, description="Money spent in the last 28 days."),
        Field(name="user_spend_90d", dtype=Float64, description="Money spent in the last 90 days."),
        Field(name="user_spend", dtype=Float64, description="Money spent ever."),
        Field(
            name="user_days_since_purchase",
            dtype=Float64,
            description="Days since the last purchase.",
            tags={"default": "3650"},
        ),
    ],
)

user_history = StreamFeatureView(
    name=names.VIEW_USER_HISTORY,
    description="The items that a shopper met last, newest first.",
    owner=_OWNER,
    entities=[user],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": _INTEREST},
    aggregations=[
        Aggregation(column="item_id", function="last_n(50)", name="user_items"),
        Aggregation(column="type", function="last_n(50)", name="user_event_types"),
        Aggregation(column="occurred_at", function="last_n(50)", name="user_event_times"),
    ],
    schema=[
        Field(name="user_items", dtype=Array(String), description="Item ids."),
        Field(name="user_event_types", dtype=Array(String), description="What happened with each."),
        Field(name="user_event_times", dtype=Array(Int64), description="When, in microseconds since 1970."),
    ],
)

session_history = StreamFeatureView(
    name=names.VIEW_SESSION_HISTORY,
    description="The items of a visit, newest first.",
    owner=_OWNER,
    entities=[session],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": _INTEREST},
    aggregations=[
        Aggregation(column="item_id", function="last_n(20)", name="session_items"),
        Aggregation(column="type", function="last_n(20)", name="session_event_types"),
        Aggregation(column="occurred_at", function="last_n(20)", name="session_event_times"),
    ],
    schema=[
        Field(name="session_items", dtype=Array(String), description="Item ids."),
        Field(name="session_event_types", dtype=Array(String), description="What happened with each."),
        Field(name="session_event_times", dtype=Array(Int64), description="When, in microseconds since 1970."),
    ],
)
