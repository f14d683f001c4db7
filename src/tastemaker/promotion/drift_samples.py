"""What drift is measured on: daily samples of features, of what happened, and of what was served."""

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from tastemaker import names
from tastemaker.lake.tables import Lake
from tastemaker.promotion.samples import SEGMENTS, daily_pairs, ranking_features
from tastemaker.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["daily_features", "daily_outcomes", "daily_served"]


def daily_features(settings: Settings, start: datetime, end: datetime, rows: int, seed: int) -> "pd.DataFrame":
    """The ranking service's features of what was bought each day, as known at the beginning of that day.

    Args:
        settings: of the platform.
        start: first day (UTC, its midnight).
        end: first day that no longer counts.
        rows: at most so many.
        seed: of the draw.

    Returns:
        One column per feature, ``day``, ``shopper`` (new or known), and ``country`` and ``device`` where events name
        them; empty where nothing was bought.
    """
    pairs = daily_pairs(Lake(settings.lake_dir), start, end, rows, seed)
    if pairs.empty:
        return pairs
    asked = pairs[[names.USER_ID, names.ITEM_ID, "event_timestamp"]]
    frame = ranking_features(settings, asked)
    bought = [column for column in frame.columns if column == "user_purchases"]
    if bought:
        frame["shopper"] = np.where(frame["user_purchases"].fillna(0) > 0, "known", "new")
    kept = [name for name in (*SEGMENTS, "day") if name in pairs.columns]
    return frame.assign(**{name: pairs[name].to_numpy() for name in kept})


def daily_outcomes(lake: Lake, start: datetime, end: datetime, rows: int, seed: int) -> "pd.DataFrame":
    """What shoppers did: the kind of each event, its value, price and category, and whether it came from a list.

    Args:
        lake: where the events are.
        start: first day (UTC, its midnight).
        end: first day that no longer counts.
        rows: at most so many events, a random sample of all.
        seed: of the draw.

    Returns:
        Columns ``day``, ``type``, ``value``, ``price``, ``category`` (its first level), ``hour``, ``from_list``, and
        ``country`` and ``device`` where events name them.
    """
    with lake.connect() as connection:
        found: pd.DataFrame = connection.execute(
            f"""SELECT strftime({names.OCCURRED_AT}, '%Y-%m-%d') AS day, {names.TYPE}, {names.VALUE}, {names.PRICE},
            split_part({names.CATEGORY}, '/', 1) AS category, hour({names.OCCURRED_AT}) AS hour,
            CASE WHEN {names.REQUEST_ID} IS NULL THEN 'no' ELSE 'yes' END AS from_list,
            {names.CONTEXT} ->> '$.country' AS country, {names.CONTEXT} ->> '$.device' AS device
            FROM {names.TABLE_EVENTS} WHERE {names.OCCURRED_AT} >= ? AND {names.OCCURRED_AT} < ?
            ORDER BY hash({names.EVENT_ID} || ?) LIMIT ?""",
            [start, end, str(seed), rows],
        ).df()
    return found.drop(columns=[name for name in ("country", "device") if found[name].isna().all()])


def daily_served(lake: Lake, start: datetime, end: datetime, rows: int, seed: int, *, release: str) -> "pd.DataFrame":
    """What a release answered: scores of the first and the last place, tier, length, and what followed.

    Scores of two releases are not comparable, so those of one alone are taken.

    Args:
        lake: where the served-list log is.
        start: first day (UTC, its midnight).
        end: first day that no longer counts.
        rows: at most so many lists, a random sample of all.
        seed: of the draw.
        release: that answered.

    Returns:
        Columns ``day``, ``surface``, ``tier``, ``items``, ``best_score``, ``last_score`` and ``followed``: whether the
        shopper acted on the list.
    """
    with lake.connect() as connection:
        found: pd.DataFrame = connection.execute(
            f"""WITH lists AS (
                SELECT strftime({names.SERVED_AT}, '%Y-%m-%d') AS day, {names.REQUEST_ID}, surface, tier,
                served_list::JSON AS list FROM {names.TABLE_SERVED_LISTS}
                WHERE {names.SERVED_AT} >= ? AND {names.SERVED_AT} < ? AND release = ?
                ORDER BY hash({names.REQUEST_ID} || ?) LIMIT ?),
            followed AS (SELECT DISTINCT {names.REQUEST_ID} FROM {names.TABLE_EVENTS}
                WHERE {names.REQUEST_ID} IS NOT NULL AND {names.TYPE} <> 'impression' AND {names.OCCURRED_AT} >= ?)
            SELECT day, surface, tier, json_array_length(list, '$.items')::DOUBLE AS items,
            (list ->> '$.candidates[0].score')::DOUBLE AS best_score,
            (list ->> '$.candidates[#-1].score')::DOUBLE AS last_score,
            CASE WHEN followed.{names.REQUEST_ID} IS NULL THEN 'no' ELSE 'yes' END AS followed
            FROM lists LEFT JOIN followed USING ({names.REQUEST_ID})""",
            [start, end, release, str(seed), rows, start],
        ).df()
    return found
