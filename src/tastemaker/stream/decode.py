"""From the broker's records to events, items and served lists; what cannot be used becomes a dead letter."""

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

import msgspec

from tastemaker.broker.protocol import Record
from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import ContractError
from tastemaker.events.contract import Event, check_event, contract_error, decode_event
from tastemaker.events.dead_letter import DeadLetter
from tastemaker.events.item import Item, decode_item
from tastemaker.serving.contract import ServedList

__all__ = ["Decoded", "decode_all", "event_of", "ingested_at_us", "item_id_of", "item_of", "served_list_of"]

T = TypeVar("T")

_served_lists = msgspec.json.Decoder(ServedList)
_LATEST_US = 253_402_300_799_000_000  # the end of year 9999, where datetime ends


class Decoded(NamedTuple, Generic[T]):
    """A decoded record and where it was."""

    value: T
    record: Record
    ingested_us: int


def ingested_at_us(record: Record, clock: Clock) -> int:
    """When the broker took a record, in the platform's time (microseconds since the epoch).

    Read from the record and not from the clock, so that a record that is read again says the same.
    """
    return min(max(record.timestamp_ms * 1_000 + clock.offset_us, 0), _LATEST_US)


def decode_all(
    records: Iterable[Record], decode: Callable[[Record, int], T], clock: Clock
) -> tuple[list[Decoded[T]], list[DeadLetter]]:
    """Decode records; one that fails becomes a dead letter and stops nothing.

    Args:
        records: of one topic.
        decode: from a record and its ingestion time in microseconds; raises ContractError.
        clock: the platform's time.
    """
    good: list[Decoded[T]] = []
    dead: list[DeadLetter] = []
    for record in records:
        ingested_us = ingested_at_us(record, clock)
        try:
            good.append(Decoded(decode(record, ingested_us), record, ingested_us))
        except ContractError as error:
            dead.append(
                DeadLetter(
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    failed_at_us=clock.now_us(),
                    reason=error.problem,
                    field=error.field,
                    key=record.key,
                    raw=record.value,
                )
            )
    return good, dead


def event_of(record: Record, ingested_us: int) -> Event:
    """The event of a record; whoever writes to Kafka directly meets the same rules as at the collector.

    Raises:
        ContractError: naming the field.
    """
    event = decode_event(_value(record))
    if to_us(event.occurred_at) > ingested_us:
        check_event(event, from_us(ingested_us))  # within the tolerance it passes
    return event


def item_of(record: Record, ingested_us: int) -> Item | None:
    """The item of a record, None for a tombstone.

    Raises:
        ContractError: naming the field.
    """
    item_id = item_id_of(record)
    if record.value is None:
        return None
    item = decode_item(record.value)
    if item.item_id != item_id:
        raise ContractError("item_id", f"is {item.item_id!r}, but the record's key is {item_id!r}; they must agree")
    return item


def item_id_of(record: Record) -> str:
    """The item id that is the key of an item's record.

    Raises:
        ContractError: there is none.
    """
    try:
        item_id = (record.key or b"").decode()
    except UnicodeDecodeError as error:
        raise ContractError("key", "the record's key, an item id, is not UTF-8") from error
    if not item_id:
        raise ContractError("key", "the record has no key; it must be the item's id")
    return item_id


def served_list_of(record: Record, ingested_us: int) -> ServedList:
    """The served list of a record.

    Raises:
        ContractError: naming the field.
    """
    try:
        return _served_lists.decode(_value(record))
    except msgspec.ValidationError as error:
        raise contract_error(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"not valid JSON: {error}") from error


def _value(record: Record) -> bytes:
    if record.value is None:
        raise ContractError("", "the record has no value; only items have tombstones")
    return record.value
