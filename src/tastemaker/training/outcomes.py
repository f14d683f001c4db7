"""What followed a moment of the past: the labels of the ranker's lists, and where their items were shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from tastemaker import names
from tastemaker.features.sql.expressions import uncorrected_sql
from tastemaker.lake.tables import Lake

__all__ = ["outcomes_between", "positions_between"]

_WINDOW: Final = (
    f"{names.USER_ID} IS NOT NULL AND {names.ITEM_ID} IS NOT NULL"
    f" AND {names.OCCURRED_AT} >= $start AND {names.OCCURRED_AT} < $end AND {uncorrected_sql()}"
)


def outcomes_between(
    lake: Lake, start: datetime, end: datetime, types: Sequence[str]
) -> dict[str, Mapping[str, set[str]]]:
    """What each user did with which items in ``start ≤ occurred_at < end``, and did not take back.

    Args:
        lake: the lake.
        start: first moment.
        end: first moment after.
        types: of the events.

    Returns:
        Item ids by user, by type.
    """
    found: dict[str, dict[str, set[str]]] = {one: {} for one in types}
    with lake.connect() as connection:
        rows = connection.execute(
            f"SELECT DISTINCT {names.TYPE}, {names.USER_ID}, {names.ITEM_ID} FROM {names.TABLE_EVENTS}"
            f" WHERE {names.TYPE} IN (SELECT unnest($types)) AND {_WINDOW}",
            {"types": list(types), "start": start, "end": end},
        ).fetchall()
    for kind, user, item in rows:
        found[kind].setdefault(user, set()).add(item)
    return dict(found)


def positions_between(lake: Lake, start: datetime, end: datetime) -> dict[str, dict[str, int]]:
    """The best place at which each user was shown each item in ``start ≤ occurred_at < end``, from 1.

    What was never shown at a known place is not there. An event counts places from 0.
    """
    with lake.connect() as connection:
        rows = connection.execute(
            f"SELECT {names.USER_ID}, {names.ITEM_ID}, min({names.POSITION}) + 1 FROM {names.TABLE_EVENTS}"
            f" WHERE {names.TYPE} = 'impression' AND {names.POSITION} IS NOT NULL AND {_WINDOW} GROUP BY ALL",
            {"start": start, "end": end},
        ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for user, item, position in rows:
        found.setdefault(user, {})[item] = position
    return found
