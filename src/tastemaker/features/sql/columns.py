"""Columns of a table's rows as of any moment: the newest row of the entity that is not after it."""

from collections.abc import Sequence

import pyarrow as pa

from tastemaker import names
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US
from tastemaker.features.sql.expressions import default_sql, key_sql, sql_type
from tastemaker.features.sql.values import fresh_sql
from tastemaker.lake.tables import SCHEMAS

__all__ = ["newest_versions", "stored_columns", "version_order"]


def newest_versions(view: ViewPlan, features: Sequence[FeatureSpec], frame: str, known_at: bool) -> str:
    """A query of ``key, as_of_us`` and one column per feature.

    Args:
        view: a batch view.
        features: some of its features.
        frame: table with ``key`` and ``as_of_us``.
        known_at: whether a row only exists from its created time on.
    """
    time = f"epoch_us({view.timestamp_field})"
    known = f"greatest({time}, epoch_us({view.created_field}))" if known_at and view.created_field else time
    conditions = " AND ".join(f"{column} IS NOT NULL" for column in view.join_keys)
    stored = "".join(f", {column} AS v{place}" for place, column in enumerate(stored_columns(view, features)))
    columns = "".join(
        f", CASE WHEN {fresh_sql(view, 'at_us')} THEN {_value(feature, place)} ELSE {default_sql(feature)} END"
        f' AS "{feature.name}"'
        for place, feature in enumerate(features)
    )
    # A version's place is its rank by its own time; the newest one that is known at a time has the largest place.
    return (
        f"WITH versions AS (SELECT {key_sql(view.join_keys)} AS key, {time} AS at_us, {known} AS known_us, row_number()"
        f" OVER (PARTITION BY {', '.join(view.join_keys)} ORDER BY {', '.join(version_order(view))}) AS place{stored}"
        f" FROM {view.table} WHERE {conditions}),"
        " known AS (SELECT DISTINCT key, known_us, max(place) OVER (PARTITION BY key ORDER BY known_us RANGE BETWEEN"
        " UNBOUNDED PRECEDING AND CURRENT ROW) AS place FROM versions),"
        f" asked AS (SELECT DISTINCT key, as_of_us FROM {frame} WHERE key IS NOT NULL),"
        " found AS (SELECT a.key, a.as_of_us, k.place FROM asked AS a"
        " ASOF LEFT JOIN known AS k ON a.key = k.key AND a.as_of_us >= k.known_us)"
        f" SELECT f.key AS key, f.as_of_us AS as_of_us{columns} FROM found AS f"
        " LEFT JOIN versions AS v ON f.key = v.key AND f.place = v.place"
    )


def stored_columns(view: ViewPlan, features: Sequence[FeatureSpec] | None = None) -> list[str]:
    """What the online store keeps of a row, per feature, as expressions over the table.

    Of an age the time in microseconds; of a list of texts that is declared as one text, its path.
    """
    return [_stored(view, feature) for feature in (view.features if features is None else features)]


def version_order(view: ViewPlan) -> list[str]:
    """What decides which of an entity's rows is newer."""
    columns = [view.timestamp_field, view.created_field, names.OFFSET]
    return [column for column in columns if column and column in SCHEMAS[view.table].names]


def _value(feature: FeatureSpec, place: int) -> str:
    value = f"CAST(as_of_us - v{place} AS DOUBLE) / {DAY_US}" if feature.function == "age" else f"v{place}"
    return f"coalesce({value}, {default_sql(feature)})"


def _stored(view: ViewPlan, feature: FeatureSpec) -> str:
    if feature.function == "age":
        return f"epoch_us({feature.column})"
    if feature.dtype == "string" and pa.types.is_list(SCHEMAS[view.table].field(feature.column).type):
        return f"array_to_string({feature.column}, '/')"
    return f"CAST({feature.column} AS {sql_type(feature)})"
