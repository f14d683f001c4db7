"""Samples of ranking features: what drift and train/serve parity are measured on."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.repository import training_frame
from tastemaker.lake.tables import Lake
from tastemaker.promotion.parity import Parity
from tastemaker.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEGMENTS", "daily_pairs", "measure_parity", "ranking_features", "recent_pairs"]

SEGMENTS = ("shopper", "country", "device")  # whose rows drift is also looked at one by one


def recent_pairs(lake: Lake, at: datetime, rows: int, seed: int, days: int = 28) -> "pd.DataFrame":
    """Pairs of a known user and an item that they bought in the days before a moment.

    Args:
        lake: where the events are.
        at: the moment (UTC); nothing from it on is looked at.
        rows: at most so many pairs, drawn without replacement.
        seed: of the draw.
        days: how far back.

    Returns:
        Columns ``user_id``, ``item_id`` and ``event_timestamp``, which is ``at`` in every row.
    """
    with lake.connect() as connection:
        pairs: pd.DataFrame = connection.execute(
            f"""SELECT DISTINCT {names.USER_ID}, {names.ITEM_ID} FROM {names.TABLE_EVENTS}
            WHERE {names.TYPE} = 'purchase' AND {names.USER_ID} IS NOT NULL
            AND {names.OCCURRED_AT} >= ? AND {names.OCCURRED_AT} < ? ORDER BY ALL""",
            [at - timedelta(days=days), at],
        ).df()
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:rows]
    drawn: pd.DataFrame = pairs.iloc[np.sort(chosen)].reset_index(drop=True)
    return drawn.assign(event_timestamp=at)


def daily_pairs(lake: Lake, start: datetime, end: datetime, rows: int, seed: int) -> "pd.DataFrame":
    """Pairs of a known user and an item that they bought on each day of a stretch, as of the beginning of that day.

    Args:
        lake: where the events are.
        start: first day (UTC, its midnight).
        end: first day that no longer counts.
        rows: at most so many pairs in all, as many of each day as its share of all.
        seed: of the draw.

    Returns:
        Columns ``user_id``, ``item_id``, ``event_timestamp``, ``day`` (a date), and ``country`` and ``device`` where
        any event of the stretch names one.
    """
    with lake.connect() as connection:
        pairs: pd.DataFrame = connection.execute(
            f"""SELECT {names.USER_ID}, {names.ITEM_ID}, date_trunc('day', {names.OCCURRED_AT}) AS event_timestamp,
            min({names.CONTEXT} ->> '$.country') AS country, min({names.CONTEXT} ->> '$.device') AS device
            FROM {names.TABLE_EVENTS} WHERE {names.TYPE} = 'purchase' AND {names.USER_ID} IS NOT NULL
            AND {names.ITEM_ID} IS NOT NULL AND {names.OCCURRED_AT} >= ? AND {names.OCCURRED_AT} < ?
            GROUP BY ALL ORDER BY ALL""",
            [start, end],
        ).df()
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:rows]
    drawn: pd.DataFrame = pairs.iloc[np.sort(chosen)].reset_index(drop=True)
    empty = [name for name in SEGMENTS if name in drawn and drawn[name].isna().all()]
    return drawn.drop(columns=empty).assign(day=drawn["event_timestamp"].dt.strftime("%Y-%m-%d"))


def ranking_features(settings: Settings, pairs: "pd.DataFrame", **offline_options: Any) -> "pd.DataFrame":
    """The ranking service's features as of each pair's time, through Feast: shape ``[pairs, features]``.

    Args:
        settings: of the platform.
        pairs: ``user_id``, ``item_id`` and ``event_timestamp``.
        offline_options: as of :func:`tastemaker.features.repository.training_frame`.
    """
    service = FeaturePlan.load(settings.plan_path).service(names.SERVICE_RANKING)
    frame: pd.DataFrame = training_frame(settings, pairs, names.SERVICE_RANKING, **offline_options).to_pandas()
    return frame[[feature for _, feature in service.features]].astype(np.float64)


def measure_parity(settings: Settings, lake: Lake, rows: int, seed: int) -> Parity:
    """Compare what training would see now with what serving sees now, on the same pairs.

    Pairs whose user or item had an event in the last minute are left out: such an event may be in the online
    store and not yet in the lake, which is a second behind.

    Args:
        settings: of the platform; the online store is the one that serves.
        lake: where the events are.
        rows: at most so many pairs.
        seed: of the draw.
    """
    at = settings.clock.now()
    plan = FeaturePlan.load(settings.plan_path)
    reader = FeatureReader(settings.online_location, plan)
    try:
        pairs = recent_pairs(lake, at, rows, seed, days=90)
        keys: dict[tuple[str, ...], list[Any]] = {
            (names.USER_ID,): list(pairs[names.USER_ID]),
            (names.ITEM_ID,): list(pairs[names.ITEM_ID]),
            (names.USER_ID, names.ITEM_ID): list(zip(pairs[names.USER_ID], pairs[names.ITEM_ID], strict=True)),
        }
        settled = np.ones(len(pairs), dtype=bool)
        for view in (names.VIEW_USER_ACTIVITY, names.VIEW_ITEM_ACTIVITY):
            newest = reader.newest_us(view, keys[plan.view(view).join_keys])
            settled &= np.array([us is None or us < to_us(at) - 60_000_000 for us in newest], dtype=bool)
        service = plan.service(names.SERVICE_RANKING)
        wanted: dict[str, list[str]] = {}
        for view, feature in service.features:
            wanted.setdefault(view, []).append(feature)
        by_view = {
            view: reader.values(view, keys[plan.view(view).join_keys], to_us(at), features)
            for view, features in wanted.items()
        }
    finally:
        reader.close()
    served = np.column_stack([by_view[view][:, wanted[view].index(feature)] for view, feature in service.features])
    # Both as of now: the reader sees what has arrived, and so does the lake.
    trained = ranking_features(settings, pairs, processing_delay_seconds=0.0).to_numpy()
    return Parity.between(trained[settled], served[settled], [feature for _, feature in service.features])
