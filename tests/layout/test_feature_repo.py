"""`feast apply` loads feature_repo/ as it is, into a home of its own, and compiles it to the plan."""

import shutil
from pathlib import Path

import pytest

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.repository import apply, list_features
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
        names.VIEW_USER_HISTORY: ("history", (names.USER_ID,)),
        names.VIEW_SESSION_HISTORY: ("history", (names.SESSION_ID,)),
        names.VIEW_ITEM_ACTIVITY: ("aggregate", (names.ITEM_ID,)),
        names.VIEW_USER_ITEM_ACTIVITY: ("aggregate", (names.USER_ID, names.ITEM_ID)),
        names.VIEW_ITEM_PROFILE: ("batch", (names.ITEM_ID,)),
    }
    assert {service.name for service in plan.services} == {names.SERVICE_RETRIEVAL, names.SERVICE_RANKING}
    for service in plan.services:
        for view, feature in service.features:
            assert plan.view(view).feature(feature)


def test_apply_keeps_the_declared_order_of_features(settings: Settings) -> None:
    plan = FeaturePlan.load(settings.plan_path)
    service = plan.service(names.SERVICE_RANKING)
    declared = [feature for view, feature in service.features if view == names.VIEW_USER_ACTIVITY]
    assert list(plan.view(names.VIEW_USER_ACTIVITY).feature_names) == declared
    assert declared[0] == "user_purchases_7d"


def test_every_feature_says_what_it_is_and_who_answers_for_it(settings: Settings) -> None:
    rows = list_features(settings)
    assert len(rows) > 20
    for row in rows:
        assert row.description, row
        assert row.owner, row


def test_feature_names_are_unique_across_views(settings: Settings) -> None:
    found = [row.name for row in list_features(settings)]
    assert len(set(found)) == len(found)


def test_apply_of_a_wrong_declaration_names_the_line_and_keeps_the_plan(settings: Settings, tmp_path: Path) -> None:
    before = FeaturePlan.load(settings.plan_path)
    shutil.copytree(REPOSITORY / "feature_repo", tmp_path / "feature_repo")
    views = tmp_path / "feature_repo" / "user_views.py"
    right, wrong = (
        'column="value", function="sum", name="user_spend"',
        'column="value", function="mode", name="user_spend"',
    )
    assert right in views.read_text()
    views.write_text(views.read_text().replace(right, wrong))
    with pytest.raises(
        DataError, match=r"^view user_activity, aggregation user_spend: function 'mode' .* use count, sum"
    ):
        apply(settings.model_copy(update={"repository": tmp_path}))
    assert FeaturePlan.load(settings.plan_path).hash == before.hash


def test_apply_elsewhere_says_where_to_run_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run from the repository"):
        apply(Settings(home=tmp_path / "home", repository=tmp_path))
