"""Every model by name; its code, and what it needs, is loaded when it is asked for."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from tastemaker.errors import DataError
from tastemaker.models.protocol import Model

__all__ = ["MODELS", "create", "load_class"]

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "popularity": "tastemaker.models.popularity:Popularity",
        "recent-popularity": "tastemaker.models.recent_popularity:RecentPopularity",
        "own-frequency": "tastemaker.models.own_frequency:OwnFrequency",
        "item-knn": "tastemaker.models.item_knn:ItemKnn",
        "user-knn": "tastemaker.models.user_knn:UserKnn",
        "session-knn": "tastemaker.models.session_knn:SessionKnn",
        "co-visitation": "tastemaker.models.co_visitation:CoVisitation",
        "graph-filter": "tastemaker.models.graph_filter:GraphFilter",
        "ease": "tastemaker.models.ease:Ease",
        "ials": "tastemaker.models.ials:Ials",
        "lightgbm-ranker": "tastemaker.models.lightgbm_ranker:LightgbmRanker",
        "two-tower": "tastemaker.models.two_tower.model:TwoTower",
        "tastemaker": "tastemaker.models.pipeline.model:Pipeline",
    }
)
"""``module:class`` of each model, the simplest first."""


def load_class(name: str) -> type[Model]:
    """The class of a model, not constructed.

    Args:
        name: one of :data:`MODELS`.

    Raises:
        DataError: there is no such model, or the package that it needs is not installed.
    """
    if name not in MODELS:
        raise DataError(f"no model is called {name!r}; there are {', '.join(MODELS)}")
    module, _, attribute = MODELS[name].partition(":")
    try:
        return cast("type[Model]", getattr(importlib.import_module(module), attribute))
    except ModuleNotFoundError as missing:
        raise DataError(
            f"model {name!r} needs {missing.name!r}, which is not installed; install that package"
        ) from missing


def create(name: str, **hyperparameters: Any) -> Model:
    """A model, not yet fitted.

    Args:
        name: one of :data:`MODELS`.
        hyperparameters: arguments of its constructor; the others keep their defaults.

    Raises:
        DataError: there is no such model, it has no such hyperparameter, or its package is not installed.
    """
    found = load_class(name)
    try:
        return found(**hyperparameters)
    except TypeError as wrong:
        raise DataError(f"model {name!r} does not take {hyperparameters}: {wrong}") from wrong
