"""The worker's loop with the in-memory broker, the real online state and a real lake."""

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_cases import CLOCK, PLAN, THEN, AwayProducer, broker, event, item

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.protocol import Producer
from tastemaker.events.contract import Event, encode_event, event_key
from tastemaker.events.dead_letter import DeadLetter, decode_dead_letter
from tastemaker.events.item import encode_item
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.stream.bounds import Bounds
from tastemaker.stream.consume import Worker


class World:
    """A broker, a lake and an online store that outlive the workers."""

    def __init__(self, root: Path) -> None:
        self.broker: MemoryBroker = broker()
        self.lake = Lake(root / uuid4().hex)
        self.lake.create()
        self.location = f"memory:{uuid4().hex}"
        self.state = self.open_state()

    def open_state(self) -> FeatureState:
        return FeatureState.open(self.location, PLAN, lake=self.lake)

    def send(self, *events: Event) -> None:
        for sent in events:
            self.broker.producer().send(names.TOPIC_EVENTS, event_key(sent), encode_event(sent)).result()

    def worker(self, producer: Producer | None = None, max_poll: int = 2_000, **options: Any) -> Worker:
        """A worker that appends to the lake only when it is closed or the test says so."""
        made = Worker(
            self.broker.consumer(),
            producer or self.broker.producer(),
            self.state,
            self.lake,
            CLOCK,
            bounds=Bounds(poll=max_poll, flush_rows=10**9, flush_s=10**9),
            **options,
        )
        made.start()
        return made

    def drain(self, worker: Worker) -> None:
        while worker.step(timeout_ms=0):
            pass
        worker.close()

    def lake_rows(self, sql: str) -> list[Any]:
        with self.lake.connect() as duck:
            return duck.execute(sql).fetchall()

    def online(self, view: str, key: str) -> dict[str, Any]:
        reader = FeatureReader(self.location, PLAN)
        try:
            return reader.row(view, key, CLOCK.now_us())
        finally:
            reader.close()

    def letters(self) -> list[DeadLetter]:
        return [decode_dead_letter(r.value or b"") for r in self.broker.logs(names.TOPIC_DEAD_LETTERS)[0]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_event_reaches_the_online_state_in_the_same_step_and_the_lake_at_the_flush(world):
    worker = world.worker()
    world.send(event("e1", context=event("x").context, value=2.5, extra={"k": 1}))
    assert worker.step() == 1
    assert world.online(names.VIEW_USER_ACTIVITY, "u1") == {"views": 1, "purchases": 0}
    assert world.lake_rows("SELECT count(*) FROM events") == [(0,)]
    worker.close()
    (row,) = world.lake_rows(
        "SELECT event_id, type, user_id, session_id, item_id, occurred_at, value, context, extra, schema_version,"
        " kafka_offset FROM events"
    )
    assert row[:5] == ("e1", "view", "u1", None, "mug")
    assert row[5] == THEN
    assert row[6:] == (2.5, "{}", '{"k":1}', 1, 0)


def test_ingestion_time_is_the_record_s_in_the_platform_s_time(world):
    world.send(event("e1"))
    ((record,),) = [log for log in world.broker.logs(names.TOPIC_EVENTS) if log]
    world.drain(world.worker())
    ((ingested_us,),) = world.lake_rows("SELECT epoch_us(ingested_at) FROM events")
    assert ingested_us == record.timestamp_ms * 1_000


def test_second_event_of_one_id_counts_nowhere(world):
    world.send(event("e1"), event("e1", item_id="tea"), event("e2"))
    worker = world.worker()
    world.drain(worker)
    assert world.lake_rows("SELECT event_id, item_id FROM events ORDER BY 1") == [("e1", "mug"), ("e2", "mug")]
    assert world.online(names.VIEW_ITEM_ACTIVITY, "mug")["views"] == 2
    assert (worker.counts.events, worker.counts.duplicates) == (2, 1)


def test_crash_before_the_lake_has_it_repeats_only_the_lake_s_part(world):
    world.send(event("e1"), event("e2"), event("e1"))
    world.worker().step()  # online has it; the worker is gone before its flush
    world.send(event("e3"))
    world.drain(world.worker())
    assert world.lake_rows("SELECT event_id FROM events ORDER BY 1") == [("e1",), ("e2",), ("e3",)]
    assert world.online(names.VIEW_USER_ACTIVITY, "u1")["views"] == 3


def test_online_state_that_is_behind_catches_up_without_new_rows_in_the_lake(world, tmp_path):
    world.send(event("e1"), event("e2"))
    world.drain(world.worker())
    world.location = f"memory:{uuid4().hex}"
    world.state = world.open_state()  # lost, and not rebuilt from the lake
    world.drain(world.worker())
    assert world.lake_rows("SELECT count(*) FROM events") == [(2,)]
    assert world.online(names.VIEW_USER_ACTIVITY, "u1")["views"] == 2


def test_state_rebuilt_from_the_lake_goes_on_from_there(world):
    world.send(event("e1"))
    world.drain(world.worker())
    world.send(event("e2"))
    world.state.bootstrap(world.lake)
    world.drain(world.worker())
    assert world.lake_rows("SELECT event_id FROM events ORDER BY 1") == [("e1",), ("e2",)]
    assert world.online(names.VIEW_USER_ACTIVITY, "u1")["views"] == 2


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.lists(st.integers(0, 12), min_size=1, max_size=6)),
            st.tuples(st.sampled_from(["step", "crash", "restart", "rebuild"]), st.none()),
        ),
        max_size=14,
    )
)
def test_any_sequence_of_crashes_leaves_each_event_once(tmp_path, moves):
    world = World(tmp_path)
    sent: dict[str, Event] = {}
    worker = world.worker(max_poll=3)
    for move, numbers in moves:
        if move == "send":
            for number in numbers:
                made = event(f"e{number}", user_id=f"u{number % 3}", item_id=f"i{number % 2}")
                sent.setdefault(made.event_id, made)
                world.send(made)
        elif move == "step":
            worker.step(timeout_ms=0)
        else:
            if move == "restart":
                worker.close()
            if move == "rebuild":
                world.state.bootstrap(world.lake)
            worker = world.worker(max_poll=3)
    world.drain(worker)
    assert sorted(world.lake_rows("SELECT event_id FROM events")) == sorted((event_id,) for event_id in sent)
    expected = Counter(made.user_id for made in sent.values())
    for user in ("u0", "u1", "u2"):
        assert world.online(names.VIEW_USER_ACTIVITY, user)["views"] == expected[user]


def test_bad_records_become_dead_letters_and_stop_nothing(world):
    ahead = event("late", occurred_at=CLOCK.now() + timedelta(days=1))
    producer = world.broker.producer()
    for raw in (b"{not json", b'{"event_id": "x"}', b"[" * 100_000, encode_event(ahead)):
        producer.send(names.TOPIC_EVENTS, b"u1", raw)
    producer.send(names.TOPIC_EVENTS, b"u1", None)
    world.send(event("e1"))
    worker = world.worker()
    world.drain(worker)
    assert world.lake_rows("SELECT event_id FROM events") == [("e1",)]
    letters = world.letters()
    assert [(letter.offset, letter.field) for letter in letters] == [
        (0, ""),
        (1, "type"),
        (2, ""),
        (3, "occurred_at"),
        (4, ""),
    ]
    assert [letter.raw for letter in letters[:2]] == [b"{not json", b'{"event_id": "x"}']
    assert "not valid JSON" in letters[0].reason
    assert "future" in letters[3].reason
    assert {(letter.topic, letter.key) for letter in letters} == {(names.TOPIC_EVENTS, b"u1")}
    assert worker.counts.dead_letters == 5


def test_dead_letters_are_not_sent_again_after_a_crash(world):
    world.broker.producer().send(names.TOPIC_EVENTS, b"u1", b"{not json")
    world.worker().step()  # gone before the lake has the position
    world.drain(world.worker())
    assert len(world.letters()) == 1


def test_dead_letters_wait_for_the_broker_and_the_batch_with_them(world):
    world.broker.producer().send(names.TOPIC_EVENTS, b"u1", b"{not json")
    away = AwayProducer(world.broker, failures=2)
    world.drain(world.worker(away))
    assert away.failures == 0
    assert len(world.letters()) == 1


def test_stop_while_a_dead_letter_waits_commits_nothing(world):
    world.broker.producer().send(names.TOPIC_EVENTS, b"u1", b"{not json")
    stop = threading.Event()

    class StopsOnSend(AwayProducer):
        def send(self, *record: Any, **headers: Any) -> Any:
            stop.set()
            return super().send(*record, **headers)

    world.worker(StopsOnSend(world.broker, failures=10), stop=stop).run()
    assert world.state.positions(names.TOPIC_EVENTS) == {}
    assert world.letters() == []
    world.drain(world.worker())
    assert len(world.letters()) == 1


def test_positions_move_in_the_lake_also_when_no_row_does(world):
    world.send(event("e1"))
    world.drain(world.worker())
    world.send(event("e1"))
    world.drain(world.worker())
    ((partition, log),) = [(p, log) for p, log in enumerate(world.broker.logs(names.TOPIC_EVENTS)) if log]
    app = f"worker:{names.TOPIC_EVENTS}:{partition}"
    assert world.lake.versions(names.TABLE_EVENTS, [app]) == {app: len(log) - 1}


def test_items_and_tombstones_reach_the_online_store_and_the_lake(world):
    producer = world.broker.producer()
    mug = item("mug", category=("kitchen", "mugs"), price=3.5, attributes={"colour": "red"})
    for key, value in ((b"mug", encode_item(mug)), (b"tea", encode_item(item("tea"))), (b"tea", None)):
        producer.send(names.TOPIC_ITEMS, key, value)
    world.drain(world.worker())
    reader = FeatureReader(world.location, PLAN)
    assert dict(reader.items_changed(0)[1]) == {"mug": mug, "tea": None}
    reader.close()
    rows = world.lake_rows(
        "SELECT item_id, title, category, price, attributes, available, created_at, deleted, kafka_offset FROM items"
        " ORDER BY kafka_offset"
    )
    assert rows[0] == ("mug", "Mug", ["kitchen", "mugs"], 3.5, '{"colour":"red"}', True, THEN, False, 0)
    assert [(row[0], row[1], row[7]) for row in rows[1:]] == [("tea", "Tea", False), ("tea", None, True)]


def test_item_under_another_key_and_item_without_key_are_dead_letters(world):
    producer = world.broker.producer()
    producer.send(names.TOPIC_ITEMS, b"pot", encode_item(item("mug")))
    producer.send(names.TOPIC_ITEMS, None, encode_item(item("mug")))
    world.drain(world.worker())
    assert [letter.field for letter in world.letters()] == ["item_id", "key"]
    assert world.lake_rows("SELECT count(*) FROM items") == [(0,)]


def test_served_lists_go_to_the_lake_alone_and_bad_ones_to_the_dead_letters(world):
    served = ServedList(
        request_id="r1",
        served_at=THEN,
        request=RecommendationRequest(user="u1", session="s1"),
        release="r-7",
        tier="full",
        items=("mug", "tea"),
    )
    producer = world.broker.producer()
    producer.send(names.TOPIC_SERVED_LISTS, b"r1", msgspec.json.encode(served))
    producer.send(names.TOPIC_SERVED_LISTS, b"r2", b"{}")
    world.drain(world.worker())
    (row,) = world.lake_rows(
        "SELECT request_id, served_at, user_id, session_id, surface, release, tier, served_list FROM served_lists"
    )
    assert row[:7] == ("r1", THEN, "u1", "s1", "home", "r-7", "full")
    assert msgspec.json.decode(row[7], type=ServedList) == served
    assert [letter.field for letter in world.letters()] == ["request_id"]


def test_run_works_until_it_is_told_to_stop_and_flushes(world):
    world.send(event("e1"))
    stop = threading.Event()
    worker = world.worker(stop=stop)
    calls = 0

    def stop_after_the_first() -> None:
        nonlocal calls
        calls += 1
        if worker.counts.events:
            stop.set()

    worker.run(stop_after_the_first)
    assert calls >= 1
    assert world.lake_rows("SELECT event_id FROM events") == [("e1",)]
