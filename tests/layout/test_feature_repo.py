"""`feast apply` loads feature_repo/ as it is, into a home of its own, and compiles it to the plan."""

import shutil
from pathlib import Path

import pytest

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.repository import apply, list_features, open_store
from tastemaker.settings import Settings

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("home"), repository=REPOSITORY)
    apply(settings)
    return settings


def test_apply_registers_every_view_and_service(settings: Settings) -> None:
    plan = FeaturePlan.load(settings.plan_path)
    kinds = {view.name: (view.kind, view.join_keys) for view in plan.views}
    assert kinds == {
        names.VIEW_USER_ACTIVITY: ("aggregate", (names.USER_ID,)),
        names.VIEW_USER_AFFINITY: ("aggregate", (names.USER_ID,)),
        names.VIEW_USER_CATEGORY_ACTIVITY: ("aggregate", (names.USER_ID, names.CATEGORY)),
        names.VIEW_USER_HISTORY: ("history", (names.USER_ID,)),
        names.VIEW_USER_EXPOSURE: ("history", (names.USER_ID,)),
        names.VIEW_SESSION_EXPOSURE: ("history", (names.SESSION_ID,)),
        names.VIEW_SESSION_ACTIVITY: ("aggregate", (names.SESSION_ID,)),
        names.VIEW_SESSION_HISTORY: ("history", (names.SESSION_ID,)),
        names.VIEW_ITEM_ACTIVITY: ("aggregate", (names.ITEM_ID,)),
        names.VIEW_ITEM_CONTENT: ("batch", (names.ITEM_ID,)),
        names.VIEW_ITEM_PROFILE: ("batch", (names.ITEM_ID,)),
        names.VIEW_USER_ITEM_ACTIVITY: ("aggregate", (names.USER_ID, names.ITEM_ID)),
    }
    assert {view.name for view in plan.on_demand} == {
        names.VIEW_REQUEST_CONTEXT,
        names.VIEW_USER_HABITS,
        names.VIEW_USER_ITEM_FIT,
    }
    assert {service.name for service in plan.services} == {
        names.SERVICE_RETRIEVAL,
        names.SERVICE_RANKING,
        names.SERVICE_ALL,
    }


def test_services_of_models_name_their_features_in_the_order_of_the_matrix(settings: Settings) -> None:
    """A trained model reads columns by their place: changing this list asks for a new model."""
    plan = FeaturePlan.load(settings.plan_path)
    assert [feature for _, feature in plan.service(names.SERVICE_RANKING).features] == [
        *(f"user_purchases_{days}d" for days in (7, 28, 90)),
        *("user_purchases", "user_spend_28d", "user_spend_90d", "user_spend", "user_days_since_purchase"),
        *(f"item_purchases_{days}d" for days in (1, 7, 28, 90)),
        *("item_purchases", "item_revenue_28d", "item_views_7d", "item_cart_adds_7d", "item_days_since_purchase"),
        *("user_item_purchases", "user_item_decayed_purchases", "user_item_days_since_purchase"),
        "price",
    ]
    assert [feature for _, feature in plan.service(names.SERVICE_RETRIEVAL).features] == [
        *("user_items", "user_event_types", "user_event_times"),
        *("session_items", "session_event_types", "session_event_times"),
    ]


def test_service_of_everything_has_every_feature(settings: Settings) -> None:
    plan = FeaturePlan.load(settings.plan_path)
    declared = {(view.name, feature.name) for view in (*plan.views, *plan.on_demand) for feature in view.features}
    assert set(plan.service(names.SERVICE_ALL).features) == declared


def test_catalogue_has_what_shop_recommenders_use(settings: Settings) -> None:
    declared = {row.name: row.entities for row in list_features(settings)}
    expected = {
        ("user",): {
            # Recency, frequency and money; baskets, prices, categories, hours, repeats.
            "user_days_since_purchase",
            *(f"user_{what}_{days}d" for what in ("orders", "purchases", "spend") for days in (7, 30, 90, 365)),
            *("user_basket_size_365d", "user_order_value_365d", "user_price_mean_365d", "user_price_stddev_365d"),
            *("user_categories_90d", "user_categories_by_spend", "user_active_hours_90d", "user_repeat_rate_365d"),
        },
        ("item",): {
            f"item_{what}_{window}"
            for what in ("views", "cart_adds", "purchases", "buyers")
            for window in ("1h", "1d", "7d", "28d")
        }
        | {"item_conversion_28d", "item_return_rate_90d", "price", "item_age_days", "item_trend_1d", "item_trend_7d"}
        | {"item_vector"},
        ("user", "item"): {
            "user_item_purchases",
            "user_item_days_since_purchase",
            "user_item_repurchase_days",
        },
        ("user", "category"): {"user_category_purchases", "user_category_spend_90d", "user_category_views_28d"},
        ("session",): {
            *("session_items", "session_event_types", "session_categories", "session_views", "session_cart_adds"),
            *("session_purchases", "session_searches", "session_elapsed_days"),
        },
        ("request",): {"context_hour", "context_weekday", "context_device", "context_country"},
    }
    for entities, features in expected.items():
        assert features - {name for name, of in declared.items() if of == entities} == set(), entities


def test_every_feature_says_what_it_is_and_who_answers_for_it(settings: Settings) -> None:
    rows = list_features(settings)
    assert len(rows) > 100
    for row in rows:
        assert row.description, row
        assert row.owner, row


def test_feature_names_are_unique_across_views(settings: Settings) -> None:
    found = [row.name for row in list_features(settings)]
    assert len(set(found)) == len(found)


def test_apply_of_a_wrong_declaration_names_the_line_and_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    before = FeaturePlan.load(settings.plan_path)
    registered = registered_functions(settings)
    shutil.copytree(REPOSITORY / "feature_repo", tmp_path / "feature_repo")
    views = tmp_path / "feature_repo" / "user_views.py"
    right, wrong = '"value", "sum", name="user_spend"', '"value", "mode", name="user_spend"'
    text = views.read_text()
    assert right in text
    views.write_text(text.replace(right, wrong))
    line = text[: text.index(right)].count("\n") + 1
    with pytest.raises(
        DataError,
        match=rf"^user_views.py:{line}: view user_activity, aggregation user_spend: function 'mode' .* use count, sum",
    ):
        apply(settings.model_copy(update={"repository": tmp_path}))
    assert FeaturePlan.load(settings.plan_path).hash == before.hash
    assert registered_functions(settings) == registered != []


def registered_functions(settings: Settings) -> list[str]:
    """What Feast's registry has of the view that is changed."""
    view = open_store(settings).get_stream_feature_view(names.VIEW_USER_ACTIVITY)
    return [aggregation.function for aggregation in view.aggregations]


def test_apply_elsewhere_says_where_to_run_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run from the repository"):
        apply(Settings(home=tmp_path / "home", repository=tmp_path))
