"""Starting and ending the worker's process, with the in-memory broker."""

import os
import threading
from pathlib import Path

import msgspec
import pytest
from stream_cases import CLOCK, PLAN, broker, event

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker, MemoryConsumer
from tastemaker.broker.protocol import BrokerUnavailable, Record
from tastemaker.errors import StackError
from tastemaker.events.contract import encode_event
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reader import FeatureReader
from tastemaker.features.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.decode import Decoded
from tastemaker.stream.lock import writer_lock
from tastemaker.stream.rows import event_rows
from tastemaker.stream.worker import PlanChanged, PlanWatch, open_state, ready_path, run_worker

OTHER_PLAN = FeaturePlan(views=PLAN.views[:1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path)
    PLAN.save(made.plan_path)
    return made


def views_of_u1(settings: Settings, plan: FeaturePlan = PLAN) -> int:
    reader = FeatureReader(settings.online_path, plan)
    try:
        return int(reader.row(names.VIEW_USER_ACTIVITY, "u1", CLOCK.now_us())["views"])
    finally:
        reader.close()


class StopsWhenIdle(MemoryConsumer):
    """Ends the worker once there is nothing left to read, and notes whether it was announced as ready."""

    def __init__(self, memory: MemoryBroker, settings: Settings, stop: threading.Event) -> None:
        super().__init__(memory)
        self._settings = settings
        self._stop = stop
        self.announced = ""

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        records = super().poll(0, max_records)
        if not records:
            self.announced = ready_path(self._settings).read_text()
            self._stop.set()
        return records


def test_worker_announces_itself_works_and_takes_the_announcement_back(settings):
    memory, stop = broker(), threading.Event()
    memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(event("e1")))
    settings.run_dir.mkdir()
    ready_path(settings).write_text("1")  # left behind by one that was killed
    consumer = StopsWhenIdle(memory, settings, stop)
    run_worker(settings, stop, lambda: consumer, memory.producer)
    assert consumer.announced == str(os.getpid())
    assert not ready_path(settings).exists()
    assert views_of_u1(settings) == 1
    assert Lake(settings.lake_dir).open(names.TABLE_EVENTS).to_pyarrow_table().num_rows == 1


def test_worker_waits_for_a_broker_that_is_not_there_yet(settings):
    memory, stop = broker(), threading.Event()
    attempts: list[int] = []

    def connect() -> MemoryConsumer:
        attempts.append(1)
        if len(attempts) == 1:
            raise BrokerUnavailable("no broker answers")
        return StopsWhenIdle(memory, settings, stop)

    run_worker(settings, stop, connect, memory.producer)
    assert len(attempts) == 2


def test_worker_without_a_plan_says_what_to_run(tmp_path):
    memory = broker()
    with pytest.raises(StackError, match="tastemaker features apply"):
        run_worker(Settings(home=tmp_path), threading.Event(), memory.consumer, memory.producer)


def test_worker_is_refused_while_another_process_writes(settings):
    memory = broker()
    with (
        writer_lock(settings.home, "an import"),
        pytest.raises(StackError, match=rf"an import \(process {os.getpid()}\)"),
    ):
        run_worker(settings, threading.Event(), memory.consumer, memory.producer)
    with writer_lock(settings.home, "the next"):
        pass  # it was freed


def test_changed_declarations_end_the_worker_after_a_flush(settings):
    memory, stop = broker(), threading.Event()
    memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(event("e1")))

    class AppliesAnew(MemoryConsumer):
        def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
            OTHER_PLAN.save(settings.plan_path)
            return super().poll(0, max_records)

    with pytest.raises(PlanChanged, match="starting again rebuilds"):
        run_worker(settings, stop, lambda: AppliesAnew(memory), memory.producer)
    assert Lake(settings.lake_dir).open(names.TABLE_EVENTS).to_pyarrow_table().num_rows == 1


def test_plan_written_again_with_other_services_only_is_no_change(settings):
    watch = PlanWatch(settings.plan_path, PLAN)
    described = [msgspec.structs.replace(view, description="what they did") for view in PLAN.views]
    FeaturePlan(views=tuple(described)).save(settings.plan_path)
    watch.check()
    OTHER_PLAN.save(settings.plan_path)
    with pytest.raises(PlanChanged):
        watch.check()


def test_state_is_built_from_the_lake_when_it_is_new_or_made_for_other_declarations(settings):
    lake = Lake(settings.lake_dir)
    lake.create()
    open_state(settings, PLAN, lake).close()  # nothing to build from
    history = [Decoded(event("e1"), Record("", -1, -1, None, None, 0), 0)]
    lake.append(names.TABLE_EVENTS, event_rows(history), {"backfill:shop": 1})
    open_state(settings, PLAN, lake).close()
    assert views_of_u1(settings) == 1

    FeatureState.open(settings.online_path, PLAN).close()
    three_views = FeaturePlan(views=(*PLAN.views, msgspec.structs.replace(PLAN.views[0], name="more")))
    open_state(settings, three_views, lake).close()
    assert views_of_u1(settings, three_views) == 1
