"""Sends dead letters back to where they came from, as they are or fixed, once they would be understood there.

What would fail again is refused here, by the very decoding that the worker does, so that nobody has to wait for the
same letter to come back. Nothing is counted twice: an event that did get through meanwhile has the same ``event_id``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tastemaker import names
from tastemaker.broker.protocol import Headers, Producer, Record
from tastemaker.errors import ContractError
from tastemaker.events.contract import event_from_dict, event_key
from tastemaker.events.dead_letter import MAX_RAW_BYTES, DeadLetter
from tastemaker.stream.dead_letter_box import Note, note_headers
from tastemaker.stream.decode import event_of, item_of, served_list_of

__all__ = ["Outcome", "check_replay", "replay_letters"]

_ACK_S = 30.0
_BATCH = 100  # letters of half a megabyte at most
_DECODE: Final[Mapping[str, Callable[[Record, int], object]]] = {
    names.TOPIC_EVENTS: event_of,
    names.TOPIC_ITEMS: item_of,
    names.TOPIC_SERVED_LISTS: served_list_of,
}


class Outcome(NamedTuple):
    """What became of one letter.

    Attributes:
        id: the letter's.
        sent_to: topic, partition and offset of the new record, joined with colons; empty when it was refused.
        field: what would fail again, as a path.
        problem: why.
    """

    id: str
    sent_to: str = ""
    field: str = ""
    problem: str = ""


class _Ready(NamedTuple):
    id: str
    topic: str
    key: bytes | None
    value: bytes | None


def check_replay(letter: DeadLetter, now_us: int, fix: bytes | None = None) -> tuple[bytes | None, bytes | None]:
    """The key and value to send for a letter, checked as the worker will.

    Args:
        letter: with its bytes.
        now_us: the platform's time, which is when the new record is ingested.
        fix: replaces the value. The key then follows it, because the key is what went wrong where it names another
            item than the value.

    Raises:
        ContractError: it would fail again; names the field and the remedy.
    """
    decode = _DECODE.get(letter.topic)
    if decode is None:
        raise ContractError("topic", f"nothing reads {letter.topic}; letters of {', '.join(_DECODE)} can be replayed")
    if letter.truncated and fix is None:
        raise ContractError(
            "",
            f"only the first {MAX_RAW_BYTES} bytes are kept; the whole record is at {letter.topic}, partition"
            f" {letter.partition}, offset {letter.offset}: replay it with --fix and a file that has all of it",
        )
    value = letter.raw if fix is None else fix
    key = letter.key if fix is None else _key_of(letter, fix)
    decode(Record(letter.topic, letter.partition, letter.offset, key, value, now_us // 1_000), now_us)
    return key, value


def _key_of(letter: DeadLetter, value: bytes) -> bytes | None:
    if letter.topic == names.TOPIC_SERVED_LISTS:
        return letter.key
    try:
        fields: Any = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ContractError("", "the fixed record is a JSON object")
    if letter.topic == names.TOPIC_EVENTS:
        return event_key(event_from_dict(fields))
    return str(fields.get(names.ITEM_ID) or "").encode()


def replay_letters(
    producer: Producer,
    letters: Iterable[tuple[str, DeadLetter]],
    now_us: Callable[[], int],
    fix: bytes | None = None,
) -> Iterator[Outcome]:
    """Send letters back, and note in the box which the broker has.

    Args:
        producer: where to.
        letters: by id, with their bytes.
        now_us: the platform's time.
        fix: replaces the value of each.

    Raises:
        BrokerError: the broker stopped acknowledging. Those that came out before are sent; those that follow may be,
            and sending them again does no harm.
    """
    ready: list[_Ready] = []
    for letter_id, letter in letters:
        try:
            key, value = check_replay(letter, now_us(), fix)
        except ContractError as error:
            yield Outcome(letter_id, field=error.field, problem=error.problem)
            continue
        ready.append(_Ready(letter_id, letter.topic, key, value))
        if len(ready) == _BATCH:
            yield from _deliver(producer, ready, now_us)
            ready = []
    yield from _deliver(producer, ready, now_us)


def _deliver(producer: Producer, batch: list[_Ready], now_us: Callable[[], int]) -> list[Outcome]:
    """Send records, and note each in the box once the broker has it."""
    sent = _confirmed(producer, [(letter.topic, letter.key, letter.value, ()) for letter in batch])
    outcomes = [Outcome(letter.id, sent_to) for letter, sent_to in zip(batch, sent, strict=True)]
    box = names.TOPIC_DEAD_LETTERS
    _confirmed(producer, [(box, o.id.encode(), None, note_headers(Note(now_us(), o.sent_to))) for o in outcomes])
    return outcomes


def _confirmed(producer: Producer, records: list[tuple[str, bytes | None, bytes | None, Headers]]) -> list[str]:
    deliveries = [producer.send(*record) for record in records]
    producer.flush(_ACK_S)
    return [":".join(map(str, delivery.result(_ACK_S))) for delivery in deliveries]
