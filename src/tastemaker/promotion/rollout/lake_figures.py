"""Reads what was seen of a step from the lake: served lists, and the events that answer them."""

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from tastemaker import names
from tastemaker.lake.tables import Lake
from tastemaker.promotion.rollout.figures import BAD, OUTCOMES, Figures, Shadowed
from tastemaker.promotion.rollout.state import Rollout
from tastemaker.release.split import assigned

__all__ = ["lake_figures"]

_LOWER: Final = "tier NOT IN ('full', 'cold_start')"
_FLAGS: Final = {
    "errors": "stands_in_for IS NOT NULL",
    "empty_lists": "stands_in_for IS NULL AND listed = 0",
    "tiers": f"stands_in_for IS NULL AND {_LOWER}",
}
_CLICKS: Final = "('view', 'cart_add', 'wishlist', 'purchase')"
_CARTS: Final = "('cart_add', 'purchase')"


def lake_figures(lake: Lake, rollout: Rollout, now: datetime, *, by_shopper: bool = True) -> Figures:
    """The figures of the step that a rollout is in.

    A list counts when it is old enough for its clicks, so that each has had the same time; a shopper counts for the
    release that they are assigned to, whoever made their lists: where the candidate fails and the champion stands in,
    it is the candidate's failure. Lists for nobody in particular are left out: nobody was assigned.

    Args:
        lake: with served lists and events.
        rollout: which releases, since when.
        now: the platform's time.
        by_shopper: whether shoppers are assigned to releases; else each list is drawn for itself, and counts for the
            release that made it.
    """
    if rollout.since is None or not (lake.path(names.TABLE_SERVED_LISTS) / "_delta_log").is_dir():
        return Figures.none()
    policy = rollout.rules
    attribution = timedelta(minutes=policy.attribution_minutes)
    slow_us = 1e3 * policy.guardrails.latency.over_ms if policy.guardrails.latency else 1e15
    flags = ", ".join(f"any_value({sql}) AS {name}" for name, sql in _FLAGS.items())
    bounds = [rollout.since, now - attribution, [rollout.champion, rollout.candidate]]
    with lake.connect() as duck:
        duck.execute(
            f"""CREATE TEMP TABLE lists AS SELECT {names.REQUEST_ID}, any_value({names.SERVED_AT}) AS made_at,
            any_value({names.USER_ID}) AS user_id, any_value({names.SESSION_ID}) AS session_id,
            any_value(coalesce(latency_us, 0)) AS latency_us, any_value(shadow_of) AS shadow_of,
            any_value(release) AS release, {flags}
            FROM {names.TABLE_SERVED_LISTS} WHERE {names.SERVED_AT} >= ? AND {names.SERVED_AT} < ?
            AND list_contains(?, release) AND coalesce({names.USER_ID}, {names.SESSION_ID}) IS NOT NULL
            GROUP BY {names.REQUEST_ID}""",
            bounds,
        )
        duck.execute(
            f"""CREATE TEMP TABLE answered AS SELECT e.{names.REQUEST_ID},
            bool_or(e.{names.TYPE} IN {_CLICKS}) AS clicked, bool_or(e.{names.TYPE} IN {_CARTS}) AS carted
            FROM {names.TABLE_EVENTS} e JOIN lists USING ({names.REQUEST_ID})
            WHERE e.{names.OCCURRED_AT} >= ? AND e.{names.OCCURRED_AT} BETWEEN made_at AND made_at + to_microseconds(?)
            GROUP BY e.{names.REQUEST_ID}""",
            [rollout.since, round(attribution.total_seconds() * 1e6)],
        )
        met = ", ".join(f"bool_or({name})::INT" if by_shopper else f"sum({name}::INT)" for name in BAD)
        made_by = "NULL" if by_shopper else "release"
        rows = duck.execute(
            f"""SELECT user_id, CASE WHEN user_id IS NULL THEN session_id END, count(*), sum((latency_us > ?)::INT),
            sum(coalesce(clicked, false)::INT), sum(coalesce(carted, false)::INT), {met}, {made_by} AS made_by
            FROM lists LEFT JOIN answered USING ({names.REQUEST_ID}) WHERE shadow_of IS NULL
            GROUP BY user_id, CASE WHEN user_id IS NULL THEN session_id END, made_by""",
            [slow_us],
        ).fetchall()
        shadow = _shadowed(duck) if rollout.at.shadow else Shadowed()
    return _figures(rows, rollout, shadow)


def _figures(rows: list[tuple[Any, ...]], rollout: Rollout, shadow: Shadowed) -> Figures:
    if not rows:
        return Figures(**{**vars(Figures.none()), "shadow": shadow})
    share = rollout.at.share
    columns = list(zip(*rows, strict=True))
    whose = zip(*columns[:2], columns[-1], strict=True)
    ours = [
        assigned(rollout.candidate, user, session, share) if made_by is None else made_by == rollout.candidate
        for user, session, made_by in whose
    ]
    counts = [np.array(column, dtype=np.int64) for column in columns[2:6]]
    return Figures(
        np.array(ours, dtype=bool),
        counts[0],
        dict(zip(OUTCOMES, counts[1:], strict=True)),
        {name: np.array(column, dtype=np.int64) for name, column in zip(BAD, columns[6:-1], strict=True)},
        shadow,
    )


def _shadowed(duck: Any) -> Shadowed:
    """Of each shopper the first pair of lists of which one alone is bad."""
    pair = f"lists s JOIN lists c ON c.{names.REQUEST_ID} = s.shadow_of"
    (count,) = duck.execute(f"SELECT count(*) FROM {pair}").fetchone()
    worse, better = {}, {}
    for name in BAD:
        worse[name], better[name] = duck.execute(
            f"""SELECT coalesce(sum(first::INT), 0), coalesce(sum((NOT first)::INT), 0) FROM (
            SELECT arg_min(s.{name}, s.made_at) AS first FROM {pair} WHERE s.{name} <> c.{name}
            GROUP BY s.user_id, CASE WHEN s.user_id IS NULL THEN s.session_id END)"""
        ).fetchone()
    return Shadowed(count, worse, better)
