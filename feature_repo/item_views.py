"""How a product does in the shop, what it is, and what a shopper did with it."""

from datetime import timedelta

from entities import item, user
from feast import Aggregation, BatchFeatureView, Field, StreamFeatureView
from feast.types import Array, Bool, Float64, Int64, String
from sources import events, item_vectors, items

from tastemaker import names

_MINUTES = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_OWNER = "recommendations"
_VIEWED = {"where": "type = 'view'"}
_IN_CART = {"where": "type = 'cart_add'"}
_RETURNED = {"where": "type = 'return'"}
_NEVER = {"default": "3650"}
_NONE = {"default": "0"}

item_activity = StreamFeatureView(
    name=names.VIEW_ITEM_ACTIVITY,
    description="How much a product is bought, looked at, put into carts and returned.",
    owner=_OWNER,
    entities=[item],
    source=events,
    timestamp_field=names.OCCURRED_AT,
    tags={"where": "type = 'purchase'"},
    aggregations=[
        Aggregation("event_id", "count", _DAY, _HOUR, name="item_purchases_1d"),
        Aggregation("event_id", "count", 7 * _DAY, _DAY, name="item_purchases_7d"),
        Aggregation("event_id", "count", 28 * _DAY, _DAY, name="item_purchases_28d"),
        Aggregation("event_id", "count", 90 * _DAY, _DAY, name="item_purchases_90d"),
        Aggregation("event_id", "count", name="item_purchases"),
        Aggregation("value", "sum", 28 * _DAY, _DAY, name="item_revenue_28d"),
        Aggregation("event_id", "count", 7 * _DAY, _DAY, name="item_views_7d"),
        Aggregation("event_id", "count", 7 * _DAY, _DAY, name="item_cart_adds_7d"),
        Aggregation("occurred_at", "time_since_last", name="item_days_since_purchase"),
        Aggregation("event_id", "count", _HOUR, _MINUTES, name="item_purchases_1h"),
        Aggregation("event_id", "count", _HOUR, _MINUTES, name="item_views_1h"),
        Aggregation("event_id", "count", _DAY, _HOUR, name="item_views_1d"),
        Aggregation("event_id", "count", 28 * _DAY, _DAY, name="item_views_28d"),
        Aggregation("event_id", "count", _HOUR, _MINUTES, name="item_cart_adds_1h"),
        Aggregation("event_id", "count", _DAY, _HOUR, name="item_cart_adds_1d"),
        Aggregation("event_id", "count", 28 * _DAY, _DAY, name="item_cart_adds_28d"),
        Aggregation("user_id", "approx_distinct(4096)", _HOUR, _MINUTES, name="item_buyers_1h"),
        Aggregation("user_id", "approx_distinct(4096)", _DAY, _HOUR, name="item_buyers_1d"),
        Aggregation("user_id", "approx_distinct(4096)", 7 * _DAY, _DAY, name="item_buyers_7d"),
        Aggregation("user_id", "approx_distinct(4096)", 28 * _DAY, _DAY, name="item_buyers_28d"),
        Aggregation("item_purchases_1h / item_views_1h", "ratio", name="item_conversion_1h"),
        Aggregation("item_purchases_1d / item_views_1d", "ratio", name="item_conversion_1d"),
        Aggregation("item_purchases_7d / item_views_7d", "ratio", name="item_conversion_7d"),
        Aggregation("item_purchases_28d / item_views_28d", "ratio", name="item_conversion_28d"),
        Aggregation("item_cart_adds_28d / item_views_28d", "ratio", name="item_cart_rate_28d"),
        Aggregation("event_id", "count", 90 * _DAY, _DAY, name="item_returns_90d"),
        Aggregation("item_returns_90d / item_purchases_90d", "ratio", name="item_return_rate_90d"),
        Aggregation("price", "mean", 28 * _DAY, _DAY, name="item_price_paid_28d"),
        Aggregation("item_purchases_1d / item_purchases_7d", "ratio", name="item_trend_1d"),
        Aggregation("item_purchases_7d / item_purchases_28d", "ratio", name="item_trend_7d"),
    ],
    schema=[
        Field(name="item_purchases_1d", dtype=Int64, description="Purchases in the last day."),
        Field(name="item_purchases_7d", dtype=Int64, description="Purchases in the last 7 days."),
        Field(name="item_purchases_28d", dtype=Int64, description="Purchases in the last 28 days."),
        Field(name="item_purchases_90d", dtype=Int64, description="Purchases in the last 90 days."),
        Field(name="item_purchases", dtype=Int64, description="Purchases ever."),
        Field(name="item_revenue_28d", dtype=Float64, description="Money taken in the last 28 days."),
        Field(name="item_views_7d", dtype=Int64, tags=_VIEWED, description="Looks at it in the last 7 days."),
        Field(
            name="item_cart_adds_7d",
            dtype=Int64,
            tags=_IN_CART,
            description="Times put into a cart in the last 7 days.",
        ),
        Field(name="item_days_since_purchase", dtype=Float64, tags=_NEVER, description="Days since anyone bought it."),
        Field(name="item_purchases_1h", dtype=Int64, description="Purchases in the last hour."),
        Field(name="item_views_1h", dtype=Int64, tags=_VIEWED, description="Looks at it in the last hour."),
        Field(name="item_views_1d", dtype=Int64, tags=_VIEWED, description="Looks at it in the last day."),
        Field(name="item_views_28d", dtype=Int64, tags=_VIEWED, description="Looks at it in the last 28 days."),
        Field(name="item_cart_adds_1h", dtype=Int64, tags=_IN_CART, description="Times put into a cart, last hour."),
        Field(name="item_cart_adds_1d", dtype=Int64, tags=_IN_CART, description="Times put into a cart, last day."),
        Field(
            name="item_cart_adds_28d", dtype=Int64, tags=_IN_CART, description="Times put into a cart, last 28 days."
        ),
        Field(name="item_buyers_1h", dtype=Int64, description="Known shoppers who bought it in the last hour, about."),
        Field(name="item_buyers_1d", dtype=Int64, description="Known shoppers who bought it in the last day, about."),
        Field(
            name="item_buyers_7d", dtype=Int64, description="Known shoppers who bought it in the last 7 days, about."
        ),
        Field(
            name="item_buyers_28d",
            dtype=Int64,
            description="Known shoppers who bought it in the last 28 days; standard error 1.2 % at 1,000.",
        ),
        Field(name="item_conversion_1h", dtype=Float64, tags=_NONE, description="Purchases per look, last hour."),
        Field(name="item_conversion_1d", dtype=Float64, tags=_NONE, description="Purchases per look, last day."),
        Field(name="item_conversion_7d", dtype=Float64, tags=_NONE, description="Purchases per look, last 7 days."),
        Field(name="item_conversion_28d", dtype=Float64, tags=_NONE, description="Purchases per look, last 28 days."),
        Field(name="item_cart_rate_28d", dtype=Float64, tags=_NONE, description="Cart adds per look, last 28 days."),
        Field(name="item_returns_90d", dtype=Int64, tags=_RETURNED, description="Returns in the last 90 days."),
        Field(
            name="item_return_rate_90d", dtype=Float64, tags=_NONE, description="Returns per purchase, last 90 days."
        ),
        Field(
            name="item_price_paid_28d",
            dtype=Float64,
            description="Mean unit price at which it was bought in the last 28 days; NaN if it was not.",
        ),
        Field(
            name="item_trend_1d",
            dtype=Float64,
            tags=_NONE,
            description="Share of the last 7 days' purchases that were made in the last day; 0.14 is steady.",
        ),
        Field(
            name="item_trend_7d",
            dtype=Float64,
            tags=_NONE,
            description="Share of the last 28 days' purchases that were made in the last 7; 0.25 is steady.",
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
        Aggregation("event_id", "count", name="user_item_purchases"),
        Aggregation("event_id", "decayed_count(60d)", name="user_item_decayed_purchases"),
        Aggregation("occurred_at", "time_since_last", name="user_item_days_since_purchase"),
        Aggregation("occurred_at", "mean_interval", name="user_item_repurchase_days"),
        Aggregation("event_id", "count", name="user_item_views"),
        Aggregation("event_id", "count", name="user_item_cart_adds"),
    ],
    schema=[
        Field(name="user_item_purchases", dtype=Int64, description="Times bought."),
        Field(
            name="user_item_decayed_purchases",
            dtype=Float64,
            description="Times bought, each counting half as much every 60 days.",
        ),
        Field(name="user_item_days_since_purchase", dtype=Float64, tags=_NEVER, description="Days since bought last."),
        Field(
            name="user_item_repurchase_days",
            dtype=Float64,
            tags=_NEVER,
            description="Typical days between two purchases: from first to last, over one less than their number.",
        ),
        Field(name="user_item_views", dtype=Int64, tags=_VIEWED, description="Times looked at."),
        Field(name="user_item_cart_adds", dtype=Int64, tags=_IN_CART, description="Times put into the cart."),
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
        Field(name="price", dtype=Float64, tags=_NONE, description="Price in the shop's currency."),
        Field(name="available", dtype=Bool, tags=_NONE, description="Whether it can be bought."),
        Field(
            name="item_age_days",
            dtype=Float64,
            tags={"since": names.CREATED_AT, "default": "0"},
            description="Days since it entered the catalogue.",
        ),
        Field(
            name="item_category",
            dtype=String,
            tags={"column": names.CATEGORY},
            description="Its category path, joined with '/'.",
        ),
    ],
)

item_content = BatchFeatureView(
    name=names.VIEW_ITEM_CONTENT,
    description="What a product's title says, as numbers: products with similar titles have similar vectors.",
    owner=_OWNER,
    entities=[item],
    source=item_vectors,
    online=True,
    ttl=timedelta(0),
    schema=[
        Field(
            name="item_vector",
            dtype=Array(Float64),
            tags={"column": names.VECTOR},
            description="48 numbers of length 1 (TF-IDF of words and letter groups, truncated SVD); empty if unknown.",
        ),
        Field(
            name="item_vector_version",
            dtype=String,
            tags={"column": names.CONTENT_VERSION},
            description="Only vectors of one version are comparable.",
        ),
    ],
)
