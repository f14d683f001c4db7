"""A simulated shop for the training-set benchmark: events in a lake, rows to ask for, and the declared features.

Simulated, because no public data set of this size may be shipped: ids, times and amounts come from a hash of the row
number, items are drawn with a skew (the most popular 1 % take a tenth of the events), and a year is spanned.
"""

from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from tastemaker import names
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US
from tastemaker.features.sql.lake_queries import AS_OF, ROW, AskedView, TrainingQuery
from tastemaker.lake.tables import SCHEMAS, Lake

__all__ = ["QUERY", "simulate"]

_HOUR_US: Final = DAY_US // 24
_BEGIN_US: Final = 19_700 * DAY_US
_CHUNK: Final = 2_000_000
_BUY, _LOOK, _CART = ("purchase",), ("view",), ("cart_add",)
_KINDS: Final = ("view", "view", "view", "view", "view", "view", "cart_add", "purchase", "impression", "wishlist")


def simulate(root: Path, events: int, rows: int) -> None:
    """Write a lake, and the rows to ask for as ``frame.parquet`` beside it.

    Args:
        root: directory.
        events: how many; one user per 50, one item per 500.
        rows: how many; each a user and an item of some event, in the last 165 days.
    """
    lake = Lake(root / "lake")
    lake.create()
    users, items, kinds = max(events // 50, 1), max(events // 500, 1), ", ".join(f"'{kind}'" for kind in _KINDS)
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as duck:
        for chunk, begin in enumerate(range(0, events, _CHUNK)):
            made = duck.sql(
                f"SELECT 'e' || i AS event_id, [{kinds}][1 + h % {len(_KINDS)}] AS type,"
                f" 'u' || (h // 16 % {users}) AS user_id, 's' || (h // 16 % {users * 5}) AS session_id,"
                f" 'i' || CAST(floor({items} * pow(hash(i + 1) % 1000000 / 1e6, 2)) AS INTEGER) AS item_id,"
                f" make_timestamptz(CAST({_BEGIN_US} + hash(i + 2) % {365 * DAY_US} AS BIGINT)) AS occurred_at,"
                " CAST(hash(i + 3) % 10000 AS DOUBLE) / 100 AS value, 'c' || (hash(i + 1) % 37) AS category,"
                " CAST(hash(i + 4) % 10000 AS DOUBLE) / 100 AS price FROM (SELECT i, CAST(hash(i) >> 1 AS BIGINT) AS h"
                f" FROM range({begin}, {min(begin + _CHUNK, events)}) AS t(i))"
            ).to_arrow_table()
            lake.append(names.TABLE_EVENTS, _imported(made, names.TABLE_EVENTS), {"simulated": chunk})
        catalogue = duck.sql(
            f"SELECT 'i' || i AS item_id, 'item ' || i AS title, CAST(i % 100 AS DOUBLE) AS price, true AS available,"
            f" make_timestamptz({_BEGIN_US}) AS created_at, make_timestamptz({_BEGIN_US}) AS updated_at"
            f" FROM range({items}) AS t(i)"
        ).to_arrow_table()
        lake.append(names.TABLE_ITEMS, _imported(catalogue, names.TABLE_ITEMS), {"simulated": 0})
    with lake.connect(memory_limit="2GB", threads=2) as duck:
        duck.execute(
            f"COPY (SELECT row_number() OVER () - 1 AS {ROW}, user_id, item_id,"
            f" CAST({_BEGIN_US + 200 * DAY_US} + hash(event_id) % {165 * DAY_US} AS BIGINT) AS {AS_OF} FROM"
            f" (SELECT user_id, item_id, event_id FROM {names.TABLE_EVENTS} ORDER BY hash(event_id) LIMIT {rows}))"
            f" TO '{root / 'frame.parquet'}'"
        )


def _imported(rows: pa.Table, table: str) -> pa.Table:
    """Rows with all columns of a lake table, as an import writes them."""
    schema = SCHEMAS[table]
    fixed: dict[str, Any] = {names.PARTITION: -1, names.OFFSET: -1, names.SCHEMA_VERSION: 1}
    fixed |= {names.CONTEXT: "{}", names.EXTRA: "{}", names.DELETED: False, names.ATTRIBUTES: "{}"}
    columns = []
    for field in schema:
        source = names.OCCURRED_AT if field.name == names.INGESTED_AT else field.name
        if source in rows.column_names:
            columns.append(rows.column(source).cast(field.type))
        else:
            columns.append(pa.repeat(pa.scalar(fixed.get(field.name), field.type), len(rows)))
    return pa.Table.from_arrays(columns, schema=schema)


def _windowed(name: str, function: str, types: tuple[str, ...], column: str, days: int = 0, **more: Any) -> FeatureSpec:
    whole = function in {"count", "approx_distinct"}
    default = 0 if whole or function in {"sum", "decayed_count"} else None
    return FeatureSpec(
        name=name,
        dtype="int64" if whole else "float64",
        function=function,
        column=column,
        types=types,
        window_us=days * DAY_US,
        slide_us=(_HOUR_US if days == 1 else DAY_US) if days else 0,
        default=default,
        **more,
    )


def _view(name: str, keys: tuple[str, ...], features: tuple[FeatureSpec, ...]) -> AskedView:
    plan = ViewPlan(
        name=name,
        kind="aggregate",
        entities=tuple(key.removesuffix("_id") for key in keys),
        join_keys=keys,
        features=features,
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
    )
    return AskedView(plan, keys, name)


_USER: Final = (
    *(_windowed(f"u_buys_{days}d", "count", _BUY, "event_id", days) for days in (7, 28, 90)),
    _windowed("u_buys", "count", _BUY, "event_id"),
    *(_windowed(f"u_looks_{days}d", "count", _LOOK, "event_id", days) for days in (7, 28)),
    _windowed("u_carts_7d", "count", _CART, "event_id", 7),
    *(_windowed(f"u_spend_{days}d", "sum", _BUY, "value", days) for days in (28, 90)),
    _windowed("u_spend", "sum", _BUY, "value"),
    _windowed("u_basket_90d", "mean", _BUY, "value", 90),
    _windowed("u_spread_90d", "stddev", _BUY, "value", 90),
    _windowed("u_dearest_90d", "max", _BUY, "price", 90),
    _windowed("u_days_since_buy", "time_since_last", _BUY, "occurred_at"),
    _windowed("u_items_28d", "approx_distinct", _LOOK, "item_id", 28, n=1024),
    _windowed("u_decayed_buys", "decayed_count", _BUY, "event_id", half_life_us=60 * DAY_US),
)
_ITEM: Final = (
    *(_windowed(f"i_looks_{days}d", "count", _LOOK, "event_id", days) for days in (1, 7, 28)),
    _windowed("i_carts_7d", "count", _CART, "event_id", 7),
    *(_windowed(f"i_buys_{days}d", "count", _BUY, "event_id", days) for days in (1, 7, 28)),
    _windowed("i_buys", "count", _BUY, "event_id"),
    _windowed("i_revenue_28d", "sum", _BUY, "value", 28),
    _windowed("i_price_28d", "mean", _BUY, "price", 28),
    _windowed("i_cheapest_90d", "min", _BUY, "price", 90),
    _windowed("i_buyers_28d", "approx_distinct", _BUY, "user_id", 28, n=1024),
    _windowed("i_conversion_7d", "ratio", _BUY, "", operands=("i_buys_7d", "i_looks_7d")),
    _windowed("i_days_since_buy", "time_since_last", _BUY, "occurred_at"),
    _windowed("i_days_since_first", "time_since_first", _LOOK, "occurred_at"),
    _windowed("i_decayed_buys", "decayed_count", _BUY, "event_id", half_life_us=30 * DAY_US),
)
_USER_ITEM: Final = (
    _windowed("ui_buys", "count", _BUY, "event_id"),
    _windowed("ui_looks_28d", "count", _LOOK, "event_id", 28),
    _windowed("ui_spend", "sum", _BUY, "value"),
    _windowed("ui_days_since_look", "time_since_last", _LOOK, "occurred_at"),
    _windowed("ui_days_since_buy", "time_since_last", _BUY, "occurred_at"),
    _windowed("ui_rhythm", "mean_interval", _BUY, "occurred_at"),
)
_PROFILE: Final = AskedView(
    ViewPlan(
        name="profile",
        kind="batch",
        entities=("item",),
        join_keys=("item_id",),
        features=(
            FeatureSpec(name="price", dtype="float64", column="price", default=0),
            FeatureSpec(name="available", dtype="bool", column="available", default=0),
        ),
        table=names.TABLE_ITEMS,
        timestamp_field=names.UPDATED_AT,
    ),
    ("item_id",),
    "profile",
)
_VIEWS: Final = (
    _view("user", ("user_id",), _USER),
    _view("item", ("item_id",), _ITEM),
    _view("user_item", ("user_id", "item_id"), _USER_ITEM),
    _PROFILE,
)
QUERY: Final = TrainingQuery(
    views=_VIEWS,
    references=tuple(f"{view.alias}:{feature.name}" for view in _VIEWS for feature in view.plan.features),
)
"""40 features of a shopper, an item, both together, and the catalogue."""
