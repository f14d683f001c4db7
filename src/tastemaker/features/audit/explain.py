"""Why a feature has the value that it has: its definition, and the events or rows of the lake behind it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import duckdb

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.errors import DataError
from tastemaker.features.audit.definition import defined
from tastemaker.features.audit.recompute import values_as_of
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, FeatureSpec, OnDemandPlan, ViewPlan
from tastemaker.features.semantics import decay_weights, floor_to
from tastemaker.features.sql.columns import stored_columns, version_order
from tastemaker.features.sql.expressions import event_column, key_sql
from tastemaker.lake.tables import Lake

__all__ = ["Evidence", "Explanation", "explain_feature", "find_feature"]

_ONE: Final = {"time_since_last", "time_since_first", "last"}


@dataclass(frozen=True)
class Evidence:
    """An event, or a version of a table's row, behind a value.

    Attributes:
        at: when it happened.
        columns: what it says, by column.
        left_out: why it does not count; empty if it does.
    """

    at: datetime
    columns: dict[str, Any]
    left_out: str = ""


@dataclass(frozen=True)
class Explanation:
    """A value and where it comes from.

    Attributes:
        view: its view.
        feature: its name.
        ids: of the entity, by join key.
        at: the moment.
        value: what the lake gives.
        definition: in words.
        description: of the declaration.
        events: how many count, and how many were left out.
        evidence: the newest of them, newest first.
        parts: of a ratio or a derived feature, the explanations of what it is computed from.
        begin: beginning of the window; None for the lifetime.
    """

    view: str
    feature: str
    ids: dict[str, str]
    at: datetime
    value: Any
    definition: str
    description: str
    events: int = 0
    left_out: int = 0
    evidence: list[Evidence] = field(default_factory=list)
    parts: list["Explanation"] = field(default_factory=list)
    begin: datetime | None = None


def find_feature(plan: FeaturePlan, name: str) -> tuple[ViewPlan | OnDemandPlan, FeatureSpec]:
    """The view that has a feature, and the feature; ``view.feature`` where several views have one of that name.

    Raises:
        DataError: no view has it, or several do.
    """
    wanted_view, _, short = name.rpartition(".")
    views: list[ViewPlan | OnDemandPlan] = [*plan.views, *plan.on_demand]
    found = [
        (view, feature)
        for view in views
        for feature in view.features
        if feature.name == short and wanted_view in {"", view.name}
    ]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f"{view.name}.{short}" for view, _ in found)
        raise DataError(f"several views have a feature {name!r}; say one of {places}")
    raise DataError(f"no feature is called {name!r}; `tastemaker features list` shows all")


def explain_feature(
    lake: Lake, plan: FeaturePlan, name: str, ids: dict[str, str], at_us: int, *, limit: int = 20
) -> Explanation:
    """Explain a feature of one entity at one moment.

    Args:
        lake: with the events.
        plan: the declarations.
        name: of the feature, as :func:`find_feature` takes it.
        ids: by join key (``user_id``, ``item_id``, ``session_id``, ``category``); for what is derived from the request
            also its fields.
        at_us: the moment, in microseconds.
        limit: how many events are listed.

    Raises:
        DataError: no such feature, or an id is missing.
    """
    view, feature = find_feature(plan, name)
    with lake.connect() as duck:
        if isinstance(view, OnDemandPlan):
            return _derived(duck, plan, view, feature, ids, at_us, limit)
        return _stored(duck, view, feature, ids, at_us, limit)


def _stored(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    feature: FeatureSpec,
    ids: dict[str, str],
    at_us: int,
    limit: int,
) -> Explanation:
    if missing := [column for column in view.join_keys if not ids.get(column)]:
        raise DataError(
            f"{feature.name} is of a {' and '.join(view.entities)}; say which: {', '.join(missing)} is missing"
        )
    own = {column: ids[column] for column in view.join_keys}
    key = join_key(list(own.values()))
    (values,) = values_as_of(duck, view, [(key, at_us)], [feature.name])
    begin_us = floor_to(at_us - feature.window_us, feature.slide_us) if feature.window_us else None
    if feature.half_life_us:
        begin_us = floor_to(at_us, 86_400_000_000) - len(decay_weights(feature.half_life_us)) * 86_400_000_000
    parts: list[Explanation] = []
    evidence: list[Evidence] = []
    counted = left_out = 0
    if feature.function == "ratio":
        parts = [_stored(duck, view, view.feature(operand), ids, at_us, limit) for operand in feature.operands]
    elif view.kind == "batch":
        evidence, counted = _versions(duck, view, feature, key, at_us, limit)
    else:
        evidence, counted, left_out = _events(duck, view, feature, key, (begin_us, at_us), limit)
    return Explanation(
        view=view.name,
        feature=feature.name,
        ids=own,
        at=from_us(at_us),
        value=values[feature.name],
        definition=defined(view, feature),
        description=feature.description,
        events=counted,
        left_out=left_out,
        evidence=evidence,
        parts=parts,
        begin=None if begin_us is None else from_us(begin_us),
    )


def _events(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    feature: FeatureSpec,
    key: str,
    window: tuple[int | None, int],
    limit: int,
) -> tuple[list[Evidence], int, int]:
    """The events of the feature's types in its window: those that count, and those that were left out, and why."""
    begin_us, at_us = window
    time = event_column(view, names.OCCURRED_AT)
    types = ", ".join(f"'{name}'" for name in feature.types)
    late = f"epoch_us({names.INGESTED_AT}) - {time} > {view.lateness_us}" if view.lateness_us else "false"
    value = event_column(view, feature.column) if feature.column not in {"event_id", "occurred_at"} else "NULL"
    columns = (names.EVENT_ID, names.TYPE, names.USER_ID, names.SESSION_ID, names.ITEM_ID, names.VALUE)
    relevant = [f"{key_sql(view.join_keys)} = $key", f"{names.TYPE} IN ({types})", f"{time} < $at_us"]
    parameters: dict[str, Any] = {"key": key, "at_us": at_us}
    if begin_us is not None:
        relevant.append(f"{time} >= $begin_us")
        parameters["begin_us"] = begin_us
    if view.kind == "history":
        relevant.append(f"{names.ITEM_ID} IS NOT NULL")
    elif feature.column not in {"event_id", "occurred_at"}:
        relevant.append(f"{value} IS NOT NULL")
    found = duck.execute(
        f"WITH corrections AS (SELECT {names.CORRECTS} AS original, any_value({names.EVENT_ID}) AS by_event"
        f" FROM {names.TABLE_EVENTS} WHERE {names.CORRECTS} IS NOT NULL GROUP BY ALL)"
        f" SELECT {time} AS at_us, {', '.join(columns)}, {value} AS used, c.by_event, {late} AS is_late"
        f" FROM {names.TABLE_EVENTS} LEFT JOIN corrections AS c ON {names.EVENT_ID} = c.original"
        f" WHERE {' AND '.join(relevant)} ORDER BY at_us DESC, {names.EVENT_ID} DESC",
        parameters,
    ).fetchall()
    counting: list[Evidence] = []
    left_out: list[Evidence] = []
    for at, *said, used, by_event, is_late in found:
        shown = dict(zip(columns, said, strict=True))
        if feature.column not in {*shown, "occurred_at"}:
            shown[feature.column] = used
        why = f"corrected by {by_event}" if by_event else "came in too late" if is_late else ""
        (left_out if why else counting).append(Evidence(from_us(at), shown, why))
    if feature.function in _ONE and counting:
        counting = [counting[-1 if feature.function == "time_since_first" else 0]]
    elif feature.function == "last_n":
        counting = counting[: feature.n]
    shown_rows = sorted([*counting[:limit], *left_out[:limit]], key=lambda one: one.at, reverse=True)
    return shown_rows, len(counting), len(left_out)


def _versions(
    duck: duckdb.DuckDBPyConnection, view: ViewPlan, feature: FeatureSpec, key: str, at_us: int, limit: int
) -> tuple[list[Evidence], int]:
    """The versions of the table's row until the moment; the newest of them counts."""
    expression = stored_columns(view)[view.features.index(feature)]
    order = ", ".join(f"{column} DESC" for column in version_order(view))
    found = duck.execute(
        f"SELECT epoch_us({view.timestamp_field}), {expression} FROM {view.table} WHERE {key_sql(view.join_keys)} = ?"
        f" AND epoch_us({view.timestamp_field}) <= ? ORDER BY {order}",
        [key, at_us],
    ).fetchall()
    evidence = [
        Evidence(from_us(at), {feature.column: value}, "" if place == 0 else "replaced")
        for place, (at, value) in enumerate(found[:limit])
    ]
    return evidence, min(len(found), 1)


def _derived(
    duck: duckdb.DuckDBPyConnection,
    plan: FeaturePlan,
    view: OnDemandPlan,
    feature: FeatureSpec,
    ids: dict[str, str],
    at_us: int,
    limit: int,
) -> Explanation:
    from tastemaker.features.reading.derived import derive

    parts = [
        _stored(duck, plan.view(origin), plan.view(origin).feature(name), ids, at_us, limit)
        for origin, name in view.inputs
    ]
    request: dict[str, list[Any]] = {}
    for name, dtype in view.request:
        if name not in ids:
            raise DataError(f"{feature.name} is derived from the request; say its {name}")
        request[name] = [int(ids[name]) if dtype == "int64" else float(ids[name]) if dtype == "float64" else ids[name]]
    inputs = {part.feature: [part.value] for part in parts}
    value = derive(view, inputs, request, 1)[feature.name][0]
    return Explanation(
        view=view.name,
        feature=feature.name,
        ids=ids,
        at=from_us(at_us),
        value=value.item() if hasattr(value, "item") else value,
        definition=f"derived while it is read, by the function {view.name} of {', '.join([*inputs, *request])}",
        description=feature.description,
        parts=parts,
    )
