"""How a product does in the shop, and what it is."""

from datetime import timedelta

from entities import item, user
from feast import Aggregation, BatchFeatureView, Field, StreamFeatureView
from feast.types import Bool, Float64, Int64
from sources import events, items

from tastemaker import names

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_OWNER = "recommendations"

item_activity = StreamFeatureView(
    name=names.VIEW_ITEM_ACTIVITY,
    description="How much a product is bought, looked at and put into carts.",
    owner=_OWNER,
    entities=[item],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type = 'purchase'"},
    aggregations=[
        Aggregation(
            column="event_id", function="count", time_window=_DAY, slide_interval=_HOUR, name="item_purchases_1d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=7 * _DAY, slide_interval=_DAY, name="item_purchases_7d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=28 * _DAY, slide_interval=_DAY, name="item_purchases_28d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=90 * _DAY, slide_interval=_DAY, name="item_purchases_90d"
        ),
        Aggregation(column="event_id", function="count", name="item_purchases"),
        Aggregation(
            column="value", function="sum", time_window=28 * _DAY, slide_interval=_DAY, name="item_revenue_28d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=7 * _DAY, slide_interval=_DAY, name="item_views_7d"
        ),
        Aggregation(
            column="event_id", function="count", time_window=7 * _DAY, slide_interval=_DAY, name="item_cart_adds_7d"
        ),
        Aggregation(column="occurred_at", function="time_since_last", name="item_days_since_purchase"),
    ],
    schema=[
        Field(name="item_purchases_1d", dtype=Int64, description="Purchases in the last day."),
        Field(name="item_purchases_7d", dtype=Int64, description="Purchases in the last 7 days."),
        Field(name="item_purchases_28d", dtype=Int64, description="Purchases in the last 28 days."),
        Field(name="item_purchases_90d", dtype=Int64, description="Purchases in the last 90 days."),
        Field(name="item_purchases", dtype=Int64, description="Purchases ever."),
        Field(name="item_revenue_28d", dtype=Float64, description="Money taken in the last 28 days."),
        Field(
            name="item_views_7d",
            dtype=Int64,
            description="Looks at it in the last 7 days.",
            tags={"where": "type = 'view'"},
        ),
        Field(
            name="item_cart_adds_7d",
            dtype=Int64,
            description="Times put into a cart in the last 7 days.",
            tags={"where": "type = 'cart_add'"},
        ),
        Field(
            name="item_days_since_purchase",
            dtype=Float64,
            description="Days since anyone bought it.",
            tags={"default": "3650"},
        ),
    ],
)

user_item_activity = StreamFeatureView(
    name=names.VIEW_USER_ITEM_ACTIVITY,
    description="What a shopper did with one product.",
    owner=_OWNER,
    entities=[user, item],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type = 'purchase'"},
    aggregations=[
        Aggregation(column="event_id", function="count", name="user_item_purchases"),
        Aggregation(column="event_id", function="decayed_count(60d)", name="user_item_decayed_purchases"),
        Aggregation(column="occurred_at", function="time_since_last", name="user_item_days_since_purchase"),
    ],
    schema=[
        Field(name="user_item_purchases", dtype=Int64, description="Times bought."),
        Field(
            name="user_item_decayed_purchases",
            dtype=Float64,
            description="Times bought, each counting half as much every 60 days.",
        ),
        Field(
            name="user_item_days_since_purchase",
            dtype=Float64,
            description="Days since bought last.",
            tags={"default": "3650"},
        ),
    ],
)

item_profile = BatchFeatureView(
    name=names.VIEW_ITEM_PROFILE,
    description="What the catalogue says of a product.",
    owner=_OWNER,
    entities=[item],
    source=items,
    online=True,
    ttl=timedelta(0),
    schema=[
        Field(name="price", dtype=Float64, description="Price in the shop's currency.", tags={"default": "0"}),
        Field(name="available", dtype=Bool, description="Whether it can be bought.", tags={"default": "0"}),
    ],
)
