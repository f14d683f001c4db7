"""What is derived while it is read: from the request, and from stored features.

A function sees a pandas frame with a column per input and gives one per feature. It runs alone: modules other than
pandas (pd) and numpy (np) are imported inside it. Feast takes no descriptions of fields here; tags of the view are.
"""

import pandas as pd
from feast import Field
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String
from item_views import item_profile, user_item_activity
from sources import request
from user_views import user_activity

from tastemaker import names

_OWNER = "recommendations"


@on_demand_feature_view(
    name=names.VIEW_REQUEST_CONTEXT,
    description="When and from where someone asks.",
    owner=_OWNER,
    sources=[request],
    schema=[
        Field(name="context_hour", dtype=Int64),
        Field(name="context_weekday", dtype=Int64),
        Field(name="context_device", dtype=String),
        Field(name="context_country", dtype=String),
    ],
    tags={
        "context_hour": "Hour of the day in UTC, 0 to 23.",
        "context_weekday": "Day of the week in UTC, 0 is Monday.",
        "context_device": "Kind of device; empty if unknown.",
        "context_country": "Country; empty if unknown.",
    },
)
def request_context(inputs: pd.DataFrame) -> pd.DataFrame:
    """Hour and weekday of the request's time, device and country as they came."""
    hours = inputs["requested_us"].astype("int64") // 3_600_000_000
    return pd.DataFrame(
        {
            "context_hour": hours % 24,
            "context_weekday": (hours // 24 + 3) % 7,  # 1970-01-01 was a Thursday
            "context_device": inputs["device"].fillna("").astype(str),
            "context_country": inputs["country"].fillna("").astype(str),
        }
    )


@on_demand_feature_view(
    name=names.VIEW_USER_HABITS,
    description="How a shopper buys, from how much they buy.",
    owner=_OWNER,
    sources=[user_activity[["user_purchases_365d", "user_distinct_items_365d"]]],
    schema=[Field(name="user_repeat_rate_365d", dtype=Float64)],
    tags={"user_repeat_rate_365d": "Share of the purchases in 365 days that were of an item bought before, about."},
)
def user_habits(inputs: pd.DataFrame) -> pd.DataFrame:
    """One less the share of different items among the purchases; 0 without purchases."""
    purchases = inputs["user_purchases_365d"].astype("float64")
    different = inputs["user_distinct_items_365d"].astype("float64")
    rate = (1.0 - different / purchases.where(purchases > 0, 1.0)).clip(lower=0.0)  # the distinct count is a sketch
    return pd.DataFrame({"user_repeat_rate_365d": rate.where(purchases > 0, 0.0)})


@on_demand_feature_view(
    name=names.VIEW_USER_ITEM_FIT,
    description="How a product suits a shopper right now.",
    owner=_OWNER,
    sources=[
        user_activity[["user_price_mean_365d", "user_price_stddev_365d"]],
        item_profile[["price"]],
        user_item_activity[["user_item_days_since_purchase", "user_item_repurchase_days"]],
    ],
    schema=[Field(name="user_item_due", dtype=Float64), Field(name="user_item_price_gap", dtype=Float64)],
    tags={
        "user_item_due": "Days since the last purchase over the typical interval: from 1 on it is due again; 0 if"
        " bought less than twice.",
        "user_item_price_gap": "Price less the usual price, in standard deviations (at least 1 % of the usual price);"
        " 0 if unknown.",
    },
)
def user_item_fit(inputs: pd.DataFrame) -> pd.DataFrame:
    """Ratios of stored features, guarded against what is not known."""
    since = inputs["user_item_days_since_purchase"].astype("float64")
    interval = inputs["user_item_repurchase_days"].astype("float64")
    known = (interval > 0) & (interval < 3650)
    usual = inputs["user_price_mean_365d"].astype("float64")
    spread = inputs["user_price_stddev_365d"].astype("float64").clip(lower=0.01 * usual)
    gap = (inputs["price"].astype("float64") - usual) / spread.where(spread > 0, 1.0)
    return pd.DataFrame(
        {
            "user_item_due": (since / interval.where(known, 1.0)).where(known, 0.0),
            "user_item_price_gap": gap.where(spread > 0, 0.0).fillna(0.0),
        }
    )
