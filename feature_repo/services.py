"""What each model reads. A change here changes what training builds and what serving looks up."""

from feast import FeatureService
from item_views import item_activity, item_profile, user_item_activity
from user_views import session_history, user_activity, user_history

from tastemaker import names

retrieval = FeatureService(
    name=names.SERVICE_RETRIEVAL,
    features=[user_history, session_history],
    description="What the query tower knows of a shopper.",
    owner="recommendations",
)
ranking = FeatureService(
    name=names.SERVICE_RANKING,
    features=[user_activity, item_activity, user_item_activity, item_profile[["price"]]],
    description="What the ranker knows of a shopper, a candidate, and the two together.",
    owner="recommendations",
)
