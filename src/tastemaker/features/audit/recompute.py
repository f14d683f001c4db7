"""Feature values as of any moment, from the lake: what the batch executor says of single rows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from tastemaker import names
from tastemaker.features.keys import join_key, split_key
from tastemaker.features.narrow import narrowed
from tastemaker.features.plan import ViewPlan
from tastemaker.features.sql.as_of import as_of

__all__ = ["Moment", "Trial", "trial_events", "values_as_of"]

Moment = tuple[str, int]
"""A key, as :mod:`tastemaker.features.keys` joins it, and a moment in microseconds."""

Trial = tuple[str, int | None]
"""A key, and a cut in microseconds: only what the platform took up to then exists; None for no cut."""


def values_as_of(
    duck: duckdb.DuckDBPyConnection, view: ViewPlan, moments: Sequence[Moment], features: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Features of a view at some moments, as plain Python values.

    Args:
        duck: a connection with the lake's tables.
        view: the view.
        moments: whose, and when; may repeat.
        features: which; None for all.
    """
    wanted = [name for name in view.feature_names if features is None or name in features]
    frame = pa.table(
        {
            "key": pa.array([key for key, _ in moments], pa.string()),
            "as_of_us": pa.array([at for _, at in moments], pa.int64()),
        }
    )
    duck.register("asked_moments", frame)
    try:
        as_of(duck, narrowed(view, wanted), "asked_moments", "recomputed")
        columns = ", ".join(f'"{name}"' for name in wanted)
        rows = duck.execute(f"SELECT key, as_of_us, {columns} FROM recomputed").fetchall()
    finally:
        duck.unregister("asked_moments")
        duck.execute("DROP TABLE IF EXISTS recomputed")
    found = {(row[0], row[1]): dict(zip(wanted, row[2:], strict=True)) for row in rows}
    defaults = {name: view.feature(name).default_value for name in wanted}
    return [found.get(moment, defaults) for moment in moments]


@contextmanager
def trial_events(
    duck: duckdb.DuckDBPyConnection, view: ViewPlan, trials: Sequence[Trial]
) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """Worlds in which events after a cut have not come in yet, side by side in one table.

    Each trial's events are those of its key that came in up to the cut, and what corrects them, under a key of the
    trial's own.

    Args:
        duck: a connection with the lake's tables.
        view: over events.
        trials: keys and cuts.

    Yields:
        A connection for :func:`values_as_of`, and the key of each trial in it.
    """
    parts = list(zip(*(split_key(key) for key, _ in trials), strict=True)) if trials else [()] * len(view.join_keys)
    table = pa.table(
        {
            "trial": pa.array([str(number) for number in range(len(trials))], pa.string()),
            "cut_us": pa.array([cut for _, cut in trials], pa.int64()),
            **{f"of_{name}": pa.array(ids, pa.string()) for name, ids in zip(view.join_keys, parts, strict=True)},
        }
    )
    came = f"coalesce(epoch_us(e.{names.INGESTED_AT}), epoch_us(e.{view.timestamp_field}))"
    within = f"(t.cut_us IS NULL OR {came} <= t.cut_us)"
    first, *others = view.join_keys
    own = ", ".join([f"'t' || t.trial AS {first}", *(f"'' AS {column}" for column in others)])
    nobody = ", ".join(f"NULL AS {column}" for column in view.join_keys)
    ids = ", ".join(f"t.trial || ':' || e.{column} AS {column}" for column in (names.EVENT_ID, names.CORRECTS))
    mine, originals = (" AND ".join(f"{a}.{c} = t.of_{c}" for c in view.join_keys) for a in ("e", "o"))
    duck.register("trials", table)
    try:
        events = duck.sql(
            f"SELECT e.* REPLACE ({own}, {ids}) FROM {names.TABLE_EVENTS} AS e JOIN trials AS t ON {mine}"
            f" WHERE {within} UNION ALL"
            f" SELECT e.* REPLACE ({nobody}, {ids}) FROM {names.TABLE_EVENTS} AS e JOIN {names.TABLE_EVENTS} AS o"
            f" ON e.{names.CORRECTS} = o.{names.EVENT_ID} JOIN trials AS t ON {originals}"
            f" WHERE {within} AND ({mine}) IS NOT TRUE"
        ).to_arrow_table()
    finally:
        duck.unregister("trials")
    world = duckdb.connect()
    try:
        world.execute("SET TimeZone = 'UTC'")
        world.register(names.TABLE_EVENTS, events)
        yield world, [join_key([f"t{number}", *("" for _ in others)]) for number in range(len(trials))]
    finally:
        world.close()
