"""A feature that nobody can explain, or answer for, is not applied."""

from collections.abc import Iterable

from tastemaker.features.declarations.error import DeclarationError, Kind
from tastemaker.features.plan import FeaturePlan, FeatureSpec

__all__ = ["check_documented"]


def check_documented(plan: FeaturePlan) -> None:
    """Refuse a plan with a view, service or feature without a description, or a view or service without an owner.

    Raises:
        DeclarationError: naming view, feature and remedy.
    """
    for view in plan.views:
        _check(view.name, view.description, view.owner)
        _check_features(view.name, view.features, "description=... of the Field")
    for derived in plan.on_demand:
        _check(derived.name, derived.description, derived.owner)
        _check_features(derived.name, derived.features, "a tag of the view, called as the feature")
    for service in plan.services:
        _check(service.name, service.description, service.owner, kind="service")


def _check_features(view: str, features: Iterable[FeatureSpec], where: str) -> None:
    for feature in features:
        if not feature.description:
            raise DeclarationError(view, f"it has no description; say what it is in {where}", part=feature.name)


def _check(name: str, description: str, owner: str, kind: Kind = "field") -> None:
    for word, text in (("description", description), ("owner", owner)):
        if not text:
            raise DeclarationError(name, f"it has no {word}; add {word}=...", kind=kind)
