"""From a request's body to records for the broker, with a verdict for each event or item on its own."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import msgspec

from tastemaker import names
from tastemaker.errors import ContractError
from tastemaker.events.contract import check_event, encode_event, event_from_dict, event_key
from tastemaker.events.item import Item, encode_item, item_from_dict
from tastemaker.stream.enrichment import ItemFacts, enrich, no_facts
from tastemaker.stream.limits import Limits, Refused

__all__ = ["Checked", "Outgoing", "Result", "Status", "check_events", "check_items", "parse_json", "records_of"]

Status = Literal["accepted", "rejected", "retry"]
"""``rejected`` will never be accepted as it is; ``retry`` was valid, but the broker did not confirm it."""


class Result(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What became of one event or item of a request.

    Attributes:
        index: its place in the request, from 0.
        status: see :data:`Status`.
        event_id: the event's id, also where the collector stamped it: quote it when sending again.
        item_id: the item's id.
        field: what was wrong, as a path.
        problem: what is wrong with it and what would be right.
    """

    index: int
    status: Status
    event_id: str | None = None
    item_id: str | None = None
    field: str | None = None
    problem: str | None = None


class Outgoing(NamedTuple):
    """A record for the broker."""

    topic: str
    key: bytes
    value: bytes | None


class Checked(NamedTuple):
    """One checked event or item; ``outgoing`` is None when it is rejected, ``item`` also when it is no item."""

    result: Result
    outgoing: Outgoing | None
    item: Item | None = None


def parse_json(body: bytes) -> Any:
    """Decode a body.

    Raises:
        Refused: 400, saying where the JSON breaks.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError):  # a number that no float holds
            raise Refused(400, f"malformed JSON: {error}") from None
        reason, found, tail = str(error).removeprefix("JSON is malformed: ").partition(" (byte ")
        position = int(tail.rstrip(")")) if found else len(body)
    except UnicodeDecodeError as error:
        # Its position counts from the start of one string, so find it in the whole body.
        position, reason = _first_bad_byte(body), f"invalid UTF-8: {error.reason}"
    except RecursionError:
        raise Refused(400, "the JSON is nested too deeply") from None
    before = body[:position]
    line, column = before.count(b"\n") + 1, position - (before.rfind(b"\n") + 1) + 1
    raise Refused(400, f"malformed JSON at line {line}, column {column} (byte {position}): {reason}")


def _first_bad_byte(body: bytes) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error.start
    return len(body)


def records_of(value: Any, wrapper: str, limits: Limits) -> list[Any]:
    """The events or items of a body: one object, an array, or ``{wrapper: [...]}``.

    Raises:
        Refused: 400 for another shape or nothing at all, 413 for too many.
    """
    if isinstance(value, dict) and wrapper in value:
        value = value[wrapper]
        if not isinstance(value, list):
            raise Refused(400, f"must be an array, not {_kind(value)}", wrapper)
    elif isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise Refused(400, f"must be an object, an array of objects, or {{{wrapper!r}: [...]}}, not {_kind(value)}")
    if not value:
        raise Refused(400, f"holds no {wrapper}", wrapper)
    if len(value) > limits.batch:
        problem = f"{len(value)} {wrapper} exceed the limit of {limits.batch} per request; send smaller batches"
        raise Refused(413, problem, wrapper)
    return value


def check_events(
    values: list[Any],
    *,
    now: datetime,
    limits: Limits,
    knows: Callable[[str], bool] = lambda item_id: True,
    facts_of: Callable[[str], ItemFacts | None] = no_facts,
) -> list[Checked]:
    """Check events, and stamp what is missing: ``event_id``, ``occurred_at``, the item's category and price.

    Args:
        values: decoded JSON values.
        now: the platform's time.
        limits: for the size of one event.
        knows: whether an item may be referred to.
        facts_of: category and price of an item, see :mod:`tastemaker.stream.enrichment`.
    """
    return [
        _check_event(index, value, now=now, limits=limits, knows=knows, facts_of=facts_of)
        for index, value in enumerate(values)
    ]


def _check_event(
    index: int,
    value: Any,
    *,
    now: datetime,
    limits: Limits,
    knows: Callable[[str], bool],
    facts_of: Callable[[str], ItemFacts | None],
) -> Checked:
    event_id = None
    try:
        if not isinstance(value, dict):
            raise ContractError("", f"an event is a JSON object, not {_kind(value)}")
        stamped = {names.EVENT_ID: None, names.OCCURRED_AT: None, **value}
        if stamped[names.EVENT_ID] is None:
            stamped[names.EVENT_ID] = str(uuid4())
        if stamped[names.OCCURRED_AT] is None:
            stamped[names.OCCURRED_AT] = now
        event_id = _text(stamped[names.EVENT_ID])
        event = event_from_dict(stamped)
        check_event(event, now)
        if event.item_id is not None and not knows(event.item_id):
            problem = f"the catalogue has no item {event.item_id!r}; add it first with POST /v1/items"
            raise ContractError(names.ITEM_ID, problem)
        event = enrich(event, facts_of)
        outgoing = Outgoing(names.TOPIC_EVENTS, event_key(event), _sized(encode_event(event), "event", limits))
    except ContractError as error:
        rejected = Result(
            index=index, status="rejected", event_id=event_id, field=error.field or "body", problem=error.problem
        )
        return Checked(rejected, None)
    return Checked(Result(index=index, status="accepted", event_id=event_id), outgoing)


def check_items(values: list[Any], *, now: datetime, limits: Limits) -> list[Checked]:
    """Check items, and stamp ``created_at`` where it is missing.

    Args:
        values: decoded JSON values.
        now: the platform's time.
        limits: for the size of one item.
    """
    return [_check_item(index, value, now, limits) for index, value in enumerate(values)]


def _check_item(index: int, value: Any, now: datetime, limits: Limits) -> Checked:
    item_id = None
    try:
        if not isinstance(value, dict):
            raise ContractError("", f"an item is a JSON object, not {_kind(value)}")
        item_id = _text(value.get(names.ITEM_ID))
        stamped = value if value.get(names.CREATED_AT) is not None else {**value, names.CREATED_AT: now}
        item = item_from_dict(stamped)
        encoded = _sized(encode_item(item), "item", limits)
    except ContractError as error:
        rejected = Result(
            index=index, status="rejected", item_id=item_id, field=error.field or "body", problem=error.problem
        )
        return Checked(rejected, None)
    return Checked(
        Result(index=index, status="accepted", item_id=item.item_id),
        Outgoing(names.TOPIC_ITEMS, item.item_id.encode(), encoded),
        item,
    )


def _sized(encoded: bytes, what: str, limits: Limits) -> bytes:
    if len(encoded) > limits.record_bytes:
        problem = f"an {what} of {len(encoded)} bytes exceeds the limit of {limits.record_bytes} bytes"
        raise ContractError("", problem)
    return encoded


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _kind(value: Any) -> str:
    return {
        type(None): "null",
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }[type(value)]
