"""Which rows a release reads when features were declared since it was trained.

Every change of a view makes a view of its own in the online store. The rows of the old one stay for the releases that
were trained with it, but nothing updates them any more. A view that still has all of the old features, and declares
them as before, has the same values under the same names, and is kept up to date: a release reads that one instead, as
soon as it is built.
"""

from msgspec.structs import replace

from tastemaker.features.history import newest_first
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.stores.view_ages import ViewAges

__all__ = ["covers", "fitted"]


def covers(view: ViewPlan | None, wanted: ViewPlan) -> bool:
    """Whether a view gives every feature of another one, computed in the same way."""
    if view is None or view.kind != wanted.kind:
        return False
    own = {feature.name: _meaning(feature) for feature in view.features}
    if any(own.get(feature.name) != _meaning(feature) for feature in wanted.features):
        return False
    if view.kind == "history" and newest_first(view) != newest_first(wanted):
        return False  # a longer history is another input of a model
    return replace(view, features=(), description="", owner="") == replace(
        wanted, features=(), description="", owner=""
    )


def fitted(release: FeaturePlan, in_force: FeaturePlan, ages: ViewAges) -> FeaturePlan:
    """The declarations that a release reads by.

    Args:
        release: those that it was trained with.
        in_force: those that were applied last.
        ages: what the online store has rows of.

    Returns:
        The release's services and derived features over, for each view, the one in force where that can be read and
        covers it, else its own.
    """
    readable = {*ages.current, *ages.former}

    def best(view: ViewPlan) -> ViewPlan:
        other = in_force.by_name.get(view.name)
        return other if other is not None and other.signature in readable and covers(other, view) else view

    return replace(release, views=tuple(best(view) for view in release.views))


def _meaning(feature: FeatureSpec) -> FeatureSpec:
    return replace(feature, description="")
