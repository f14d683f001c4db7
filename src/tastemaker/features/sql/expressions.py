"""SQL expressions that state, for DuckDB, what :mod:`tastemaker.features.semantics` and the layout say."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import duckdb

from tastemaker import names
from tastemaker.events.contract import RETRACTION
from tastemaker.features.keys import split_key
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US, MICROS, SUM_CAP

__all__ = [
    "bucket_sql",
    "default_sql",
    "double_sql",
    "event_column",
    "events_of_view",
    "floor_sql",
    "has_corrections",
    "key_sql",
    "keys_sql",
    "label_number_sql",
    "literals",
    "micros_sql",
    "parts_sql",
    "sql_type",
    "squares_sql",
    "uncorrected_sql",
    "upto_sql",
]

_SQL_TYPES = {
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "VARCHAR",
    "list[string]": "VARCHAR[]",
    "list[int64]": "BIGINT[]",
    "list[float64]": "DOUBLE[]",
}


def literals(values: Iterable[str]) -> str:
    """A list of SQL string literals."""
    # A NUL ends a statement's text.
    return ", ".join("'" + value.replace("'", "''").replace("\0", "' || chr(0) || '") + "'" for value in values)


def sql_type(feature: FeatureSpec) -> str:
    """DuckDB's type of a feature."""
    return _SQL_TYPES[feature.dtype]


def default_sql(feature: FeatureSpec) -> str:
    """A feature's default as SQL."""
    value, kind = feature.default_value, sql_type(feature)
    if isinstance(value, list):
        return f"CAST([] AS {kind})"
    return f"CAST(NULL AS {kind})" if value is None else f"CAST({literals([str(value)])} AS {kind})"


def key_sql(columns: Iterable[str]) -> str:
    """The key of some id columns, as :func:`tastemaker.features.keys.join_key` joins them."""
    parts = (
        f"replace(replace(replace({column}, chr(27), chr(27) || '0'), chr(31), chr(27) || '1'), chr(0), chr(27) || '2')"
        for column in columns
    )
    return " || chr(31) || ".join(parts)


def parts_sql(key: str, parts: int) -> list[str]:
    """The ids of a key, as :func:`tastemaker.features.keys.split_key` gives them."""

    def unescaped(part: str) -> str:
        for code, character in (("2", 0), ("1", 31), ("0", 27)):
            part = f"replace({part}, chr(27) || '{code}', chr({character}))"
        return part

    return [unescaped(f"string_split({key}, chr(31))[{place + 1}]") for place in range(parts)]


def label_number_sql(label: str) -> str:
    """The number of a text, as :func:`tastemaker.features.layout.label_number` counts."""
    return f"CAST(CAST('0x' || substr(md5({label}), 1, 16) AS UBIGINT) >> 2 AS BIGINT)"


def bucket_sql(key: str, buckets: int) -> str:
    """The bucket of a key, as :func:`tastemaker.features.keys.bucket_of` says."""
    return f"{label_number_sql(key)} % {buckets}"


def floor_sql(value: str, step_us: int) -> str:
    """Rounded down to a multiple of the step, also before 1970, where ``%`` has the sign of the value."""
    return f"({value} - ((({value}) % {step_us} + {step_us}) % {step_us}))"


def micros_sql(column: str = names.VALUE) -> str:
    """An amount in micro-units, half to even."""
    return f"CAST(round_even({column} * {MICROS}, 0) AS BIGINT)"


def squares_sql(column: str) -> str:
    """The square of an amount in micro-units, half to even and capped."""
    square = f"{column} * {column} * {MICROS}"
    capped = f"CASE WHEN {square} > {SUM_CAP} THEN CAST({SUM_CAP} AS DOUBLE) ELSE {square} END"  # least() skips nulls
    return f"CAST(round_even({capped}, 0) AS BIGINT)"


def double_sql(whole: str) -> str:
    """The double nearest to a whole number, whose type may be wider than 64 bits although the number is not."""
    return f"CAST(CAST({whole} AS BIGINT) AS DOUBLE)"


def upto_sql(upto: Mapping[int, int] | None) -> str:
    """Whether a row is imported, or within the offsets; partitions that are not named have none within."""
    if upto is None:
        return "true"
    within = "".join(
        f" OR ({names.PARTITION} = {partition} AND {names.OFFSET} <= {offset})" for partition, offset in upto.items()
    )
    return f"({names.PARTITION} < 0{within})"


def uncorrected_sql(upto: Mapping[int, int] | None = None) -> str:
    """Whether no event corrects a row of the events table; ``upto`` limits by offset which corrections are known."""
    return (
        f"{names.EVENT_ID} NOT IN (SELECT {names.CORRECTS} FROM {names.TABLE_EVENTS}"
        f" WHERE {names.CORRECTS} IS NOT NULL AND {upto_sql(upto)})"
    )


def has_corrections(duck: duckdb.DuckDBPyConnection) -> bool:
    """Whether any event in the lake corrects another one; where none does, queries need not look for them."""
    found = duck.execute(f"SELECT 1 FROM {names.TABLE_EVENTS} WHERE {names.CORRECTS} IS NOT NULL LIMIT 1")
    return bool(found.fetchall())


def event_column(view: ViewPlan, column: str) -> str:
    """A column of an event, as features name it, as an expression over the events table."""
    if column == names.OCCURRED_AT:
        return f"epoch_us({view.timestamp_field})"
    if column == "hour":
        of_day = f"{floor_sql(f'epoch_us({view.timestamp_field})', DAY_US // 24)} % {DAY_US} + {DAY_US}"
        return f"lpad(CAST(({of_day}) % {DAY_US} // {DAY_US // 24} AS VARCHAR), 2, '0')"
    return column


def events_of_view(
    view: ViewPlan,
    columns: Sequence[str] = (),
    *,
    corrections: bool = True,
    until_us: int | None = None,
    upto: Mapping[int, int] | None = None,
    keys: Collection[str] | None = None,
    bucket: tuple[int, int] | None = None,
) -> str:
    """The events that a view sees.

    Args:
        view: an aggregate or a history view.
        columns: further expressions over the events table, with their names.
        corrections: whether to look for events that others correct; false is only right where there are none
            (:func:`has_corrections`), and saves reading every event id.
        until_us: only what happened before this moment.
        upto: only what was imported or has an offset up to this one, by partition.
        keys: only these keys.
        bucket: ``(i, n)``: only keys whose bucket modulo ``n`` is ``i``.

    Returns:
        A query with the columns ``key``, ``at_us`` (microseconds), ``type`` and what was asked for.
    """
    time, key = event_column(view, names.OCCURRED_AT), key_sql(view.join_keys)
    conditions = [
        # A retraction takes an event away and counts as nothing itself, also where a view names no types.
        f"{names.TYPE} IN ({literals(sorted(view.types - {RETRACTION}))})" if view.types - {RETRACTION} else "false",
        *(f"{column} IS NOT NULL" for column in view.join_keys),
    ]
    if view.kind == "history":
        conditions.append(f"{names.ITEM_ID} IS NOT NULL")
    if view.lateness_us:
        conditions.append(f"epoch_us({names.INGESTED_AT}) - {time} <= {view.lateness_us}")
    if until_us is not None:
        conditions.append(f"{time} < {until_us}")
    if upto is not None:
        conditions.append(upto_sql(upto))
    if keys is not None:
        conditions += keys_sql(view.join_keys, keys)
    if bucket is not None:
        conditions.append(f"{bucket_sql(key, bucket[1])} = {bucket[0]}")
    if corrections:
        conditions.append(uncorrected_sql(upto))
    selected = ", ".join([f"{key} AS key", f"{time} AS at_us", f"{names.TYPE} AS type", *columns])
    return f"SELECT {selected} FROM {names.TABLE_EVENTS} WHERE {' AND '.join(conditions)}"


def keys_sql(columns: Sequence[str], keys: Collection[str]) -> list[str]:
    """Conditions that only these keys meet; those on plain columns let the scanner skip row groups."""
    if not keys:
        return ["false"]
    parts = zip(columns, zip(*(split_key(key) for key in keys), strict=True), strict=True)
    conditions = [f"{column} IN ({literals(sorted(set(values)))})" for column, values in parts]
    return conditions if len(columns) == 1 else [*conditions, f"{key_sql(columns)} IN ({literals(sorted(set(keys)))})"]
