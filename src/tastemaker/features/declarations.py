"""Compile Feast's objects to the feature plan. What the engine cannot execute fails here, at ``feast apply``."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.grammar import FUNCTIONS, GrammarError, parse_function, parse_where
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ServiceSpec, ViewKind, ViewPlan
from tastemaker.lake.tables import SCHEMAS

__all__ = ["compile_plan", "compile_store", "compile_view"]

_DTYPES: Final = {
    "INT64": "int64",
    "FLOAT64": "float64",
    "DOUBLE": "float64",
    "BOOL": "bool",
    "STRING": "string",
    "STRING_LIST": "list[string]",
    "INT64_LIST": "list[int64]",
}
_EVENT_KEYS: Final = (names.USER_ID, names.SESSION_ID, names.ITEM_ID)
_MAX_TILES: Final = 1000


def compile_store(store: Any) -> FeaturePlan:
    """The plan of everything in a Feast registry.

    Args:
        store: a ``feast.FeatureStore``.

    Raises:
        DataError: naming view, aggregation and remedy.
    """
    views = [*store.list_batch_feature_views(), *store.list_stream_feature_views()]
    return compile_plan(views, store.list_feature_services(), store.list_entities())


def compile_plan(views: Iterable[Any], services: Iterable[Any], entities: Iterable[Any]) -> FeaturePlan:
    """The plan of Feast's views, services and entities.

    Raises:
        DataError: naming view, aggregation and remedy.
    """
    join_keys = {entity.name: entity.join_key for entity in entities}
    unique = {view.name: view for view in views}
    return FeaturePlan(
        views=tuple(compile_view(unique[name], join_keys) for name in sorted(unique)),
        services=tuple(
            ServiceSpec(
                name=service.name,
                features=tuple(
                    (projection.name, feature.name)
                    for projection in service.feature_view_projections
                    for feature in projection.features
                ),
                description=service.description,
                owner=service.owner,
            )
            for service in sorted(services, key=lambda service: service.name)
        ),
    )


def compile_view(view: Any, join_keys: Mapping[str, str]) -> ViewPlan:
    """The plan of one feature view.

    Args:
        view: a ``StreamFeatureView`` or ``BatchFeatureView``.
        join_keys: column by entity name.

    Raises:
        DataError: naming view, aggregation and remedy.
    """
    table = _table(view)
    columns = tuple(join_keys[entity] for entity in view.entities)
    fields = [field for field in view.features if field.name not in columns]
    aggregations = {
        aggregation.resolved_name(aggregation.time_window): aggregation
        for aggregation in getattr(view, "aggregations", ())
    }
    if aggregations:
        kind, features = _over_events(view, columns, table, fields, aggregations)
    else:
        kind, features = "batch", [_column(view, field, table) for field in fields]
    missing = [column for column in columns if column not in SCHEMAS[table].names]
    if missing:
        raise DataError(f"view {view.name}: the lake table {table} has no column {missing[0]} to join by")
    return ViewPlan(
        name=view.name,
        kind=kind,
        entities=tuple(view.entities),
        join_keys=columns,
        features=tuple(features),
        ttl_us=_us(view.ttl),
        table=table,
        timestamp_field=view.batch_source.timestamp_field,
        created_field=view.batch_source.created_timestamp_column or "",
        description=view.description,
        owner=view.owner,
    )


def _table(view: Any) -> str:
    path = getattr(view.batch_source, "path", "")
    table = PurePosixPath(path).name
    if table not in SCHEMAS:
        raise DataError(
            f"view {view.name}: its batch source {path!r} is no lake table; use one of feature_repo/sources.py"
        )
    return table


def _over_events(
    view: Any, columns: tuple[str, ...], table: str, fields: list[Any], aggregations: dict[str, Any]
) -> tuple[ViewKind, list[FeatureSpec]]:
    """The features of a view with aggregations."""
    if table != names.TABLE_EVENTS or not set(columns) <= set(_EVENT_KEYS):
        raise DataError(f"view {view.name}: aggregations run over the events, by user, session and item only")
    for name in aggregations.keys() - {field.name for field in fields}:
        raise DataError(
            f"view {view.name}, aggregation {name}: the schema has no field of that name; add Field({name!r})"
        )
    by_name = {field.name: field for field in fields}
    for name in by_name.keys() - aggregations.keys():
        raise DataError(f"view {view.name}, field {name}: no aggregation has that name; add one or remove it")
    features = []
    # In the order of the aggregations: Feast does not keep that of a stream view's fields.
    for name, aggregation in aggregations.items():
        try:
            features.append(_aggregated(view, by_name[name], aggregation))
        except GrammarError as error:
            raise DataError(f"view {view.name}, aggregation {name}: {error}") from error
    lists = [feature for feature in features if feature.function == "last_n"]
    if not lists:
        return "aggregate", features
    if len(lists) < len(features) or len({(feature.n, feature.types) for feature in lists}) > 1:
        raise DataError(
            f"view {view.name}, aggregation {lists[0].name}: a view with last_n has only last_n aggregations,"
            " of one length and with one where; move the others to a view of their own"
        )
    return "history", features


def _aggregated(view: Any, field: Any, aggregation: Any) -> FeatureSpec:
    call = parse_function(aggregation.function)
    allowed, dtype = FUNCTIONS[call.name]
    if aggregation.column not in allowed:
        raise GrammarError(f"{call.name} takes column {' or '.join(allowed)}, not {aggregation.column!r}")
    if dtype == "list":
        dtype = "list[int64]" if aggregation.column == names.OCCURRED_AT else "list[string]"
    found = _DTYPES.get(field.dtype.to_value_type().name, "")
    if found != dtype:
        raise GrammarError(f"its field has type {field.dtype}, but its values are {dtype}; change the Field's dtype")
    window, slide = _us(aggregation.time_window), _us(aggregation.slide_interval)
    if call.name not in {"count", "sum"}:
        if window:
            raise GrammarError(f"{call.name} has no window; remove time_window")
    elif window and not 0 < slide < window:
        raise GrammarError("a window needs a slide_interval shorter than it, such as timedelta(hours=1)")
    elif window and window // slide > _MAX_TILES:
        raise GrammarError(
            f"{window // slide} tiles per entity are too many (at most {_MAX_TILES}); slide in longer steps"
        )
    return FeatureSpec(
        name=field.name,
        dtype=dtype,
        function=call.name,
        column=aggregation.column,
        types=parse_where(field.tags.get("where", view.tags.get("where", ""))),
        window_us=window,
        slide_us=slide if window else 0,
        n=call.argument if call.name == "last_n" else 0,
        half_life_us=call.argument if call.name == "decayed_count" else 0,
        default=_default(view, field, dtype, 0 if call.name in {"count", "sum", "decayed_count"} else None),
        description=field.description,
    )


def _column(view: Any, field: Any, table: str) -> FeatureSpec:
    """A feature of a batch view: a column of its table."""
    dtype = _DTYPES.get(field.dtype.to_value_type().name, "")
    if dtype not in {"int64", "float64", "bool", "string"}:
        raise DataError(
            f"view {view.name}, field {field.name}: type {field.dtype} is not stored; use Int64, Float64,"
            " Bool or String"
        )
    if field.name not in SCHEMAS[table].names:
        raise DataError(f"view {view.name}, field {field.name}: the lake table {table} has no such column")
    return FeatureSpec(
        name=field.name,
        dtype=dtype,
        column=field.name,
        default=_default(view, field, dtype, "" if dtype == "string" else None if dtype == "float64" else 0),
        description=field.description,
    )


def _default(view: Any, field: Any, dtype: str, otherwise: float | str | None) -> float | str | None:
    text = field.tags.get("default")
    if text is None or dtype.startswith("list"):
        return otherwise
    if dtype == "string":
        return str(text)
    try:
        return None if text.lower() == "nan" and dtype == "float64" else float(text)
    except ValueError as error:
        raise DataError(f"view {view.name}, field {field.name}: default {text!r} is no number") from error


def _us(duration: timedelta | None) -> int:
    return 0 if duration is None else duration // timedelta(microseconds=1)
