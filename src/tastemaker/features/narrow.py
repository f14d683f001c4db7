"""A view with some of its features only, for queries that ask for no more: the same values at less cost."""

from collections.abc import Collection

import msgspec

from tastemaker import names
from tastemaker.features.plan import FeatureSpec, ViewPlan

__all__ = ["narrowed"]

_NEWEST = "newest_of_all"


def narrowed(view: ViewPlan, features: Collection[str]) -> ViewPlan:
    """The view with these features, in the view's order, and what they are computed from.

    Whether an entity is known at all, and alive, depends on the events of all types that the view sees; where the
    features left see fewer, one that is the time since the newest of all is added.

    Args:
        view: the view.
        features: names; others than the view's are passed over.
    """
    wanted = set(features) & set(view.feature_names)
    wanted |= {operand for name in wanted for operand in view.feature(name).operands}
    kept = tuple(feature for feature in view.features if feature.name in wanted)
    if len(kept) == len(view.features):
        return view
    if view.kind == "aggregate" and {kind for feature in kept for kind in feature.types} != view.types:
        newest = FeatureSpec(
            name=_NEWEST,
            dtype="float64",
            function="time_since_last",
            column=names.OCCURRED_AT,
            types=tuple(sorted(view.types)),
        )
        kept = (*kept, newest)
    return msgspec.structs.replace(view, features=kept)
