"""Real Kafka, collector and worker; SIGKILL in the middle of the stream; every accepted event counts exactly once."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.local_kafka import free_port
from tastemaker import names
from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer
from tastemaker.broker.node import answers, uses_standin
from tastemaker.broker.topics import ensure_topics
from tastemaker.clock import Clock
from tastemaker.events.dead_letter import DeadLetter, decode_dead_letter
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.offsets import committed_offsets
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.lock import writer_lock
from tests.e2e.waiting import wait_for

pytestmark = pytest.mark.e2e

USERS = [f"user-{n}" for n in range(7)]
ITEMS = [f"item-{n}" for n in range(11)]
TYPES = ("view", "cart_add", "purchase")
BATCH = 25


def _view(name: str, entity: str) -> ViewPlan:
    counts = tuple(
        FeatureSpec(name=of, function="count", column=names.EVENT_ID, types=(of,), dtype="int64", default=0.0)
        for of in TYPES
    )
    return ViewPlan(
        name=name,
        kind="aggregate",
        entities=(entity,),
        join_keys=(f"{entity}_id",),
        features=counts,
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
    )


PLAN = FeaturePlan(
    views=(_view(names.VIEW_ITEM_ACTIVITY, names.ENTITY_ITEM), _view(names.VIEW_USER_ACTIVITY, names.ENTITY_USER))
)


class Processes:
    """The stack's processes, started and killed by hand."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        self._settings = settings
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, module: str) -> None:
        environ = os.environ | self._settings.to_env()
        with (self._logs / f"{module}.log").open("ab") as log:
            command = [sys.executable, "-m", f"tastemaker.{module}"]
            self._running[module] = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        wait_for(f"{module} (see {self._logs})", lambda: self._is_ready(module))

    def _is_ready(self, module: str) -> bool:
        assert self._running[module].poll() is None, (self._logs / f"{module}.log").read_text()[-2_000:]
        if module == "broker.node":
            return answers(self._settings.host, self._settings.kafka_port)
        if module == "stream.worker":
            ready = self._settings.run_dir / "worker.ready"
            return ready.exists() and ready.read_text() == str(self._running[module].pid)
        try:
            return httpx.get(f"{self._settings.collector_url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, module: str) -> None:
        process = self._running.pop(module)
        assert process.poll() is None
        process.kill()
        process.wait()

    def stop(self, module: str) -> int:
        """End it politely; returns its exit status."""
        process = self._running.pop(module)
        process.terminate()
        return process.wait(20)

    def close(self) -> None:
        for module in list(self._running):
            self.kill(module)


def _event(number: int) -> dict[str, str]:
    return {
        "event_id": f"event-{number}",
        "type": TYPES[number % 3],
        "user_id": USERS[number % 7],
        "item_id": ITEMS[number % 11],
    }


class Sender(threading.Thread):
    """Posts batches without a pause; sends again what was not accepted, and now and then what was."""

    def __init__(self, url: str) -> None:
        super().__init__(name="sender", daemon=True)
        self._url = url
        self.accepted: set[str] = set()
        self.sent_twice = 0
        self.retried = 0
        self.enough = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            self._send_all()
        except BaseException as error:
            self.problem = error

    def _send_all(self) -> None:
        number = 0
        pending: dict[str, dict[str, str]] = {}
        with httpx.Client(timeout=20) as client:
            while pending or not self.enough.is_set():
                if not pending:
                    pending = {made["event_id"]: made for made in map(_event, range(number, number + BATCH))}
                    number += BATCH
                batch = list(pending.values())
                repeat = number % (4 * BATCH) == 0
                if repeat:
                    batch += batch[:3]
                try:
                    response = client.post(f"{self._url}/v1/events", json=batch)
                except httpx.TransportError:
                    continue  # no answer: send everything again
                assert response.status_code in {202, 503}, response.text
                self.sent_twice += 3 if repeat else 0
                for result in response.json()["results"]:
                    if result["status"] == "accepted":
                        self.accepted.add(result["event_id"])
                        pending.pop(result["event_id"], None)
                    else:
                        self.retried += 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(
        home=tmp_path / "home",
        repository=Path(__file__).parents[2],
        kafka_port=free_port(),
        kafka_controller_port=free_port(),
        collector_port=free_port(),
    )
    if uses_standin(made):
        pytest.skip(
            "the stand-in broker may lose acknowledged events on a kill; Apache Kafka needs Java and `make setup`"
        )
    return made


@pytest.fixture
def processes(settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    made = Processes(settings, tmp_path)
    yield made
    made.close()


def _ends(settings: Settings) -> dict[int, int]:
    consumer = KafkaConsumer(settings)
    try:
        return consumer.end_offsets([names.TOPIC_EVENTS])[names.TOPIC_EVENTS]
    finally:
        consumer.close()


def _lake_positions(lake: Lake) -> dict[int, int]:
    held = committed_offsets(lake.open(names.TABLE_EVENTS), names.TOPIC_EVENTS, range(4))
    return {partition: offset + 1 for partition, offset in held.items()}


def _dead_letters(settings: Settings, wanted: int) -> list[DeadLetter]:
    consumer = KafkaConsumer(settings)
    try:
        consumer.assign({names.TOPIC_DEAD_LETTERS: {0: 0}})
        letters: list[DeadLetter] = []

        def read() -> bool:
            letters.extend(decode_dead_letter(r.value or b"") for r in consumer.poll(200, 100))
            return len(letters) >= wanted

        wait_for("dead letters", read)
        return letters
    finally:
        consumer.close()


def test_every_accepted_event_counts_once_though_worker_and_broker_are_killed(settings, processes):
    PLAN.save(settings.plan_path)
    processes.start("broker.node")
    ensure_topics(settings)
    processes.start("stream.worker")
    processes.start("stream.collector")
    items = [{"item_id": item, "title": item} for item in ITEMS]
    assert httpx.post(f"{settings.collector_url}/v1/items", json=items).status_code == 202

    sender = Sender(settings.collector_url)
    sender.start()
    lake = Lake(settings.lake_dir)
    killed_at: list[int] = []
    for victim in ("stream.worker", "broker.node", "stream.worker"):
        before = len(sender.accepted)
        wait_for(
            "more events", lambda before=before: len(sender.accepted) >= before + 1_000 or sender.problem is not None
        )
        if victim == "stream.worker":
            # In the middle: something is in the lake, and something is not.
            wait_for("the lake", lambda: sum(_lake_positions(lake).values()) > (killed_at[-1] if killed_at else 0))
        killed_at.append(sum(_lake_positions(lake).values()))
        processes.kill(victim)
        time.sleep(0.5)
        processes.start(victim)
    before = len(sender.accepted)
    wait_for("events after the last kill", lambda: len(sender.accepted) >= before + 1_000 or sender.problem is not None)
    sender.enough.set()
    sender.join(30)
    assert sender.problem is None
    assert not sender.is_alive()
    assert sender.sent_twice > 0

    malformed = {b"{not json": "not valid JSON", b'{"event_id": "x", "type": "stare"}': "'stare' is unknown"}
    producer = KafkaProducer(settings)
    for raw in malformed:
        producer.send(names.TOPIC_EVENTS, b"user-0", raw).result(10)
    producer.close()

    ends = _ends(settings)
    wait_for("the lake to have everything", lambda: _lake_positions(lake) == ends)
    assert all(position < sum(ends.values()) for position in killed_at)

    with lake.connect() as duck:
        in_lake = Counter(row[0] for row in duck.execute("SELECT event_id FROM events").fetchall())
        by_key = {
            view: duck.execute(f"SELECT {key}, type, count(*) FROM events GROUP BY ALL").fetchall()
            for view, key in ((names.VIEW_USER_ACTIVITY, "user_id"), (names.VIEW_ITEM_ACTIVITY, "item_id"))
        }
    assert [event_id for event_id, rows in in_lake.items() if rows != 1] == []
    assert set(in_lake) == sender.accepted

    reader = FeatureReader(settings.online_location, PLAN)
    now_us = Clock().now_us()
    for view, rows in by_key.items():
        assert len(rows) == 3 * len(USERS if view == names.VIEW_USER_ACTIVITY else ITEMS)
        for key, event_type, count in rows:
            assert reader.row(view, key, now_us)[event_type] == count
    assert {item_id for item_id, _ in reader.items_changed(0)[1]} == set(ITEMS)
    reader.close()

    letters = _dead_letters(settings, len(malformed))
    assert {letter.raw for letter in letters} == set(malformed)
    for letter in letters:
        assert malformed[letter.raw or b""] in letter.reason
        assert letter.topic == names.TOPIC_EVENTS

    assert processes.stop("stream.collector") == 0
    assert processes.stop("stream.worker") == 0
    assert not (settings.run_dir / "worker.ready").exists()
    state = FeatureState.open(settings.online_location, PLAN)
    assert state.positions(names.TOPIC_EVENTS) == ends
    state.close()


def test_second_writer_on_the_same_home_is_refused(settings):
    PLAN.save(settings.plan_path)
    with writer_lock(settings.home, "an import"):
        environ = os.environ | settings.to_env()
        command = [sys.executable, "-m", "tastemaker.stream.worker"]
        refused = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert f"an import (process {os.getpid()})" in refused.stderr
    assert "stop it first" in refused.stderr
