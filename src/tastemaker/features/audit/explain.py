"""Why a feature has the value that it has: its definition, and the events or rows of the lake behind it."""

from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any, NamedTuple

import duckdb

from tastemaker.clock import from_us
from tastemaker.errors import DataError
from tastemaker.features.audit.definition import defined
from tastemaker.features.audit.evidence import Evidence, Found, Question, events_behind, versions_behind
from tastemaker.features.audit.recompute import values_as_of
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, FeatureSpec, OnDemandPlan, ViewPlan
from tastemaker.features.semantics import DAY_US, SUM_DECAY_UNIT, decay_weights, floor_to
from tastemaker.lake.tables import Lake

__all__ = ["Evidence", "Explanation", "explain_feature", "find_feature"]


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
        events: how many events, or rows of a table, count.
        left_out: how many do not, by reason.
        evidence: the newest that count, and some of each reason not to; newest first.
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
    left_out: dict[str, int] = field(default_factory=dict)
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
    near = get_close_matches(short, sorted({feature.name for view in views for feature in view.features}), n=3)
    perhaps = f"is it {' or '.join(near)}? " if near else ""
    raise DataError(f"no feature is called {name!r}; {perhaps}`tastemaker features list` shows all")


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
        ask = _Ask(duck, ids, at_us, limit)
        return _derived(ask, plan, view, feature) if isinstance(view, OnDemandPlan) else _stored(ask, view, feature)


class _Ask(NamedTuple):
    duck: duckdb.DuckDBPyConnection
    ids: dict[str, str]
    at_us: int
    limit: int


def _stored(ask: _Ask, view: ViewPlan, feature: FeatureSpec) -> Explanation:
    columns = zip(view.entities, view.join_keys, strict=True)
    if missing := [entity for entity, column in columns if not ask.ids.get(column)]:
        options = ", ".join(f"--{entity}" for entity in missing)
        raise DataError(f"{feature.name} is of a {' and '.join(view.entities)}; say which one with {options}")
    own = {column: ask.ids[column] for column in view.join_keys}
    question = Question(ask.duck, join_key(list(own.values())), ask.at_us, ask.limit)
    (values,) = values_as_of(ask.duck, view, [(question.key, ask.at_us)], [feature.name])
    begin_us = _begin_us(feature, ask.at_us)
    parts: list[Explanation] = []
    found = Found()
    if feature.function == "ratio":
        parts = [_stored(ask, view, view.feature(operand)) for operand in feature.operands]
    elif view.kind == "batch":
        found = versions_behind(question, view, feature)
    else:
        found = events_behind(question, view, feature, begin_us)
    return Explanation(
        view=view.name,
        feature=feature.name,
        ids=own,
        at=from_us(ask.at_us),
        value=values[feature.name],
        definition=defined(view, feature),
        description=feature.description,
        events=found.counted,
        left_out=found.left_out,
        evidence=found.shown,
        parts=parts,
        begin=None if begin_us is None else from_us(begin_us),
    )


def _begin_us(feature: FeatureSpec, at_us: int) -> int | None:
    """The first moment whose events count; None for the lifetime."""
    if feature.half_life_us:  # older events weigh nothing
        unit = [] if feature.function == "decayed_count" else [SUM_DECAY_UNIT]
        oldest = len(decay_weights(feature.half_life_us, *unit)) - 1
        return floor_to(at_us, DAY_US) - oldest * DAY_US
    return floor_to(at_us - feature.window_us, feature.slide_us) if feature.window_us else None


def _derived(ask: _Ask, plan: FeaturePlan, view: OnDemandPlan, feature: FeatureSpec) -> Explanation:
    from tastemaker.features.reading.derived import derive

    stored = [(plan.view(origin), name) for origin, name in view.inputs]
    parts = [_stored(ask, origin, origin.feature(name)) for origin, name in stored]
    request = {name: [_typed(feature, name, dtype, ask.ids)] for name, dtype in view.request}
    inputs = {part.feature: [part.value] for part in parts}
    value = derive(view, inputs, request, 1)[feature.name][0]
    wanted = {column for origin, _ in stored for column in origin.join_keys} | {name for name, _ in view.request}
    return Explanation(
        view=view.name,
        feature=feature.name,
        ids={name: text for name, text in ask.ids.items() if name in wanted},
        at=from_us(ask.at_us),
        value=value.item() if hasattr(value, "item") else value,
        definition=f"derived while it is read, by the function {view.name}, from {', '.join([*inputs, *request])}",
        description=feature.description,
        parts=parts,
    )


def _typed(feature: FeatureSpec, name: str, dtype: str, given: dict[str, str]) -> int | float | str:
    if name not in given:
        raise DataError(f"{feature.name} is derived from the request; say --request {name}=...")
    try:
        return int(given[name]) if dtype == "int64" else float(given[name]) if dtype == "float64" else given[name]
    except ValueError as error:
        raise DataError(f"{name} is {given[name]!r}, but {feature.name} takes a {dtype}") from error
