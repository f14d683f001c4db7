"""Events that senders extend: from the collector through the broker into the lake and the features, without a restart.

A field that this version does not know is kept, in the lake under ``extra``. A type or a version of the contract that
it does not know cannot be counted as anything: the sender is told, and what is in the broker already waits as a dead
letter until a version that knows it takes it in.
"""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from starlette.testclient import TestClient
from stream_cases import CLOCK, PLAN, broker, event, item

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker
from tastemaker.errors import ContractError
from tastemaker.events.contract import EventType, encode_event
from tastemaker.events.dead_letter import decode_dead_letter
from tastemaker.events.item import encode_item
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.stream.app import create_app
from tastemaker.stream.bounds import Bounds
from tastemaker.stream.catalogue import Catalogue
from tastemaker.stream.consume import Worker
from tastemaker.stream.dead_letter_replay import check_replay

VIEW = {"type": "view", "user_id": "u1", "item_id": "mug"}


class Chain:
    """A collector and a worker that both run on, over one broker, lake and online store."""

    def __init__(self, root: Path, lake: Lake | None = None) -> None:
        self.broker: MemoryBroker = broker()
        self.broker.producer().send(names.TOPIC_ITEMS, b"mug", encode_item(item("mug")))
        self.lake = lake or Lake(root / "lake")
        self.lake.create()
        self.state = FeatureState.open(f"memory:{root}", PLAN, lake=self.lake)
        self.worker = Worker(
            self.broker.consumer(), self.broker.producer(), self.state, self.lake, CLOCK, bounds=Bounds(flush_rows=1)
        )
        self.worker.start()

    def post(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        catalogue = Catalogue(self.broker.consumer)
        with TestClient(create_app(self.broker.producer(), catalogue, clock=CLOCK)) as client:
            assert catalogue.wait_loaded(10)
            return client.post("/v1/events", json=list(events)).json()["results"]

    def work(self) -> None:
        while self.worker.step(timeout_ms=0):
            pass

    def rows(self, sql: str) -> list[Any]:
        self.worker.close()
        with self.lake.connect() as duck:
            return duck.execute(sql).fetchall()

    def views(self) -> int:
        reader = FeatureReader(self.state.store.reader(), PLAN)
        return int(reader.row(names.VIEW_USER_ACTIVITY, "u1", CLOCK.now_us())["views"])

    def letters(self) -> list[Any]:
        return [decode_dead_letter(record.value or b"") for record in self.broker.logs(names.TOPIC_DEAD_LETTERS)[0]]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def test_new_fields_go_through_to_the_lake_and_the_features_go_on(chain: Chain) -> None:
    plain, extended = chain.post(VIEW, VIEW | {"coupon": {"code": "MAY", "percent": 5}, "context": {"weather": "rain"}})
    assert (plain["status"], extended["status"]) == ("accepted", "accepted")
    chain.work()
    assert chain.views() == 2
    extra = dict(chain.rows("SELECT event_id, extra FROM events"))
    assert extra[plain["event_id"]] == "{}"
    assert json.loads(extra[extended["event_id"]]) == {
        "coupon": {"code": "MAY", "percent": 5},
        "context": {"weather": "rain"},
    }


def test_field_in_extra_is_queried_from_the_lake(chain: Chain) -> None:
    chain.post(*(VIEW | {"coupon": code} for code in ("MAY", "MAY", "JUNE")))
    chain.work()
    found = chain.rows("SELECT extra ->> '$.coupon' AS code, count(*) FROM events GROUP BY ALL ORDER BY code")
    assert found == [("JUNE", 1), ("MAY", 2)]


def test_unknown_type_is_refused_to_its_sender_alone_with_those_that_are_known(chain: Chain) -> None:
    known, unknown = chain.post(VIEW, VIEW | {"type": "stare"})
    assert known["status"] == "accepted"
    assert (unknown["status"], unknown["field"]) == ("rejected", "type")
    assert "'stare' is unknown" in unknown["problem"]
    assert all(event_type in unknown["problem"] for event_type in get_args(EventType))


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [({"type": "stare"}, "type", "'stare' is unknown"), ({"schema_version": 2}, "schema_version", "unknown")],
)
def test_what_another_producer_sent_ahead_of_its_time_is_set_aside_and_the_rest_counts(
    chain: Chain, change: dict[str, Any], field: str, reason: str
) -> None:
    early = json.loads(encode_event(event("early"))) | change
    producer = chain.broker.producer()
    for value in (encode_event(event("e1")), msgspec.json.encode(early), encode_event(event("e2"))):
        producer.send(names.TOPIC_EVENTS, b"u1", value)
    chain.work()
    assert chain.views() == 2
    (letter,) = chain.letters()
    assert letter.field == field
    assert reason in letter.reason
    assert json.loads(letter.raw) == early  # nothing is lost of it
    assert chain.rows("SELECT event_id FROM events ORDER BY ALL") == [("e1",), ("e2",)]


def test_dead_letter_of_a_new_type_stays_one_until_a_version_knows_it(chain: Chain) -> None:
    early = json.loads(encode_event(event("early"))) | {"type": "stare"}
    chain.broker.producer().send(names.TOPIC_EVENTS, b"u1", msgspec.json.encode(early))
    chain.work()
    (letter,) = chain.letters()
    with pytest.raises(ContractError, match="'stare' is unknown"):
        check_replay(letter, CLOCK.now_us())
    # What this version knows instead is taken in, under the same id.
    key, value = check_replay(letter, CLOCK.now_us(), msgspec.json.encode(early | {"type": "view"}))
    chain.broker.producer().send(names.TOPIC_EVENTS, key, value)
    chain.work()
    assert chain.views() == 1
    assert chain.rows("SELECT event_id, type FROM events") == [("early", "view")]


def test_lake_of_an_earlier_version_gets_the_new_columns_and_keeps_its_rows(tmp_path: Path) -> None:
    # As it was before events could be corrected and carried their item's category and price.
    newer = {names.CORRECTS, names.CATEGORY, names.PRICE}
    schema = SCHEMAS[names.TABLE_EVENTS]
    earlier = pa.schema([field for field in schema if field.name not in newer])
    row = {names.EVENT_ID: "old", names.TYPE: "view", names.USER_ID: "u1", names.ITEM_ID: "mug"}
    lake = Lake(tmp_path / "lake")
    write_deltalake(str(lake.path(names.TABLE_EVENTS)), pa.Table.from_pylist([row], earlier))
    chain = Chain(tmp_path, lake)
    chain.post(VIEW | {"event_id": "new"}, VIEW | {"event_id": "fix", "corrects": "new"})
    chain.work()
    assert chain.rows("SELECT event_id, corrects FROM events ORDER BY event_id") == [
        ("fix", "new"),
        ("new", None),
        ("old", None),
    ]
