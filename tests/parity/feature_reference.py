"""What a feature's value is, in plain Python: :mod:`tastemaker.features.semantics` read aloud, one event at a time.

Nothing here is shared with the executors but the plan, the constants of the semantics and the numbering of labels, so
that a mistake of theirs is none of this.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tastemaker.clock import to_us
from tastemaker.events.contract import Event
from tastemaker.features.layout import cell_of, distinct_estimates
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import (
    DAY_US,
    DECAY_UNIT,
    SUM_CAP,
    SUM_DECAY_UNIT,
    decay_weights,
    decayed_total,
    floor_to,
    square_to_micros,
    to_micros,
)

__all__ = ["Arrival", "reference", "same", "seen_by"]


class Arrival(NamedTuple):
    """An event as it came in.

    Attributes:
        event: what was sent.
        ingested_us: when it came in; None for imported history, which came in when it occurred.
    """

    event: Event
    ingested_us: int | None = None


def reference(
    view: ViewPlan, arrivals: Sequence[Arrival | Event], key: str | tuple[str, ...], at_us: int
) -> dict[str, Any]:
    """The features of one entity at one moment.

    Args:
        view: an aggregate or a history view.
        arrivals: everything that ever came in, in the order in which it did; duplicates and corrections included.
        key: the entity's ids.
        at_us: the moment, in microseconds.

    Returns:
        By feature, a plain Python value of the feature's type.
    """
    wanted = (key,) if isinstance(key, str) else tuple(key)
    own = [event for event in seen_by(view, arrivals) if key_of(view, event) == wanted and time_of(event) < at_us]
    newest = max(map(time_of, own), default=None)
    if newest is None or (view.ttl_us and newest < at_us - view.ttl_us):
        return {feature.name: feature.default_value for feature in view.features}
    values: dict[str, Any] = {}
    for feature in view.features:
        if feature.function != "ratio":
            values[feature.name] = _value(feature, own, at_us)
    for feature in view.features:
        if feature.function == "ratio":
            above, below = (float(values[name]) for name in feature.operands)
            values[feature.name] = feature.default_value if below == 0 else above / below
    return {feature.name: values[feature.name] for feature in view.features}


def seen_by(view: ViewPlan, arrivals: Iterable[Arrival | Event]) -> list[Event]:
    """The events that a view sees, of all entities."""
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        known = Arrival(arrival) if isinstance(arrival, Event) else arrival
        first.setdefault(known.event.event_id, known)
    corrected = {arrival.event.corrects for arrival in first.values()}
    return [
        event
        for event, ingested_us in first.values()
        if event.event_id not in corrected
        and event.type in view.types
        and key_of(view, event) is not None
        and (view.kind != "history" or event.item_id is not None)
        and (not view.lateness_us or ingested_us is None or ingested_us - time_of(event) <= view.lateness_us)
    ]


def key_of(view: ViewPlan, event: Event) -> tuple[str, ...] | None:
    """The ids of the entity that an event is about; None where it lacks one."""
    parts = tuple(getattr(event, column) for column in view.join_keys)
    return None if None in parts else parts


def time_of(event: Event) -> int:
    """When it happened, in microseconds."""
    return to_us(event.occurred_at)


def column_of(event: Event, column: str) -> Any:
    """A column's value; None for null."""
    if column == "hour":
        return f"{time_of(event) % DAY_US // (DAY_US // 24):02d}"
    return time_of(event) if column == "occurred_at" else getattr(event, column)


def same(left: Any, right: Any) -> bool:
    """Equal to the last bit, NaN equal to NaN, and of one type; dicts and lists by their members."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


def _value(feature: FeatureSpec, own: Sequence[Event], at_us: int) -> Any:
    seen = [event for event in own if event.type in feature.types]
    if feature.function in {"last", "last_n"}:
        return _newest(feature, seen)
    seen = [event for event in seen if column_of(event, feature.column) is not None]
    if feature.window_us:
        begin = floor_to(at_us - feature.window_us, feature.slide_us)
        seen = [event for event in seen if time_of(event) >= begin]
    if feature.function in {"time_since_last", "time_since_first", "mean_interval"}:
        return _time(feature, [time_of(event) for event in seen], at_us)
    if feature.function.startswith("decayed_"):
        return _decayed(feature, seen, at_us)
    if feature.function == "count":
        return len(seen)
    labels_or_amounts = [column_of(event, feature.column) for event in seen]
    if feature.function == "approx_distinct":
        return distinct_estimates(feature.n)[len({cell_of(label, feature.n) for label in labels_or_amounts})]
    if feature.function == "top_k":
        return _top(feature, seen)
    return _amount(feature, labels_or_amounts)


def _newest(feature: FeatureSpec, seen: list[Event]) -> Any:
    ordered = sorted(seen, key=lambda event: (time_of(event), event.event_id), reverse=True)
    null = math.nan if feature.column in {"value", "price"} else ""
    if feature.function == "last":
        value = column_of(ordered[0], feature.column) if ordered else None
        return feature.default_value if value is None else value
    listed = [column_of(event, feature.column) for event in ordered[: feature.n]]
    return [null if value is None else value for value in listed]


def _time(feature: FeatureSpec, times: list[int], at_us: int) -> Any:
    if feature.function == "mean_interval":
        if len(times) < 2:
            return feature.default_value
        return float(max(times) - min(times)) / (len(times) - 1) / DAY_US
    if not times:
        return feature.default_value
    return float(at_us - (max(times) if feature.function == "time_since_last" else min(times))) / DAY_US


def _decayed(feature: FeatureSpec, seen: list[Event], at_us: int) -> float:
    unit = DECAY_UNIT if feature.function == "decayed_count" else SUM_DECAY_UNIT
    weights = dict(enumerate(decay_weights(feature.half_life_us, unit)))
    ages = [at_us // DAY_US - time_of(event) // DAY_US for event in seen]
    if feature.function == "decayed_count":
        return float(sum(weights.get(age, 0) for age in ages)) / DECAY_UNIT
    days: Counter[int] = Counter()
    for age, event in zip(ages, seen, strict=True):
        days[age] += to_micros(column_of(event, feature.column))
    return decayed_total((day_sum, weights.get(age, 0)) for age, day_sum in days.items())


def _top(feature: FeatureSpec, seen: list[Event]) -> list[str]:
    weights: Counter[str] = Counter()
    for event in seen:
        weight = 1 if not feature.by else to_micros(event.value) if event.value is not None else 0
        label = column_of(event, feature.column)
        weights[label] = min(weights[label] + weight, SUM_CAP)
    ordered = sorted((-weight, label) for label, weight in weights.items() if weight)
    return [label for _, label in ordered[: feature.n]]


def _amount(feature: FeatureSpec, amounts: list[float]) -> Any:
    micros = [to_micros(amount) for amount in amounts]
    total = float(min(sum(micros), SUM_CAP)) / 1e6
    if feature.function == "sum":
        return total
    if not micros:
        return feature.default_value
    if feature.function == "mean":
        return total / len(micros)
    if feature.function == "stddev":
        squares = float(min(sum(map(square_to_micros, amounts)), SUM_CAP)) / 1e6
        mean = total / len(micros)
        return math.sqrt(max(0.0, squares / len(micros) - mean * mean))
    return float({"min": min, "max": max}[feature.function](micros)) / 1e6
