"""Which column of a table is which field of an event or an item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES, Context

__all__ = ["CONSTANT", "TIMESTAMP_UNITS", "ItemMapping", "TableMapping", "mapped_columns"]

CONSTANT: Final = "="  # "=purchase" is the text purchase in every row, not a column
TIMESTAMP_UNITS: Final = ("auto", "iso", "s", "ms", "us")

_EVENT_FIELDS: Final = (
    names.EVENT_ID,
    names.TYPE,
    names.USER_ID,
    names.SESSION_ID,
    names.ITEM_ID,
    names.OCCURRED_AT,
    names.VALUE,
    names.CATEGORY,
    names.PRICE,
    names.CORRECTS,
    names.REQUEST_ID,
    names.POSITION,
    *(f"{names.CONTEXT}.{name}" for name in Context.__struct_fields__),
)
_ITEM_FIELDS: Final = (
    names.ITEM_ID,
    names.TITLE,
    names.CATEGORY,
    names.PRICE,
    names.BRAND,
    names.AVAILABLE,
    names.CREATED_AT,
)


def mapped_columns(columns: Mapping[str, str]) -> list[str]:
    """The columns that a mapping reads; constants are none."""
    return [column for column in columns.values() if not column.startswith(CONSTANT)]


def _check_timestamp(timestamp: str) -> None:
    if timestamp not in TIMESTAMP_UNITS and "%" not in timestamp:
        raise DataError(
            f"timestamp {timestamp!r} is unknown; one of {', '.join(TIMESTAMP_UNITS)}, or a pattern such as"
            " '%d/%m/%Y %H:%M'"
        )


@dataclass(frozen=True)
class ItemMapping:
    """A separate table of items.

    Attributes:
        path: a CSV or Parquet file, one row per item; the last row of an item wins.
        columns: item field to column. ``item_id`` is required; without ``title`` the id is shown. A field
            ``attributes.<name>`` keeps a column as an attribute.
        category_separator: splits a text into the category path; a Parquet list needs none.
        timestamp: how ``created_at`` is written, as in :class:`TableMapping`.
    """

    path: Path
    columns: Mapping[str, str]
    category_separator: str = ">"
    timestamp: str = "auto"

    def __post_init__(self) -> None:
        prefix = f"{names.ATTRIBUTES}."
        unknown = [name for name in self.columns if name not in _ITEM_FIELDS and not name.startswith(prefix)]
        if unknown:
            raise DataError(
                f"an item has no field {', '.join(map(repr, unknown))};"
                f" it has: {', '.join(_ITEM_FIELDS)}, {prefix}<name>"
            )
        if names.ITEM_ID not in self.columns:
            raise DataError("the item mapping needs item_id: the column with the item's id")
        _check_timestamp(self.timestamp)


@dataclass(frozen=True)
class TableMapping:
    """How the rows of a table are events.

    Attributes:
        columns: event field to column, such as ``{"user_id": "customer", "type": "=purchase"}``; a text that
            starts with ``=`` is a constant. ``occurred_at``, ``type`` and one of ``user_id`` and ``session_id`` are
            required. Without ``event_id`` the ids are ``<name>-<row>``. Context fields are ``context.country`` etc.
            ``category`` and ``price`` are those of the item when they are not mapped.
        type_values: what the type column says, to event type, such as ``{"transaction": "purchase"}``; what is not
            listed has to be an event type itself.
        timestamp: how ``occurred_at`` is written: ``iso`` text, seconds (``s``), ``ms`` or ``us`` since the epoch,
            a strptime pattern, or ``auto``: ISO, or a number whose size tells its unit.
        timezone: IANA name of the zone of times without an offset.
        name: of the data set; the file's name when empty.
        items: where the items are; without it, items are their ids.
    """

    columns: Mapping[str, str]
    type_values: Mapping[str, str] = field(default_factory=dict)
    timestamp: str = "auto"
    timezone: str = "UTC"
    name: str = ""
    items: ItemMapping | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.columns if name not in _EVENT_FIELDS]
        if unknown:
            raise DataError(
                f"an event has no field {', '.join(map(repr, unknown))}; it has: {', '.join(_EVENT_FIELDS)}"
            )
        if names.OCCURRED_AT not in self.columns:
            raise DataError("the mapping needs occurred_at: the column with the time of the event")
        if names.TYPE not in self.columns:
            raise DataError("the mapping needs type: a column, or a constant such as '=purchase'")
        if names.USER_ID not in self.columns and names.SESSION_ID not in self.columns:
            raise DataError("the mapping needs user_id or session_id: the column with the shopper or the visit")
        constant = self.columns[names.TYPE]
        types = [*self.type_values.values(), *([constant[1:]] if constant.startswith(CONSTANT) else [])]
        wrong = [name for name in types if name not in EVENT_TYPES]
        if wrong:
            raise DataError(f"{', '.join(map(repr, wrong))} is no event type; one of {', '.join(EVENT_TYPES)}")
        _check_timestamp(self.timestamp)
