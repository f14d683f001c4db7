"""The batch executor: features as of many ``(entity, moment)`` rows, as set-based SQL for DuckDB.

A window's value is the difference of two running totals, looked up with ASOF joins: the total of everything before
the moment, minus the total of everything before the window begins. Time grows with events plus rows, not with their
product, and totals are whole numbers, so that the difference is exact.
"""

from collections.abc import Sequence

import duckdb

from tastemaker import names
from tastemaker.features.expressions import events_of_view, floor_sql, key_sql
from tastemaker.features.history import newest_first
from tastemaker.features.layout import Slot, layout_of
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US, DECAY_UNIT, MICROS, NEVER, SUM_CAP, decay_weights

__all__ = ["as_of", "default_sql"]

_SQL_TYPES = {"int64": "BIGINT", "float64": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}


def as_of(
    duck: duckdb.DuckDBPyConnection,
    view: ViewPlan,
    frame: str,
    result: str,
    known_at: bool = False,
) -> None:
    """Compute a view's features for every row of a frame.

    Args:
        duck: a connection in which the lake's tables are registered.
        view: the view.
        frame: name of a table with the columns ``key`` (as of :mod:`tastemaker.features.keys`) and ``as_of_us``.
        result: name of the temporary table to make: distinct ``key, as_of_us`` and one column per feature.
        known_at: of a batch view, use only rows whose created time is not after the moment either.
    """
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {result}_rows AS"
        f" SELECT DISTINCT key, as_of_us FROM {frame} WHERE key IS NOT NULL"
    )
    if view.kind == "batch":
        query = _batch(view, result, known_at)
    else:
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {result}_events AS SELECT * FROM ({events_of_view(view)})"
            f" WHERE key IN (SELECT key FROM {result}_rows)"
        )
        query = _history(view, result) if view.kind == "history" else _aggregate(view, result)
    duck.execute(f"CREATE OR REPLACE TEMP TABLE {result} AS {query}")
    duck.execute(f"DROP TABLE {result}_rows")
    duck.execute(f"DROP TABLE IF EXISTS {result}_events")


def default_sql(feature: FeatureSpec) -> str:
    """A feature's default as SQL."""
    value = feature.default_value
    if isinstance(value, list):
        return f"CAST([] AS {'BIGINT' if feature.dtype == 'list[int64]' else 'VARCHAR'}[])"
    if value is None:
        return f"CAST(NULL AS {_SQL_TYPES[feature.dtype]})"
    text = str(value).replace("'", "''")
    return f"CAST('{text}' AS {_SQL_TYPES[feature.dtype]})"


def _fresh(view: ViewPlan, newest: str) -> str:
    """Whether an entity is known at the moment and not past its TTL."""
    alive = f" AND {newest} >= as_of_us - {view.ttl_us}" if view.ttl_us else ""
    return f"({newest} IS NOT NULL AND {newest} <> {NEVER}{alive})"


def _partial(slot: Slot, index: int) -> str:
    only = "FILTER (type IN (" + ", ".join(f"'{event_type}'" for event_type in slot.types) + "))"
    measure = {"count": "count(*)", "sum": "sum(micros)", "last": "max(at_us)"}[slot.op]
    return f"{measure} {only} AS part_{index}"


def _aggregate(view: ViewPlan, result: str) -> str:
    layout = layout_of(view)
    running = ", ".join(
        f"{'max' if slot.op == 'last' else 'sum'}(part_{index}) OVER upto AS total_{index}"
        for index, slot in enumerate(layout.slots)
    )
    # One ASOF join per distinct beginning of a window; begin 0 is the moment itself.
    begins = ["as_of_us"]
    for feature in view.features:
        if (begin := _begin(feature)) not in begins:
            begins.append(begin)
    totals = {
        (number, index): f"coalesce(t{number}.total_{index}, {NEVER if slot.op == 'last' else 0})"
        for number in range(len(begins))
        for index, slot in enumerate(layout.slots)
    }
    bounds = ", ".join(f"{begin} AS begin_{number}" for number, begin in enumerate(begins))
    joins = " ".join(
        f"ASOF LEFT JOIN running AS t{number} ON b.key = t{number}.key AND b.begin_{number} > t{number}.at_us"
        for number in range(len(begins))
    )
    fresh = _fresh(view, totals[0, 0])
    columns, decays = [], []
    for place, (feature, slot) in enumerate(zip(view.features, layout.feature_slots, strict=True)):
        upto, before = totals[0, slot], totals[begins.index(_begin(feature)), slot]
        found = fresh
        if feature.function == "time_since_last":
            found = f"{fresh} AND {upto} <> {NEVER}"
            value = f"CAST(as_of_us - {upto} AS DOUBLE) / {DAY_US}"
        elif feature.function == "decayed_count":
            decays.append(_decayed(result, feature, place))
            weight = decay_weights(feature.half_life_us)[0]
            joins += f" LEFT JOIN decay_{place} AS d{place} ON b.key = d{place}.key AND b.as_of_us = d{place}.moment_us"
            today = f"({upto} - {before}) * {weight}"
            value = f"CAST(CAST(coalesce(d{place}.weight, 0) + {today} AS BIGINT) AS DOUBLE) / {DECAY_UNIT}"
        else:
            total = upto if not feature.window_us else f"({upto} - {before})"
            value = f"CAST({total} AS BIGINT)"
            if feature.function == "sum":
                value = f"CAST(CAST(least({total}, {SUM_CAP}) AS BIGINT) AS DOUBLE) / {MICROS}"
        columns.append(f"CASE WHEN {found} THEN {value} ELSE {default_sql(feature)} END AS {feature.name}")
    parts = ", ".join(_partial(slot, index) for index, slot in enumerate(layout.slots))
    return (
        f"WITH moments AS (SELECT key, at_us, {parts} FROM {result}_events GROUP BY key, at_us),"
        f" running AS (SELECT key, at_us, {running} FROM moments"
        " WINDOW upto AS (PARTITION BY key ORDER BY at_us ROWS UNBOUNDED PRECEDING)),"
        f" bounds AS (SELECT key, as_of_us, {bounds} FROM {result}_rows)"
        + "".join(f", {decay}" for decay in decays)
        + f" SELECT b.key AS key, b.as_of_us AS as_of_us, {', '.join(columns)} FROM bounds AS b {joins}"
    )


def _begin(feature: FeatureSpec) -> str:
    """Where a feature's window begins: what lies before it is subtracted."""
    if feature.function == "decayed_count":
        return floor_sql("as_of_us", DAY_US)  # the days before are weighed one by one
    if feature.window_us:
        return floor_sql(f"(as_of_us - {feature.window_us})", feature.slide_us)
    return "as_of_us"


def _decayed(result: str, feature: FeatureSpec, place: int) -> str:
    """The weighed counts of the days before the moment's day."""
    weights = decay_weights(feature.half_life_us)
    types = ", ".join(f"'{event_type}'" for event_type in feature.types)
    day, today = (f"({floor_sql(column, DAY_US)} // {DAY_US})" for column in ("at_us", "as_of_us"))
    return (
        f"days_{place} AS (SELECT key, {day} AS day, count(*) AS events FROM {result}_events"
        f" WHERE type IN ({types}) GROUP BY ALL),"
        f" weights_{place} AS (SELECT unnest(range({len(weights)})) AS age, unnest({list(weights)}) AS weight),"
        f" decay_{place} AS (SELECT r.key, r.as_of_us AS moment_us, sum(n.events * w.weight) AS weight"
        f" FROM (SELECT *, {today} AS today FROM {result}_rows) AS r"
        f" JOIN days_{place} AS n ON r.key = n.key AND n.day < r.today"
        f" JOIN weights_{place} AS w ON w.age = r.today - n.day GROUP BY r.key, r.as_of_us)"
    )


def _history(view: ViewPlan, result: str) -> str:
    value = {names.ITEM_ID: "e.item_id", names.TYPE: "e.type", names.OCCURRED_AT: "e.at_us"}
    lists = ", ".join(
        f"list({value[feature.column]} ORDER BY e.place DESC) AS list_{place}"
        for place, feature in enumerate(view.features)
    )
    columns = ", ".join(
        f"CASE WHEN {_fresh(view, 'l.newest_us')} THEN list_{place} ELSE {default_sql(feature)} END AS {feature.name}"
        for place, feature in enumerate(view.features)
    )
    return (
        "WITH placed AS (SELECT *, row_number() OVER (PARTITION BY key ORDER BY at_us, event_id) AS place"
        f" FROM {result}_events),"
        " moments AS (SELECT key, at_us, max(place) AS upto FROM placed GROUP BY key, at_us),"
        f" found AS (SELECT r.key, r.as_of_us, m.upto, m.at_us AS newest_us FROM {result}_rows AS r"
        " ASOF JOIN moments AS m ON r.key = m.key AND r.as_of_us > m.at_us),"
        " wanted AS (SELECT key, as_of_us, newest_us,"
        f" unnest(range(greatest(upto - {newest_first(view)}, 0) + 1, upto + 1)) AS place FROM found),"
        f" lists AS (SELECT w.key, w.as_of_us AS moment_us, w.newest_us, {lists} FROM wanted AS w"
        " JOIN placed AS e ON w.key = e.key AND w.place = e.place GROUP BY w.key, w.as_of_us, w.newest_us)"
        f" SELECT r.key AS key, r.as_of_us AS as_of_us, {columns} FROM {result}_rows AS r"
        " LEFT JOIN lists AS l ON r.key = l.key AND r.as_of_us = l.moment_us"
    )


def _batch(view: ViewPlan, result: str, known_at: bool) -> str:
    """The newest row of the table that is not after the moment (and was known by then)."""
    time = f"epoch_us({view.timestamp_field})"
    created = f"epoch_us({view.created_field})" if view.created_field else time
    known = f"greatest({time}, {created})" if known_at else time
    values = ", ".join(f"{feature.column} AS value_{place}" for place, feature in enumerate(view.features))
    newest = _newest_first(("value_at_us", "created_us", "position"), range(len(view.features)))
    columns = ", ".join(
        f"CASE WHEN {_fresh(view, 't.newest.value_at_us')}"
        f" THEN coalesce(t.newest.value_{place}, {default_sql(feature)})"
        f" ELSE {default_sql(feature)} END AS {feature.name}"
        for place, feature in enumerate(view.features)
    )
    return (
        f"WITH versions AS (SELECT {key_sql(view.join_keys)} AS key, {time} AS value_at_us, {created} AS created_us,"
        f" {known} AS known_us, {names.OFFSET} AS position, {values} FROM {view.table}),"
        f" running AS (SELECT key, known_us, {newest} AS newest FROM versions WINDOW upto AS"
        " (PARTITION BY key ORDER BY known_us RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)),"
        " states AS (SELECT key, known_us, any_value(newest) AS newest FROM running GROUP BY key, known_us)"
        f" SELECT r.key AS key, r.as_of_us AS as_of_us, {columns} FROM {result}_rows AS r"
        " ASOF LEFT JOIN states AS t ON r.key = t.key AND r.as_of_us >= t.known_us"
    )


def _newest_first(order: Sequence[str], places: range) -> str:
    """The whole row that is newest so far: structs compare field by field, and the ordering fields come first."""
    fields = [*(f"{name} := {name}" for name in order), *(f"value_{place} := value_{place}" for place in places)]
    return f"max(struct_pack({', '.join(fields)})) OVER upto"
