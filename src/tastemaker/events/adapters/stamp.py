"""Stamps the category and price of items onto the events of a data set, as the collector does for live events.

See :mod:`tastemaker.stream.enrichment` for why an event carries them. History is joined as of each event: with the
newest version of the item that was there, or else with its first one, because a source may tell of an item only after
its first sale.
"""

import pyarrow as pa

from tastemaker import names
from tastemaker.events.adapters.source import connect
from tastemaker.events.item import category_path

__all__ = ["stamp"]

_FACTS = f"""
WITH versions AS (
    SELECT {names.ITEM_ID}, {names.UPDATED_AT}, path, {names.PRICE} FROM paths WHERE NOT {names.DELETED}
),
first AS (
    SELECT {names.ITEM_ID}, arg_min_null(path, {names.UPDATED_AT}) AS path,
        arg_min_null({names.PRICE}, {names.UPDATED_AT}) AS {names.PRICE}
    FROM versions GROUP BY ALL
),
numbered AS (SELECT *, row_number() OVER () AS row FROM events)
SELECT coalesce(event.{names.CATEGORY}, CASE WHEN version.item_id IS NULL THEN first.path ELSE version.path END)
        AS {names.CATEGORY},
    coalesce(event.{names.PRICE}, CASE WHEN version.item_id IS NULL THEN first.price ELSE version.price END)
        AS {names.PRICE}
FROM numbered AS event
    ASOF LEFT JOIN versions AS version
        ON event.{names.ITEM_ID} = version.{names.ITEM_ID} AND event.{names.OCCURRED_AT} >= version.{names.UPDATED_AT}
    LEFT JOIN first ON event.{names.ITEM_ID} = first.{names.ITEM_ID}
ORDER BY event.row
"""


def stamp(events: pa.Table, items: pa.Table) -> pa.Table:
    """Fill in the category and price of events where they have none.

    Args:
        events: columns of ``SCHEMAS["events"]``.
        items: columns of ``SCHEMAS["items"]``; may hold several versions of an item, told apart by ``updated_at``.

    Returns:
        The events, in their order.
    """
    paths = [category_path(levels) for levels in items[names.CATEGORY].to_pylist()]
    versions = items.select([names.ITEM_ID, names.UPDATED_AT, names.PRICE, names.DELETED])
    with connect() as connection:
        connection.register("paths", versions.append_column("path", pa.array(paths, pa.string())))
        needed = (names.ITEM_ID, names.OCCURRED_AT, names.CATEGORY, names.PRICE)
        connection.register("events", events.select(needed))
        facts = connection.sql(_FACTS).to_arrow_table()
    for column in (names.CATEGORY, names.PRICE):
        index = events.schema.get_field_index(column)
        events = events.set_column(index, events.schema.field(index), facts[column].cast(events.schema.types[index]))
    return events
