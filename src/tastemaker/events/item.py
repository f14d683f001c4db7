"""The item contract: what the shop sells. A compacted topic; the newest wins; a tombstone removes it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from tastemaker.errors import ContractError
from tastemaker.events.contract import check_time, contract_error

__all__ = ["Item", "category_path", "decode_item", "encode_item", "item_from_dict"]

_PATH_LENGTH = 1024  # of Event.category
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Text = Annotated[str, msgspec.Meta(max_length=1024)]


class Item(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One product.

    Attributes:
        item_id: the shop's id.
        title: shown to people.
        category: path from the root, such as ``("kitchen", "mugs")``; may be empty.
        price: in the shop's currency, if known.
        brand: the maker, if known.
        attributes: anything else, as text.
        available: False keeps it off every surface.
        created_at: when it entered the catalogue (UTC).
    """

    item_id: _Id
    title: _Text
    created_at: Annotated[datetime, msgspec.Meta(tz=True)]
    category: tuple[_Text, ...] = ()
    price: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None
    brand: _Text | None = None
    attributes: dict[str, str] = {}
    available: bool = True


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Item)


def decode_item(raw: bytes) -> Item:
    """Decode one item from its JSON.

    Raises:
        ContractError: the JSON is malformed or breaks the contract.
    """
    try:
        item = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise contract_error(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"not valid JSON: {error}") from error
    check_time("created_at", item.created_at)
    return item


def encode_item(item: Item) -> bytes:
    """The JSON of one item."""
    return _encoder.encode(item)


def category_path(levels: Sequence[str] | None) -> str | None:
    """A category path as one text, as events carry it; None for no category.

    The deepest levels are left out where the text would be longer than an event's category may be.

    >>> category_path(("kitchen", "mugs"))
    'kitchen/mugs'
    """
    if not levels:
        return None
    path = "/".join(levels)
    while len(path) > _PATH_LENGTH:
        levels = levels[:-1]
        path = "/".join(levels)
    return path or None


def item_from_dict(value: dict[str, Any]) -> Item:
    """Build an item from decoded JSON.

    Raises:
        ContractError: naming the field.
    """
    return decode_item(msgspec.json.encode(value))
