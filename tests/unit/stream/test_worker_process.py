"""Starting and ending the worker's process, with the in-memory broker."""

import os
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from stream_cases import CLOCK, PLAN, broker, event

from benchmarks.local_kafka import free_port
from tastemaker import names
from tastemaker.broker.memory import MemoryBroker, MemoryConsumer
from tastemaker.broker.protocol import BrokerUnavailable, Record
from tastemaker.errors import DataError, StackError
from tastemaker.events.contract import encode_event
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.protocol import WriterFenced
from tastemaker.features.streaming.state import ConsumedEvent
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.group import group_of, member_of
from tastemaker.stream.lock import worker_slot, writer_lock
from tastemaker.stream.plan_watch import PlanChanged, PlanWatch
from tastemaker.stream.rows import event_rows
from tastemaker.stream.worker import open_state, ready_path, run_worker, work

OUTCOMES = ("events", "duplicates", "dead_letters")
OTHER_PLAN = FeaturePlan(views=PLAN.views[:1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, worker_metrics_port=free_port())
    PLAN.save(made.plan_path)
    return made


def views_of_u1(settings: Settings, plan: FeaturePlan = PLAN) -> int:
    reader = FeatureReader(settings.online_location, plan)
    try:
        return int(reader.row(names.VIEW_USER_ACTIVITY, "u1", CLOCK.now_us())["views"])
    finally:
        reader.close()


def connect_to(memory: MemoryBroker) -> Callable[[str, str], MemoryConsumer]:
    return lambda group, member: memory.consumer(group)


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
    run_worker(settings, stop, lambda group, member: consumer, memory.producer)
    assert consumer.announced == str(os.getpid())
    assert not ready_path(settings).exists()
    assert views_of_u1(settings) == 1
    assert Lake(settings.lake_dir).open(names.TABLE_EVENTS).to_pyarrow_table().num_rows == 1


def test_worker_waits_for_a_broker_that_is_not_there_yet(settings):
    memory, stop = broker(), threading.Event()
    attempts: list[int] = []

    def connect(group: str, member: str) -> MemoryConsumer:
        attempts.append(1)
        if len(attempts) == 1:
            raise BrokerUnavailable("no broker answers")
        return StopsWhenIdle(memory, settings, stop)

    run_worker(settings, stop, connect, memory.producer)
    assert len(attempts) == 2


def test_worker_without_a_plan_says_what_to_run(tmp_path):
    memory = broker()
    with pytest.raises(StackError, match="tastemaker features apply"):
        run_worker(Settings(home=tmp_path), threading.Event(), connect_to(memory), memory.producer)


def test_worker_is_refused_while_another_process_writes(settings):
    memory = broker()
    with (
        writer_lock(settings.home, "an import"),
        pytest.raises(StackError, match=rf"an import \(process {os.getpid()}\)"),
    ):
        run_worker(settings, threading.Event(), connect_to(memory), memory.producer)
    with writer_lock(settings.home, "the next"):
        pass  # it was freed


def test_worker_is_beside_others_and_takes_the_lowest_free_number(settings, tmp_path):
    with writer_lock(settings.home, "a worker", shared=True), writer_lock(settings.home, "another", shared=True):
        pass
    with worker_slot(tmp_path) as first, worker_slot(tmp_path) as second:
        assert (first, second) == (0, 1)
    with worker_slot(tmp_path) as again:
        assert again == 0
    assert ready_path(settings, 0) != ready_path(settings, 1)


def test_workers_of_one_lake_are_one_group_and_those_of_another_lake_another(tmp_path):
    lake = Lake(tmp_path / "one")
    assert group_of(lake) == group_of(Lake(tmp_path / "one"))
    assert group_of(lake) != group_of(Lake(tmp_path / "other"))
    assert member_of(0) != member_of(1)
    assert sorted(path.name for path in lake.root.iterdir()) == ["worker-group"]


def test_changed_declarations_end_the_work_after_a_flush(settings):
    memory, stop = broker(), threading.Event()
    memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(event("e1")))

    class AppliesAnew(MemoryConsumer):
        def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
            OTHER_PLAN.save(settings.plan_path)
            return super().poll(0, max_records)

    with pytest.raises(PlanChanged, match="new views are built next"):
        work(settings, 0, stop, lambda group, member: AppliesAnew(memory), memory.producer)
    assert Lake(settings.lake_dir).open(names.TABLE_EVENTS).to_pyarrow_table().num_rows == 1


@pytest.mark.parametrize("reason", [PlanChanged("the plan changed"), WriterFenced("others took over")])
def test_worker_starts_afresh_in_place(settings, reason):
    memory, stop = broker(), threading.Event()
    memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(event("e1")))
    connected: list[MemoryConsumer] = []

    class FailsOnce(StopsWhenIdle):
        def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
            if len(connected) == 1:
                raise reason
            return super().poll(timeout_ms, max_records)

    def connect(group: str, member: str) -> MemoryConsumer:
        connected.append(FailsOnce(memory, settings, stop))
        return connected[-1]

    run_worker(settings, stop, connect, memory.producer)
    assert len(connected) == 2
    assert views_of_u1(settings) == 1


class StopsWhen(MemoryConsumer):
    """Ends the worker once a condition holds."""

    def __init__(self, memory: MemoryBroker, stop: threading.Event, condition: Callable[[], bool]) -> None:
        super().__init__(memory)
        self._stop = stop
        self._condition = condition

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        records = super().poll(10, max_records)
        if not records and self._condition():
            self._stop.set()
        return records


def test_new_view_is_built_while_the_others_go_on(settings):
    memory = broker()
    OTHER_PLAN.save(settings.plan_path)  # of items alone
    for number in range(3):
        memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(event(f"e{number}")))
    stop = threading.Event()
    run_worker(settings, stop, lambda *_: StopsWhenIdle(memory, settings, stop), memory.producer)
    PLAN.save(settings.plan_path)
    memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(event("e3")))

    def is_built() -> bool:
        reader = FeatureReader(settings.online_location, OTHER_PLAN)  # serves all the while
        assert reader.row(names.VIEW_ITEM_ACTIVITY, "mug", CLOCK.now_us())["views"] in {3, 4}
        reader.close()
        try:
            return views_of_u1(settings) == 4  # three from the lake, one that came meanwhile
        except DataError:  # not yet
            return False

    again = threading.Event()
    run_worker(settings, again, lambda *_: StopsWhen(memory, again, is_built), memory.producer)
    assert views_of_u1(settings) == 4
    assert Lake(settings.lake_dir).open(names.TABLE_EVENTS).to_pyarrow_table().num_rows == 4


def test_figures_are_answered_on_the_metrics_port(settings):
    memory, stop = broker(), threading.Event()
    for sent in (event("e1"), event("e1"), event("e2", type="purchase")):
        memory.producer().send(names.TOPIC_EVENTS, b"u1", encode_event(sent))
    memory.producer().send(names.TOPIC_EVENTS, b"u1", b"{not json")
    scraped: dict[str, float] = {}

    def all_is_counted() -> bool:
        with urllib.request.urlopen(settings.worker_metrics_url) as response:
            for line in response.read().decode().splitlines():
                if not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    scraped[name] = float(value)
        return (
            'tastemaker_worker_lake_rows_total{table="events"}' in scraped
            and 'tastemaker_worker_view_rows{view="user_activity"}' in scraped
        )

    run_worker(settings, stop, lambda *_: StopsWhen(memory, stop, all_is_counted), memory.producer)
    records = {outcome: scraped.get(f'tastemaker_worker_records_total{{outcome="{outcome}"}}') for outcome in OUTCOMES}
    assert records == {"events": 2, "duplicates": 1, "dead_letters": 1}
    # Three events were readable after one commit or several, the view of items sees all of them.
    assert scraped['tastemaker_worker_freshness_seconds_count{view="item_activity"}'] == 3
    assert scraped["tastemaker_worker_batch_events_sum"] == 3
    assert 0 <= scraped['tastemaker_worker_newest_event_age_seconds{view="item_activity"}'] < 300
    assert scraped["tastemaker_worker_build_progress"] == 1
    assert scraped["tastemaker_worker_store_bytes"] > 0


def test_plan_written_again_with_other_services_only_is_no_change(settings):
    watch = PlanWatch(settings.plan_path, PLAN)
    described = [msgspec.structs.replace(view, description="what they did") for view in PLAN.views]
    FeaturePlan(views=tuple(described)).save(settings.plan_path)
    watch.check()
    OTHER_PLAN.save(settings.plan_path)
    with pytest.raises(PlanChanged):
        watch.check()


def test_new_state_gets_what_the_lake_has_and_new_views_follow(settings):
    lake = Lake(settings.lake_dir)
    lake.create()
    history = [ConsumedEvent(event("e1"), -1, -1, 0)]
    lake.append(names.TABLE_EVENTS, event_rows(history), {"backfill:shop": 1})
    open_state(settings, PLAN, lake).close()
    assert views_of_u1(settings) == 1

    three_views = FeaturePlan(views=(*PLAN.views, msgspec.structs.replace(PLAN.views[0], name="more")))
    state = open_state(settings, three_views, lake)
    assert state.building
    while state.build_step(lake) < 1:
        pass
    assert not state.building
    state.close()
    assert views_of_u1(settings, three_views) == 1
