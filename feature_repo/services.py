"""What each model reads. A change here changes what training builds and what serving looks up.

A model's service names its features one by one, so that a new feature of a view does not change the model.
"""

from derived_views import request_context, user_habits, user_item_fit
from feast import FeatureService
from item_views import item_activity, item_content, item_profile, user_item_activity
from session_views import session_activity, session_exposure, session_history
from user_views import user_activity, user_affinity, user_category_activity, user_exposure, user_history

from tastemaker import names

retrieval = FeatureService(
    name=names.SERVICE_RETRIEVAL,
    features=[
        user_history[["user_items", "user_event_types", "user_event_times"]],
        session_history[["session_items", "session_event_types", "session_event_times"]],
    ],
    description="What the query tower knows of a shopper.",
    owner="recommendations",
)
ranking = FeatureService(
    name=names.SERVICE_RANKING,
    features=[
        user_activity[
            [
                "user_purchases_7d",
                "user_purchases_28d",
                "user_purchases_90d",
                "user_purchases",
                "user_spend_28d",
                "user_spend_90d",
                "user_spend",
                "user_days_since_purchase",
            ]
        ],
        item_activity[
            [
                "item_purchases_1d",
                "item_purchases_7d",
                "item_purchases_28d",
                "item_purchases_90d",
                "item_purchases",
                "item_revenue_28d",
                "item_views_7d",
                "item_cart_adds_7d",
                "item_days_since_purchase",
            ]
        ],
        user_item_activity[["user_item_purchases", "user_item_decayed_purchases", "user_item_days_since_purchase"]],
        item_profile[["price"]],
    ],
    description="What the ranker knows of a shopper, a candidate, and the two together.",
    owner="recommendations",
)
all_features = FeatureService(
    name=names.SERVICE_ALL,
    features=[
        user_activity,
        user_affinity,
        user_category_activity,
        user_history,
        user_exposure,
        session_activity,
        session_history,
        session_exposure,
        item_activity,
        item_content,
        item_profile,
        user_item_activity,
        request_context,
        user_habits,
        user_item_fit,
    ],
    description="Everything that is declared: for comparisons of batch, stream and served values.",
    owner="recommendations",
)
