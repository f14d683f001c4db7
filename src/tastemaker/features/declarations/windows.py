"""Compile the aggregations of a stream view: functions over events."""

from typing import Any, Final

import msgspec

from tastemaker import names
from tastemaker.events.contract import RETRACTION
from tastemaker.features.declarations.error import DeclarationError
from tastemaker.features.declarations.grammar import FUNCTIONS, GrammarError, parse_function, parse_ratio, parse_where
from tastemaker.features.declarations.types import check_name, check_tags, default_of, dtype_of, micros
from tastemaker.features.plan import FeatureSpec, ViewKind

__all__ = ["event_features"]

_RATIO_OF: Final = ("count", "sum", "approx_distinct")
_COLUMN_DTYPES: Final = {names.OCCURRED_AT: "int64", names.VALUE: "float64", names.PRICE: "float64"}
_MAX_TILES: Final = 1000
_OF_TABLES: Final = {
    "column": "the column is the aggregation's",
    "since": "declare an aggregation time_since_last or time_since_first",
}


def event_features(view: Any, fields: list[Any]) -> tuple[ViewKind, list[FeatureSpec]]:
    """What kind of view its aggregations make, and its features.

    Args:
        view: a ``StreamFeatureView``.
        fields: its schema without join keys.

    Raises:
        DeclarationError: naming view, aggregation and remedy.
    """
    if not view.aggregations:
        raise DeclarationError(view.name, "it has no aggregations; a view of plain columns is a BatchFeatureView")
    aggregations: dict[str, Any] = {}
    for aggregation in view.aggregations:
        name = aggregation.resolved_name(aggregation.time_window)
        if name in aggregations:
            raise _wrong(view, name, "two aggregations have that name; rename one")
        aggregations[name] = aggregation
    by_name = {field.name: field for field in fields}
    for name in aggregations.keys() - by_name.keys():
        raise _wrong(view, name, f"the schema has no field of that name; add Field(name={name!r}, ...)")
    for name in by_name.keys() - aggregations.keys():
        raise DeclarationError(view.name, "no aggregation has that name; add one or remove the field", part=name)
    # In the order of the aggregations: Feast does not keep that of a stream view's fields.
    features = [_aggregated(view, by_name[name], aggregation) for name, aggregation in aggregations.items()]
    newest = [feature for feature in features if feature.function in {"last", "last_n"}]
    if not newest:
        return "aggregate", _with_ratios(view, features)
    if len(newest) < len(features):
        other = next(feature for feature in features if feature not in newest)
        raise _wrong(
            view, other.name, "a view with last or last_n has no other functions; move this one to another view"
        )
    for feature in newest:
        if feature.types != newest[0].types:
            raise _wrong(view, feature.name, "a view with last or last_n has one where for all; set it on the view")
    return "history", features


def _wrong(view: Any, aggregation: str, problem: str) -> DeclarationError:
    return DeclarationError(view.name, problem, part=aggregation, kind="aggregation")


def _aggregated(view: Any, field: Any, aggregation: Any) -> FeatureSpec:
    check_name(view.name, field.name)
    check_tags(view.name, field.tags, _OF_TABLES, field.name)
    try:
        return _feature(view, field, aggregation)
    except GrammarError as error:
        raise _wrong(view, field.name, str(error)) from error


def _feature(view: Any, field: Any, aggregation: Any) -> FeatureSpec:
    call = parse_function(aggregation.function)
    function = FUNCTIONS[call.name]
    if function.columns and aggregation.column not in function.columns:
        raise GrammarError(f"{call.name} takes column {' or '.join(function.columns)}, not {aggregation.column!r}")
    dtype = function.dtype
    if dtype in {"column", "list"}:
        dtype = _COLUMN_DTYPES.get(aggregation.column, "string")
        dtype = f"list[{dtype}]" if function.dtype == "list" else dtype
    if dtype_of(field) != dtype:
        raise DeclarationError(
            view.name, f"its type is {field.dtype}, but its values are {dtype}; change its dtype", part=field.name
        )
    window, slide = micros(aggregation.time_window), micros(aggregation.slide_interval)
    _check_window(call.name, function.windowed, window, slide)
    decayed = call.name.startswith("decayed_")
    counted = call.name in {"count", "sum", "approx_distinct"} or decayed
    otherwise = "" if dtype == "string" else 0 if counted or dtype == "int64" else None
    return FeatureSpec(
        name=field.name,
        dtype=dtype,
        function=call.name,
        column="" if call.name == "ratio" else aggregation.column,
        types=_types(view, field),
        window_us=window,
        slide_us=slide if window else 0,
        n=1 if call.name == "last" else 0 if decayed else call.argument,
        by=call.by,
        half_life_us=call.argument if decayed else 0,
        operands=parse_ratio(aggregation.column) if call.name == "ratio" else (),
        default=default_of(view.name, field, dtype, otherwise),
        description=field.description,
    )


def _types(view: Any, field: Any) -> tuple[str, ...]:
    """Event types that pass; a retraction is not a thing that shoppers do, so that no filter means all but it."""
    where = field.tags.get("where", view.tags.get("where", ""))
    try:
        types = parse_where(where)
        if where.strip() and RETRACTION in types:
            raise GrammarError(f"no view sees a {RETRACTION}, which only takes an event back; remove it from {where!r}")
    except GrammarError as error:
        raise DeclarationError(view.name, str(error), part=field.name if "where" in field.tags else "") from error
    return tuple(name for name in types if name != RETRACTION)


def _check_window(function: str, windowed: bool, window: int, slide: int) -> None:
    if not windowed:
        if window:
            raise GrammarError(f"{function} has no window; remove time_window")
    elif window and not 0 < slide < window:
        raise GrammarError("a window needs a slide_interval shorter than it, such as timedelta(hours=1)")
    elif window and window // slide > _MAX_TILES:
        raise GrammarError(
            f"{window // slide} tiles per entity are too many (at most {_MAX_TILES}); slide in longer steps"
        )
    if slide and not window:
        raise GrammarError("a slide_interval needs a time_window; without both it covers the lifetime")


def _with_ratios(view: Any, features: list[FeatureSpec]) -> list[FeatureSpec]:
    """The features, of which each ratio sees the events that the two features it divides see."""
    by_name = {feature.name: feature for feature in features}
    tags = {field.name: field.tags for field in view.features}
    found = []
    for feature in features:
        for operand in feature.operands:
            if operand not in by_name or by_name[operand].function not in _RATIO_OF:
                known = ", ".join(other.name for other in features if other.function in _RATIO_OF)
                raise _wrong(
                    view,
                    feature.name,
                    f"{operand!r} is no {' or '.join(_RATIO_OF)} of this view; it has {known or 'none'}",
                )
        if feature.operands:
            check_tags(view.name, tags[feature.name], {"where": "set it on the two features"}, feature.name)
            types = {kind for operand in feature.operands for kind in by_name[operand].types}
            feature = msgspec.structs.replace(feature, types=tuple(sorted(types)))  # noqa: PLW2901 - the same feature
        found.append(feature)
    return found
