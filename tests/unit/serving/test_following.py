"""A recommender goes over to newly built views while the former one answers."""

from pathlib import Path

import pytest
from api_twin import CatalogueRecommender
from msgspec.structs import replace

from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.stores.view_ages import ViewAges
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.following import FittingPlan, FollowingRecommender

COUNT = FeatureSpec(name="f", dtype="int64", function="count", column="event_id", types=("view",), default=0.0)
OWN = ViewPlan(
    name="v",
    kind="aggregate",
    entities=("user",),
    join_keys=("user_id",),
    features=(COUNT,),
    table="events",
    timestamp_field="occurred_at",
)
WIDER = replace(OWN, features=(COUNT, replace(COUNT, name="g")))


class Noted(CatalogueRecommender):
    """Remembers what was asked of it."""

    def __init__(self, plan: FeaturePlan) -> None:
        super().__init__()
        self.plan = plan
        self.calls: list[str] = []

    def warm_up(self) -> None:
        self.calls.append("warm_up")

    def refresh(self) -> None:
        self.calls.append("refresh")


def test_goes_over_when_the_fitting_plan_changes_and_warms_up_before() -> None:
    plans = [FeaturePlan(views=(OWN,))]
    opened: list[Noted] = []

    def open_by(plan: FeaturePlan) -> Noted:
        opened.append(Noted(plan))
        return opened[-1]

    following = FollowingRecommender(lambda: plans[-1], open_by)
    following.refresh()
    assert opened[0].calls == ["refresh"]
    plans.append(FeaturePlan(views=(WIDER,)))
    following.refresh()
    assert [each.plan.views for each in opened] == [(OWN,), (WIDER,)]
    assert (opened[0].calls, opened[1].calls) == (["refresh"], ["warm_up"])
    assert following.recommend(RecommendationRequest(user="u"))[0].release == following.release_id
    assert following.knows_item("i") is opened[1].knows_item("i")


def test_failure_to_open_leaves_the_former_one_answering_and_is_tried_again() -> None:
    plans = [FeaturePlan(views=(OWN,))]
    problems = [RuntimeError("not now")]

    def open_by(plan: FeaturePlan) -> Noted:
        if plan.views == (WIDER,) and problems:
            raise problems.pop()
        return Noted(plan)

    following = FollowingRecommender(lambda: plans[-1], open_by)
    plans.append(FeaturePlan(views=(WIDER,)))
    with pytest.raises(RuntimeError, match="not now"):
        following.refresh()
    assert following.recommend(RecommendationRequest(user="u"))[0].items
    following.refresh()
    following.refresh()


def test_fitting_plan_follows_the_store_and_the_file(tmp_path: Path) -> None:
    store = MemoryStore("fitting-plan")
    release, in_force = FeaturePlan(views=(OWN,)), FeaturePlan(views=(WIDER,))
    path = tmp_path / "feature_plan.json"
    release.save(path)
    fit = FittingPlan(release, path, store.reader())
    assert fit() == release  # the store has nothing at all yet
    in_force.save(path)
    with store.transaction() as tx:
        ViewAges((), (OWN.signature,), {}).write(tx)
    assert fit() == release
    with store.transaction() as tx:
        ViewAges((WIDER.signature,), (OWN.signature,)).write(tx)
    assert fit().views == (WIDER,)


def test_plan_whose_file_has_gone_stays_in_force_and_one_that_never_was_is_told(tmp_path: Path) -> None:
    store = MemoryStore("gone")
    plan, path = FeaturePlan(views=(OWN,)), tmp_path / "feature_plan.json"
    plan.save(path)
    fit = FittingPlan(plan, path, store.reader())
    assert fit() == plan
    path.unlink()
    assert fit() == plan
    with pytest.raises(FileNotFoundError):
        FittingPlan(plan, path, store.reader())()
    store.close()
