"""The collector's routes, with the in-memory broker behind them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from stream_cases import CLOCK, THEN, AwayProducer, DeafProducer, broker, item

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker, MemoryConsumer
from tastemaker.broker.protocol import BrokerUnavailable, Consumer, Producer
from tastemaker.events.contract import EVENT_TYPES, decode_event
from tastemaker.events.item import decode_item, encode_item
from tastemaker.stream.app import create_app
from tastemaker.stream.catalogue import Catalogue
from tastemaker.stream.limits import Limits

VIEW = {"type": "view", "user_id": "u1", "item_id": "mug"}


@contextmanager
def collector(
    memory: MemoryBroker,
    *,
    producer: Producer | None = None,
    connect: Callable[[], Consumer] | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> Iterator[TestClient]:
    catalogue = Catalogue(connect or memory.consumer)
    app = create_app(producer or memory.producer(), catalogue, clock=CLOCK, limits=limits, **options)
    with TestClient(app) as client:
        if connect is None:
            assert catalogue.wait_loaded(10)
        yield client


@pytest.fixture
def memory() -> MemoryBroker:
    made = broker()
    for item_id in ("mug", "tea"):
        made.producer().send(names.TOPIC_ITEMS, item_id.encode(), encode_item(item(item_id)))
    return made


@pytest.fixture
def client(memory: MemoryBroker) -> Iterator[TestClient]:
    with collector(memory) as made:
        yield made


def stored(memory: MemoryBroker, topic: str = names.TOPIC_EVENTS) -> list[Any]:
    return [record for log in memory.logs(topic) for record in log]


def test_event_is_stored_under_the_key_of_its_user_and_answered_202(memory, client):
    response = client.post("/v1/events", json=VIEW | {"event_id": "e1", "occurred_at": "2024-05-17T12:30:00Z"})
    assert response.status_code == 202
    assert response.json() == {
        "accepted": 1,
        "rejected": 0,
        "retry": 0,
        "results": [{"index": 0, "status": "accepted", "event_id": "e1"}],
    }
    (record,) = stored(memory)
    assert record.key == b"u1"
    event = decode_event(record.value)
    assert (event.event_id, event.occurred_at, event.item_id) == ("e1", THEN, "mug")


def test_missing_id_and_time_are_stamped_and_the_id_is_told(memory, client):
    before = CLOCK.now()
    (result,) = client.post("/v1/events", json=VIEW).json()["results"]
    event = decode_event(stored(memory)[0].value)
    assert event.event_id == result["event_id"]
    assert before <= event.occurred_at <= CLOCK.now()


@pytest.mark.parametrize("wrap", [lambda events: events, lambda events: {"events": events}])
def test_batch_with_one_bad_event_is_207_and_says_which(memory, client, wrap):
    response = client.post("/v1/events", json=wrap([VIEW, {**VIEW, "type": "stare"}, VIEW]))
    assert response.status_code == 207
    body = response.json()
    assert (body["accepted"], body["rejected"]) == (2, 1)
    assert [result["status"] for result in body["results"]] == ["accepted", "rejected", "accepted"]
    bad = body["results"][1]
    assert bad["index"] == 1
    assert bad["field"] == "type"
    assert all(known in bad["problem"] for known in EVENT_TYPES)
    assert len(stored(memory)) == 2


FUTURE = (CLOCK.now() + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize(
    ("event", "field", "problem"),
    [
        ({"type": "view", "item_id": "mug"}, "user_id", "at least one of user_id and session_id"),
        ({"type": "view", "user_id": "u1"}, "item_id", "is required for a view"),
        ({"user_id": "u1", "item_id": "mug"}, "type", "required"),
        (VIEW | {"occurred_at": FUTURE}, "occurred_at", "in the future"),
        (VIEW | {"occurred_at": "0001-01-01T00:00:00+10:00"}, "occurred_at", "1970-01-01"),
        (VIEW | {"occurred_at": "yesterday"}, "occurred_at", "RFC3339"),
        (VIEW | {"item_id": "teapot"}, "item_id", "POST /v1/items"),
        (VIEW | {"value": "3"}, "value", "float"),
        (VIEW | {"user_id": ""}, "user_id", "length >= 1"),
        (VIEW | {"schema_version": 9}, "schema_version", "unknown"),
        (VIEW | {"context": {"device": 5}}, "context.device", "str"),
        (VIEW | {"note": "x" * 70_000}, "body", "exceeds the limit of 65536 bytes"),
        (17, "body", "an event is a JSON object, not a number"),
    ],
)
def test_bad_event_is_422_with_the_field_named(memory, client, event, field, problem):
    response = client.post("/v1/events", json=[event])
    assert response.status_code == 422
    (result,) = response.json()["results"]
    assert (result["index"], result["status"], result["field"]) == (0, "rejected", field)
    assert problem in result["problem"]
    assert stored(memory) == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"type": "view",\n "user_id": }', "line 2, column 13 (byte 29)"),  # the brace after 17 + 12 bytes
        (b'[{"type": "view"', "line 1, column 17 (byte 16)"),  # ends after 16 bytes
        (b"", "line 1, column 1 (byte 0)"),
        (b'{"user_id": "\xff"}', "line 1, column 14 (byte 13)"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"value": 1e999}', "out of range"),
    ],
)
def test_malformed_json_is_400_and_says_where(client, body, where):
    response = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["field"] == "body"
    assert where in response.json()["problem"]


@pytest.mark.parametrize(("body", "field"), [("[]", "events"), ('"view"', "body"), ('{"events": 3}', "events")])
def test_wrong_shape_is_400(client, body, field):
    response = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["field"]) == (400, field)


def test_body_of_ten_megabytes_is_413_naming_the_limit(memory, client):
    response = client.post("/v1/events", json=[VIEW | {"note": "x" * 10_000_000}])
    assert response.status_code == 413
    assert "limit of 1048576 bytes" in response.json()["problem"]
    assert stored(memory) == []


def test_too_large_body_without_declared_length_is_413(memory):
    chunks = (b" " * 1_000 for _ in range(100))
    with collector(memory, limits=Limits(body_bytes=5_000)) as client:
        response = client.post("/v1/events", content=chunks, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert "limit of 5000 bytes" in response.json()["problem"]


def test_body_exactly_at_the_limit_is_taken(memory):
    body = msgspec.json.encode(VIEW)
    with collector(memory, limits=Limits(body_bytes=len(body))) as client:
        at_limit = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
        beyond = client.post("/v1/events", content=body + b" ", headers={"content-type": "application/json"})
    assert (at_limit.status_code, beyond.status_code) == (202, 413)


def test_too_many_events_are_413_naming_the_limit(memory, client):
    response = client.post("/v1/events", json=[VIEW] * 1_001)
    assert response.status_code == 413
    assert "1001 events exceed the limit of 1000" in response.json()["problem"]
    assert stored(memory) == []


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "content-type"),
        ({"content-type": "application/json; charset=latin-1"}, "content-type"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "content-encoding"),
    ],
)
def test_unknown_content_is_415_naming_the_header(client, headers, field):
    response = client.post("/v1/events", content=b"{}", headers=headers)
    assert (response.status_code, response.json()["field"]) == (415, field)


def test_unacknowledged_events_are_503_and_marked_retry_with_their_ids(memory):
    producer = DeafProducer(memory, heard=frozenset({b"u1"}))
    with collector(memory, producer=producer, limits=Limits(ack_timeout_s=0.05)) as client:
        response = client.post("/v1/events", json=[VIEW, VIEW | {"user_id": "u2"}, {"type": "view"}])
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    results = response.json()["results"]
    assert [result["status"] for result in results] == ["accepted", "retry", "rejected"]
    assert len(results[1]["event_id"]) == 36  # a stamped UUID, to be sent again
    assert "0.05 s" in results[1]["problem"]


def test_broker_that_is_away_is_503_for_every_event(memory):
    with collector(memory, producer=AwayProducer(memory, failures=2)) as client:
        response = client.post("/v1/events", json=[VIEW, VIEW])
        again = client.post("/v1/events", json=[VIEW, VIEW])
    assert response.status_code == 503
    assert [result["status"] for result in response.json()["results"]] == ["retry", "retry"]
    assert "no broker answers" in response.json()["results"][0]["problem"]
    assert again.status_code == 202


def test_more_waiting_requests_than_allowed_are_503(memory):
    with collector(memory, limits=Limits(in_flight=0)) as client:
        response = client.post("/v1/events", json=VIEW)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert stored(memory) == []


def test_item_is_stored_and_events_may_refer_to_it_at_once(memory, client):
    response = client.post("/v1/items", json={"item_id": "pot", "title": "Pot", "price": 4.5, "category": ["tea"]})
    assert response.status_code == 202
    assert response.json()["results"] == [{"index": 0, "status": "accepted", "item_id": "pot"}]
    record = stored(memory, names.TOPIC_ITEMS)[-1]
    assert record.key == b"pot"
    assert decode_item(record.value).category == ("tea",)
    assert client.post("/v1/events", json=VIEW | {"item_id": "pot"}).status_code == 202


def test_bad_item_among_good_ones_is_207_with_the_field_named(client):
    response = client.post("/v1/items", json={"items": [{"item_id": "pot", "title": "Pot"}, {"item_id": "pan"}]})
    assert response.status_code == 207
    bad = response.json()["results"][1]
    assert (bad["item_id"], bad["field"], bad["problem"]) == ("pan", "title", "is required")


def test_deleted_item_leaves_a_tombstone_and_is_unknown_to_events(memory, client):
    response = client.delete("/v1/items/mug")
    assert response.status_code == 202
    record = stored(memory, names.TOPIC_ITEMS)[-1]
    assert (record.key, record.value) == (b"mug", None)
    assert client.post("/v1/events", json=VIEW).status_code == 422


def test_item_id_with_a_slash_can_be_deleted_and_a_too_long_one_cannot(memory, client):
    assert client.delete("/v1/items/a/b").status_code == 202
    assert stored(memory, names.TOPIC_ITEMS)[-1].key == b"a/b"
    refused = client.delete("/v1/items/" + "x" * 257)
    assert (refused.status_code, refused.json()["field"]) == (422, "item_id")


def test_unknown_items_are_accepted_by_setting(memory):
    with collector(memory, reject_unknown_items=False) as client:
        assert client.post("/v1/events", json=VIEW | {"item_id": "teapot"}).status_code == 202


def _no_broker() -> Consumer:
    raise BrokerUnavailable("no broker answers")


def test_unknown_items_are_accepted_while_the_catalogue_is_not_loaded(memory):
    with collector(memory, connect=_no_broker) as client:
        assert client.post("/v1/events", json=VIEW | {"item_id": "teapot"}).status_code == 202


def test_health_tells_life_from_readiness(memory, client):
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "broker": "reachable", "catalogue": {"loaded": True, "items": 2}}
    with collector(memory, connect=_no_broker) as lonely:
        assert lonely.get("/health/live").status_code == 200
        assert lonely.get("/health/ready").status_code == 503


def test_schema_and_help_are_published(client):
    schema = client.get("/v1/schema").json()
    assert schema["$defs"]["Event"]["properties"]["type"]["enum"] == sorted(EVENT_TYPES)
    assert "POST   /v1/events" in client.get("/").text


def test_unknown_path_and_method_are_json_too(client):
    missing, wrong = client.get("/v2/events"), client.get("/v1/events")
    assert (missing.status_code, missing.json()["field"]) == (404, "path")
    assert (wrong.status_code, wrong.json()["field"]) == (405, "path")


def test_metrics_count_outcomes_without_labels_from_requests(client):
    client.post("/v1/events", json=[VIEW, {**VIEW, "type": "stare"}])
    client.get("/no/such/path/17850")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert samples["tastemaker_collector_records_total", "accepted", "event"] == 1
    assert samples["tastemaker_collector_records_total", "event", "rejected"] == 1
    assert samples["tastemaker_collector_responses_total", "207", "events"] == 1
    assert samples["tastemaker_collector_responses_total", "404", "other"] == 1
    assert samples["tastemaker_collector_catalogue_items",] == 2
    assert not any("17850" in label for key in samples for label in key)


def test_event_is_stamped_with_its_item_s_category_and_price_at_that_time(memory, client):
    teapot = {"item_id": "teapot", "title": "Teapot", "category": ["kitchen", "tea"], "price": 12.5}
    client.post("/v1/items", json=teapot)
    client.post("/v1/events", json=VIEW | {"event_id": "before", "item_id": "teapot"})
    client.post("/v1/items", json=teapot | {"category": ["sale"], "price": 10})
    client.post("/v1/events", json=VIEW | {"event_id": "after", "item_id": "teapot"})
    facts = {e.event_id: (e.category, e.price) for e in (decode_event(record.value) for record in stored(memory))}
    assert facts == {"before": ("kitchen/tea", 12.5), "after": ("sale", 10.0)}


@pytest.mark.parametrize(
    ("sent", "stored_facts"),
    [
        ({"price": 9.0}, ("kitchen", 9.0)),  # a price that was really paid stays, the rest is filled in
        ({"category": "gifts"}, ("gifts", 12.5)),
        ({"category": "gifts", "price": 0}, ("gifts", 0.0)),
        ({"category": None, "price": None}, ("kitchen", 12.5)),
    ],
)
def test_what_a_sender_says_of_the_item_is_kept(memory, client, sent, stored_facts):
    client.post("/v1/items", json={"item_id": "pot", "title": "Pot", "category": ["kitchen"], "price": 12.5})
    assert client.post("/v1/events", json=VIEW | {"item_id": "pot"} | sent).status_code == 202
    (record,) = stored(memory)
    event = decode_event(record.value)
    assert (event.category, event.price) == stored_facts


def test_event_of_an_unknown_item_goes_without_facts_where_unknown_items_are_accepted(memory):
    with collector(memory, reject_unknown_items=False) as client:
        assert client.post("/v1/events", json=VIEW | {"item_id": "unheard-of"}).status_code == 202
        assert client.post("/v1/events", json={"type": "search", "user_id": "u1"}).status_code == 202
    assert [(e.category, e.price) for e in (decode_event(r.value) for r in stored(memory))] == [(None, None)] * 2


def test_retraction_is_accepted_without_an_item_and_refused_without_what_it_corrects(memory, client):
    retraction = {"type": "retraction", "user_id": "u1", "event_id": "r1"}
    (refused,) = client.post("/v1/events", json=retraction).json()["results"]
    assert (refused["status"], refused["field"]) == ("rejected", "corrects")
    (itself,) = client.post("/v1/events", json=retraction | {"corrects": "r1"}).json()["results"]
    assert (itself["status"], itself["field"]) == ("rejected", "corrects")
    assert client.post("/v1/events", json=retraction | {"corrects": "e1"}).status_code == 202
    (record,) = stored(memory)
    assert (record.key, decode_event(record.value).corrects) == (b"u1", "e1")


def test_not_ready_before_the_catalogue_is_loaded(memory):
    class Silent(MemoryConsumer):
        def poll(self, timeout_ms: int, max_records: int) -> list[Any]:
            time.sleep(0.5)  # twelve silent polls would count as "all read"
            return []

    with collector(memory, connect=lambda: Silent(memory)) as client:
        deadline = time.monotonic() + 10
        while (ready := client.get("/health/ready")).json()["broker"] != "reachable":
            assert time.monotonic() < deadline
        assert ready.status_code == 503
        assert ready.json()["catalogue"]["loaded"] is False
