"""The stream worker as a process: ``python -m tastemaker.stream.worker``, with the environment's settings."""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tastemaker import names
from tastemaker.broker.protocol import BrokerUnavailable, Consumer, Producer, UnknownTopic
from tastemaker.errors import StackError, TastemakerError
from tastemaker.features import database
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.consume import Worker
from tastemaker.stream.lock import writer_lock
from tastemaker.stream.logs import set_up_logging

__all__ = ["PlanChanged", "PlanWatch", "main", "open_state", "ready_path", "run_worker"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
PLAN_CHANGED_EXIT = 75  # EX_TEMPFAIL of sysexits.h: start again


class PlanChanged(TastemakerError):
    """The declarations were applied anew; the next start rebuilds the online state by them."""


class PlanWatch:
    """Notices that the feature plan on disk is no longer the one that the worker runs by.

    Args:
        path: the plan's file.
        plan: the plan that the worker has loaded.
    """

    def __init__(self, path: Path, plan: FeaturePlan) -> None:
        self._path = path
        self._hash = plan.state_hash
        self._stamp = _stamp(path)

    def check(self) -> None:
        """Compare.

        Raises:
            PlanChanged: another plan is there.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp or stamp is None:
            return
        changed = FeaturePlan.load(self._path).state_hash
        if changed != self._hash:
            raise PlanChanged(
                f"the feature plan changed from {self._hash} to {changed}; starting again rebuilds the online store"
            )
        self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def ready_path(settings: Settings) -> Path:
    """The file that holds the worker's process id while it consumes."""
    return settings.run_dir / "worker.ready"


def open_state(settings: Settings, plan: FeaturePlan, lake: Lake) -> FeatureState:
    """The online state for writing; built from the lake first when it is new or made for other declarations."""
    state = FeatureState.open(settings.online_path, plan)
    reader = database.connect_reader(settings.online_path)
    untouched = database.get_meta(reader, "rev") == 0
    reader.close()
    held = any(lake.open(table).to_pyarrow_dataset().count_rows() for table in (names.TABLE_EVENTS, names.TABLE_ITEMS))
    if state.is_stale or (untouched and held):
        _LOG.info("building the online store from the lake")
        state.bootstrap(lake)
    return state


def run_worker(
    settings: Settings,
    stop: threading.Event,
    connect_consumer: Callable[[], Consumer],
    connect_producer: Callable[[], Producer],
) -> None:
    """Work until ``stop`` is set.

    Args:
        settings: where everything is.
        stop: ends the work after what was gathered is in the lake.
        connect_consumer: tried until it succeeds.
        connect_producer: likewise.

    Raises:
        StackError: another process writes to the same home directory, or the declarations were never applied.
        PlanChanged: the declarations were applied anew.
        BrokerError: the broker's data is not the data that the positions were taken from.
    """
    if not settings.plan_path.exists():
        raise StackError(f"no feature plan at {settings.plan_path}; run `tastemaker features apply` first")
    ready = ready_path(settings)
    with writer_lock(settings.home, "the stream worker"):
        ready.unlink(missing_ok=True)  # left behind by one that was killed
        plan = FeaturePlan.load(settings.plan_path)
        watch = PlanWatch(settings.plan_path, plan)
        lake = Lake(settings.lake_dir)
        lake.create()
        state = open_state(settings, plan, lake)
        consumer = _retry(connect_consumer, stop)
        producer = _retry(connect_producer, stop)
        try:
            if consumer is None or producer is None:
                return
            worker = _retry(lambda: Worker(consumer, producer, state, lake, settings.clock, stop=stop), stop)
            if worker is None:
                return
            _retry(worker.start, stop)
            gc.collect()
            gc.freeze()
            ready.parent.mkdir(parents=True, exist_ok=True)
            ready.write_text(str(os.getpid()))
            worker.run(watch.check)
        finally:
            gc.unfreeze()
            ready.unlink(missing_ok=True)
            state.close()
            for connection in (consumer, producer):
                if connection is not None:
                    connection.close()


def _retry(attempt: Callable[[], T], stop: threading.Event) -> T | None:
    """Try until it works; None when the process is to stop meanwhile."""
    while not stop.is_set():
        try:
            return attempt()
        except (BrokerUnavailable, UnknownTopic) as error:
            _LOG.warning("waiting for the broker: %s", error)
            stop.wait(1.0)
    return None


def main() -> int:
    """Work until SIGTERM or Ctrl-C, with the environment's settings."""
    from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer

    set_up_logging()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_env()
        run_worker(settings, stop, lambda: KafkaConsumer(settings), lambda: KafkaProducer(settings))
    except PlanChanged as changed:
        print(changed, file=sys.stderr)
        return PLAN_CHANGED_EXIT
    except TastemakerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
