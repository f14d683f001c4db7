"""Compile a feature service: what one model reads, in the order of its matrix."""

from collections.abc import Mapping
from typing import Any

from tastemaker.features.declarations.error import DeclarationError
from tastemaker.features.plan import OnDemandPlan, ServiceSpec, ViewPlan

__all__ = ["compile_service"]


def compile_service(service: Any, stored: Mapping[str, ViewPlan], derived: Mapping[str, OnDemandPlan]) -> ServiceSpec:
    """The plan of a ``FeatureService``.

    Args:
        service: of Feast.
        stored: the compiled views by name.
        derived: the compiled on-demand views by name.

    Raises:
        DeclarationError: naming the service and the remedy.
    """
    features: list[tuple[str, str]] = []
    for projection in service.feature_view_projections:
        name = projection.name
        if projection.name_alias or projection.join_key_map:
            raise _wrong(
                service,
                f"it renames view {name} or its join keys, which serving does not follow; name the view as it is",
            )
        view = stored.get(name) or derived.get(name)
        if view is None:
            raise _wrong(service, f"no view is called {name}; declare it, or remove it from the service")
        known = {feature.name for feature in view.features}
        for feature in projection.features:
            if feature.name not in known:
                raise _wrong(service, f"view {name} has no feature {feature.name}; remove it from the service")
            features.append((name, feature.name))
    if not features:
        raise _wrong(service, "it has no features; name views or features of them")
    _check_columns(service, features, stored, derived)
    return ServiceSpec(
        name=service.name, features=tuple(features), description=service.description, owner=service.owner
    )


def _check_columns(
    service: Any,
    features: list[tuple[str, str]],
    stored: Mapping[str, ViewPlan],
    derived: Mapping[str, OnDemandPlan],
) -> None:
    """Refuse two columns of one name in the service's training sets: of two views, or a feature and an id."""
    origin: dict[str, str] = {}
    for view, _ in features:
        inputs = (name for name, _ in derived[view].inputs) if view in derived else (view,)
        for read in inputs:
            origin |= dict.fromkeys(stored[read].join_keys, f"the ids of view {read}")
    for view, name in features:
        if name in origin:
            raise _wrong(
                service,
                f"{name} of view {view} is also a column of {origin[name]}, and a training set has one column of that"
                " name; rename the feature, or leave one out",
            )
        origin[name] = f"view {view}"


def _wrong(service: Any, problem: str) -> DeclarationError:
    return DeclarationError(service.name, problem, kind="service")
