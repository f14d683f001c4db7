"""What happens in the present visit."""

from datetime import timedelta

from entities import session
from feast import Aggregation, Field, StreamFeatureView
from feast.types import Array, Float64, Int64, String
from sources import events

from tastemaker import names

_OWNER = "recommendations"
_INTEREST = "type in ('view', 'cart_add', 'wishlist', 'purchase')"

session_history = StreamFeatureView(
    name=names.VIEW_SESSION_HISTORY,
    description="The items of a visit, newest first.",
    owner=_OWNER,
    entities=[session],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": _INTEREST},
    aggregations=[
        Aggregation("item_id", "last_n(20)", name="session_items"),
        Aggregation("type", "last_n(20)", name="session_event_types"),
        Aggregation("occurred_at", "last_n(20)", name="session_event_times"),
        Aggregation("category", "last_n(20)", name="session_categories"),
    ],
    schema=[
        Field(name="session_items", dtype=Array(String), description="Item ids."),
        Field(name="session_event_types", dtype=Array(String), description="What happened with each."),
        Field(name="session_event_times", dtype=Array(Int64), description="When, in microseconds since 1970."),
        Field(name="session_categories", dtype=Array(String), description="The category of each; empty if unknown."),
    ],
)

session_exposure = StreamFeatureView(
    name=names.VIEW_SESSION_EXPOSURE,
    description="What a visit was shown, and what it did not want, newest first; forgotten a day after its last event.",
    owner=_OWNER,
    entities=[session],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    ttl=timedelta(days=1),
    tags={"where": "type in ('impression', 'dislike')"},
    aggregations=[
        Aggregation("item_id", "last_n(200)", name="session_shown_items"),
        Aggregation("type", "last_n(200)", name="session_shown_types"),
        Aggregation("occurred_at", "last_n(200)", name="session_shown_times"),
    ],
    schema=[
        Field(name="session_shown_items", dtype=Array(String), description="Item ids."),
        Field(name="session_shown_types", dtype=Array(String), description="Whether it was shown or disliked."),
        Field(name="session_shown_times", dtype=Array(Int64), description="When, in microseconds since 1970."),
    ],
)

session_activity = StreamFeatureView(
    name=names.VIEW_SESSION_ACTIVITY,
    description="How a visit goes; forgotten a day after its last event.",
    owner=_OWNER,
    entities=[session],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    ttl=timedelta(days=1),
    tags={"where": _INTEREST},
    aggregations=[
        Aggregation("event_id", "count", name="session_views"),
        Aggregation("event_id", "count", name="session_cart_adds"),
        Aggregation("event_id", "count", name="session_purchases"),
        Aggregation("value", "sum", name="session_spend"),
        Aggregation("event_id", "count", name="session_searches"),
        Aggregation("item_id", "approx_distinct(256)", name="session_distinct_items"),
        Aggregation("category", "approx_distinct(256)", name="session_distinct_categories"),
        Aggregation("price", "mean", name="session_price_mean"),
        Aggregation("occurred_at", "time_since_first", name="session_elapsed_days"),
        Aggregation("occurred_at", "time_since_last", name="session_idle_days"),
    ],
    schema=[
        Field(
            name="session_views", dtype=Int64, tags={"where": "type = 'view'"}, description="Items looked at so far."
        ),
        Field(
            name="session_cart_adds",
            dtype=Int64,
            tags={"where": "type = 'cart_add'"},
            description="Items put into the cart so far.",
        ),
        Field(
            name="session_purchases",
            dtype=Int64,
            tags={"where": "type = 'purchase'"},
            description="Items bought so far.",
        ),
        Field(
            name="session_spend",
            dtype=Float64,
            tags={"where": "type = 'purchase'"},
            description="Money spent so far.",
        ),
        Field(
            name="session_searches", dtype=Int64, tags={"where": "type = 'search'"}, description="Searches made so far."
        ),
        Field(
            name="session_distinct_items",
            dtype=Int64,
            description="Different items met so far; standard error 4.6 % at 50.",
        ),
        Field(
            name="session_distinct_categories",
            dtype=Int64,
            description="Different categories met so far, likewise.",
        ),
        Field(
            name="session_price_mean",
            dtype=Float64,
            description="Mean unit price of the items met so far; NaN where none is known.",
        ),
        Field(
            name="session_elapsed_days", dtype=Float64, tags={"default": "0"}, description="Days since its first event."
        ),
        Field(name="session_idle_days", dtype=Float64, tags={"default": "0"}, description="Days since its last event."),
    ],
)
