"""``tastemaker up``: every process comes back from SIGKILL, no accepted event is lost or doubled, Ctrl-C ends all."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tastemaker import names
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stack import processes
from tastemaker.stack.record import ComponentRecord, StackRecord, read_stack
from tests.e2e.own_ports import own_ports
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ITEMS = [f"item-{n}" for n in range(5)]
LASTING = ("kafka", "collector", "worker", "worker-2", "prefect-server", "prefect-worker", "reports")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    repository = Path(__file__).parents[2]
    return own_ports(Settings.from_env({}, home=tmp_path / "home", repository=repository))


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, **settings.to_env()}
    del env["KAFKA_BOOTSTRAP_SERVERS"]  # the stack runs its own broker
    with (tmp_path / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "tastemaker.cli", "up", "--quiet", "--workers", "2"], env=env, stdout=log, stderr=log
        )
        try:
            yield up
        finally:
            up.terminate()
            up.wait(60)


def _record(settings: Settings) -> StackRecord:
    record = read_stack(settings)
    assert record is not None, "the supervisor is gone"
    return record


def _part(settings: Settings, name: str) -> ComponentRecord:
    return next(part for part in _record(settings).components if part.name == name)


def _ready(settings: Settings, wanted: tuple[str, ...]) -> bool:
    record = read_stack(settings)
    states = {part.name: part.state for part in record.components} if record else {}
    return all(states.get(name) in {"ready", "done"} for name in wanted)


class Sender:
    """Posts events without a pause and keeps the ids that the collector accepted."""

    def __init__(self, url: str) -> None:
        self.accepted: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Sender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            batch = [
                {"event_id": f"e{n}", "type": "purchase", "user_id": f"u{n % 3}", "item_id": ITEMS[n % 5], "value": 1.5}
                for n in range(number, number + 10)
            ]
            try:
                results = httpx.post(f"{self._url}/v1/events", json=batch, timeout=15).json().get("results", [])
            except httpx.HTTPError:
                results = []
            done = {result["event_id"] for result in results if result["status"] == "accepted"}
            self.accepted += sorted(done)
            if len(done) == len(batch):
                number += 10  # else the same batch again, as a shop would: the same ids must not count twice
            time.sleep(0.02)


def test_up_every_killed_process_comes_back_and_no_accepted_event_is_lost_or_doubled(
    settings: Settings, stack: subprocess.Popen[bytes]
) -> None:
    wait_for("the stack", lambda: _ready(settings, (*LASTING, "topics", "flows")))
    assert _part(settings, "recommender").state == "waiting"  # there is no release yet
    items = [{"item_id": item, "title": item, "created_at": "2020-01-01T00:00:00Z"} for item in ITEMS]
    assert httpx.post(f"{settings.collector_url}/v1/items", json=items, timeout=15).status_code == 202

    with Sender(settings.collector_url) as sender:
        for name in LASTING:
            before = _part(settings, name)
            assert before.pid is not None
            os.kill(before.pid, signal.SIGKILL)
            wait_for(f"{name} to die", lambda name=name, pid=before.pid: _part(settings, name).pid != pid)
            wait_for(f"{name} to come back", lambda: _ready(settings, LASTING))
            assert _part(settings, name).restarts > before.restarts
        survived = len(sender.accepted)
        wait_for("events after the last kill", lambda: len(sender.accepted) > survived + 50)
    accepted = set(sender.accepted)

    def in_lake() -> list[tuple[str, str]]:
        with Lake(settings.lake_dir).connect() as connection:
            rows: list[tuple[str, str]] = connection.execute(
                f"SELECT {names.EVENT_ID}, {names.ITEM_ID} FROM {names.TABLE_EVENTS}"
            ).fetchall()
        return rows

    wait_for("the lake to have every accepted event", lambda: accepted <= {row[0] for row in in_lake()}, 30)
    time.sleep(2)  # whatever would come twice has come by now: the worker flushes every second
    rows = in_lake()
    assert len(rows) == len({row[0] for row in rows})
    plan = FeaturePlan.load(settings.plan_path)
    reader = FeatureReader(settings.online_location, plan)
    counts = reader.values(names.VIEW_ITEM_ACTIVITY, ITEMS, settings.clock.now_us())
    reader.close()
    column = plan.view(names.VIEW_ITEM_ACTIVITY).feature_names.index("item_purchases")
    assert counts[:, column].tolist() == [sum(row[1] == item for row in rows) for item in ITEMS]

    token = _record(settings).token
    assert processes.marked(token)
    stack.send_signal(signal.SIGINT)
    assert stack.wait(60) == 0
    assert not processes.marked(token)
    assert read_stack(settings) is None
