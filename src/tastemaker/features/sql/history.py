"""The newest events of an entity as of any moment, as lists."""

from collections.abc import Sequence

from tastemaker import names
from tastemaker.features.layout import Measure, Slot
from tastemaker.features.plan import FeatureSpec
from tastemaker.features.sql.expressions import default_sql, literals
from tastemaker.features.sql.sums import add_up
from tastemaker.features.sql.temporary_tables import Query
from tastemaker.features.sql.values import fresh_sql

__all__ = ["list_newest"]


def list_newest(query: Query, frame: str, features: Sequence[FeatureSpec]) -> list[str]:
    """Leave the lists of a history view, and return the features' columns.

    A key's events get their places in order; how many there are before the moment says which places a row sees.
    """
    view = query.view
    listed = sorted({feature.column for feature in features} - {names.OCCURRED_AT, names.TYPE})
    query.start(frame, (), [names.EVENT_ID, *listed])
    types = tuple(sorted(view.types))
    add_up(query, (Slot("last", types), Slot("count", types)), {0: Measure(0), 1: Measure(1)})
    events, n = query.name("events"), max((feature.n for feature in features), default=0)
    query.duck.execute(
        f"CREATE OR REPLACE TEMP TABLE {query.name('placed')} AS SELECT id, at_us, [{literals(types)}][kind] AS type"
        f"{''.join(f', {column}' for column in listed)},"
        f" row_number() OVER (PARTITION BY id ORDER BY at_us, {names.EVENT_ID}) AS place FROM {events}"
    )
    lists = "".join(
        f", list({_element(feature)} ORDER BY place DESC)[1:{feature.n}] AS list_{place}"
        for place, feature in enumerate(features)
    )
    weight = f"SELECT id, {n} AS weight FROM {query.name('rows')}"
    query.fill(
        "lists",
        (
            f"SELECT rn{lists} FROM (SELECT rn, id, unnest(range(greatest(m1 - {n}, 0) + 1, m1 + 1)) AS place"
            f" FROM {query.name('rows')} JOIN {query.name('sums')} USING (rn) WHERE {piece})"
            f" JOIN {query.name('placed')} USING (id, place) GROUP BY rn"
            for piece in query.pieces(weight)
        ),
    )
    query.duck.execute(f"DROP TABLE {query.name('placed')}")
    return [
        f"CASE WHEN {fresh_sql(view, 'm0')} THEN {_value(feature, place)} ELSE {default_sql(feature)} END"
        f' AS "{feature.name}"'
        for place, feature in enumerate(features)
    ]


def _element(feature: FeatureSpec) -> str:
    column = "at_us" if feature.column == names.OCCURRED_AT else feature.column
    if feature.function == "last":
        return column
    null = {"list[string]": "''", "list[float64]": "CAST('nan' AS DOUBLE)", "list[int64]": "0"}[feature.dtype]
    return f"coalesce({column}, {null})"


def _value(feature: FeatureSpec, place: int) -> str:
    return f"coalesce(list_{place}[1], {default_sql(feature)})" if feature.function == "last" else f"list_{place}"
