"""What goes wrong: each part killed, paused and slowed, and how it is put right."""

import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos_service import Breaks
from benchmarks.chaos_stack import ChaosStack
from tastemaker import names
from tastemaker.broker.connection import client_config
from tastemaker.broker.topics import ensure_topics
from tastemaker.release.files import RANKER

__all__ = ["Fault", "faults_at_start", "faults_in_process", "faults_of_one", "faults_of_replicas"]

Change = Callable[[ChaosStack], None]
_STOOD_S: Final = 0.09
_RAN_S: Final = 0.01


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        part: what is broken.
        how: in words.
        breaks: breaks it.
        mends: returns once the part is there again.
        fed: whether events reach lists through this part, so that it is worth knowing when they do again.
    """

    part: str
    how: str
    breaks: Change
    mends: Change
    fed: bool = False


def _nothing(stack: ChaosStack) -> None:
    """Leave all as it is."""


def _killed(part: str, name: str, *, fed: bool = True) -> Fault:
    return Fault(part, "killed", lambda stack: stack.kill(name), lambda stack: stack.start_and_wait(name), fed)


def _paused(part: str, name: str, *, fed: bool = True) -> Fault:
    return Fault(part, "paused", lambda stack: stack.freeze(name), lambda stack: stack.thaw(name), fed)


def _late(part: str, name: str, ms: float) -> Fault:
    def to(late_ms: float) -> Change:
        return lambda stack: stack.proxies[name].delay(late_ms)

    return Fault(part, f"answers {ms:,.0f} ms late", to(ms), to(0), fed=True)


class _Halting:
    """A process that runs for a tenth of the time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, stack: ChaosStack) -> None:
        def run() -> None:
            while not self._enough.wait(_RAN_S):
                stack.freeze(self._name)
                self._enough.wait(_STOOD_S)
                stack.thaw(self._name)

        self._enough.clear()
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self, stack: ChaosStack) -> None:
        self._enough.set()
        assert self._thread is not None
        self._thread.join()


def _halting(part: str, name: str, *, fed: bool = True) -> Fault:
    halting = _Halting(name)
    return Fault(part, "slow: runs a tenth of the time", halting.begin, halting.end, fed)


def faults_of_one() -> list[Fault]:
    """Of everything around one recommender."""
    return [
        Fault("nothing", "as it should be", _nothing, _nothing, fed=True),
        _killed("online store", "store"),
        _paused("online store", "store"),
        _late("online store", "store", 10),
        _late("online store", "store", 60),
        _late("online store", "store", 2_000),
        _killed("broker", "broker"),
        _paused("broker", "broker"),
        _late("broker", "broker", 500),
        _killed("stream worker", "worker-0"),
        _paused("stream worker", "worker-0"),
        _halting("stream worker", "worker-0"),
        _killed("collector", "collector"),
        _paused("collector", "collector"),
        _halting("collector", "collector"),
        Fault("served-list log", "its topic is gone", _delete_topic, _make_topic),
        _moved("plan and rules in the home", "gone from the disk", lambda stack: stack.settings.plan_path),
    ]


def faults_of_replicas(name: str) -> list[Fault]:
    """Of one of two recommenders."""

    def at_start(stack: ChaosStack) -> None:
        _move_away(stack.release / RANKER)
        stack.kill(name)
        stack.start(name)

    def put_back(stack: ChaosStack) -> None:
        _move_back(stack.release / RANKER)

    def one_worker(stack: ChaosStack) -> None:
        stack.family(name)[-1].send_signal(signal.SIGKILL)

    part = "one recommender of two"
    return [
        _killed(part, name, fed=False),
        Fault(part, "its server's worker killed", one_worker, _nothing),
        _paused(part, name, fed=False),
        _halting(part, name, fed=False),
        Fault(part, "starts anew, a file of its release is missing", at_start, put_back),
    ]


def faults_in_process(breaks: Breaks) -> list[Fault]:
    """Of ranker and index."""

    def to(part: str, ms: float) -> Change:
        return lambda _: breaks.tell(part, ms)

    said = {-1.0: "fails", 15.0: "15 ms late", 40.0: "40 ms late", 1_000.0: "hangs for a second, each time"}
    return [Fault(part, how, to(part, ms), to(part, 0.0)) for part in ("ranker", "index") for ms, how in said.items()]


def faults_at_start(breaks: Breaks) -> list[Fault]:
    """Of a recommender that was started when something was wrong already."""
    return [Fault("index", "could not be built at the start", _nothing, lambda _: breaks.tell("build", 0.0))]


def _moved(part: str, how: str, path: Callable[[ChaosStack], Path]) -> Fault:
    return Fault(part, how, lambda stack: _move_away(path(stack)), lambda stack: _move_back(path(stack)))


def _move_away(path: Path) -> None:
    shutil.move(path, path.with_name(f"{path.name}.gone"))


def _move_back(path: Path) -> None:
    shutil.move(path.with_name(f"{path.name}.gone"), path)


def _delete_topic(stack: ChaosStack) -> None:
    from kafka import KafkaAdminClient

    with KafkaAdminClient(**client_config(stack.settings)) as admin:
        admin.delete_topics([names.TOPIC_SERVED_LISTS])


def _make_topic(stack: ChaosStack) -> None:
    ensure_topics(stack.settings)
