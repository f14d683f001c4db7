"""The leak check of a training run: a frame of what was bought and what was not, looked at as of two moments."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.audit.leaks import LeakLimits, Telling, find_leaks
from tastemaker.features.plan import FeaturePlan, FeatureSpec
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_services", "label_frame"]

_LABEL: Final = "label"
_KNOWN_DAYS: Final = 90


def label_frame(
    lake: Lake, at: datetime, days: int, *, margin: timedelta, rows: int = 4_000, seed: int = 1
) -> "pd.DataFrame":
    """Pairs of a shopper and an item: bought within days after a moment, or as likely by the item's sales and not.

    Only shoppers and items that were known a margin before the moment: what is new differs for a reason.

    Args:
        lake: where the events are.
        at: the moment (UTC).
        days: length of the label's window, ``at <= occurred_at < at + days``.
        margin: see there.
        rows: at most so many bought pairs; as many that were not bought are drawn.
        seed: of the draw.

    Returns:
        Columns ``user_id``, ``item_id``, ``session_id`` (null), ``event_timestamp`` (``at``) and ``label``; empty where
        nothing was bought.
    """
    import pandas as pd

    known, end = at - margin, at + timedelta(days=days)
    with lake.connect() as duck:
        frame = duck.execute(
            f"""WITH bought AS (
                SELECT {names.USER_ID}, {names.ITEM_ID}, {names.OCCURRED_AT} AS moment FROM {names.TABLE_EVENTS}
                WHERE {names.TYPE} = 'purchase' AND {names.USER_ID} IS NOT NULL AND {names.ITEM_ID} IS NOT NULL
                AND {names.OCCURRED_AT} < $end),
            past AS (SELECT * FROM bought WHERE moment < $known AND moment >= $old),
            shoppers AS (SELECT DISTINCT {names.USER_ID} FROM past),
            sold AS (SELECT DISTINCT {names.ITEM_ID} FROM past)
            SELECT DISTINCT {names.USER_ID}, {names.ITEM_ID} FROM bought
            WHERE moment >= $at AND {names.USER_ID} IN (FROM shoppers) AND {names.ITEM_ID} IN (FROM sold)
            ORDER BY ALL""",
            {"end": end, "known": known, "old": known - timedelta(days=_KNOWN_DAYS), "at": at},
        ).df()
        sales = duck.execute(
            f"""SELECT {names.ITEM_ID}, count(*) AS n FROM {names.TABLE_EVENTS} WHERE {names.TYPE} = 'purchase'
            AND {names.ITEM_ID} IS NOT NULL AND {names.OCCURRED_AT} < $known AND {names.OCCURRED_AT} >= $old
            GROUP BY ALL ORDER BY ALL""",
            {"known": known, "old": known - timedelta(days=_KNOWN_DAYS)},
        ).df()
    draw = np.random.default_rng(seed)
    pairs = set(zip(frame[names.USER_ID], frame[names.ITEM_ID], strict=True))
    yes = frame.iloc[np.sort(draw.permutation(len(frame))[:rows])]
    no = yes.copy()
    if len(yes):
        share = sales["n"].to_numpy() / sales["n"].sum()
        no[names.ITEM_ID] = sales[names.ITEM_ID].to_numpy()[draw.choice(len(sales), size=len(no), p=share)]
        no = no[[pair not in pairs for pair in zip(no[names.USER_ID], no[names.ITEM_ID], strict=True)]]
    both = pd.concat([yes.assign(label=1), no.assign(label=0)], ignore_index=True)
    nobody = pd.Series([None] * len(both), dtype="string")
    labelled: pd.DataFrame = both.assign(**{names.SESSION_ID: nobody, "event_timestamp": pd.Timestamp(at)})
    return labelled


def check_services(
    settings: Settings,
    services: Sequence[str],
    at: datetime,
    days: int,
    *,
    limits: LeakLimits | None = None,
    rows: int = 4_000,
    seed: int = 1,
) -> list[Telling]:
    """How well each feature of some services tells what is bought after a moment, by itself.

    A list of ids counts as whether the row's item is in it; lists of numbers are passed over.

    Args:
        settings: of the platform.
        services: names of feature services without request fields, by user, item and session.
        at: the moment (UTC).
        days: length of the label's window after it.
        limits: see there.
        rows: bought pairs that are looked at, at most.
        seed: of the draws.

    Returns:
        One per feature, named ``view.feature``; none if too little was bought to say anything.
    """
    limits = limits or LeakLimits()
    frame = label_frame(Lake(settings.lake_dir), at, days, margin=limits.margin, rows=rows, seed=seed)
    if frame.empty:
        return []
    import pandas as pd

    plan, n = FeaturePlan.load(settings.plan_path), len(frame)
    sooner = frame.assign(event_timestamp=frame["event_timestamp"] - limits.margin)
    both = pd.concat([frame, sooner], ignore_index=True)
    found: dict[str, npt.NDArray[Any]] = {}
    for service in services:
        found |= _values(settings, plan, service, both)
    values = {name: column[:n] for name, column in found.items()}
    earlier = {name: column[n:] for name, column in found.items()}
    return find_leaks(values, frame[_LABEL], list(frame[names.USER_ID]), earlier=earlier, limits=limits, seed=seed)


def _values(settings: Settings, plan: FeaturePlan, service: str, frame: "pd.DataFrame") -> dict[str, npt.NDArray[Any]]:
    from tastemaker.features.repository import training_frame

    table = training_frame(settings, frame.drop(columns=_LABEL), service)
    found = {}
    for view, feature in plan.service(service).features:
        column = _column(_spec(plan, view, feature), table[feature], frame[names.ITEM_ID])
        if column is not None:
            found[f"{view}.{feature}"] = column
    return found


def _spec(plan: FeaturePlan, view: str, feature: str) -> FeatureSpec:
    derived = [spec for one in plan.on_demand if one.name == view for spec in one.features if spec.name == feature]
    return derived[0] if derived else plan.view(view).feature(feature)


def _column(spec: FeatureSpec, column: Any, items: "pd.Series[Any]") -> npt.NDArray[Any] | None:
    if spec.dtype == "list[string]":
        lists = column.to_pylist()
        return np.array([item in (found or ()) for item, found in zip(items, lists, strict=True)])
    if spec.dtype.startswith("list"):
        return None
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
