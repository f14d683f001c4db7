"""Find logged lists in the lake, and what the lake knows of an item as of a list."""

import zlib
from datetime import datetime
from typing import NamedTuple

import msgspec

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.item import Item
from tastemaker.lake.tables import Lake
from tastemaker.serving.contract import ServedList

__all__ = ["ItemThen", "bought_before", "find_list", "items_then"]


class ItemThen(NamedTuple):
    """What the lake says of an item.

    Attributes:
        known: whether it was known at the moment.
        item: its state then; None if it was not known, or removed.
    """

    known: bool
    item: Item | None


def find_list(lake: Lake, request_id: str, log_rate: float) -> ServedList:
    """A list by its request.

    Args:
        lake: with the served lists.
        request_id: as the response said.
        log_rate: share of lists that the recommender keeps now.

    Raises:
        DataError: the lake has no such list; says why that may be.
    """
    if not (lake.path(names.TABLE_SERVED_LISTS) / "_delta_log").is_dir():
        raise DataError(f"the lake at {lake.root} has no served lists yet; start the stack with `tastemaker up`")
    with lake.connect() as duck:
        row = duck.execute(
            f"SELECT served_list FROM {names.TABLE_SERVED_LISTS} WHERE {names.REQUEST_ID} = ? LIMIT 1", [request_id]
        ).fetchone()
    if row is None:
        raise DataError(
            f"no list of request {request_id!r} is in the lake at {lake.root}: {_why(request_id, log_rate)}"
        )
    return msgspec.json.decode(row[0], type=ServedList)


def _why(request_id: str, log_rate: float) -> str:
    if zlib.crc32(request_id.encode()) >= round(log_rate * 2**32):
        return (
            f"TASTEMAKER_SERVE_LOG_RATE is {log_rate:g}, and this request is not among the lists that are kept; set it"
            " to 1 to keep all"
        )
    return (
        "a list is there within about 5 s of its answer, while the stream worker runs (`tastemaker status`); if it is"
        " older, check the id, and whether TASTEMAKER_SERVE_LOG_RATE was lower then"
    )


def items_then(lake: Lake, item_ids: list[str], moment: datetime) -> dict[str, ItemThen]:
    """The items as the lake has them as of a moment.

    Args:
        lake: with the items.
        item_ids: which.
        moment: as of when.
    """
    found = dict.fromkeys(item_ids, ItemThen(False, None))
    if not item_ids or not (lake.path(names.TABLE_ITEMS) / "_delta_log").is_dir():
        return found
    columns = (
        names.ITEM_ID,
        names.TITLE,
        names.CATEGORY,
        names.PRICE,
        names.BRAND,
        names.ATTRIBUTES,
        names.AVAILABLE,
        names.CREATED_AT,
        names.DELETED,
    )
    with lake.connect() as duck:
        rows = duck.execute(
            f"SELECT {', '.join(columns)} FROM {names.TABLE_ITEMS} WHERE list_contains(?, {names.ITEM_ID})"
            f" AND {names.UPDATED_AT} <= ? QUALIFY row_number() OVER"
            f" (PARTITION BY {names.ITEM_ID} ORDER BY {names.UPDATED_AT} DESC, {names.OFFSET} DESC) = 1",
            [item_ids, moment],
        ).fetchall()
    for item_id, title, category, price, brand, attributes, available, created_at, deleted in rows:
        item = Item(
            item_id=item_id,
            title=title or "",
            category=tuple(category or ()),
            price=price,
            brand=brand,
            attributes=msgspec.json.decode(attributes or "{}", type=dict[str, str]),
            available=available,
            created_at=created_at,
        )
        found[item_id] = ItemThen(True, None if deleted else item)
    return found


def bought_before(lake: Lake, user: str, item_id: str, moment: datetime) -> bool:
    """Whether the lake has a purchase of the item by the user from before a moment."""
    with lake.connect() as duck:
        row = duck.execute(
            f"SELECT 1 FROM {names.TABLE_EVENTS} WHERE {names.USER_ID} = ? AND {names.ITEM_ID} = ?"
            f" AND {names.TYPE} = 'purchase' AND {names.OCCURRED_AT} <= ? LIMIT 1",
            [user, item_id, moment],
        ).fetchone()
    return row is not None
