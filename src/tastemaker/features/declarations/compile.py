"""Compile Feast's objects to the feature plan. What the engine cannot execute fails here, at ``feast apply``."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tastemaker import names
from tastemaker.features.declarations.columns import table_columns
from tastemaker.features.declarations.documented import check_documented
from tastemaker.features.declarations.error import DeclarationError
from tastemaker.features.declarations.on_demand import compile_on_demand
from tastemaker.features.declarations.services import compile_service
from tastemaker.features.declarations.types import micros
from tastemaker.features.declarations.windows import event_features
from tastemaker.features.layout import MAX_SLOTS, layout_of
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.lake.tables import SCHEMAS

__all__ = ["DeclarationError", "compile_plan", "compile_repository", "compile_store", "compile_view"]

_EVENT_KEYS: Final = (names.USER_ID, names.SESSION_ID, names.ITEM_ID, names.CATEGORY)


def compile_store(store: Any) -> FeaturePlan:
    """The plan of everything in a Feast registry; see :func:`compile_repository`.

    Args:
        store: a ``feast.FeatureStore``.
    """
    return compile_repository(
        [*store.list_batch_feature_views(), *store.list_stream_feature_views()],
        store.list_feature_services(),
        store.list_entities(),
        store.list_on_demand_feature_views(),
        Path(store.config.repo_path or "."),
    )


def compile_repository(
    views: Iterable[Any], services: Iterable[Any], entities: Iterable[Any], on_demand: Iterable[Any], directory: Path
) -> FeaturePlan:
    """The plan of all declarations of a feature repository, each described and owned.

    Args:
        views: of Feast; the others likewise.
        services: what each model reads.
        entities: of the views.
        on_demand: views that are derived while they are read.
        directory: where they are declared.

    Raises:
        DeclarationError: naming file and line, view, part and remedy.
    """
    try:
        plan = compile_plan(views, services, entities, on_demand)
        check_documented(plan)
    except DeclarationError as error:
        raise error.located(directory) from error
    return plan


def compile_plan(
    views: Iterable[Any], services: Iterable[Any], entities: Iterable[Any], on_demand: Iterable[Any] = ()
) -> FeaturePlan:
    """The plan of Feast's views, services and entities.

    Raises:
        DeclarationError: naming view, part and remedy.
    """
    join_keys = {entity.name: _join_key(entity) for entity in entities}
    unique = {view.name: view for view in views}
    compiled = {name: compile_view(unique[name], join_keys) for name in sorted(unique)}
    derived = {view.name: compile_on_demand(view, compiled) for view in sorted(on_demand, key=lambda view: view.name)}
    return FeaturePlan(
        views=tuple(compiled.values()),
        services=tuple(
            compile_service(service, compiled, derived)
            for service in sorted(services, key=lambda service: service.name)
        ),
        on_demand=tuple(derived.values()),
    )


def compile_view(view: Any, join_keys: Mapping[str, str]) -> ViewPlan:
    """The plan of one feature view.

    Args:
        view: a ``StreamFeatureView`` or ``BatchFeatureView``.
        join_keys: column by entity name.

    Raises:
        DeclarationError: naming view, part and remedy.
    """
    table = _table(view)
    if unknown := [entity for entity in view.entities if entity not in join_keys]:
        raise DeclarationError(view.name, f"it has no entity ({unknown[0]}); give it entities=[user], or item")
    columns = tuple(join_keys[entity] for entity in view.entities)
    fields = [field for field in view.features if field.name not in columns]
    streamed = hasattr(view, "stream_engine")
    _check_execution(view, streamed)
    lateness_us = micros(view.stream_source.kafka_options.watermark_delay_threshold) if streamed else 0
    for what, duration_us in (
        ("its ttl", micros(view.ttl)),
        ("the watermark_delay_threshold of its source", lateness_us),
    ):
        if duration_us < 0:
            raise DeclarationError(view.name, f"{what} is negative; use timedelta(0) for none")
    if streamed:
        if table != names.TABLE_EVENTS or not set(columns) <= set(_EVENT_KEYS):
            raise DeclarationError(
                view.name, "aggregations run over the events, by user, session, item and category only"
            )
        kind, features = event_features(view, fields)
    else:
        kind, features = "batch", table_columns(view, fields, table)
    if missing := [column for column in columns if column not in SCHEMAS[table].names]:
        raise DeclarationError(view.name, f"the lake table {table} has no column {missing[0]} to join by")
    plan = ViewPlan(
        name=view.name,
        kind=kind,
        entities=tuple(view.entities),
        join_keys=columns,
        features=tuple(features),
        ttl_us=micros(view.ttl),
        lateness_us=lateness_us,
        table=table,
        timestamp_field=view.batch_source.timestamp_field,
        created_field=view.batch_source.created_timestamp_column or "",
        description=view.description,
        owner=view.owner,
    )
    if kind == "aggregate" and (slots := len(layout_of(plan).slots)) > MAX_SLOTS:
        raise DeclarationError(
            view.name,
            f"its features need {slots} partial aggregates, at most {MAX_SLOTS} fit a view; move some aggregations to"
            " a second view",
        )
    return plan


def _join_key(entity: Any) -> str:
    if entity.name != "__dummy" and entity.value_type.name != "STRING":
        raise DeclarationError(
            entity.name,
            f"its ids are {entity.value_type.name}; ids are texts: value_type=ValueType.STRING",
            kind="entity",
        )
    key: str = entity.join_key
    return key


def _table(view: Any) -> str:
    path = getattr(view.batch_source, "path", "")
    table = PurePosixPath(path).name
    if table not in SCHEMAS:
        raise DeclarationError(
            view.name, f"its batch source {path!r} is no lake table; use one of feature_repo/sources.py"
        )
    return table


def _check_execution(view: Any, streamed: bool) -> None:
    """Refuse what Feast's words can say and the engine does not do."""
    name = view.name
    if getattr(view, "udf", None) or getattr(view, "feature_transformation", None):
        raise DeclarationError(
            name, "its function would not run; derive features with an on_demand_feature_view instead"
        )
    if getattr(view, "source_views", None):
        raise DeclarationError(name, "it reads other views; give it a source of feature_repo/sources.py")
    if streamed:
        if type(view.stream_source).__name__ != "KafkaSource":
            raise DeclarationError(name, "its source is no KafkaSource; use `events` of feature_repo/sources.py")
        if view.enable_tiling:
            raise DeclarationError(
                name, "tiles follow the slide_interval of each aggregation; remove enable_tiling and tiling_hop_size"
            )
        return
    if getattr(view, "aggregations", None):
        raise DeclarationError(name, "aggregations need a StreamFeatureView; a BatchFeatureView has columns of a table")
    if not view.online:
        raise DeclarationError(name, "its features could be trained on but not served; set online=True")
