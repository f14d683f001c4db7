"""How soon an event that the collector has acknowledged is in the features that the recommender reads."""

import os
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import msgspec
import numpy as np
import psutil
from rich.console import Console

from benchmarks.freshness_load import connection, post, steady_load
from benchmarks.goal import Goal
from benchmarks.local_kafka import local_kafka, process, wait_until
from tastemaker import names
from tastemaker.events.adapters import online_retail
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.settings import Settings
from tastemaker.stack.probes import http_answers
from tastemaker.stack.workspace import import_history, prepare

__all__ = ["run"]

_RATE = 5_000
_WARM_S = 10.0
_MEASURED_S = 30.0
_PAUSE_S = (0.02, 0.08)  # between two probes
_LOOK_S = 0.0005  # between two looks at the store
_GIVE_UP_S = 20.0


def run() -> list[Goal]:
    """Acknowledged -> readable: p50 at low load at most 20 ms, p99 at 5,000 events/s at most 100 ms."""
    console = Console()
    rate = int(os.environ.get("FRESHNESS_RATE", _RATE))
    with local_kafka() as fresh:
        dataset = online_retail.load(fresh.repository / "data" / "online_retail.parquet")
        settings = fresh.with_clock_at(dataset.last_event)
        import_history(settings, dataset)
        plan = prepare(settings)
        users = sorted(set(dataset.events[names.USER_ID].drop_null().to_pylist()))
        items = dataset.events[names.ITEM_ID].drop_null().to_pylist()[::7]  # each as often as it is bought
        with process(settings, "stream.worker") as worker, process(settings, "stream.collector") as collector:
            wait_until("the worker", (settings.run_dir / "worker.ready").exists, 300)
            wait_until(
                "the collector", lambda: http_answers(settings.host, settings.collector_port, "/health/ready"), 60
            )
            with closing(FeatureReader(settings.online_location, plan)) as reader:
                probe = _Probe(settings, reader, items)
                probe.measure(_WARM_S / 2)
                low = probe.measure(_MEASURED_S / 2)
                with steady_load(settings, users, items, rate) as accepted:
                    wait_until("the load", lambda: accepted.value > 0, 30)
                    probe.measure(_WARM_S)
                    began, before = time.monotonic(), accepted.value
                    cpu = _Cpu({"worker": worker.pid, "collector": collector.pid, "probe": os.getpid()})
                    high = probe.measure(_MEASURED_S)
                    reached = (accepted.value - before) / (time.monotonic() - began)
                    used = cpu.per_event_us(accepted.value - before)
    console.print(f"processor time per event: {used}", highlight=False)
    for title, found in (("low load", low), (f"{reached:,.0f} events/s", high)):
        p50, p90, p99, worst = np.percentile(found, [50, 90, 99, 100])
        console.print(
            f"{title}: {len(found)} probes, p50 {p50:.1f} ms, p90 {p90:.1f}, p99 {p99:.1f}, at most {worst:.1f}",
            highlight=False,
        )
    console.print(f"the machine's load was {os.getloadavg()[0]:.1f}", highlight=False)
    return [
        Goal("p50 at low load", float(np.percentile(low, 50)), "<=", 20, " ms"),
        Goal(f"p99 at {rate:,} events/s", float(np.percentile(high, 99)), "<=", 100, " ms"),
        Goal(f"events/s that the collector accepted of {rate:,}", reached, ">", 0.97 * rate),
    ]


class _Cpu:
    """Processor time of some processes since this was made.

    Args:
        pids: process ids by name.
    """

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._now()

    def per_event_us(self, events: int) -> str:
        """Microseconds per event, for people."""
        spent = {name: (now - self._before[name]) / max(events, 1) * 1e6 for name, now in self._now().items()}
        return ", ".join(f"{name} {us:.0f} µs" for name, us in spent.items())

    def _now(self) -> dict[str, float]:
        return {name: sum(process.cpu_times()[:2]) for name, process in self._processes.items()}


class _Probe:
    """Posts single events of shoppers that nobody knows, and looks at the store until their feature says so.

    Args:
        settings: where the collector is.
        reader: as the recommender has one.
        items: products that the events are about.
    """

    def __init__(self, settings: Settings, reader: FeatureReader, items: list[str]) -> None:
        self._client = connection(settings)
        self._reader = reader
        self._items = items
        self._clock: Callable[[], int] = settings.clock.now_us
        self._pick = np.random.default_rng(1)
        self._number = 0

    def measure(self, seconds: float) -> list[float]:
        """Milliseconds from acknowledgement to being readable, of each probe."""
        until = time.monotonic() + seconds
        found = []
        while time.monotonic() < until:
            time.sleep(self._pick.uniform(*_PAUSE_S))
            found.append(self._one() * 1_000)
        return found

    def _one(self) -> float:
        self._number += 1
        user = f"probe-{self._number}"
        event: dict[str, Any] = {
            "event_id": user,
            "type": "view",
            "user_id": user,
            "session_id": user,
            "item_id": self._items[self._number % len(self._items)],
        }
        post(self._client, "/v1/events", msgspec.json.encode(event))
        acknowledged = time.perf_counter()
        while not self._is_readable(user):
            if time.perf_counter() > acknowledged + _GIVE_UP_S:
                raise SystemExit(f"the event of {user} is not readable after {_GIVE_UP_S:g} s")
            time.sleep(_LOOK_S)
        return time.perf_counter() - acknowledged

    def _is_readable(self, user: str) -> bool:
        row = self._reader.row(names.VIEW_USER_ACTIVITY, user, self._clock() + 1, ["user_views_1d"])
        return bool(row["user_views_1d"] == 1)
