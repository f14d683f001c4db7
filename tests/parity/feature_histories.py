"""A naive reference of the feature semantics, event histories to compare with, and plans that use every function."""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from tastemaker import names
from tastemaker.clock import from_us, to_us
from tastemaker.events.contract import Event
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US
from tastemaker.features.state import ConsumedEvent
from tastemaker.lake.tables import SCHEMAS, Lake

HOUR_US = DAY_US // 24
# Noon of day 18,000 since the epoch: reads happen up to FUTURE_TOLERANCE before the newest event and any time later.
NOW_US = 18_000 * DAY_US + DAY_US // 2
BUY, LOOK, ANY = ("purchase",), ("cart_add", "view"), ("cart_add", "purchase", "view")


def spec(name: str, function: str, types: tuple[str, ...] = BUY, **more: Any) -> FeatureSpec:
    column = {"sum": "value", "time_since_last": "occurred_at"}.get(function, "event_id")
    dtype = "int64" if function == "count" else "float64"
    default = None if function == "time_since_last" else 0
    return FeatureSpec(
        **(
            {"name": name, "function": function, "column": column, "types": types, "dtype": dtype, "default": default}
            | more
        )
    )


FEATURES = (
    spec("buys_2h", "count", window_us=2 * HOUR_US, slide_us=HOUR_US),
    spec("buys_3d", "count", window_us=3 * DAY_US, slide_us=DAY_US),
    spec("looks_3d", "count", LOOK, window_us=3 * DAY_US, slide_us=DAY_US),
    spec("spend_1d", "sum", window_us=DAY_US, slide_us=HOUR_US),
    spec("spend", "sum"),
    spec("events", "count", ANY, default=-1),
    spec("days_since_buy", "time_since_last"),
    spec("days_since_look", "time_since_last", LOOK, default=999.0),
    spec("decayed_buys", "decayed_count", half_life_us=2 * DAY_US),
)


def aggregate(name: str, *entities: str, ttl_us: int = 0) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind="aggregate",
        entities=entities,
        join_keys=tuple(f"{entity}_id" for entity in entities),
        features=FEATURES,
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
        ttl_us=ttl_us,
    )


def history(name: str, entity: str, n: int, ttl_us: int = 0) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind="history",
        entities=(entity,),
        join_keys=(f"{entity}_id",),
        features=tuple(
            FeatureSpec(name=column, dtype=dtype, function="last_n", column=column, types=ANY, n=n)
            for column, dtype in (("item_id", "list[string]"), ("type", "list[string]"), ("occurred_at", "list[int64]"))
        ),
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
        ttl_us=ttl_us,
    )


PLAN = FeaturePlan(
    views=(
        aggregate("by_item", "item"),
        aggregate("by_user", "user", ttl_us=2 * DAY_US),
        aggregate("by_user_item", "user", "item"),
        history("session_list", "session", 2, ttl_us=DAY_US),
        history("user_list", "user", 3),
    )
)


def key_of(view: ViewPlan, event: Event) -> tuple[str, ...] | None:
    parts = tuple(getattr(event, column) for column in view.join_keys)
    return None if None in parts else parts


def reference(view: ViewPlan, events: Iterable[Event], key: tuple[str, ...], at_us: int) -> dict[str, Any]:
    """The features of one entity at one moment, computed as the semantics page reads."""
    unique: dict[str, Event] = {}
    for event in events:
        unique.setdefault(event.event_id, event)
    own = [
        event
        for event in unique.values()
        if key_of(view, event) == key
        and event.type in view.types
        and to_us(event.occurred_at) < at_us
        and (view.kind == "aggregate" or event.item_id is not None)
    ]
    newest = max((to_us(event.occurred_at) for event in own), default=None)
    if newest is None or (view.ttl_us and newest < at_us - view.ttl_us):
        return {feature.name: feature.default_value for feature in view.features}
    return {feature.name: _value(feature, own, at_us) for feature in view.features}


def _value(feature: FeatureSpec, own: Sequence[Event], at_us: int) -> Any:
    seen = [event for event in own if event.type in feature.types]
    if feature.function == "last_n":
        seen.sort(key=lambda event: (event.occurred_at, event.event_id), reverse=True)
        column = feature.column
        listed = [getattr(event, column) for event in seen[: feature.n]]
        return [to_us(value) for value in listed] if column == names.OCCURRED_AT else listed
    times = [to_us(event.occurred_at) for event in seen]
    if feature.function == "time_since_last":
        return (at_us - max(times)) / DAY_US if times else feature.default_value
    if feature.function == "decayed_count":
        ages = (at_us // DAY_US - time // DAY_US for time in times)
        return sum(round(2**40 * 2.0 ** (-age * DAY_US / feature.half_life_us)) for age in ages) / 2**40
    if feature.window_us:
        begin = (at_us - feature.window_us) // feature.slide_us * feature.slide_us
        seen = [event for event, time in zip(seen, times, strict=True) if time >= begin]
    if feature.function == "count":
        return len(seen)
    total = min(sum(round(event.value * 1_000_000) for event in seen if event.value is not None), 2**62)
    return float(total) / 1e6  # the float nearest to the whole sum, then divided


def same(left: Any, right: Any) -> bool:
    """Equal to the last bit, NaN equal to NaN."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return type(left) is type(right) and left == right


def table_of(events: Iterable[ConsumedEvent]) -> pa.Table:
    """Rows of the lake's events table, as the worker writes them."""
    rows = [
        {
            **{name: getattr(event, name) for name in ("event_id", "type", "user_id", "session_id", "item_id")},
            "occurred_at": event.occurred_at,
            "value": event.value,
            "context": "{}",
            "schema_version": 1,
            "extra": "{}",
            "ingested_at": event.occurred_at,
            "kafka_partition": partition,
            "kafka_offset": offset,
        }
        for event, partition, offset in events
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS])


def lake_of(path: Path, events: Sequence[ConsumedEvent]) -> Lake:
    """A lake that holds these events and nothing else, committed as by the worker."""
    lake = Lake(path)
    lake.create()
    if events:
        last = {}
        for _event, partition, offset in events:
            last[f"worker:{names.TOPIC_EVENTS}:{partition}"] = offset
        lake.append(names.TABLE_EVENTS, table_of(events), last)
    return lake


def _event(*, number: int, ago_us: int, kind: str, user: str | None, item: str | None, value: float | None) -> Event:
    return Event(
        event_id=f"e{number}",
        type=kind,  # type: ignore[arg-type]
        occurred_at=from_us(NOW_US) - timedelta(microseconds=ago_us),
        user_id=user,
        session_id=None if number % 3 == 0 and user else "s1",
        item_id=item,
        value=value,
    )


# Ages that meet every edge: ties, tile borders, the head (10 s), the future (5 s), windows, TTLs, dropped tiles.
AGES_US = st.one_of(
    st.sampled_from([-5_000_000, -1, 0, 1, 5_000_000, 10_000_000, 10_000_001, HOUR_US, DAY_US, 3 * DAY_US]),
    st.integers(-5_000_000, 60_000_000),
    st.integers(0, 6 * DAY_US),
    st.integers(0, 60).map(lambda hours: hours * HOUR_US + HOUR_US // 2),
    st.integers(0, 400 * DAY_US),
)
EVENTS = st.builds(
    _event,
    number=st.integers(0, 40),  # repeated numbers are duplicates
    ago_us=AGES_US,
    kind=st.sampled_from([*ANY, "wishlist", "search"]),
    user=st.sampled_from(["u1", "u2", None]),
    item=st.sampled_from(["i1", "i2", "i\x1f\x00\x1b3", None]),
    value=st.one_of(st.none(), st.floats(0, 1e4), st.sampled_from([0.0, 0.0000005, 1e12])),
)
HISTORIES = st.lists(EVENTS, max_size=30)
# One entity with events on both sides of every border: of the head, of tiles, of windows and TTLs, and of the present.
EDGES = [
    _event(number=number, ago_us=ago_us, kind="purchase", user="u1", item="i1", value=1.1 + number)
    for number, ago_us in enumerate(
        edge + offset
        for edge in (-4_999_999, 0, 5_000_000, HOUR_US, 2 * HOUR_US, DAY_US, 2 * DAY_US, 3 * DAY_US, 90 * DAY_US)
        for offset in (-1, 0, 1)
    )
]


def keys_of(view: ViewPlan, events: Iterable[Event]) -> list[tuple[str, ...]]:
    """Every entity of a view that occurs, and one that does not."""
    found = {key for event in events if (key := key_of(view, event)) is not None}
    return [*sorted(found), tuple("nobody" for _ in view.join_keys)]
