"""The event contract: what a shop tells the platform, on the wire and in memory.

JSON on the wire, decoded with msgspec. Unknown fields are kept in :attr:`Event.extra`; an unknown
``schema_version`` is refused, because its meaning cannot be guessed.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from tastemaker.errors import ContractError

__all__ = [
    "EVENT_TYPES",
    "FUTURE_TOLERANCE",
    "RETRACTION",
    "SCHEMA_VERSION",
    "TYPES_WITHOUT_ITEM",
    "Context",
    "Event",
    "EventType",
    "check_event",
    "check_time",
    "contract_error",
    "decode_event",
    "encode_event",
    "event_from_dict",
    "event_json_schema",
    "event_key",
]

EventType = Literal[
    "impression",
    "view",
    "search",
    "cart_add",
    "cart_remove",
    "wishlist",
    "purchase",
    "return",
    "rating",
    "like",
    "dislike",
    "preference",
    "retraction",
]
EVENT_TYPES: Final[tuple[str, ...]] = get_args(EventType)
# Takes an earlier event back. No feature sees the retraction itself.
RETRACTION: Final = "retraction"
# Fields and types that senders may leave out do not change it: whoever spoke version 1 before still does.
SCHEMA_VERSION: Final = 1
# A sender's clock may run ahead of ours by this much before an event counts as being from the future.
FUTURE_TOLERANCE: Final = timedelta(seconds=5)

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
UtcTime = Annotated[datetime, msgspec.Meta(tz=True)]

TYPES_WITHOUT_ITEM: Final = frozenset({"search", "preference", RETRACTION})
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)  # later ones do not survive a change of timezone


class Context(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where and how an event or a request happened; for a preference, the attribute and its answer."""

    surface: Text | None = None
    device: Text | None = None
    country: Text | None = None
    query: Text | None = None
    category: Text | None = None
    attribute: Text | None = None
    answer: Text | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that a shopper did.

    A correction is an event of its own with its own id, whose ``corrects`` names the event that it replaces; a
    retraction replaces it by nothing. Both carry the user and session of what they correct, because these decide
    on the partition and so on the order.

    Attributes:
        event_id: the sender's id; two events with one id are the same event.
        type: what happened.
        user_id: the known shopper, if any.
        session_id: the visit; at least one of user and session is there.
        item_id: the item; required for all types but ``search``, ``preference`` and ``retraction``.
        occurred_at: when it happened (UTC, microseconds).
        value: price × quantity of a purchase or return, stars of a rating, seconds of dwell of a view.
        category: the item's category path when it happened, joined with ``/``, such as ``kitchen/mugs``; the
            collector fills it in from the catalogue.
        price: the item's unit price when it happened, in the shop's currency; likewise.
        corrects: the ``event_id`` of an earlier event that this one replaces.
        request_id: the served list that this answers.
        position: the place in that list, from 0.
        context: surface, device, country, query, category.
        schema_version: version of this contract.
        extra: fields that this version does not know, kept as they came.
    """

    event_id: Id
    type: EventType
    occurred_at: UtcTime
    user_id: Id | None = None
    session_id: Id | None = None
    item_id: Id | None = None
    value: Amount | None = None
    category: Text | None = None
    price: Amount | None = None
    corrects: Id | None = None
    request_id: Id | None = None
    position: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    context: Context = Context()
    schema_version: int = SCHEMA_VERSION
    extra: dict[str, Any] = {}


_FIELDS: Final = frozenset(Event.__struct_fields__) - {"extra"}
_CONTEXT_FIELDS: Final = frozenset(Context.__struct_fields__)
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Event)


def decode_event(raw: bytes) -> Event:
    """Decode one event from its JSON.

    Raises:
        ContractError: the JSON is malformed or breaks the contract; names the field and the remedy.
    """
    try:
        event = _decoder.decode(raw)
    except msgspec.ValidationError:
        return event_from_dict(_decode_object(raw))  # finds out whether only unknown fields stood in the way
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"not valid JSON: {error}") from error
    check_event(event)
    return event


def _decode_object(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ContractError("", f"an event is a JSON object, not {type(value).__name__}")
    return value


def event_from_dict(value: dict[str, Any]) -> Event:
    """Build and check an event from decoded JSON; unknown fields move to ``extra``.

    Raises:
        ContractError: the object breaks the contract.
    """
    version = value.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ContractError("schema_version", f"{version!r} is unknown; this platform speaks {SCHEMA_VERSION}")
    known = {name: field for name, field in value.items() if name in _FIELDS}
    extra = dict(value.get("extra") or {}) if isinstance(value.get("extra"), dict | None) else {"extra": value["extra"]}
    extra |= {name: field for name, field in value.items() if name not in _FIELDS and name != "extra"}
    context = known.get("context")
    if isinstance(context, dict):
        known["context"] = {name: field for name, field in context.items() if name in _CONTEXT_FIELDS}
        unknown_context = {name: field for name, field in context.items() if name not in _CONTEXT_FIELDS}
        if unknown_context:
            extra["context"] = unknown_context
    if extra:
        known["extra"] = extra
    if "type" in known and known["type"] not in EVENT_TYPES:
        raise ContractError("type", f"{known['type']!r} is unknown; one of {', '.join(EVENT_TYPES)}")
    try:
        event = msgspec.convert(known, Event)
    except msgspec.ValidationError as error:
        raise contract_error(error) from error
    check_event(event)
    return event


def contract_error(error: msgspec.ValidationError) -> ContractError:
    """Turn ``Expected `str`, got `int` - at `$.user_id` `` into a ContractError that names the field."""
    message, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    if not field and "missing required field `" in message:
        field = message.split("`")[1]
        message = "is required"
    return ContractError(field, message)


def check_event(event: Event, now: datetime | None = None) -> None:
    """Check what types alone cannot say.

    Args:
        event: a decoded event.
        now: the platform's time; when given, an event from its future is refused.

    Raises:
        ContractError: naming the field.
    """
    if event.schema_version != SCHEMA_VERSION:
        raise ContractError(
            "schema_version", f"{event.schema_version!r} is unknown; this platform speaks {SCHEMA_VERSION}"
        )
    if event.user_id is None and event.session_id is None:
        raise ContractError("user_id", "at least one of user_id and session_id is required")
    if event.item_id is None and event.type not in TYPES_WITHOUT_ITEM:
        raise ContractError("item_id", f"is required for a {event.type}")
    if event.corrects is None:
        if event.type == RETRACTION:
            raise ContractError(
                "corrects", "is required for a retraction: the event_id of the event that it takes back"
            )
    elif event.corrects == event.event_id:
        raise ContractError(
            "corrects", "names the event itself; a correction has an event_id of its own and names the earlier event's"
        )
    check_time("occurred_at", event.occurred_at)
    if now is not None and event.occurred_at > now + FUTURE_TOLERANCE:
        raise ContractError(
            "occurred_at",
            f"{event.occurred_at.isoformat()} is in the future: the platform's clock says {now.isoformat()};"
            " leave the field out to have the collector stamp it",
        )


def check_time(field: str, moment: datetime) -> None:
    """Check that a time of a record is one that every store of the platform can hold.

    Raises:
        ContractError: it is before 1970 or after 9998.
    """
    if not _EARLIEST <= moment <= _LATEST:
        raise ContractError(
            field, f"{moment.isoformat()} is not between {_EARLIEST.isoformat()} and {_LATEST.isoformat()}"
        )


def encode_event(event: Event) -> bytes:
    """The JSON of one event."""
    return _encoder.encode(event)


def event_key(event: Event) -> bytes:
    """The Kafka key: the user, else the session, so that one shopper's events stay in order."""
    return (event.user_id or event.session_id or "").encode()


def event_json_schema() -> dict[str, Any]:
    """The JSON Schema of an event, as published by the collector.

    Unknown fields are allowed, as on the wire; what types alone cannot say (a user or a session, the one version
    that is spoken) is added.
    That an event must not correct itself is beyond JSON Schema; the collector says it.
    """
    schema = msgspec.json.schema(Event)
    for definition in schema["$defs"].values():
        definition.pop("additionalProperties", None)
    event = schema["$defs"]["Event"]
    known = {"type": "string"}  # absent and null are the same
    event["anyOf"] = [{"required": [name], "properties": {name: known}} for name in ("user_id", "session_id")]
    event["properties"]["schema_version"]["const"] = SCHEMA_VERSION
    event["if"] = {"properties": {"type": {"enum": sorted(TYPES_WITHOUT_ITEM)}}}
    event["else"] = {"required": ["item_id"], "properties": {"item_id": known}}
    event["allOf"] = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": RETRACTION}}},
            "then": {"required": ["corrects"], "properties": {"corrects": known}},
        }
    ]
    return schema
