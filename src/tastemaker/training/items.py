"""The catalogue as it was at a moment, from the lake."""

from datetime import datetime

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.events.item import Item
from tastemaker.lake.tables import Lake

__all__ = ["load_items"]


def load_items(lake: Lake, at: datetime) -> list[Item]:
    """The newest state before ``at`` of every item that was not removed by then, sorted by id."""
    import msgspec

    with lake.connect() as connection:
        connection.execute(
            f"""SELECT {names.ITEM_ID}, {names.TITLE}, {names.CATEGORY}, {names.PRICE}, {names.BRAND},
                {names.ATTRIBUTES}, {names.AVAILABLE}, epoch_us({names.CREATED_AT}) AS {names.CREATED_AT},
                {names.DELETED}
            FROM {names.TABLE_ITEMS} WHERE {names.UPDATED_AT} < $at
            QUALIFY row_number() OVER (PARTITION BY {names.ITEM_ID}
                ORDER BY {names.UPDATED_AT} DESC, {names.PARTITION} DESC, {names.OFFSET} DESC) = 1
            ORDER BY {names.ITEM_ID}""",
            {"at": at},
        )
        columns = [column[0] for column in connection.description or ()]
        rows = [dict(zip(columns, values, strict=True)) for values in connection.fetchall()]
    items = []
    for row in rows:
        if row.pop(names.DELETED):
            continue
        row[names.CREATED_AT] = from_us(row[names.CREATED_AT])
        row[names.ATTRIBUTES] = msgspec.json.decode(row[names.ATTRIBUTES] or "{}")
        row[names.CATEGORY] = tuple(row[names.CATEGORY] or ())
        items.append(Item(**row))
    return items
