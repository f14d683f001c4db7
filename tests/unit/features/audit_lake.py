"""A lake of few events whose feature values can be counted by hand, and lists that say what they read."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from tastemaker import names
from tastemaker.features.plan import FeaturePlan, FeatureSpec, OnDemandPlan, ServiceSpec, ViewPlan
from tastemaker.lake.tables import SCHEMAS, Lake

__all__ = ["NOW", "PLAN", "append", "event", "lake_with", "price", "served"]

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY_US = 86_400_000_000
_EVENTS = {"table": names.TABLE_EVENTS, "timestamp_field": names.OCCURRED_AT, "lateness_us": 30 * DAY_US}
_OF_PURCHASES: dict[str, Any] = {"types": ("purchase",), "default": 0.0}
_WEEK = _OF_PURCHASES | {"window_us": 7 * DAY_US, "slide_us": DAY_US}


def _count(name: str, **more: Any) -> FeatureSpec:
    return FeatureSpec(name=name, dtype="int64", function="count", column=names.EVENT_ID, **more)


BY_USER = ViewPlan(
    name="by_user",
    kind="aggregate",
    entities=("user",),
    join_keys=(names.USER_ID,),
    features=(
        _count("bought_7d", description="Bought in a week.", **_WEEK),
        FeatureSpec(name="spent_7d", dtype="float64", function="sum", column=names.VALUE, **_WEEK),
        FeatureSpec(
            name="spent_each_7d",
            dtype="float64",
            function="ratio",
            column="",
            operands=("spent_7d", "bought_7d"),
            types=("purchase",),
            default=0.0,
        ),
        FeatureSpec(
            name="days_since", dtype="float64", function="time_since_last", column=names.OCCURRED_AT, **_OF_PURCHASES
        ),
    ),
    **_EVENTS,
)
BY_PAIR = ViewPlan(
    name="by_pair",
    kind="aggregate",
    entities=("user", "item"),
    join_keys=(names.USER_ID, names.ITEM_ID),
    features=(_count("pair_bought", **_OF_PURCHASES),),
    **_EVENTS,
)
OF_VISIT = ViewPlan(
    name="of_visit",
    kind="aggregate",
    entities=("session",),
    join_keys=(names.SESSION_ID,),
    features=(_count("visit_bought", **_OF_PURCHASES),),
    ttl_us=DAY_US,
    **_EVENTS,
)
LISTED = ViewPlan(
    name="listed",
    kind="history",
    entities=("user",),
    join_keys=(names.USER_ID,),
    features=(
        FeatureSpec(
            name="newest_items", dtype="list[string]", function="last_n", column=names.ITEM_ID, n=2, types=("purchase",)
        ),
    ),
    **_EVENTS,
)
PROFILE = ViewPlan(
    name="profile",
    kind="batch",
    entities=("item",),
    join_keys=(names.ITEM_ID,),
    features=(FeatureSpec(name="price", dtype="float64", column=names.PRICE, default=0.0),),
    table=names.TABLE_ITEMS,
    timestamp_field=names.UPDATED_AT,
)
PLAN = FeaturePlan(
    views=(BY_PAIR, BY_USER, LISTED, OF_VISIT, PROFILE),
    services=(
        ServiceSpec(
            name=names.SERVICE_RANKING,
            features=(
                ("by_user", "bought_7d"),
                ("by_user", "spent_7d"),
                ("by_pair", "pair_bought"),
                ("profile", "price"),
            ),
        ),
    ),
    on_demand=(
        OnDemandPlan(
            name="derived",
            features=(FeatureSpec(name="unused", dtype="float64", column="", default=0.0),),
            inputs=(("by_user", "bought_7d"),),
            request=(("requested_us", "int64"),),
            udf="",
        ),
    ),
)


def event(event_id: str, ago: timedelta, value: float | None = 1.0, **more: Any) -> dict[str, Any]:
    """A purchase of i1 by u1, so long before NOW; it came in a second later, or when ``came`` says, before NOW."""
    came = more.pop("came", ago - timedelta(seconds=1))
    return {
        names.EVENT_ID: event_id,
        names.TYPE: "purchase",
        names.USER_ID: "u1",
        names.ITEM_ID: "i1",
        names.OCCURRED_AT: NOW - ago,
        names.INGESTED_AT: NOW - came,
        names.VALUE: value,
        names.PARTITION: -1,
        names.OFFSET: -1,
    } | more


def price(item: str, ago: timedelta, amount: float) -> dict[str, Any]:
    """A version of an item."""
    when = {names.CREATED_AT: NOW - timedelta(days=90), names.UPDATED_AT: NOW - ago}
    return {names.ITEM_ID: item, names.TITLE: item, names.PRICE: amount, names.DELETED: False} | when


def served(request_id: str, values: Mapping[str, Mapping[str, float]], **more: Any) -> dict[str, Any]:
    """A list that says what it read for each item, by feature, at NOW for u1 unless told otherwise."""
    ordered = list(next(iter(values.values()), {}))
    at, release, user = more.get("at", NOW), more.get("release", "r1"), more.get("user", "u1")
    whole = {
        "request_id": request_id,
        "served_at": at.isoformat(),
        "release": release,
        "request": {"surface": "home", "user": user},
        "features": {item: [own[name] for name in ordered] for item, own in values.items()},
        "feature_names": ordered,
        "histories": more.get("histories", {}),
        "latency_us": 900,
    }
    fields = {names.REQUEST_ID: request_id, names.SERVED_AT: at, "release": release, "tier": more.get("tier", "full")}
    return fields | {"served_list": json.dumps(whole)}


def append(lake: Lake, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One more commit."""
    version = lake.versions(table, ["test"]).get("test", 0) + 1
    lake.append(table, pa.Table.from_pylist(list(rows), SCHEMAS[table]), {"test": version})


def lake_with(
    path: Path,
    events: Sequence[Mapping[str, Any]] = (),
    items: Sequence[Mapping[str, Any]] = (),
    lists: Sequence[Mapping[str, Any]] = (),
) -> Lake:
    """A lake of these rows."""
    lake = Lake(path)
    lake.create()
    for table, rows in (
        (names.TABLE_EVENTS, events),
        (names.TABLE_ITEMS, items),
        (names.TABLE_SERVED_LISTS, lists),
    ):
        append(lake, table, rows)
    return lake
