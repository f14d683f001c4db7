"""A release reads the rows of the declarations in force where these give all that it was trained with."""

from typing import Any

import pytest
from msgspec.structs import replace

from tastemaker.features.plan import FeaturePlan, FeatureSpec, ServiceSpec, ViewPlan
from tastemaker.features.reading.fitting import covers, fitted
from tastemaker.features.stores.view_ages import Progress, ViewAges

COUNT = FeatureSpec(name="f", dtype="int64", function="count", column="event_id", types=("view",), default=0.0)
MORE = replace(COUNT, name="g", types=("purchase",))


def view(*features: FeatureSpec, name: str = "v", **changed: Any) -> ViewPlan:
    given = {
        "kind": "aggregate",
        "entities": ("user",),
        "join_keys": ("user_id",),
        "table": "events",
        "timestamp_field": "occurred_at",
    }
    return ViewPlan(name=name, features=features, **(given | changed))


def newest(name: str, n: int) -> FeatureSpec:
    return FeatureSpec(name=name, dtype="list[string]", function="last_n", column="item_id", n=n, types=("view",))


def test_view_with_more_features_covers_one_with_fewer_in_any_order() -> None:
    assert covers(view(MORE, replace(COUNT, description="said better")), view(COUNT, owner="someone"))
    assert not covers(view(COUNT), view(COUNT, MORE))
    assert not covers(None, view(COUNT))


@pytest.mark.parametrize(
    "other",
    [
        view(replace(COUNT, types=("view", "like"))),
        view(replace(COUNT, default=1.0)),
        view(COUNT, ttl_us=1),
        view(COUNT, lateness_us=1),
        view(COUNT, join_keys=("session_id",)),
        view(COUNT, kind="history"),
    ],
)
def test_view_that_means_something_else_does_not_cover(other: ViewPlan) -> None:
    assert not covers(other, view(COUNT))


def test_longer_history_does_not_cover_a_shorter_one() -> None:
    short, long = (view(*own, kind="history") for own in ([newest("a", 5)], [newest("a", 5), newest("b", 9)]))
    assert not covers(long, short)
    assert covers(view(newest("b", 5), newest("a", 5), kind="history"), short)


def test_release_goes_over_to_a_covering_view_once_it_is_built() -> None:
    own, wider = view(COUNT), view(COUNT, MORE)
    kept = view(COUNT, name="w")
    service = ServiceSpec(name="ranking", features=(("v", "f"),))
    release = FeaturePlan(views=(own, kept), services=(service,))
    in_force = FeaturePlan(views=(wider, kept))
    building = ViewAges((kept.signature,), (own.signature,), {wider.signature: Progress(1, 2)})
    built = ViewAges((kept.signature, wider.signature), (own.signature,))
    again = ViewAges((kept.signature,), (wider.signature,), {wider.signature: Progress()})  # built anew, readable
    assert fitted(release, in_force, building).views == (own, kept)
    assert fitted(release, in_force, built).views == (wider, kept)
    assert fitted(release, in_force, again).views == (wider, kept)
    assert fitted(release, in_force, built).services == (service,)
    assert fitted(release, FeaturePlan(views=(view(MORE), kept)), built).views == (own, kept)
