"""What a shopper does, likes, and did last."""

from datetime import timedelta

from entities import category, user
from feast import Aggregation, Field, StreamFeatureView
from feast.types import Array, Float64, Int64, String
from sources import events

from tastemaker import names

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_OWNER = "recommendations"
_INTEREST = "type in ('view', 'cart_add', 'wishlist', 'purchase')"
_VIEWED = {"where": "type = 'view'"}
_RETURNED = {"where": "type = 'return'"}
_NEVER = {"default": "3650"}
_NONE = {"default": "0"}

user_activity = StreamFeatureView(
    name=names.VIEW_USER_ACTIVITY,
    description="How recently, how often and for how much a shopper buys (RFM), and how they shop.",
    owner=_OWNER,
    entities=[user],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type = 'purchase'"},
    aggregations=[
        Aggregation("event_id", "count", 7 * _DAY, _DAY, name="user_purchases_7d"),
        Aggregation("event_id", "count", 28 * _DAY, _DAY, name="user_purchases_28d"),
        Aggregation("event_id", "count", 90 * _DAY, _DAY, name="user_purchases_90d"),
        Aggregation("event_id", "count", name="user_purchases"),
        Aggregation("value", "sum", 28 * _DAY, _DAY, name="user_spend_28d"),
        Aggregation("value", "sum", 90 * _DAY, _DAY, name="user_spend_90d"),
        Aggregation("value", "sum", name="user_spend"),
        Aggregation("occurred_at", "time_since_last", name="user_days_since_purchase"),
        Aggregation("event_id", "count", 30 * _DAY, _DAY, name="user_purchases_30d"),
        Aggregation("event_id", "count", 365 * _DAY, _DAY, name="user_purchases_365d"),
        Aggregation("value", "sum", 7 * _DAY, _DAY, name="user_spend_7d"),
        Aggregation("value", "sum", 30 * _DAY, _DAY, name="user_spend_30d"),
        Aggregation("value", "sum", 365 * _DAY, _DAY, name="user_spend_365d"),
        Aggregation("session_id", "approx_distinct(1024)", 7 * _DAY, _DAY, name="user_orders_7d"),
        Aggregation("session_id", "approx_distinct(1024)", 30 * _DAY, _DAY, name="user_orders_30d"),
        Aggregation("session_id", "approx_distinct(1024)", 90 * _DAY, _DAY, name="user_orders_90d"),
        Aggregation("session_id", "approx_distinct(1024)", 365 * _DAY, _DAY, name="user_orders_365d"),
        Aggregation("item_id", "approx_distinct(1024)", 365 * _DAY, _DAY, name="user_distinct_items_365d"),
        Aggregation("user_purchases_365d / user_orders_365d", "ratio", name="user_basket_size_365d"),
        Aggregation("user_spend_365d / user_orders_365d", "ratio", name="user_order_value_365d"),
        Aggregation("price", "mean", 365 * _DAY, _DAY, name="user_price_mean_365d"),
        Aggregation("price", "stddev", 365 * _DAY, _DAY, name="user_price_stddev_365d"),
        Aggregation("event_id", "count", 365 * _DAY, _DAY, name="user_returns_365d"),
        Aggregation("user_returns_365d / user_purchases_365d", "ratio", name="user_return_rate_365d"),
        Aggregation("occurred_at", "time_since_first", name="user_days_since_first_purchase"),
        Aggregation("event_id", "count", _DAY, _HOUR, name="user_views_1d"),
        Aggregation("event_id", "count", 7 * _DAY, _DAY, name="user_views_7d"),
        Aggregation("event_id", "count", 7 * _DAY, _DAY, name="user_cart_adds_7d"),
        Aggregation("occurred_at", "time_since_last", name="user_days_since_interest"),
    ],
    schema=[
        Field(name="user_purchases_7d", dtype=Int64, description="Items bought in the last 7 days."),
        Field(name="user_purchases_28d", dtype=Int64, description="Items bought in the last 28 days."),
        Field(name="user_purchases_90d", dtype=Int64, description="Items bought in the last 90 days."),
        Field(name="user_purchases", dtype=Int64, description="Items bought ever."),
        Field(name="user_spend_28d", dtype=Float64, description="Money spent in the last 28 days."),
        Field(name="user_spend_90d", dtype=Float64, description="Money spent in the last 90 days."),
        Field(name="user_spend", dtype=Float64, description="Money spent ever."),
        Field(name="user_days_since_purchase", dtype=Float64, tags=_NEVER, description="Days since the last purchase."),
        Field(name="user_purchases_30d", dtype=Int64, description="Items bought in the last 30 days."),
        Field(name="user_purchases_365d", dtype=Int64, description="Items bought in the last 365 days."),
        Field(name="user_spend_7d", dtype=Float64, description="Money spent in the last 7 days."),
        Field(name="user_spend_30d", dtype=Float64, description="Money spent in the last 30 days."),
        Field(name="user_spend_365d", dtype=Float64, description="Money spent in the last 365 days."),
        Field(name="user_orders_7d", dtype=Int64, description="Visits with a purchase in the last 7 days, about."),
        Field(name="user_orders_30d", dtype=Int64, description="Visits with a purchase in the last 30 days, about."),
        Field(name="user_orders_90d", dtype=Int64, description="Visits with a purchase in the last 90 days, about."),
        Field(
            name="user_orders_365d",
            dtype=Int64,
            description="Visits with a purchase in the last 365 days; standard error 2.2 % at 100.",
        ),
        Field(
            name="user_distinct_items_365d",
            dtype=Int64,
            description="Different items bought in the last 365 days; standard error 2.6 % at 1,000.",
        ),
        Field(
            name="user_basket_size_365d",
            dtype=Float64,
            tags=_NONE,
            description="Items per visit with a purchase, over the last 365 days.",
        ),
        Field(
            name="user_order_value_365d",
            dtype=Float64,
            tags=_NONE,
            description="Money per visit with a purchase, over the last 365 days.",
        ),
        Field(
            name="user_price_mean_365d",
            dtype=Float64,
            description="Mean unit price of what was bought in the last 365 days; NaN where none is known.",
        ),
        Field(
            name="user_price_stddev_365d",
            dtype=Float64,
            description="How far these prices spread (standard deviation); NaN where none is known.",
        ),
        Field(
            name="user_returns_365d", dtype=Int64, tags=_RETURNED, description="Items returned in the last 365 days."
        ),
        Field(
            name="user_return_rate_365d",
            dtype=Float64,
            tags=_NONE,
            description="Returns per purchase, over the last 365 days.",
        ),
        Field(
            name="user_days_since_first_purchase",
            dtype=Float64,
            tags=_NONE,
            description="Days since the first purchase: how long they have been a customer.",
        ),
        Field(name="user_views_1d", dtype=Int64, tags=_VIEWED, description="Items looked at in the last day."),
        Field(name="user_views_7d", dtype=Int64, tags=_VIEWED, description="Items looked at in the last 7 days."),
        Field(
            name="user_cart_adds_7d",
            dtype=Int64,
            tags={"where": "type = 'cart_add'"},
            description="Items put into the cart in the last 7 days.",
        ),
        Field(
            name="user_days_since_interest",
            dtype=Float64,
            tags={"where": _INTEREST, "default": "3650"},
            description="Days since they looked at, collected or bought anything.",
        ),
    ],
)

user_affinity = StreamFeatureView(
    name=names.VIEW_USER_AFFINITY,
    description="What a shopper goes for, and when.",
    owner=_OWNER,
    entities=[user],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": _INTEREST},
    aggregations=[
        Aggregation("category", "top_k(5)", 90 * _DAY, _DAY, name="user_categories_90d"),
        Aggregation("category", "top_k(5, value)", name="user_categories_by_spend"),
        Aggregation("hour", "top_k(3)", 90 * _DAY, _DAY, name="user_active_hours_90d"),
    ],
    schema=[
        Field(
            name="user_categories_90d",
            dtype=Array(String),
            description="The 5 categories they dealt with most in the last 90 days.",
        ),
        Field(
            name="user_categories_by_spend",
            dtype=Array(String),
            tags={"where": "type = 'purchase'"},
            description="The 5 categories they spent most on.",
        ),
        Field(
            name="user_active_hours_90d",
            dtype=Array(String),
            description="The 3 hours of the day (UTC, 00 to 23) in which they did most in the last 90 days.",
        ),
    ],
)

user_category_activity = StreamFeatureView(
    name=names.VIEW_USER_CATEGORY_ACTIVITY,
    description="What a shopper did in one category.",
    owner=_OWNER,
    entities=[user, category],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type = 'purchase'"},
    aggregations=[
        Aggregation("event_id", "count", name="user_category_purchases"),
        Aggregation("event_id", "count", 90 * _DAY, _DAY, name="user_category_purchases_90d"),
        Aggregation("value", "sum", 90 * _DAY, _DAY, name="user_category_spend_90d"),
        Aggregation("event_id", "decayed_count(30d)", name="user_category_decayed_purchases"),
        Aggregation("event_id", "count", 28 * _DAY, _DAY, name="user_category_views_28d"),
        Aggregation("occurred_at", "time_since_last", name="user_category_days_since_purchase"),
    ],
    schema=[
        Field(name="user_category_purchases", dtype=Int64, description="Items bought of it ever."),
        Field(name="user_category_purchases_90d", dtype=Int64, description="Items bought of it in the last 90 days."),
        Field(name="user_category_spend_90d", dtype=Float64, description="Money spent on it in the last 90 days."),
        Field(
            name="user_category_decayed_purchases",
            dtype=Float64,
            description="Items bought of it, each counting half as much every 30 days.",
        ),
        Field(
            name="user_category_views_28d",
            dtype=Int64,
            tags=_VIEWED,
            description="Items of it looked at in the last 28 days.",
        ),
        Field(
            name="user_category_days_since_purchase",
            dtype=Float64,
            tags=_NEVER,
            description="Days since they bought of it last.",
        ),
    ],
)

user_exposure = StreamFeatureView(
    name=names.VIEW_USER_EXPOSURE,
    description="What a shopper was shown, and what they did not want, newest first.",
    owner=_OWNER,
    entities=[user],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type in ('impression', 'dislike')"},
    aggregations=[
        Aggregation("item_id", "last_n(200)", name="user_shown_items"),
        Aggregation("type", "last_n(200)", name="user_shown_types"),
        Aggregation("occurred_at", "last_n(200)", name="user_shown_times"),
    ],
    schema=[
        Field(name="user_shown_items", dtype=Array(String), description="Item ids."),
        Field(name="user_shown_types", dtype=Array(String), description="Whether it was shown or disliked."),
        Field(name="user_shown_times", dtype=Array(Int64), description="When, in microseconds since 1970."),
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
        Aggregation("item_id", "last_n(50)", name="user_items"),
        Aggregation("type", "last_n(50)", name="user_event_types"),
        Aggregation("occurred_at", "last_n(50)", name="user_event_times"),
    ],
    schema=[
        Field(name="user_items", dtype=Array(String), description="Item ids."),
        Field(name="user_event_types", dtype=Array(String), description="What happened with each."),
        Field(name="user_event_times", dtype=Array(Int64), description="When, in microseconds since 1970."),
    ],
)
