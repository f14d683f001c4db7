"""Compile an on-demand feature view: its inputs, what the request gives, and its function."""

import ast
import base64
import builtins
import dis
import pickle
import textwrap
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any, Final

from tastemaker.features.declarations.error import DeclarationError
from tastemaker.features.declarations.types import check_name, default_of, dtype_of
from tastemaker.features.plan import FeatureSpec, OnDemandPlan, ViewPlan

__all__ = ["compile_on_demand"]

_OTHERWISE: Final[dict[str, float | str | None]] = {"int64": 0, "bool": 0, "string": ""}
# What Feast gives a function that it reads back from its registry.
_GIVEN: Final = ("pd", "pandas", "np", "numpy")
_SAMPLE: Final[dict[str, list[Any]]] = {
    "int64": [0, 3],
    "float64": [float("nan"), 1.5],
    "bool": [False, True],
    "string": ["", "a"],
    "list[string]": [[], ["a"]],
    "list[int64]": [[], [3]],
    "list[float64]": [[], [1.5]],
}
_KINDS: Final = {"int64": "iu", "float64": "fiu", "bool": "b", "string": "OTU"}


def compile_on_demand(view: Any, stored: Mapping[str, ViewPlan]) -> OnDemandPlan:
    """The plan of an on-demand view; its function is tried on two rows.

    The view's tags say what its fields cannot: tag ``NAME`` describes feature NAME, ``NAME.default`` is its default.

    Args:
        view: an ``OnDemandFeatureView``.
        stored: the compiled views by name.

    Raises:
        DeclarationError: naming view, part and remedy.
    """
    if view.mode != "pandas":
        raise DeclarationError(view.name, f"mode {view.mode!r} is not executed; write the function over a pandas frame")
    if view.write_to_online_store or view.aggregations:
        what = "aggregations" if view.aggregations else "write_to_online_store"
        raise DeclarationError(view.name, f"it is derived while it is read; remove {what}")
    # Feast's registry keeps its sources in no order; the plan's hash needs one.
    inputs = [
        (projection.name, feature.name)
        for _, projection in sorted(view.source_feature_view_projections.items())
        for feature in projection.features
    ]
    request = {
        field.name: _dtype(view.name, field)
        for _, source in sorted(view.source_request_sources.items())
        for field in source.schema
    }
    _check_inputs(view, inputs, request, stored)
    features = tuple(_feature(view, field) for field in view.features)
    source, name = _source_of(view.name, view.feature_transformation.udf_string)
    function = _function(source, name)
    _check_alone(view.name, function)
    dtypes = {name: stored[origin].feature(name).dtype for origin, name in inputs} | request
    _check_result(view.name, function, dtypes, features)
    return OnDemandPlan(
        name=view.name,
        features=features,
        inputs=tuple(inputs),
        request=tuple(request.items()),
        udf=base64.b64encode(pickle.dumps(_Alone(source, name), protocol=4)).decode(),
        description=view.description,
        owner=view.owner,
    )


def _dtype(view: str, field: Any) -> str:
    if dtype := dtype_of(field):
        return dtype
    raise DeclarationError(view, f"type {field.dtype} is not one that a feature can have", part=field.name)


def _feature(view: Any, field: Any) -> FeatureSpec:
    # Feast compares the fields with what it infers, and takes one with a description or tags for another one.
    tags = {"default": view.tags[f"{field.name}.default"]} if f"{field.name}.default" in view.tags else {}
    plain = SimpleNamespace(name=field.name, dtype=field.dtype, tags=tags | dict(field.tags))
    check_name(view.name, field.name)
    dtype = _dtype(view.name, field)
    return FeatureSpec(
        name=field.name,
        dtype=dtype,
        column="",
        default=default_of(view.name, plain, dtype, _OTHERWISE.get(dtype)),
        description=field.description or view.tags.get(field.name, ""),
    )


def _check_inputs(
    view: Any, inputs: list[tuple[str, str]], request: Mapping[str, str], stored: Mapping[str, ViewPlan]
) -> None:
    seen: set[str] = set(request)
    for origin, name in inputs:
        if origin not in stored or name not in stored[origin].feature_names:
            raise DeclarationError(view.name, f"{origin} has no feature {name}", part=name, kind="input")
        if name in seen:
            raise DeclarationError(
                view.name,
                "two inputs have that name, and the function sees one column; rename one",
                part=name,
                kind="input",
            )
        seen.add(name)


def _check_alone(view: str, function: FunctionType) -> None:
    """Refuse a function that needs anything of its file: it runs where that file is not."""
    known = {*_GIVEN, *dir(builtins)}
    if missing := sorted(set(_globals_of(function.__code__)) - known - {function.__name__}):
        raise DeclarationError(
            view,
            f"its function uses {', '.join(missing)} from outside; it runs alone with pd and np, so define or import"
            " that inside it",
        )


def _globals_of(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _check_result(
    view: str, function: FunctionType, inputs: Mapping[str, str], features: tuple[FeatureSpec, ...]
) -> None:
    """Run the function on two rows and compare what it gives with what is declared."""
    import pandas as pd

    frame = pd.DataFrame({name: pd.Series(list(_SAMPLE[dtype])) for name, dtype in inputs.items()})
    try:
        result = function(frame)
    except Exception as error:
        raise DeclarationError(
            view,
            f"its function fails on a frame of defaults ({type(error).__name__}: {error}); make it cope with"
            " what is not known",
        ) from error
    if not isinstance(result, pd.DataFrame) or len(result) != len(frame):
        raise DeclarationError(view, "its function must give a pandas frame with one row per row that it gets")
    declared = [feature.name for feature in features]
    if sorted(result.columns) != sorted(declared):
        raise DeclarationError(
            view, f"its function gives {', '.join(map(str, result.columns))}, but the schema says {', '.join(declared)}"
        )
    for feature in features:
        kind = result[feature.name].dtype.kind
        if kind not in _KINDS.get(feature.dtype, "O"):
            raise DeclarationError(
                view,
                f"its function gives {result[feature.name].dtype}, but the schema says {feature.dtype}; convert it,"
                " or change the Field's dtype",
                part=feature.name,
            )


class _Alone:
    """A function as its source, so that equal functions pickle to equal bytes, for every version of Python.

    What dill writes of a function depends on the path of its file and on the order of a set; a plan's hash must not.
    """

    def __init__(self, source: str, name: str) -> None:
        self.source, self.name = source, name

    def __reduce__(self) -> tuple[Any, ...]:
        return _function, (self.source, self.name)


def _source_of(view: str, text: str) -> tuple[str, str]:
    """Source and name of the one function in a text, without its decorators and comments."""
    found = [node for node in ast.parse(textwrap.dedent(text)).body if isinstance(node, ast.FunctionDef)]
    if len(found) != 1:
        raise DeclarationError(view, "its source holds no plain function; declare it with `def`")
    found[0].decorator_list = []
    return ast.unparse(found[0]), found[0].name


def _function(source: str, name: str) -> FunctionType:
    """The function, with what Feast gives it when it reads it back from its registry."""
    import numpy as np
    import pandas as pd

    namespace: dict[str, Any] = {"pd": pd, "pandas": pd, "np": np, "numpy": np}
    exec(source, namespace)  # noqa: S102 - of the feature repository, as its other declarations
    function: FunctionType = namespace[name]
    return function
