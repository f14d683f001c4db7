"""Features that are derived while they are read: the declared function, run on stored features and the request."""

import base64
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan, FeatureSpec, OnDemandPlan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["derive", "on_demand_view"]

_NUMPY: Final = {"int64": np.int64, "float64": np.float64, "bool": np.bool_}


def on_demand_view(plan: FeaturePlan, name: str) -> OnDemandPlan:
    """One on-demand view by name.

    Raises:
        DataError: the plan has none of that name.
    """
    for view in plan.on_demand:
        if view.name == name:
            return view
    known = ", ".join(view.name for view in plan.on_demand) or "none"
    raise DataError(f"the feature plan has no on-demand view {name!r}; it has {known}")


def derive(
    view: OnDemandPlan, inputs: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], n: int
) -> dict[str, npt.NDArray[Any]]:
    """The features of ``n`` rows.

    Args:
        view: which.
        inputs: by stored feature that it takes, ``n`` values.
        request: by field of the request that it takes, ``n`` values; more fields than it takes are passed over.
        n: number of rows.

    Returns:
        By feature, ``n`` values in the declared type; the default for what the function leaves empty (NaN of a float
        stays where the default is NaN).

    Raises:
        DataError: an input is missing, or the function fails, or it gives something else than declared.
    """
    import pandas as pd

    columns: dict[str, pd.Series[Any]] = {}
    dtypes = {name: None for _, name in view.inputs} | dict(view.request)
    for name, dtype in dtypes.items():
        given = request if dtype else inputs
        if name not in given or len(given[name]) != n:
            what = f"{len(given[name])} values" if name in given else "none"
            raise DataError(f"on-demand view {view.name} takes {n} values of {name}; it was given {what}")
        kind = _NUMPY.get(dtype or "")
        values = list(given[name])
        try:
            columns[name] = pd.Series(values if n else np.zeros(0), dtype=kind and np.dtype(kind))
        except (TypeError, ValueError) as error:
            raise DataError(f"field {name} of the request is no {dtype}: {error}") from error
    try:
        result = _function(view.udf)(pd.DataFrame(columns, index=range(n)))
    except Exception as error:  # the function is the declarations' own
        raise DataError(
            f"the function of on-demand view {view.name} failed on {n} rows ({type(error).__name__}: {error}); change"
            " the declaration and apply the features again"
        ) from error
    return {feature.name: _column(view, feature, result, n) for feature in view.features}


@lru_cache(maxsize=64)
def _function(udf: str) -> "Callable[[pd.DataFrame], pd.DataFrame]":
    # Part of the applied declarations, as trusted as the code of the repository that they come from.
    function: Callable[[pd.DataFrame], pd.DataFrame] = pickle.loads(base64.b64decode(udf))  # noqa: S301
    return function


def _column(view: OnDemandPlan, feature: FeatureSpec, result: Any, n: int) -> npt.NDArray[Any]:
    """One feature of what the function gave."""
    import pandas as pd

    if not isinstance(result, pd.DataFrame) or feature.name not in result or len(result) != n:
        raise DataError(
            f"the function of on-demand view {view.name} must give a frame with {n} rows and a column {feature.name}"
        )
    column = result[feature.name]
    kind = _NUMPY.get(feature.dtype)
    empty = column.isna()
    if kind is None:
        found = np.empty(n, dtype=object)
        default = feature.default_value
        found[:] = [default if null else value for value, null in zip(column, empty, strict=True)]
        return found
    if empty.any() and feature.default is not None:
        column = column.where(~empty, feature.default_value)
    try:
        return column.to_numpy(dtype=kind)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"feature {feature.name} of on-demand view {view.name} is no {feature.dtype}: {error}"
        ) from error
