"""From the broker's records to events, items and served lists; what cannot be used becomes a dead letter."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from tastemaker import names
from tastemaker.broker.protocol import Record
from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import ContractError
from tastemaker.events.contract import check_event, contract_error, decode_event
from tastemaker.events.dead_letter import DeadLetter
from tastemaker.events.item import decode_item
from tastemaker.features.streaming.state import ConsumedEvent, ConsumedItem
from tastemaker.serving.contract import ServedList

__all__ = [
    "ConsumedList",
    "DecodedEvents",
    "decode_all",
    "decode_events",
    "event_of",
    "ingested_at_us",
    "item_of",
    "served_list_of",
]

T = TypeVar("T")

_served_lists = msgspec.json.Decoder(ServedList)
_LATEST_US = 253_402_300_799_000_000  # the end of year 9999, where datetime ends
_MAX_DIGITS = len(str(_LATEST_US))


class ConsumedList(NamedTuple):
    """A served list, its JSON as it came, and where it came from."""

    served: ServedList
    raw: bytes
    partition: int
    offset: int


class DecodedEvents(NamedTuple):
    """What came of some records of the events topic.

    Attributes:
        rows: what could be decoded.
        dead: what could not.
        late: type and delay in microseconds of those that came later than asked for.
    """

    rows: list[ConsumedEvent]
    dead: list[DeadLetter]
    late: list[tuple[str, int]]


def ingested_at_us(record: Record, clock: Clock) -> int:
    """When the platform took a record first, in its own time (microseconds since the epoch).

    Read from the record and not from the clock, so that a record that is read again says the same. That is the
    record's timestamp, unless the record was sent again and a header says when it had come first.
    """
    taken_us = min(max(record.timestamp_ms * 1_000 + clock.offset_us, 0), _LATEST_US)
    for name, value in record.headers:
        if name == names.HEADER_INGESTED_AT and value and len(value) <= _MAX_DIGITS and value.isdigit():
            return min(int(value), taken_us)
    return taken_us


def decode_events(records: Sequence[Record], clock: Clock, late_us: int = 0) -> DecodedEvents:
    """Decode events; one that fails becomes a dead letter and stops nothing.

    The same as :func:`decode_all` with :func:`event_of`, in half the time: this is what every event goes through.

    Args:
        records: of the events topic.
        clock: the platform's time.
        late_us: report events that came more than this after they occurred; 0 for none.
    """
    rows: list[ConsumedEvent] = []
    dead: list[DeadLetter] = []
    late: list[tuple[str, int]] = []
    keep = rows.append
    stamp_ms, stamp_us = -1, 0
    stamp = early = from_us(0)
    for record in records:
        if record.timestamp_ms != stamp_ms or record.headers:
            stamp_us = ingested_at_us(record, clock)
            stamp, early = from_us(stamp_us), from_us(max(stamp_us - late_us, 0))
            stamp_ms = -1 if record.headers else record.timestamp_ms
        try:
            event = decode_event(record.value if record.value is not None else _value(record))
            if event.occurred_at > stamp:
                check_event(event, stamp)  # within the tolerance it passes
        except ContractError as error:
            dead.append(_dead_letter(record, error, clock))
            continue
        if late_us and event.occurred_at < early:
            late.append((event.type, stamp_us - to_us(event.occurred_at)))
        keep(ConsumedEvent(event, record.partition, record.offset, stamp_us))
    return DecodedEvents(rows, dead, late)


def decode_all(
    records: Iterable[Record], decode: Callable[[Record, int], T], clock: Clock
) -> tuple[list[T], list[DeadLetter]]:
    """Decode records; one that fails becomes a dead letter and stops nothing.

    Args:
        records: of one topic.
        decode: from a record and its ingestion time in microseconds; raises ContractError.
        clock: the platform's time.
    """
    good: list[T] = []
    dead: list[DeadLetter] = []
    for record in records:
        try:
            good.append(decode(record, ingested_at_us(record, clock)))
        except ContractError as error:
            dead.append(_dead_letter(record, error, clock))
    return good, dead


def event_of(record: Record, ingested_us: int) -> ConsumedEvent:
    """The event of a record; it meets the same rules as at the collector.

    Raises:
        ContractError: naming the field.
    """
    event = decode_event(_value(record))
    if to_us(event.occurred_at) > ingested_us:
        check_event(event, from_us(ingested_us))
    return ConsumedEvent(event, record.partition, record.offset, ingested_us)


def item_of(record: Record, ingested_us: int) -> ConsumedItem:
    """The item of a record, or its tombstone.

    Raises:
        ContractError: naming the field.
    """
    try:
        item_id = (record.key or b"").decode()
    except UnicodeDecodeError as error:
        raise ContractError("key", "the record's key, an item id, is not UTF-8") from error
    if not item_id:
        raise ContractError("key", "the record has no key; it must be the item's id")
    item = None if record.value is None else decode_item(record.value)
    if item is not None and item.item_id != item_id:
        raise ContractError("item_id", f"is {item.item_id!r}, but the record's key is {item_id!r}; they must agree")
    return ConsumedItem(item_id, item, ingested_us, record.partition, record.offset)


def served_list_of(record: Record, ingested_us: int) -> ConsumedList:
    """The served list of a record.

    Raises:
        ContractError: naming the field.
    """
    raw = _value(record)
    try:
        return ConsumedList(_served_lists.decode(raw), raw, record.partition, record.offset)
    except msgspec.ValidationError as error:
        raise contract_error(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"not valid JSON: {error}") from error


def _value(record: Record) -> bytes:
    if record.value is None:
        raise ContractError("", "the record has no value; only items have tombstones")
    return record.value


def _dead_letter(record: Record, error: ContractError, clock: Clock) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        failed_at_us=clock.now_us(),
        reason=error.problem,
        field=error.field,
        key=record.key,
        raw=record.value,
    )
