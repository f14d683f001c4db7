"""How long the lake keeps what it has: events and served lists by their time, items by what replaced them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from deltalake import DeltaTable

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.maintenance import until_committed
from tastemaker.lake.tables import Lake

__all__ = ["TIME_COLUMNS", "Expired", "expirable", "expire"]

TIME_COLUMNS: Final[Mapping[str, str]] = {
    names.TABLE_EVENTS: names.OCCURRED_AT,
    names.TABLE_SERVED_LISTS: names.SERVED_AT,
    names.TABLE_ITEMS: names.UPDATED_AT,
    names.TABLE_ITEM_CONTENT: names.UPDATED_AT,
}
# Of these, what was newest at the cut is what holds after it, however old it is.
_VERSIONED: Final = frozenset({names.TABLE_ITEMS, names.TABLE_ITEM_CONTENT})

_SUPERSEDED = """
SELECT DISTINCT {item}, {time} FROM (
    SELECT {item}, {time}, max({time}) OVER (PARTITION BY {item}) AS at_the_cut FROM {table} WHERE {time} < ?
) WHERE {time} < at_the_cut
"""


@dataclass(frozen=True)
class Expired:
    """What an expiry removes.

    Attributes:
        rows: that go.
        kept: rows that stay.
    """

    rows: int
    kept: int


def expirable(lake: Lake, table: str, before: datetime) -> Expired:
    """What :func:`expire` would remove now.

    Args:
        lake: where the table is.
        table: its name.
        before: see :func:`expire`.

    Raises:
        DataError: the table does not exist, or ``before`` has no timezone.
    """
    cut = _utc(before)
    time, versioned = _time_column(table), table in _VERSIONED
    lake.open(table)
    gone = f"{time} < ?"
    if versioned:
        superseded = _SUPERSEDED.format(item=names.ITEM_ID, time=time, table=table)
        gone = f"({names.ITEM_ID}, {time}) IN ({superseded})"
    with lake.connect() as duck:
        ((rows, total),) = duck.execute(f"SELECT count(*) FILTER ({gone}), count(*) FROM {table}", [cut]).fetchall()
    return Expired(rows, total - rows)


def expire(lake: Lake, table: str, before: datetime) -> int:
    """Remove rows from the table's current version; their files go with the next vacuum that they are old enough for.

    Events and served lists go by when they happened. Of an item every version stays that holds at the cut or
    after it, the newest always among them: only versions that were replaced before the cut go.

    Args:
        lake: where the table is.
        table: its name.
        before: the cut; what happened exactly then stays.

    Returns:
        How many rows went.

    Raises:
        DataError: the table does not exist, ``before`` has no timezone, or other commits kept coming in between.
    """
    cut = _utc(before)
    time = _time_column(table)
    if table not in _VERSIONED:
        # The type is spelt out, because DataFusion compares no timestamps of different units.
        literal = f"arrow_cast('{cut.isoformat()}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        return until_committed(
            lake, table, lambda opened: int(opened.delete(f"{time} < {literal}")["num_deleted_rows"])
        )
    with lake.connect() as duck:
        superseded = duck.execute(
            _SUPERSEDED.format(item=names.ITEM_ID, time=time, table=table), [cut]
        ).to_arrow_table()
    if not superseded.num_rows:
        return 0

    def remove(opened: DeltaTable) -> int:
        # What is superseded stays superseded, so that this can be repeated on a newer version of the table.
        same = f"row.{names.ITEM_ID} = gone.{names.ITEM_ID} AND row.{time} = gone.{time}"
        merge = opened.merge(superseded, same, source_alias="gone", target_alias="row")
        return int(merge.when_matched_delete().execute()["num_target_rows_deleted"])

    return until_committed(lake, table, remove)


def _time_column(table: str) -> str:
    if table not in TIME_COLUMNS:
        raise DataError(f"{table!r} has no retention; one of {', '.join(TIME_COLUMNS)}")
    return TIME_COLUMNS[table]


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise DataError(f"cannot expire what is before {moment}: the time needs a timezone, such as UTC")
    return moment.astimezone(UTC)
