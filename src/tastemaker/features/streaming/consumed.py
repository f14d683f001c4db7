"""What the worker takes from the topics of events and items."""

import hashlib
from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple

from tastemaker.events.contract import Event
from tastemaker.events.item import Item

try:  # half the time of hashlib's, which asks OpenSSL for every text anew what it allows
    _md5 = import_module("_md5").md5
except ImportError:  # an interpreter that was built without it
    _md5 = hashlib.md5

__all__ = ["ConsumedEvent", "ConsumedItem", "event_digest", "once_each"]


class ConsumedEvent(NamedTuple):
    """An event and where in the events topic it came from.

    Attributes:
        event: what was sent.
        partition: of the topic.
        offset: likewise.
        ingested_us: when the platform took it, in microseconds; None for one that came in when it occurred.
    """

    event: Event
    partition: int
    offset: int
    ingested_us: int | None = None


class ConsumedItem(NamedTuple):
    """An item, or None for its tombstone; when it was updated, and where in the items topic it came from."""

    item_id: str
    item: Item | None
    updated_us: int
    partition: int
    offset: int


def event_digest(event_id: str) -> bytes:
    """What is remembered of an event id: 16 bytes, the same that ``unhex(md5(event_id))`` gives in DuckDB."""
    digest: bytes = _md5(event_id.encode(), usedforsecurity=False).digest()
    return digest


def once_each(records: Iterable[ConsumedEvent]) -> list[ConsumedEvent]:
    """The records, each place of the topic once."""
    listed = list(records)
    places = {(record.partition, record.offset): record for record in listed}
    return listed if len(places) == len(listed) else list(places.values())
