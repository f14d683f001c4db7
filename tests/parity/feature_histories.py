"""Event histories to compare the executors on, and views that use every function of the grammar."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from feature_reference import Arrival, key_of, reference, same, time_of
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.events.contract import RETRACTION, Event
from tastemaker.features.declarations.grammar import FUNCTIONS
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US
from tastemaker.lake.tables import SCHEMAS, Lake

__all__ = [
    "ANY",
    "BUY",
    "DAY_US",
    "EDGES",
    "HISTORIES",
    "HOUR_US",
    "LATENESS_US",
    "LOOK",
    "NOW_US",
    "PLAN",
    "VIEWS",
    "aggregate",
    "empty_lake",
    "events_of",
    "examples",
    "first_occurrences",
    "history",
    "keys_of",
    "lake_of",
    "reference",
    "same",
    "spec",
    "table_of",
]

HOUR_US = DAY_US // 24
# Noon of day 18,000 since the epoch: reads happen up to FUTURE_TOLERANCE before the newest event and any time later.
NOW_US = 18_000 * DAY_US + DAY_US // 2
LATENESS_US = 2 * HOUR_US
BUY, LOOK, ANY = ("purchase",), ("cart_add", "view"), ("cart_add", "purchase", "view")
_COLUMNS = {"sum": "value", "mean": "value", "stddev": "value", "min": "price", "max": "price", "decayed_sum": "value"}
_TIMES = {"time_since_last", "time_since_first", "mean_interval"}
_WITHOUT_DEFAULT = {"mean", "stddev", "min", "max", "ratio", *_TIMES}
_LISTED = {"occurred_at": "int64", "value": "float64", "price": "float64"}


def spec(name: str, function: str, types: tuple[str, ...] = BUY, **more: Any) -> FeatureSpec:
    """A feature as the declarations compile it."""
    dtype = FUNCTIONS[function].dtype
    column = more.get("column", "occurred_at" if function in _TIMES else _COLUMNS.get(function, "event_id"))
    if dtype in {"column", "list"}:
        of = _LISTED.get(column, "string")
        dtype = of if dtype == "column" else f"list[{of}]"
    plain = {"int64": 0, "string": ""}.get(dtype)
    default = 0 if dtype == "float64" and function not in _WITHOUT_DEFAULT and function != "last" else plain
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
    spec("priced", "count", ANY, column="price"),
    spec("spend_1d", "sum", window_us=DAY_US, slide_us=HOUR_US),
    spec("spend", "sum"),
    spec("basket", "mean"),
    spec("basket_3d", "mean", window_us=3 * DAY_US, slide_us=DAY_US, default=-1),
    spec("spread", "stddev", ANY),
    spec("spread_2h", "stddev", window_us=2 * HOUR_US, slide_us=HOUR_US),
    spec("cheapest", "min", ANY),
    spec("dearest_3d", "max", ANY, window_us=3 * DAY_US, slide_us=DAY_US),
    spec("events", "count", ANY, default=-1),
    spec("days_since_buy", "time_since_last"),
    spec("days_since_look", "time_since_last", LOOK, default=999.0),
    spec("days_known", "time_since_first", ANY),
    spec("rhythm", "mean_interval"),
    spec("decayed_buys", "decayed_count", half_life_us=2 * DAY_US),
    spec("decayed_spend", "decayed_sum", half_life_us=3 * DAY_US),
    spec("items_1d", "approx_distinct", ANY, column="item_id", n=16, window_us=DAY_US, slide_us=HOUR_US),
    spec("items", "approx_distinct", ANY, column="item_id", n=1024),
    spec("hours", "top_k", ANY, column="hour", n=3),
    spec("categories_3d", "top_k", ANY, column="category", n=2, by="value", window_us=3 * DAY_US, slide_us=DAY_US),
    spec("conversion", "ratio", ANY, column="", operands=("buys_3d", "looks_3d")),
    spec("spend_per_item", "ratio", ANY, column="", operands=("spend", "items"), default=-2),
)


def _view(name: str, kind: Any, entities: tuple[str, ...], features: tuple[FeatureSpec, ...], **more: Any) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind=kind,
        entities=entities,
        join_keys=tuple(entity if entity == "category" else f"{entity}_id" for entity in entities),
        features=features,
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
        **more,
    )


def aggregate(name: str, *entities: str, features: tuple[FeatureSpec, ...] = FEATURES, **more: Any) -> ViewPlan:
    """A view with windows."""
    return _view(name, "aggregate", entities, features, **more)


def history(name: str, entity: str, n: int, **more: Any) -> ViewPlan:
    """A view with lists of all columns."""
    columns = FUNCTIONS["last_n"].columns
    features = [spec(f"{column}s", "last_n", ANY, column=column, n=n) for column in columns]
    features += [spec(f"last_{column}", "last", ANY, column=column, n=1) for column in columns]
    return _view(name, "history", (entity,), tuple(features), **more)


PLAN = FeaturePlan(
    views=(
        aggregate("by_item", "item", lateness_us=LATENESS_US),
        aggregate("by_user", "user", ttl_us=2 * DAY_US),
        aggregate("by_user_category", "user", "category"),
        history("session_list", "session", 2, ttl_us=DAY_US, lateness_us=LATENESS_US),
        history("user_list", "user", 3),
    )
)


def examples(number: int) -> settings:
    """Settings of a test that looks at so many examples, and at 25 times as many with the thorough profile."""
    return settings(
        max_examples=number * (25 if settings.get_current_profile_name() == "thorough" else 1),
        deadline=None,
        phases=set(Phase) - {Phase.explain},  # explaining takes longer than finding the example
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def events_of(arrivals: Iterable[Arrival]) -> list[Event]:
    """The events without their arrival."""
    return [arrival.event for arrival in arrivals]


def keys_of(view: ViewPlan, arrivals: Iterable[Arrival | Event]) -> list[tuple[str, ...]]:
    """Every entity of a view that occurs, and one that does not."""
    events = [arrival if isinstance(arrival, Event) else arrival.event for arrival in arrivals]
    found = {key for event in events if (key := key_of(view, event)) is not None}
    return [*sorted(found), tuple("nobody" for _ in view.join_keys)]


def _arrival(
    *,
    number: int,
    ago_us: int,
    kind: str,
    user: str | None,
    item: str | None,
    category: str | None,
    amounts: tuple[float | None, float | None],
    corrects: int | None,
    lag_us: int | None,
) -> Arrival:
    occurred_us = NOW_US - ago_us
    event = Event(
        event_id=f"e{number}",
        type=RETRACTION if corrects is not None and number % 2 else kind,  # type: ignore[arg-type]
        occurred_at=from_us(NOW_US) - timedelta(microseconds=ago_us),
        user_id=user,
        session_id=None if number % 3 == 0 and user else "s1",
        item_id=item,
        category=category,
        value=amounts[0],
        price=amounts[1],
        corrects=None if corrects is None or corrects == number else f"e{corrects}",
    )
    return Arrival(event, None if lag_us is None else occurred_us + lag_us)


# Ages that meet every edge: ties, tile borders, the head (10 s), the future (5 s), windows, TTLs, dropped tiles.
AGES_US = st.one_of(
    st.sampled_from([-5_000_000, -1, 0, 1, 5_000_000, 10_000_000, 10_000_001, HOUR_US, DAY_US, 3 * DAY_US]),
    st.integers(-5_000_000, 60_000_000),
    st.integers(0, 6 * DAY_US),
    st.integers(0, 60).map(lambda hours: hours * HOUR_US + HOUR_US // 2),
    st.integers(0, 400 * DAY_US),
)
AMOUNTS = st.one_of(st.none(), st.floats(0, 1e4), st.sampled_from([0.0, 0.0000005, 0.1, 1e6, 1e12]))
ARRIVALS = st.builds(
    _arrival,
    number=st.integers(0, 40),  # repeated numbers are duplicates, with other content
    ago_us=AGES_US,
    kind=st.sampled_from([*ANY, "wishlist", "search"]),
    user=st.sampled_from(["u1", "u2", None]),
    item=st.sampled_from(["i1", "i2", "i\x1f\x00\x1b3", "'; --", "é\U0001f600", None]),
    category=st.sampled_from(["a", "a/b", "", "ÿ", "\U0001f600", None]),
    amounts=st.tuples(AMOUNTS, AMOUNTS),
    corrects=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 40)),
    lag_us=st.one_of(st.none(), st.sampled_from([0, 1, LATENESS_US, LATENESS_US + 1]), st.integers(0, 3 * LATENESS_US)),
)
HISTORIES = st.lists(ARRIVALS, max_size=30)
# One entity with events on both sides of every border: of the head, of tiles, of windows and TTLs, and of the present.
EDGES = [
    _arrival(
        number=number,
        ago_us=ago_us,
        kind="purchase",
        user="u1",
        item="i1",
        category="a",
        amounts=(1.1 + number, number / 7),
        corrects=None,
        lag_us=None,
    )
    for number, ago_us in enumerate(
        edge + offset
        for edge in (-4_999_999, 0, 5_000_000, HOUR_US, 2 * HOUR_US, DAY_US, 2 * DAY_US, 3 * DAY_US, 90 * DAY_US)
        for offset in (-1, 0, 1)
    )
]


@st.composite
def _features(draw: st.DrawFn) -> tuple[FeatureSpec, ...]:
    """Features of an aggregate view: any function over any of its columns, with any window."""
    made: list[FeatureSpec] = []
    functions = sorted(FUNCTIONS.keys() - {"last", "last_n", "ratio"})
    for number, function in enumerate(draw(st.lists(st.sampled_from(functions), min_size=1, max_size=12))):
        more: dict[str, Any] = {"column": draw(st.sampled_from(FUNCTIONS[function].columns))}
        if FUNCTIONS[function].windowed and draw(st.booleans()):
            slide = draw(st.sampled_from([60_000_000, HOUR_US, 7 * HOUR_US, DAY_US]))
            more |= {"slide_us": slide, "window_us": slide + draw(st.sampled_from([1_000_000, slide, 5 * DAY_US]))}
        if function.startswith("decayed_"):
            more["half_life_us"] = draw(st.sampled_from([HOUR_US, DAY_US, 30 * DAY_US]))
        if function == "approx_distinct":
            more["n"] = draw(st.sampled_from([16, 17, 100]))
        if function == "top_k":
            more |= {"n": draw(st.integers(1, 4)), "by": draw(st.sampled_from(["", "value"]))}
        if function != "top_k":
            more["default"] = draw(st.sampled_from([None, 0, -1] if function not in {"count", "approx_distinct"} else [0, -1]))  # fmt: skip # noqa: E501
        types = tuple(sorted(draw(st.sets(st.sampled_from([*ANY, "wishlist"]), min_size=1))))
        made.append(spec(f"f{number}", function, types, **more))
    divided = [feature.name for feature in made if feature.function in {"count", "sum", "approx_distinct"}]
    if divided:
        operands = (draw(st.sampled_from(divided)), draw(st.sampled_from(divided)))
        made.insert(0, spec("ratio", "ratio", ANY, column="", operands=operands))
    return tuple(made)


# Views with features of every kind, over one entity or several.
VIEWS = st.builds(
    lambda features, entities, ttl, lateness: aggregate(
        "drawn", *entities, features=features, ttl_us=ttl, lateness_us=lateness
    ),
    features=_features(),
    entities=st.sampled_from([("item",), ("user",), ("user", "item"), ("session", "category")]),
    ttl=st.sampled_from([0, 0, HOUR_US, 30 * DAY_US]),
    lateness=st.sampled_from([0, 0, LATENESS_US]),
)


def first_occurrences(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """What the worker appends to the lake: each event id once."""
    first: dict[str, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.event.event_id, arrival)
    return list(first.values())


def table_of(records: Iterable[Any]) -> pa.Table:
    """Rows of the lake's events table, as the worker writes them.

    Args:
        records: :class:`Arrival`, or anything with ``event``, ``partition``, ``offset`` and perhaps ``ingested_us``.
    """
    rows = []
    for place, record in enumerate(records):
        event = record.event
        ingested_us = getattr(record, "ingested_us", None)
        columns = ("event_id", "type", "user_id", "session_id", "item_id", "occurred_at", "value", "category", "price")
        rows.append(
            {
                **{name: getattr(event, name) for name in (*columns, "corrects")},
                "context": "{}",
                "schema_version": 1,
                "extra": "{}",
                "ingested_at": time_of(event) if ingested_us is None else ingested_us,
                "kafka_partition": getattr(record, "partition", 0),
                "kafka_offset": getattr(record, "offset", place),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMAS[names.TABLE_EVENTS])


@cache
def _template() -> tempfile.TemporaryDirectory[str]:
    directory = tempfile.TemporaryDirectory()
    Lake(Path(directory.name)).create()
    return directory


def empty_lake(path: Path) -> Lake:
    """A lake without rows: a copy of one, because making tables takes longer than a test's example."""
    shutil.copytree(_template().name, path, dirs_exist_ok=True)
    return Lake(path)


def lake_of(path: Path, records: Sequence[Any]) -> Lake:
    """A lake that holds these first occurrences and nothing else, committed as by the worker."""
    lake = empty_lake(path)
    if records:
        last: dict[str, int] = {}
        for place, record in enumerate(records):
            last[f"worker:{names.TOPIC_EVENTS}:{getattr(record, 'partition', 0)}"] = getattr(record, "offset", place)
        lake.append(names.TABLE_EVENTS, table_of(records), last)
    return lake
