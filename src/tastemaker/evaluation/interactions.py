"""The interactions table that evaluation works on: who bought what, when."""

from datetime import datetime

import pyarrow as pa

from tastemaker import names
from tastemaker.features.sql.expressions import uncorrected_sql
from tastemaker.lake.tables import Lake

__all__ = ["INTERACTIONS", "load"]

INTERACTIONS = pa.schema(
    [
        (names.USER_ID, pa.string()),
        (names.ITEM_ID, pa.string()),
        (names.OCCURRED_AT, pa.timestamp("us", tz="UTC")),
    ]
)


def load(lake: Lake, *, start: datetime | None = None, end: datetime | None = None) -> pa.Table:
    """Purchases of known users, each event once, oldest first.

    A sender may repeat an event at another Kafka offset; where both are in the lake, the first counts. A purchase
    that another event corrects does not count, as it is in no feature: what stands in its place does.

    Args:
        lake: where the events are.
        start: first moment (UTC) that counts; from the beginning when left out.
        end: first moment that no longer counts; to the end when left out.

    Returns:
        A table of :data:`INTERACTIONS`.

    Raises:
        DataError: the lake has no events table.
    """
    lake.open(names.TABLE_EVENTS)
    conditions = ["type = 'purchase'", "user_id IS NOT NULL", "item_id IS NOT NULL", uncorrected_sql()]
    bounds: list[datetime] = []
    if start is not None:
        conditions.append("occurred_at >= ?")
        bounds.append(start)
    if end is not None:
        conditions.append("occurred_at < ?")
        bounds.append(end)
    with lake.connect() as connection:
        found = connection.sql(
            f"""
            SELECT user_id, item_id, occurred_at FROM (
                SELECT event_id, user_id, item_id, occurred_at FROM {names.TABLE_EVENTS}
                WHERE {" AND ".join(conditions)}
                QUALIFY row_number() OVER (
                    PARTITION BY event_id ORDER BY ingested_at, kafka_partition, kafka_offset
                ) = 1
            ) ORDER BY occurred_at, user_id, item_id, event_id
            """,
            params=bounds,
        ).to_arrow_table()
    return found.cast(INTERACTIONS)
