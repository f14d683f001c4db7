"""What an offline store asks of the lake, as plain data without Feast, so that any process can answer it.

The local store answers a query over whole tables; the distributed one over buckets of them (:mod:`ray_tasks`). Both
run these functions, so that the engine changes where a value is computed and never what it is.
"""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.plan import ViewPlan
from tastemaker.features.sql.as_of import as_of, default_sql
from tastemaker.features.sql.expressions import key_sql

__all__ = ["AS_OF", "FRAME", "ROW", "AskedView", "NewestQuery", "TrainingQuery", "newest_rows", "training_rows"]

FRAME, ROW, AS_OF = "frame", "__row", "__as_of_us"


@dataclass(frozen=True, slots=True)
class AskedView:
    """A view in a query.

    Attributes:
        plan: the view.
        key_columns: columns of the frame that hold its join keys, in the order of ``plan.join_keys``.
        alias: what the query calls the view.
    """

    plan: ViewPlan
    key_columns: tuple[str, ...]
    alias: str


@dataclass(frozen=True, slots=True)
class TrainingQuery:
    """Features as of each row of a frame.

    Attributes:
        views: the views that are joined.
        references: the wanted features, as ``view:feature``, in the order of the result's columns.
        full_feature_names: whether columns are called ``view__feature``.
        known_at: of a batch view, use only rows whose created time is not after the moment either.
    """

    views: tuple[AskedView, ...]
    references: tuple[str, ...]
    full_feature_names: bool = False
    known_at: bool = False


@dataclass(frozen=True, slots=True)
class NewestQuery:
    """The newest row per entity of a table.

    Attributes:
        table: a lake table.
        join_keys: columns of the entity.
        columns: further columns of the result.
        timestamp_field: column of the time that decides what is newest; part of the result.
        created_field: column that decides between equal times, and part of the result; empty for none.
        start_us: no row before it, microseconds.
        end_us: no row after it, microseconds.
        expressions: what each of ``columns`` is, as SQL over the table; by default the column of that name.
    """

    table: str
    join_keys: tuple[str, ...]
    columns: tuple[str, ...]
    timestamp_field: str
    created_field: str
    start_us: int
    end_us: int
    expressions: tuple[str, ...] = ()


def training_rows(duck: duckdb.DuckDBPyConnection, query: TrainingQuery) -> pa.Table:
    """The frame with the asked features of every view.

    Args:
        duck: a connection with the lake's tables and a table :data:`FRAME`, which has the columns :data:`ROW` (distinct
            whole numbers) and :data:`AS_OF` (the moment of each row in microseconds).
        query: what is asked.

    Returns:
        The frame's columns but :data:`AS_OF`, and a column per feature; the rows by :data:`ROW`.
    """
    joins: list[str] = []
    columns: dict[str, str] = {}
    for number, view in enumerate(query.views):
        key = key_sql(f'CAST("{column}" AS VARCHAR)' for column in view.key_columns)
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE keys_{number} AS"
            f" SELECT {ROW}, {key} AS key, {AS_OF} AS as_of_us FROM {FRAME}"
        )
        asked = [feature for feature in view.plan.features if f"{view.alias}:{feature.name}" in query.references]
        wanted = {feature.name for feature in asked}
        as_of(duck, view.plan, f"keys_{number}", f"answers_{number}", query.known_at, features=wanted)
        for feature in asked:
            column = f"{view.alias}__{feature.name}" if query.full_feature_names else feature.name
            value = f"coalesce(a{number}.{feature.name}, {default_sql(feature)})"
            columns[f"{view.alias}:{feature.name}"] = f'{value} AS "{column}"'
        joins.append(
            f"JOIN keys_{number} AS k{number} ON f.{ROW} = k{number}.{ROW}"
            f" LEFT JOIN answers_{number} AS a{number} ON a{number}.key = k{number}.key"
            f" AND a{number}.as_of_us = k{number}.as_of_us"
        )
    selects = [columns[reference] for reference in query.references if reference in columns]
    return duck.sql(
        f"SELECT {', '.join([f'f.* EXCLUDE ({AS_OF})', *selects])} FROM {FRAME} AS f {' '.join(joins)} ORDER BY f.{ROW}"
    ).to_arrow_table()


def newest_rows(duck: duckdb.DuckDBPyConnection, query: NewestQuery) -> pa.Table:
    """The newest row per entity between two moments, both inclusive.

    Raises:
        DataError: the table has no such columns, because the view is computed by the stream worker.
    """
    plain = query.columns if not query.expressions else ()
    columns = [*query.join_keys, *plain, query.timestamp_field]
    columns += [query.created_field] if query.created_field else []
    computed = zip(query.expressions, query.columns, strict=False)
    selected = [*columns, *(f'{expression} AS "{name}"' for expression, name in computed)]
    known = {row[0] for row in duck.execute(f"DESCRIBE {query.table}").fetchall()}
    if missing := [column for column in columns if column not in known]:
        raise DataError(
            f"{query.table} has no column {missing[0]}: a view with aggregations is kept up to date by the"
            " stream worker; materialise batch views only (tastemaker features materialize)"
        )
    order = [query.timestamp_field, query.created_field, names.OFFSET if names.OFFSET in known else ""]
    return duck.sql(
        f"SELECT {', '.join(selected)} FROM {query.table} WHERE epoch_us({query.timestamp_field})"
        f" BETWEEN {query.start_us} AND {query.end_us} QUALIFY row_number() OVER"
        f" (PARTITION BY {', '.join(query.join_keys)}"
        f" ORDER BY {', '.join(f'{column} DESC' for column in order if column)}) = 1"
    ).to_arrow_table()
