"""The stream worker as a process: ``python -m tastemaker.stream.worker``, with the environment's settings."""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

from tastemaker.broker.protocol import BrokerUnavailable, Consumer, Producer, UnknownTopic
from tastemaker.errors import StackError, TastemakerError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.protocol import StoreUnavailable, WriterFenced
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.bounds import bounds_for
from tastemaker.stream.consume import Worker
from tastemaker.stream.group import group_of, member_of
from tastemaker.stream.lock import building_lock, worker_slot, writer_lock
from tastemaker.stream.logs import set_up_logging
from tastemaker.stream.plan_watch import PlanChanged, PlanWatch
from tastemaker.stream.pruning import Pruning
from tastemaker.stream.store_sizes import counting_rows
from tastemaker.stream.worker_metrics import WorkerMetrics

__all__ = ["help_text", "main", "open_state", "ready_path", "run_worker", "work"]

T = TypeVar("T")
# The collector of cycles runs when so many more objects were made than released, which here are events on their way:
# by default (700) it walks over all of them again and again, which took a third of the worker's time.
_GC_OBJECTS = 50_000
_LOG = logging.getLogger(__name__)
_SWITCH_S = 0.001  # between threads: what is read and what is written to the lake must not hold up what is applied


def ready_path(settings: Settings, slot: int = 0) -> Path:
    """The file that holds a worker's process id while it consumes."""
    return settings.run_dir / (f"worker-{slot}.ready" if slot else "worker.ready")


def open_state(
    settings: Settings,
    plan: FeaturePlan,
    lake: Lake,
    cache_bytes: int = 2**28,
    progress: Callable[[float], None] = lambda share: None,
) -> FeatureState:
    """The online state for writing; a new one gets what the lake knows first, from one worker alone.

    Args:
        settings: where the store is.
        plan: the declarations.
        lake: what the store is built from.
        cache_bytes: bound on the rows that are kept at hand.
        progress: told the share that is built, from 0 to 1.
    """

    def tell(share: float) -> None:
        _LOG.info("built %d %%", 100 * share)
        progress(share)

    with building_lock(settings.home):
        state = FeatureState.open(settings.online_location, plan, cache_bytes, lake)
        if state.is_empty:
            _LOG.info("building the online store from the lake")
            progress(0.0)
            state.bootstrap(lake, tell)
    return state


def run_worker(
    settings: Settings,
    stop: threading.Event,
    connect_consumer: Callable[[str, str], Consumer],
    connect_producer: Callable[[], Producer],
) -> None:
    """Work until ``stop`` is set; start afresh where the declarations or the owner of the partitions changed.

    Args:
        settings: where everything is.
        stop: ends the work after what was gathered is in the lake.
        connect_consumer: from a group and a member's name; tried until it succeeds.
        connect_producer: likewise.

    Raises:
        StackError: an import or a rebuild writes to the same home directory, or the declarations were never applied.
        BrokerError: the broker's data is not the data that the positions were taken from.
    """
    if not settings.plan_path.exists():
        raise StackError(f"no feature plan at {settings.plan_path}; run `tastemaker features apply` first")
    with writer_lock(settings.home, "the stream worker", shared=True), worker_slot(settings.run_dir) as slot:
        ready_path(settings, slot).unlink(missing_ok=True)  # left behind by one that was killed
        while not stop.is_set():
            try:
                work(settings, slot, stop, connect_consumer, connect_producer)
            except (PlanChanged, WriterFenced) as reason:
                _LOG.warning("starting afresh: %s", reason)


def work(
    settings: Settings,
    slot: int,
    stop: threading.Event,
    connect_consumer: Callable[[str, str], Consumer],
    connect_producer: Callable[[], Producer],
) -> None:
    """As :func:`run_worker`, once.

    Raises:
        PlanChanged: the declarations were applied anew.
        WriterFenced: other workers took the partitions over while this one stood still.
    """
    ready = ready_path(settings, slot)
    plan = FeaturePlan.load(settings.plan_path)
    watch = PlanWatch(settings.plan_path, plan)
    lake = Lake(settings.lake_dir)
    lake.create()
    bounds = bounds_for(settings.worker_memory_mb)
    metrics = WorkerMetrics(plan.views)
    metrics.store_size(settings.online_location)
    with ExitStack() as held:
        port = held.enter_context(metrics.serving(settings.host, settings.worker_metrics_port + slot))
        state = _retry(lambda: open_state(settings, plan, lake, bounds.cache_bytes, metrics.built), stop)
        if state is None:
            return
        held.enter_context(closing(state))
        if slot == 0:
            held.enter_context(counting_rows(settings.online_location, plan.views, metrics.view_rows))
        consumer = _retry(lambda: connect_consumer(group_of(lake), member_of(slot)), stop)
        producer = _retry(connect_producer, stop)
        try:
            if consumer is None or producer is None:
                return
            worker = Worker(consumer, producer, state, lake, settings.clock, stop=stop, bounds=bounds, metrics=metrics)
            _retry(worker.start, stop)
            gc.collect()
            gc.freeze()
            ready.parent.mkdir(parents=True, exist_ok=True)
            ready.write_text(str(os.getpid()))
            _LOG.info("works as number %d; metrics on port %d", slot, port)
            pruning = Pruning(state, plan.views)
            worker.run(lambda: _look(watch, state, pruning))
        finally:
            gc.unfreeze()
            ready.unlink(missing_ok=True)
            for connection in (consumer, producer):
                if connection is not None:
                    connection.close()


def _look(watch: PlanWatch, state: FeatureState, pruning: Pruning) -> None:
    """Once a second: what an idle worker would not notice."""
    watch.check()
    state.check()
    pruning.tick()


def _retry(attempt: Callable[[], T], stop: threading.Event) -> T | None:
    """Try until it works; None when the process is to stop meanwhile."""
    while not stop.is_set():
        try:
            return attempt()
        except (BrokerUnavailable, UnknownTopic, StoreUnavailable) as error:
            _LOG.warning("waiting: %s", error)
            stop.wait(1.0)
    return None


def help_text() -> str:
    """What the process does, how it is set up, and its metrics."""
    metrics = WorkerMetrics()
    metrics.store_size(Path("online.sqlite"))
    described = "\n".join(f"  {name}\n      {meaning}" for name, meaning in metrics.described())
    return f"""Tastemaker stream worker: Kafka -> online store and lake, each event exactly once

Settings come from TASTEMAKER_* variables. Workers of one home, or of one lake, share the partitions: start as many as
there are partitions at most; `tastemaker up --workers N` starts N.

Answers Prometheus at TASTEMAKER_WORKER_METRICS_PORT ({Settings.model_fields["worker_metrics_port"].default}), \
the second worker at the next port, and so on:
{described}
"""


def main() -> int:
    """Work until SIGTERM or Ctrl-C, with the environment's settings."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(help_text())
        return 0
    from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer

    set_up_logging()
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_GC_OBJECTS, 20, 100)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_env()
        run_worker(
            settings,
            stop,
            lambda group, member: KafkaConsumer(settings, group=group, member=member),
            lambda: KafkaProducer(settings),
        )
    except TastemakerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
