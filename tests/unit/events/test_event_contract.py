"""The event contract: what decodes, what is refused and how it is named."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import ContractError
from tastemaker.events.contract import (
    EVENT_TYPES,
    FUTURE_TOLERANCE,
    RETRACTION,
    TYPES_WITHOUT_ITEM,
    Context,
    Event,
    check_event,
    decode_event,
    encode_event,
    event_from_dict,
    event_json_schema,
    event_key,
)

VIEW: dict[str, Any] = {
    "event_id": "e1",
    "type": "view",
    "user_id": "u1",
    "item_id": "i1",
    "occurred_at": "2011-12-09T12:50:00Z",
}

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=1024)
moments = st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
contexts = st.builds(Context, surface=texts, device=texts, country=texts, query=texts, category=texts)
# Unknown fields must be unknown: a key such as "user_id" at the top level would be that field.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | ids,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ids, inner, max_size=3),
    max_leaves=8,
)


def events_of_type(kind: str) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        event_id=ids,
        type=st.just(kind),
        occurred_at=moments,
        user_id=ids,
        session_id=st.none() | ids,
        item_id=ids,
        value=st.none() | st.floats(0, 1e12),
        category=texts,
        price=st.none() | st.floats(0, 1e12),
        corrects=ids if kind == RETRACTION else st.none() | ids,
        request_id=st.none() | ids,
        position=st.none() | st.integers(0, 100_000),
        context=contexts,
        extra=st.dictionaries(ids, json_values, max_size=3),
    ).filter(lambda event: event.corrects != event.event_id)


events = st.sampled_from(EVENT_TYPES).flatmap(events_of_type)


def decode(**fields: Any) -> Event:
    return decode_event(json.dumps(VIEW | fields).encode())


def refused_field(**fields: Any) -> str:
    with pytest.raises(ContractError) as caught:
        decode(**fields)
    return caught.value.field


@given(events)
def test_decode_of_encode_is_the_same_event(event):
    assert decode_event(encode_event(event)) == event


@given(events, st.dictionaries(ids.map("x-".__add__), json_values, max_size=3))
def test_unknown_fields_are_kept_in_extra_and_survive_a_second_trip(event, unknown):
    wire = json.loads(encode_event(event)) | unknown

    decoded = decode_event(json.dumps(wire).encode())

    assert decoded.extra == event.extra | unknown
    assert decode_event(encode_event(decoded)) == decoded


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_a_contract_error(raw):
    try:
        event = decode_event(raw)
    except ContractError:
        return
    assert decode_event(encode_event(event)) == event


@given(
    st.dictionaries(st.sampled_from([*VIEW, "value", "position", "context", "extra", "schema_version"]), json_values)
)
def test_any_values_in_known_fields_decode_or_name_a_field(fields):
    try:
        event = event_from_dict(VIEW | fields)
    except ContractError as error:
        assert error.field  # noqa: PT017  both outcomes are right; this one must name its field
    else:
        check_event(event)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "purchas"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["view"]}, "type"),
        ({"event_id": ""}, "event_id"),
        ({"user_id": 17850}, "user_id"),
        ({"user_id": "u" * 257}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"item_id": None}, "item_id"),
        ({"value": -0.01}, "value"),
        ({"value": "3.5"}, "value"),
        ({"price": -1}, "price"),
        ({"price": 2e12}, "price"),
        ({"category": ["kitchen", "mugs"]}, "category"),
        ({"category": "c" * 1025}, "category"),
        ({"corrects": ""}, "corrects"),
        ({"corrects": "e1"}, "corrects"),  # itself
        ({"type": "retraction"}, "corrects"),
        ({"type": "retraction", "corrects": None}, "corrects"),
        ({"type": "retraction", "corrects": "e1"}, "corrects"),  # itself
        ({"type": "retraction", "corrects": "e0", "user_id": None}, "user_id"),
        ({"position": 1.5}, "position"),
        ({"position": -1}, "position"),
        ({"context": {"device": 5}}, "context.device"),
        ({"context": {"query": "q" * 1025}}, "context.query"),
        ({"schema_version": 2}, "schema_version"),
        ({"schema_version": True}, "schema_version"),
        ({"occurred_at": "2011-12-09T12:50:00"}, "occurred_at"),
        ({"occurred_at": "9.12.2011"}, "occurred_at"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-12:00"}, "occurred_at"),  # the year 10000 in UTC
    ],
)
def test_a_wrong_value_is_refused_and_named(fields, field):
    assert refused_field(**fields) == field


@pytest.mark.parametrize("field", ["event_id", "type", "occurred_at"])
def test_a_missing_required_field_is_named(field):
    wire = {name: value for name, value in VIEW.items() if name != field}

    with pytest.raises(ContractError, match="is required") as caught:
        decode_event(json.dumps(wire).encode())

    assert caught.value.field == field


@pytest.mark.parametrize("raw", [b"", b"\xff", b"{", b'{"event_id": NaN}', b"[" * 100_000])
def test_bytes_that_are_no_json_say_so(raw):
    with pytest.raises(ContractError, match="not valid JSON"):
        decode_event(raw)


@pytest.mark.parametrize("raw", [b"null", b"[1]", b'"view"', b"3"])
def test_json_that_is_no_object_says_so(raw):
    with pytest.raises(ContractError, match="JSON object"):
        decode_event(raw)


def test_a_guest_needs_a_session_only():
    assert decode(user_id=None, session_id="s1").user_id is None


@pytest.mark.parametrize("kind", sorted(TYPES_WITHOUT_ITEM))
def test_search_preference_and_retraction_need_no_item(kind):
    assert decode(type=kind, item_id=None, corrects="e0").item_id is None


def test_any_type_may_correct_an_earlier_event():
    event = decode(type="purchase", value=3, category="kitchen/mugs", price=1.5, corrects="e0")

    assert (event.category, event.price, event.corrects) == ("kitchen/mugs", 1.5, "e0")
    assert event.extra == {}


def test_a_sender_that_does_not_know_the_newer_fields_stays_valid_and_sends_the_same_bytes():
    event = decode()

    assert (event.category, event.price, event.corrects) == (None, None, None)
    assert set(json.loads(encode_event(event))) == set(VIEW)


def test_unknown_context_fields_move_to_extra():
    event = decode(context={"device": "phone", "weather": "rain"})

    assert event.context == Context(device="phone")
    assert event.extra == {"context": {"weather": "rain"}}


def test_another_offset_is_the_same_moment():
    assert decode(occurred_at="2011-12-09T14:50:00+02:00") == decode()


def test_an_event_within_the_tolerance_of_the_future_is_accepted_and_beyond_is_not():
    now = datetime(2011, 12, 9, 12, 0, tzinfo=UTC)
    at_the_limit = Event(event_id="e", type="view", user_id="u", item_id="i", occurred_at=now + FUTURE_TOLERANCE)
    beyond = Event(
        event_id="e",
        type="view",
        user_id="u",
        item_id="i",
        occurred_at=now + FUTURE_TOLERANCE + timedelta(microseconds=1),
    )

    check_event(at_the_limit, now)
    with pytest.raises(ContractError, match="in the future"):
        check_event(beyond, now)


@pytest.mark.parametrize(("user", "session", "key"), [("u", "s", b"u"), ("u", None, b"u"), (None, "s", b"s")])
def test_the_key_is_the_user_or_else_the_session(user, session, key):
    now = datetime(2011, 12, 9, tzinfo=timezone(timedelta(hours=1)))
    event = Event(event_id="e", type="view", user_id=user, session_id=session, item_id="i", occurred_at=now)

    assert event_key(event) == key


@given(events)
def test_the_published_schema_accepts_what_the_contract_encodes(event):
    jsonschema.validate(json.loads(encode_event(event)), event_json_schema())


def test_the_published_schema_accepts_unknown_fields_as_the_wire_does():
    fields = VIEW | {"campaign": "spring", "context": {"weather": "rain"}}
    jsonschema.validate(fields, event_json_schema())
    assert decode_event(json.dumps(fields).encode()).extra == {"campaign": "spring", "context": {"weather": "rain"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "purchas"},
        {"type": "retraction"},
        {"type": "retraction", "corrects": None},
        {"user_id": None},
        {"item_id": None},
        {"value": -1},
        {"price": -1},
        {"corrects": ""},
        {"schema_version": 2},
        {"event_id": ""},
    ],
)
def test_the_published_schema_refuses_what_the_contract_refuses(fields):
    assert refused_field(**fields)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(VIEW | fields, event_json_schema())


def test_the_published_schema_lets_a_search_go_without_an_item():
    search = {name: value for name, value in VIEW.items() if name != "item_id"} | {"type": "search"}

    jsonschema.validate(search, event_json_schema())
    jsonschema.validate(search | {"type": "retraction", "corrects": "e0"}, event_json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(search | {"type": "view"}, event_json_schema())
